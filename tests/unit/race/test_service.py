"""Races through the run queue: started, watched, stopped, gone on with."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from advisor.race import RaceResult
from advisor.sample import sample_path
from advisor.service import Limits, RacePlan, RunQueue, RunStore
from probes.errors import InputError
from probes.request import ProbeRequest
from tests.conftest import Checkpoint

SESSION = "0" * 32
TEXTS = 16
_RUN = """
import sys
from pathlib import Path
from advisor.race.errors import ErrorModel
from advisor.race.replay import fit
from advisor.service._child import main
fit.shipped_errors = ErrorModel  # fitting it takes seconds
sys.exit(main(Path(sys.argv[1])))
"""


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[RunQueue]:
    """A queue whose runs are real but for the error model."""
    limits = Limits(roots=(Path("/"),), hub_ids=("*",), list_all=True)
    queue = RunQueue(RunStore(tmp_path / "store"), limits, (sys.executable, "-c", _RUN))
    yield queue
    queue.close()


@pytest.fixture
def request_(checkpoint: Checkpoint, tmp_path: Path) -> ProbeRequest:
    """A tiny encoder on a small part of the sample."""
    for name, between in (("en.conllu", "\n\n"), ("tr.conllu", "\n\n"), ("bitext.en-tr.tsv", "\n")):
        texts = sample_path(name).read_text(encoding="utf-8").split(between)[:TEXTS]
        (tmp_path / name).write_text(between.join(texts) + between, encoding="utf-8")
    return ProbeRequest(
        model=str(checkpoint("bert")),
        source="en",
        target="tr",
        task="pos",
        train=str(tmp_path / "en.conllu"),
        bitext=str(tmp_path / "bitext.en-tr.tsv"),
        target_labels=str(tmp_path / "tr.conllu"),
        device="cpu",
    )


def until(condition: object, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "took too long"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_race_is_watched_stopped_and_gone_on_with(queue: RunQueue, request_: ProbeRequest) -> None:
    plan = RacePlan(minutes=20, options=("sentence-contrastive:joint:0.1",), steps=32)
    run = queue.submit(request_, SESSION, plan)
    assert run.kind == "race"
    store = queue.store
    until(lambda: store.race(run.id) is not None or not store.run(run.id).active)
    queue.cancel(run.id)
    until(lambda: not store.run(run.id).active)
    steps = sorted((store.folder(run.id) / "steps").iterdir())
    assert steps
    if store.run(run.id).status == "cancelled":
        queue.resume(run.id)
        until(lambda: not store.run(run.id).active)
    ended = store.run(run.id)
    assert ended.status == "done", store.log(run.id).read_text()
    assert sorted((store.folder(run.id) / "steps").iterdir())[: len(steps)] == steps
    result = RaceResult.model_validate_json(store.race(run.id) or b"")
    assert ended.decision == result.decision
    assert store.artefact(run.id, "advice.json").is_file()
    with pytest.raises(InputError, match="Only a race that was stopped"):
        queue.resume(run.id)


def test_what_cannot_be_raced_is_refused(queue: RunQueue, request_: ProbeRequest) -> None:
    with pytest.raises(InputError, match="target labels"):
        queue.submit(request_.model_copy(update={"target_labels": None}), SESSION, RacePlan())
    with pytest.raises(InputError, match="lower the minutes"):
        queue.submit(request_, SESSION, RacePlan(minutes=1000))
