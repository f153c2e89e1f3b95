"""What a probe, a trial, a race or a study came to, in the tracker that people look at anyway.

Parameters, numbers, curves and files are logged when the run has ended and its own files are written.
Addresses, projects and offline modes are the tracker's own settings (``MLFLOW_TRACKING_URI``,
``WANDB_MODE``, ``TRACKIO_DIR`` ...).
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from advisor.options import Option
from probes.errors import InputError, RunError

if TYPE_CHECKING:  # what a quick answer need not wait for
    from advisor.race import RaceResult
    from advisor.report import Report
    from advisor.study import Record, TrialResult
    from probes.request import ProbeRequest

Tracker = Literal["mlflow", "wandb", "trackio"]
PROJECT = "alignment-advisor"
Curves = Mapping[int, Mapping[str, float]]


@dataclass(frozen=True)
class Tracked:
    """What is logged of one run: results by name, and curves by step.

    Steps are of training, per cent of a run in a race, and the depth in a probe.
    """

    name: str
    parameters: Mapping[str, Any]
    numbers: Mapping[str, float]
    curves: Curves = field(default_factory=dict)
    files: Sequence[Path] = ()


def check_tracker(tracker: Tracker | None) -> None:
    """See to it, before anything is run, that a tracker is there.

    Raises:
        InputError: if it is not installed.
    """
    if tracker is not None and find_spec(tracker) is None:
        raise InputError(
            f"--report-to {tracker} needs {tracker}: pip install 'alignment-advisor[{tracker}]'."
        )


def log_run(tracker: Tracker | None, run: Tracked) -> None:
    """Log a run that has ended; nothing where no tracker is named.

    Raises:
        RunError: if the tracker does not take it; the run's own files are not touched.
    """
    if tracker is None:
        return
    try:
        with redirect_stdout(sys.stderr):  # trackers say hello, and standard output is the answer's
            _WRITERS[tracker](import_module(tracker), run)
    except Exception as error:
        raise RunError(
            f"{tracker} did not take the run ({error}): its files are written; check the tracker's settings."
        ) from error


def of_probe(request: "ProbeRequest", report: "Report", files: Sequence[Path]) -> Tracked:
    """A probe: cosines, scores and the expected gain; curves run over the layers."""
    signals, advice = report.signals, report.advice
    assert signals is not None
    leading = signals.task_gradients[0]
    numbers: dict[str, float | None] = {"frozen_source": signals.transfer.source.value}
    if signals.transfer.target is not None:
        numbers["frozen_target"] = signals.transfer.target.value
    if advice.gain is not None:
        numbers |= {"gain": advice.gain.mean, "gain_low": advice.gain.low, "gain_high": advice.gain.high}
    curves: dict[int, dict[str, float | None]] = {i: {} for i in range(signals.model.layers + 1)}
    for objective in signals.objectives:
        whole = signals.cosine(objective, leading)
        numbers[f"cosine/{objective}"] = whole.value if whole else None
        for i in range(signals.model.layers):
            cosine = signals.cosine(objective, leading, block=f"layer.{i}")
            curves[i + 1][f"layers/cosine/{objective}"] = cosine.value if cosine else None
    for row in signals.distances:
        if row.unit == "sentence" and row.measure in ("retrieval-strict", "cosine-gap"):
            curves[row.layer][f"layers/{row.measure}"] = row.value.value
    parameters = _asked(request) | {"decision": advice.decision, "confidence": advice.confidence}
    kept = [file for file in files if file.suffix in (".html", ".json", ".yaml")]
    return Tracked(f"probe {_question(request)}", parameters, _there(numbers), _by_step(curves), kept)


def of_trial(request: "ProbeRequest", result: "TrialResult", out: Path) -> Tracked:
    """A trial: scores and gains of every option; curves are the losses of every run."""
    from advisor.study import read_record

    numbers: dict[str, float | None] = {}
    for row in result.options:
        name = _name(row.option)
        numbers |= {f"score/{name}": row.target, f"gain/{name}": row.target_gain.value}
        numbers |= {f"gain_low/{name}": row.target_gain.low, f"gain_high/{name}": row.target_gain.high}
    records = [read_record(out / "records" / run.record) for run in result.runs]
    curves = _losses(record for record in records if record is not None)
    parameters = _asked(request) | {"verdict": result.verdict}
    return Tracked(f"trial {_question(request)}", parameters, _there(numbers), curves, [out / "trial.json"])


def of_race(request: "ProbeRequest", result: "RaceResult", out: Path) -> Tracked:
    """A race: what is believed of every arm; curves are its gains at every look."""
    numbers = {f"gain/{_name(arm.option)}": arm.gain.mean for arm in result.arms}
    numbers |= {f"best/{_name(arm.option)}": arm.best for arm in result.arms}
    curves: dict[int, dict[str, float | None]] = {}
    for arm in result.arms:
        for look in arm.looks:
            at = curves.setdefault(round(100 * min(look.align, look.tune)), {})
            at[f"gain/{_name(arm.option)}/seed-{look.seed}"] = look.gain
    parameters = _asked(request) | {"decision": result.decision, "confidence": result.confidence}
    files = [out / "result.json", out / "advice.json"]
    return Tracked(f"race {_question(request)}", parameters, numbers, _by_step(curves), files)


def of_study(name: str, records: "Iterable[Record]") -> Tracked:
    """A study: every run's score on target text, and its losses."""
    done = [record for record in records if record.scores is not None]
    numbers = {
        f"score/{_run(record)}/{language}": score.value
        for record in done
        for language, score in (record.scores.targets if record.scores else {}).items()
    }
    return Tracked(f"study {name}", {"runs": len(done)}, _there(numbers), _losses(done))


