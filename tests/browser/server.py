"""The page on a server of its own, and a real browser to visit it with."""

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from advisor.service import RunStore
from tests.browser.conftest import APP
from tests.unit.service.stubs import wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@dataclass(frozen=True)
class Server:
    """A page that is being served.

    Attributes:
        url: of the page.
        root: of its store.
        process: that serves it.
    """

    url: str
    root: Path
    process: "subprocess.Popen[bytes]"

    @property
    def store(self) -> RunStore:
        """Its runs and uploads."""
        return RunStore(self.root)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(root: Path, variables: Mapping[str, str]) -> Iterator[Server]:
    """Serve the page from a store below ``root`` until the context is left."""
    port = free_port()
    store = root / "store"
    with (root / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streamlit", "run", str(APP), "--server.headless", "true"),
                *("--server.address", "127.0.0.1", "--server.port", str(port)),
            ],
            cwd=APP.parent,
            env={**os.environ, "ADVISOR_STORE": str(store), "OMP_NUM_THREADS": "1", **variables},
            stdout=log,
            stderr=log,
        )
    server = Server(f"http://127.0.0.1:{port}/", store, process)
    try:
        wait_for(lambda: _answers(server), seconds=180)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _answers(server: Server) -> bool:
    assert server.process.poll() is None, "the server ended"
    try:
        with urllib.request.urlopen(server.url + "_stcore/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
