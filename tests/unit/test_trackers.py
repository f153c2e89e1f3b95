"""What is logged to trackers, and what is said where there is none."""

import sys
import types
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from advisor.report import Report
from advisor.trackers import Tracked, Tracker, check_tracker, log_run, of_probe, of_race, of_study, of_trial
from probes.errors import InputError, RunError
from probes.request import ProbeRequest
from tests.browser.test_race import standing
from tests.browser.trials import write_trial
from tests.factories import make_advice, make_signals

REQUEST = ProbeRequest(model="a/b", source="en", target="tr", task="pos", train="t.conllu", bitext="b.tsv")


class Recorded:
    """What a tracker was given, whichever it poses as."""

    def __init__(self, hello: str = "hello") -> None:
        self.parameters: dict[str, Any] = {}
        self.numbers: dict[str, float] = {}
        self.curves: list[tuple[int, dict[str, float]]] = []
        self.files: list[str] = []
        self.said = hello

    def mlflow(self) -> Any:
        def log_metrics(values: dict[str, float], step: int | None = None) -> None:
            self.numbers.update(values) if step is None else self.curves.append((step, values))

        return types.SimpleNamespace(
            set_experiment=print,
            start_run=lambda run_name: nullcontext(),
            log_params=self.parameters.update,
            log_metrics=log_metrics,
            log_artifact=self.files.append,
        )

    def wandb(self) -> Any:
        run = types.SimpleNamespace(
            log=lambda values, step: self.curves.append((step, values)),
            summary=self.numbers,
            save=lambda path, base_path, policy: self.files.append(path),
        )
        return types.SimpleNamespace(
            init=lambda project, name, config: self.parameters.update(config) or nullcontext(run)
        )

    def trackio(self) -> Any:
        def log(values: dict[str, float], step: int | None = None) -> None:
            self.numbers.update(values) if step is None else self.curves.append((step, values))

        return types.SimpleNamespace(
            init=lambda project, name, config, embed: print(self.said) or self.parameters.update(config),
            log=log,
            log_artifact=lambda path, name, type: self.files.append(path),
            finish=lambda: None,
        )


@pytest.mark.parametrize("tracker", ["mlflow", "wandb", "trackio"])
def test_every_tracker_is_given_the_same(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = Recorded()
    monkeypatch.setitem(sys.modules, tracker, getattr(recorded, tracker)())
    run = Tracked("a run", {"seed": 3}, {"gain": 1.5}, {1: {"loss": 2.0}, 2: {"loss": 1.0}}, [Path("a.json")])
    log_run(tracker, run)
    assert (recorded.parameters, recorded.numbers) == ({"seed": 3}, {"gain": 1.5})
    assert recorded.curves == [(1, {"loss": 2.0}), (2, {"loss": 1.0})]
    assert recorded.files == ["a.json"]
    assert not capsys.readouterr().out, "standard output is the answer's"


def test_a_probe_brings_its_signals_and_its_report() -> None:
    signals, advice = make_signals(layers=4), make_advice()
    files = [Path("out/report.html"), Path("out/recipe/train.py"), Path("out/signals.json")]
    run = of_probe(REQUEST, Report(advice, signals), files)
    assert run.parameters["train"] == "t.conllu"
    assert run.parameters["decision"] == advice.decision
    assert run.files == [files[0], files[2]]
    leading, objective = signals.task_gradients[0], signals.objectives[0]
    for layer in range(4):
        cosine = signals.cosine(objective, leading, block=f"layer.{layer}")
        assert cosine is not None
        assert run.curves[layer + 1].get(f"layers/cosine/{objective}") == cosine.value
    assert run.numbers["frozen_source"] == signals.transfer.source.value


def test_a_trial_brings_gains_and_losses_of_every_run(tmp_path: Path) -> None:
    result = write_trial(tmp_path)
    run = of_trial(REQUEST, result, tmp_path)
    best = result.options[1]
    name = next(name for name in run.numbers if name.startswith("gain/") and "none" not in name)
    assert run.numbers[name] == best.target_gain.value
    assert run.parameters["verdict"] == result.verdict
    assert run.files == [tmp_path / "trial.json"]
    assert of_study("s", []).numbers == {}


def test_a_race_brings_what_is_believed_of_every_arm() -> None:
    result = standing()
    run = of_race(REQUEST, result, Path("race"))
    assert sorted(value for name, value in run.numbers.items() if name.startswith("best/")) == sorted(
        arm.best for arm in result.arms
    )
    assert len([name for values in run.curves.values() for name in values]) == sum(
        len({round(100 * min(look.align, look.tune)) for look in arm.looks if look.seed == seed})
        for arm in result.arms
        for seed in {look.seed for look in arm.looks}
    )


def test_names_are_such_as_every_tracker_takes(tmp_path: Path) -> None:
    runs = [of_trial(REQUEST, write_trial(tmp_path), tmp_path), of_race(REQUEST, standing(), tmp_path)]
    names = {name for run in runs for name in (*run.numbers, *(n for at in run.curves.values() for n in at))}
    assert all(name.isascii() and not set(name) - set(_TAKEN) for name in names)


_TAKEN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./"


def test_a_tracker_that_is_missing_is_named_before_anything_runs() -> None:
    check_tracker(None)
    with pytest.raises(InputError, match=r"needs wandb: pip install 'alignment-advisor\[wandb\]'"):
        check_tracker("wandb")


def test_a_tracker_that_fails_leaves_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "mlflow", types.SimpleNamespace(set_experiment=fail))
    with pytest.raises(RunError, match=r"mlflow did not take the run \(no route\): its files are written"):
        log_run("mlflow", Tracked("a run", {}, {}))
