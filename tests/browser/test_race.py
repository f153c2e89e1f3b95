"""A race on the page: started from a probe, watched, left and found again, stopped, gone on with."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from advisor.advice import Gain
from advisor.options import Option
from advisor.race import RaceResult
from advisor.race.result import ArmResult, LookResult
from advisor.service import Limits, RunQueue
from probes.signals import Estimate
from tests.browser.conftest import OpenPage
from tests.unit.service.stubs import SAMPLE, SESSION, wait_for

RACES = """
import time
assert json.loads((folder / "job.json").read_text())["race"]["minutes"] == 30.0
standing = pathlib.Path(os.environ["A_RACE"]).read_text()
(folder / "live.json").write_text(standing)
say(event="phase", name="race", total=100)
say(event="step")
if not (folder / "second").exists():
    (folder / "second").touch()
    time.sleep(600)
(folder / "result.json").write_text(standing)
say(event="done", decision="align", summary="It won.")
"""


def standing() -> RaceResult:
    """A race after two looks."""
    looks = tuple(
        LookResult(seed=0, align=1.0, tune=share, score=70.0 + share, gain=2.0 + share)
        for share in (0.25, 0.5)
    )
    option = Option.parse("token-contrastive:joint:0.1")
    gain = Gain(mean=2.1, low=0.4, high=3.9, probability_positive=0.95, probability_worthwhile=0.9)
    arm = ArmResult(option=option, alike=(), expected=0.4, measured=2.5, gain=gain, best=0.93, looks=looks)
    return RaceResult(
        model="bundled",
        source="en",
        target="tr",
        task="pos",
        metric="accuracy",
        min_gain=0.5,
        decision="align",
        confidence="likely",
        probability=0.95,
        option=option,
        arms=(arm,),
        alone=(),
        best_alone=0.07,
        kept_back=Estimate(value=2.2, low=0.1, high=4.0),
        agreement=None,
        labels=300,
        align_steps=120,
        tune_steps=120,
        stopped="time",
        minutes=3.0,
        minutes_whole=20.0,
        left_out=(),
        halvings=0,
        notes=(),
    )


def test_a_race_is_started_watched_stopped_and_gone_on_with(
    queue_of: Callable[..., RunQueue],
    open_page: OpenPage,
    written_report: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "a-race.json").write_text(standing().model_dump_json())
    monkeypatch.setenv("A_RACE", str(tmp_path / "a-race.json"))
    queue = queue_of(RACES, Limits(list_all=True))
    probe = queue.store.create(SAMPLE, SESSION)
    shutil.copytree(written_report, queue.store.folder(probe.id), dirs_exist_ok=True)
    queue.store.finish(queue.store.record(probe.id), "done", decision="align", summary="Align.")
    page = open_page(view="read", run=probe.id)
    next(b for b in page.button if b.label == "Start a race of 30 minutes").click().run()
    run_id = page.query_params["run"]
    run_id = run_id if isinstance(run_id, str) else run_id[0]
    assert queue.store.run(run_id).kind == "race"
    wait_for(lambda: queue.store.race(run_id) is not None and queue.store.run(run_id).step > 0)

    again = open_page(view="probe", run=run_id)  # the page was closed; the link leads back
    table = again.dataframe[0].value
    assert list(table["option"])[-1] == "none (fine-tune only)"
    assert table["gain, points"][0] == 2.1
    next(b for b in again.button if b.label == "Cancel the run").click().run()
    wait_for(lambda: not queue.store.run(run_id).active)
    again.run()
    assert any("it can go on" in str(info.value) for info in again.info)
    next(b for b in again.button if b.label == "Go on with the race").click().run()
    wait_for(lambda: queue.store.run(run_id).status == "done")
    again.run()
    assert not again.exception
    assert any("It won" in str(element.value).replace("\\", "") for element in again.success)
