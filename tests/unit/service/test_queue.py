"""Runs as their owners see them: they advance, end, are stopped, and never get lost."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from advisor.service import Limits, QueueFullError, RunQueue, RunStore, UnknownRunError
from probes.errors import InputError
from probes.request import ProbeRequest
from tests.unit.service.conftest import MakeQueue
from tests.unit.service.stubs import (
    CRASHES,
    FINISHES,
    IS_KILLED,
    LOOKS_AT_INPUTS,
    REFUSES,
    SAMPLE,
    SESSION,
    WAITS,
    command,
    ended,
    let_go,
    wait_for,
)


def _children() -> list[psutil.Process]:
    processes = psutil.Process().children(recursive=True)
    return [p for p in processes if p.status() != psutil.STATUS_ZOMBIE and p not in _others]


_others: list[psutil.Process] = []
"""Processes that earlier tests of this session left running, such as a pool that waits for more work."""


@pytest.fixture(autouse=True)
def _know_the_others() -> None:
    _others[:] = []
    _others[:] = _children()


def test_a_run_leaves_its_results(queue_of: MakeQueue) -> None:
    queue = queue_of(FINISHES)
    run = ended(queue, queue.submit(SAMPLE, SESSION))
    assert (run.status, run.decision, run.summary) == ("done", "align", "Align.")
    assert queue.store.artefact(run.id, "advice.json").read_text() == "{}"
    assert queue.store.recipe_zip(run.id).startswith(b"PK")
    assert queue.store.request(run.id).model_dump(exclude={"uploads"}) == SAMPLE.model_dump()


def test_progress_is_relayed(queue_of: MakeQueue) -> None:
    queue = queue_of('say(event="cost", seconds=100.0, memory_gib=1.5)' + WAITS)
    run = queue.submit(SAMPLE, SESSION)
    wait_for(lambda: queue.store.run(run.id).step == 1)
    now = queue.store.run(run.id)
    assert (now.status, now.phase, now.total) == ("running", "embed", 9)
    assert now.seconds_left is not None
    assert 0 < now.seconds_left <= 100
    assert now.memory_gib == 1.5
    let_go(queue, run)
    assert ended(queue, run).seconds > 0


def test_runs_wait_for_one_another(queue_of: MakeQueue) -> None:
    queue = queue_of(WAITS)
    first, second, third = (queue.submit(SAMPLE, SESSION) for _ in range(3))
    wait_for(lambda: queue.store.run(first.id).status == "running")
    assert [queue.store.run(run.id).ahead for run in (first, second, third)] == [0, 1, 2]
    assert len(_children()) == 1
    let_go(queue, first)
    wait_for(lambda: queue.store.run(second.id).status == "running")
    assert queue.store.run(third.id).ahead == 1
    for run in (second, third):
        let_go(queue, run)
    assert ended(queue, third).status == "done"


@pytest.mark.slow
def test_runs_that_come_all_at_once_are_all_kept(queue_of: MakeQueue) -> None:
    queue = queue_of("say(event='done', decision='align', summary='Align.')", Limits(queue_length=20))
    with ThreadPoolExecutor(20) as visitors:
        started = list(visitors.map(lambda n: queue.submit(SAMPLE, f"session {n}"), range(20)))
    assert len({run.id for run in started}) == 20
    assert {ended(queue, run).status for run in started} == {"done"}
    assert all(len(queue.store.runs(f"session {n}")) == 1 for n in range(20))


def test_a_full_queue_takes_no_more(queue_of: MakeQueue) -> None:
    queue = queue_of(WAITS, Limits(queue_length=1))
    first = queue.submit(SAMPLE, SESSION)
    wait_for(lambda: queue.store.run(first.id).status == "running")
    queue.submit(SAMPLE, SESSION)
    with pytest.raises(QueueFullError, match="try again"):
        queue.submit(SAMPLE, SESSION)
    assert len(queue.store.runs()) == 2


def test_cancelling_ends_the_process(queue_of: MakeQueue) -> None:
    queue = queue_of(WAITS)
    run = queue.submit(SAMPLE, SESSION)
    wait_for(lambda: queue.store.run(run.id).step == 1)
    queue.cancel(run.id)
    assert ended(queue, run).status == "cancelled"
    assert not _children()


def test_what_waits_can_be_cancelled(queue_of: MakeQueue) -> None:
    queue = queue_of(WAITS)
    first, second = (queue.submit(SAMPLE, SESSION) for _ in range(2))
    assert queue.cancel(second.id).status == "cancelled"
    assert queue.store.run(first.id).active


def test_another_process_can_cancel(queue_of: MakeQueue) -> None:
    queue, other = queue_of(WAITS), queue_of(WAITS)
    first, second = (queue.submit(SAMPLE, SESSION) for _ in range(2))
    wait_for(lambda: queue.store.run(first.id).status == "running")
    other.cancel(second.id)
    other.cancel(first.id)
    assert ended(queue, first).status == "cancelled"
    assert ended(queue, second).status == "cancelled"


def test_cancelling_what_has_ended_changes_nothing(queue_of: MakeQueue) -> None:
    queue = queue_of(FINISHES)
    run = ended(queue, queue.submit(SAMPLE, SESSION))
    assert queue.cancel(run.id) == run


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (REFUSES, "failed", "The file is empty."),
        (CRASHES, "failed", "code 3"),
        (IS_KILLED, "interrupted", "signal 9"),
    ],
)
def test_how_a_run_can_go_wrong(queue_of: MakeQueue, body: str, status: str, error: str) -> None:
    queue = queue_of(body)
    run = ended(queue, queue.submit(SAMPLE, SESSION))
    assert run.status == status
    assert run.error is not None
    assert error in run.error
    with pytest.raises(UnknownRunError):
        queue.store.artefact(run.id, "advice.json")


def test_the_next_run_is_taken_after_one_went_wrong(queue_of: MakeQueue) -> None:
    queue = queue_of(CRASHES)
    first, second = (queue.submit(SAMPLE, SESSION) for _ in range(2))
    assert [ended(queue, run).status for run in (first, second)] == ["failed", "failed"]


def test_no_run_may_take_longer_than_allowed(queue_of: MakeQueue) -> None:
    queue = queue_of(WAITS, Limits(run_minutes=0.001))
    run = ended(queue, queue.submit(SAMPLE, SESSION))
    assert run.status == "failed"
    assert "the longest a run may take" in (run.error or "")
    assert not _children()


def test_uploads_serve_the_runs_that_follow_and_go_with_them(queue_of: MakeQueue, tmp_path: Path) -> None:
    queue = queue_of(LOOKS_AT_INPUTS)
    upload = queue.store.save_upload(SESSION, "mine.conllu", [b"my ", b"text"], most=100)
    run = queue.submit(SAMPLE.model_copy(update={"train": upload.spec}), SESSION)
    assert ended(queue, run).summary == "my text"
    assert not (queue.store.folder(run.id) / "job.json").exists()
    again = queue.submit(queue.store.request(run.id), SESSION)
    assert ended(queue, again).summary == "my text"
    with pytest.raises(InputError, match="no such upload"):
        queue.submit(queue.store.request(run.id), "somebody else")
    queue.store.remove(again.id)
    assert not [path for path in tmp_path.rglob("*") if path.name == "mine.conllu"]


def test_uploads_of_another_session_cannot_be_named(queue_of: MakeQueue) -> None:
    queue = queue_of(LOOKS_AT_INPUTS)
    upload = queue.store.save_upload("somebody else", "mine.conllu", [b"text"], most=100)
    with pytest.raises(InputError, match="no such upload"):
        queue.submit(SAMPLE.model_copy(update={"train": upload.spec}), SESSION)
    assert queue.store.runs() == []
    assert queue.store.upload("somebody else", upload.id) == upload


@pytest.mark.slow
def test_a_run_whose_process_died_is_interrupted_not_lost(tmp_path: Path) -> None:
    root = tmp_path / "store"
    # A server of its own, which is killed while its run is under way.
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(root), *command(WAITS)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    run_id, child = server.stdout.readline().strip(), server.stdout.readline().strip()
    store = RunStore(root)
    assert store.run(run_id).status == "running"
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    run = store.run(run_id)
    assert run.status == "interrupted"
    assert "start it again" in (run.error or "")
    assert (run.phase, run.step) == ("embed", 1)
    assert RunStore(root).run(run_id).status == "interrupted"
    wait_for(lambda: not psutil.pid_exists(int(child)) or psutil.Process(int(child)).status() == "zombie")


_SERVER = """
import sys, psutil, time
from pathlib import Path
from advisor.service import Limits, RunQueue, RunStore
from tests.unit.service.stubs import SAMPLE, SESSION
queue = RunQueue(RunStore(Path(sys.argv[1])), Limits(), sys.argv[2:])
run = queue.submit(SAMPLE, SESSION)
while queue.store.run(run.id).step == 0:
    time.sleep(0.01)
