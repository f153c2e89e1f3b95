"""Stand-ins for the process of a run: they speak its protocol and measure nothing."""

import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from advisor.service import Limits, Run, RunQueue, RunStore
from probes.request import ProbeRequest

T = TypeVar("T")

SESSION = "a session"
SAMPLE = ProbeRequest(
    model="bundled",
    source="en",
    target="tr",
    task="pos",
    train="sample:en.conllu",
    bitext="sample:bitext.en-tr.tsv",
    target_labels="sample:tr.conllu",
    budget="quick",
)

_SAY = """
import json, os, pathlib, sys, threading
folder = pathlib.Path(sys.argv[1])
def say(**event):
    print(json.dumps(event), flush=True)
def end_with_parent():
    os.read(0, 1)
    (folder / "orphaned").touch()
    os._exit(1)
threading.Thread(target=end_with_parent, daemon=True).start()
def until(path):
    while not path.exists():
        threading.Event().wait(0.01)
"""

FINISHES = """
say(event="phase", name="read", total=1)
say(event="phase", name="embed", total=2)
say(event="step")
say(event="cost", seconds=100.0, memory_gib=1.5)
for name in ("signals.json", "advice.json", "report.html"):
    (folder / name).write_text("{}")
(folder / "recipe").mkdir()
(folder / "recipe" / "train.py").write_text("print(1)")
say(event="done", decision="align", summary="Align.")
"""
WAITS = (
    """
say(event="phase", name="embed", total=9)
say(event="step")
until(folder / "go on")
"""
    + FINISHES
)
REFUSES = 'say(event="error", text="The file is empty."); sys.exit(1)'
CRASHES = "sys.exit(3)"
IS_KILLED = 'say(event="phase", name="embed", total=9); os.kill(os.getpid(), 9)'
LOOKS_AT_INPUTS = """
job = json.loads((folder / "job.json").read_text())
text = pathlib.Path(job["cells"][0]["train"]).read_text()
say(event="done", decision="align", summary=text)
"""


def command(body: str) -> tuple[str, ...]:
    """What runs ``body`` in place of a probe."""
    return sys.executable, "-c", _SAY + textwrap.dedent(body)


def make_queue(root: Path, body: str, limits: Limits | None = None) -> RunQueue:
    """A queue whose runs do ``body``."""
    return RunQueue(RunStore(root), limits or Limits(), command(body))


def wait_for(condition: Callable[[], T | bool | None], seconds: float = 30) -> T:
    """What ``condition`` gives once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found  # type: ignore[return-value]
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")


def ended(queue: RunQueue, run: Run) -> Run:
    """The run once it has ended."""

    def look() -> Run | None:
        now = queue.store.run(run.id)
        return None if now.active else now

    return wait_for(look)


def let_go(queue: RunQueue, run: Run) -> None:
    """Let a run that waits go on."""
    (queue.store.folder(run.id) / "go on").touch()
