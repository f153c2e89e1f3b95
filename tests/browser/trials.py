"""Trials with curves, as a test or a picture wants them."""

from collections.abc import Mapping
from pathlib import Path

from advisor.options import NO_ALIGNMENT, Option
from advisor.study import Record, Records, TrialResult, summarise
from advisor.study._record import CurvePoint
from tests.unit.study.made_up import JOINT, SEQUENTIAL, make_records

SCORES: Mapping[Option, list[float]] = {
    NO_ALIGNMENT: [60.1, 61.0, 60.4],
    JOINT: [62.0, 63.4, 61.9],
    SEQUENTIAL: [60.0, 61.6, 59.7],
}
STEPS = 120


def make_trial(scores: Mapping[Option, list[float]] = SCORES) -> tuple[TrialResult, list[Record]]:
    """A trial with these target scores, by option and seed, and records with losses that fall."""
    records = [_with_curve(record) for record in make_records(dict(scores))]
    return summarise(records), records


def write_trial(folder: Path) -> TrialResult:
    """Write a trial as ``advisor trial`` does."""
    result, records = make_trial()
    store = Records(folder / "records")
    for record in records:
        store.save(record)
    (folder / "trial.json").write_text(result.model_dump_json())
    return result


def _with_curve(record: Record) -> Record:
    option, seed = record.configuration.option, record.configuration.seed
    points = []
    if option == SEQUENTIAL:
        points += [_point("align", step, None, 3 / (1 + step / 20)) for step in range(STEPS)]
    for step in range(STEPS):
        task = 2.5 / (1 + step / (15 + seed)) + 0.05 * ((step * 7 + seed) % 5)
        points.append(_point("fine-tune", step, task, 4 / (1 + step / 30) if option == JOINT else None))
    return record.model_copy(update={"curve": tuple(points)})


def _point(phase: str, step: int, task: float | None, alignment: float | None) -> CurvePoint:
    return CurvePoint(phase=phase, step=step, learning_rate=2e-5, task=task, alignment=alignment)