def _question(request: "ProbeRequest") -> str:
    return f"{Path(request.model).name} {request.source}-{request.target} {request.task}"


def _asked(request: "ProbeRequest") -> dict[str, Any]:
    return request.model_dump(mode="json", exclude_none=True)


def _name(option: Option) -> str:
    """An option in the characters that every tracker takes in a name."""
    return re.sub(r"[^\w.-]+", "_", str(option)).strip("_")


def _run(record: "Record") -> str:
    configuration = record.configuration
    where = f"{Path(record.model).name}/{configuration.task}/{_name(configuration.option)}"
    return f"{where}/seed-{configuration.seed}"


def _losses(records: "Iterable[Record]") -> Curves:
    curves: dict[int, dict[str, float | None]] = {}
    for record in records:
        for point in record.curve:
            at = curves.setdefault(point.step, {})
            name = f"{point.phase}/{_run(record)}"
            at |= {f"loss/task/{name}": point.task, f"loss/alignment/{name}": point.alignment}
    return _by_step(curves)


def _by_step(curves: Mapping[int, Mapping[str, float | None]]) -> Curves:
    return {step: there for step in sorted(curves) if (there := _there(curves[step]))}


def _there(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if value is not None}


def _mlflow(mlflow: Any, run: Tracked) -> None:
    mlflow.set_experiment(PROJECT)
    with mlflow.start_run(run_name=run.name):
        mlflow.log_params(dict(run.parameters))
        mlflow.log_metrics(dict(run.numbers))
        for step, values in run.curves.items():
            mlflow.log_metrics(dict(values), step=step)
        for file in run.files:
            mlflow.log_artifact(str(file))


def _wandb(wandb: Any, run: Tracked) -> None:
    with wandb.init(project=PROJECT, name=run.name, config=dict(run.parameters)) as started:
        for step, values in run.curves.items():
            started.log(dict(values), step=step)
        started.summary.update(dict(run.numbers))
        for file in run.files:
            started.save(str(file), base_path=str(file.parent), policy="now")


def _trackio(trackio: Any, run: Tracked) -> None:
    trackio.init(project=PROJECT, name=run.name, config=dict(run.parameters), embed=False)
    try:
        trackio.log(dict(run.numbers))
        for step, values in run.curves.items():
            trackio.log(dict(values), step=step)
        for file in run.files:
            trackio.log_artifact(str(file), name=file.name, type="result")
    finally:
        trackio.finish()


_WRITERS: Mapping[Tracker, Callable[[Any, Tracked], None]] = {
    "mlflow": _mlflow,
    "wandb": _wandb,
    "trackio": _trackio,
}