print(run.id, flush=True)
print(psutil.Process().children()[0].pid, flush=True)
time.sleep(600)
"""


def test_closing_stops_everything(queue_of: MakeQueue) -> None:
    queue = queue_of(WAITS)
    first, second = (queue.submit(SAMPLE, SESSION) for _ in range(2))
    wait_for(lambda: queue.store.run(first.id).step == 1)
    queue.close()
    assert [queue.store.run(run.id).status for run in (first, second)] == ["interrupted", "interrupted"]
    assert "start it again" in str(queue.store.run(first.id).error)
    assert not _children()


def test_old_runs_go_when_they_are_not_to_be_kept(queue_of: MakeQueue) -> None:
    queue: RunQueue = queue_of(FINISHES, Limits(keep_days=1e-9))
    old = ended(queue, queue.submit(SAMPLE, SESSION))
    new = ended(queue, queue.submit(SAMPLE, SESSION))
    assert [run.id for run in queue.store.runs()] == [new.id]
    with pytest.raises(UnknownRunError):
        queue.store.run(old.id)


def test_a_session_lists_its_own_runs(queue_of: MakeQueue) -> None:
    queue = queue_of(FINISHES)
    mine, theirs = queue.submit(SAMPLE, SESSION), queue.submit(SAMPLE, "somebody else")
    assert [run.id for run in queue.store.runs(SESSION)] == [mine.id]
    assert [run.id for run in queue.store.runs()] == [theirs.id, mine.id]


@pytest.mark.parametrize("field", ["source", "target", "task"])
def test_what_cannot_be_understood_is_refused_before_it_is_queued(queue_of: MakeQueue, field: str) -> None:
    queue = queue_of(FINISHES)
    request = ProbeRequest.model_validate({**SAMPLE.model_dump(), field: "no such thing"})
    with pytest.raises(InputError, match="no such thing"):
        queue.submit(request, SESSION)
    assert queue.store.runs() == []
