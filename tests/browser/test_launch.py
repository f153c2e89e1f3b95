"""`advisor app` and `advisor serve`, as functions: they answer, from anywhere, and end when told to."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.browser.server import free_port
from tests.unit.service.stubs import wait_for


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ("from advisor.app import launch; launch(port={port}, open_browser=False)", "_stcore/health"),
        ("from advisor.service.http import serve; serve(port={port})", "health"),
    ],
)
def test_it_serves_from_any_folder(tmp_path: Path, call: str, path: str) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", call.format(port=port)],
        cwd=tmp_path,
        env={**os.environ, "ADVISOR_STORE": str(tmp_path / "store")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        wait_for(answers, seconds=60)
    finally:
        process.terminate()
        process.wait(30)


def test_a_taken_port_is_said_in_one_sentence(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code = (
            "from advisor.service.http import serve\nfrom probes.errors import RunError\n"
            f"try:\n    serve(port={taken.getsockname()[1]})\nexcept RunError as error:\n    print(error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "ADVISOR_STORE": str(tmp_path / "store")},
        )
    assert "choose another port" in done.stdout
