"""The page in the browser: ask, probe, read, explore, compare, trial.

It shows what the package's functions answer and computes nothing of its own. Nothing in its process imports
torch: probes run in processes of their own, see :mod:`advisor.service`.
"""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from socket import gaierror
from typing import Any

from advisor.service import Limits
from probes.errors import RunError

__all__ = ["launch", "render"]


def render() -> None:
    """Draw the page; for a script that Streamlit runs."""
    from advisor.app._page import render as draw  # streamlit takes a second to import

    draw()


_HERE = Path(__file__).parent


def launch(
    host: str = "127.0.0.1", port: int = 8501, *, open_browser: bool = True, limits: Limits | None = None
) -> None:
    """Serve the page until interrupted.

    Args:
        host: address to listen on. On a loopback address the page is taken to be yours alone: it reads files
            below the current folder, loads any hub id and lists every run.
        port: to listen on.
        open_browser: whether to open it in the browser.
        limits: what visitors may do; by default what the environment says.

    Raises:
        InputError: if an environment variable makes no sense.
        RunError: if the page could not be served at that address.
    """
    limits = limits or Limits.of_server(host)
    os.environ |= limits.to_environment()  # the page reads its limits from there

    from streamlit.web import bootstrap

    options = dict(page_options()) | {
        "server.address": host,
        "server.port": port,
        "server.headless": not open_browser,
    }
    flags = {name.replace(".", "_"): value for name, value in options.items()}
    bootstrap.load_config_options(flag_options=flags)
    try:
        bootstrap.run(str(_HERE / "_page.py"), False, [], flags)
    except (SystemExit, gaierror) as error:  # how Streamlit says that it cannot listen there
        if isinstance(error, SystemExit) and not error.code:
            raise
        raise RunError(
            f"Cannot listen on {host} port {port}: choose another port, or an address of this machine."
        ) from error


def page_options() -> Iterator[tuple[str, Any]]:
    """Streamlit's settings for the page, by dotted name."""
    settings = tomllib.loads((_HERE / "streamlit.toml").read_text(encoding="utf-8"))

    def flat(table: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, value in table.items():
            if isinstance(value, dict):
                yield from flat(value, f"{prefix}{name}.")
            else:
                yield prefix + name, value

    return flat(settings, "")
