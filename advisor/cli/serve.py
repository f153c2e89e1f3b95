"""``advisor serve``"""

from typing import Annotated

import typer

from advisor.cli._options import Debug


def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; any but loopback needs ADVISOR_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8000,
    debug: Debug = False,
) -> None:
    """Serve over HTTP."""
    from advisor.service import serve as listen

    listen(host, port)
