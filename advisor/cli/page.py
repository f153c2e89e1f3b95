"""``advisor app`` and ``advisor serve``"""

from typing import Annotated

import typer

from advisor.console import Debug


def page(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8501,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
    debug: Debug = False,
) -> None:
    """Open the page in the browser."""
    from advisor.app import launch

    launch(host, port, open_browser=browser)


def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; any but loopback needs ADVISOR_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8000,
    debug: Debug = False,
) -> None:
    """Serve questions and runs over HTTP."""
    from advisor.service.http import serve as listen

    listen(host, port)
