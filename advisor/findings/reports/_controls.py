"""What a gain is due to: runs that differ from others in one thing, and gains over longer fine-tuning."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from advisor.findings.evidence import TABLES, read_rows
from advisor.findings.reports._figures import render
from probes.schema import Frozen
from probes.signals import Estimate

_TABLE = "controls.csv"
_RECORDS = "records.csv"
_LOOKS = 4
"""Fewer make no curve."""
_LONG = 1000
"""Steps of fine-tuning from which a run is shown by itself: it tells what lasts."""


@dataclass(frozen=True)
class _Setting:
    """Which runs are meant; ``block`` is blank for those of the grid."""

    block: str
    objective: str = "token-contrastive"
    schedule: str = "sequential"
    weight: str = ""


_NONE = _Setting("", "none", "")
_SEQUENTIAL = _Setting("")
_JOINT = _Setting("", schedule="joint", weight="0.1")
_DOSE = _Setting("dose", "none", "")


@dataclass(frozen=True)
class _Contrast:
    """Two settings and what tells them apart."""

    what: str
    of: _Setting
    over: _Setting


CONTRASTS = (
    _Contrast("sequential alignment, as it is usually measured", _SEQUENTIAL, _NONE),
    _Contrast("dose: fine-tuning alone for twice the steps", _DOSE, _NONE),
    _Contrast("sequential alignment against twice the fine-tuning", _SEQUENTIAL, _DOSE),
    _Contrast("sequential with half the fine-tuning", _Setting("half-fine-tuning"), _NONE),
    _Contrast(
        "sequential with half the alignment, against the whole", _Setting("half-alignment"), _SEQUENTIAL
    ),
    _Contrast(
        "a phase on the task in alignment's place, then the head refitted",
        _Setting("warm-and-refit", "none", ""),
        _NONE,
    ),
    _Contrast("head: kept from before alignment, against refitted", _Setting("head-kept"), _SEQUENTIAL),
    _Contrast("pairs: sequential on shuffled pairs", _Setting("shuffled-pairs"), _NONE),
    _Contrast("pairs: sequential on English with itself", _Setting("english-with-itself"), _NONE),
    _Contrast("pairs: translations against shuffled pairs", _SEQUENTIAL, _Setting("shuffled-pairs")),
    _Contrast("joint with weight 0.1", _JOINT, _NONE),
    _Contrast("weight: joint with 1 against 0.1", _Setting("", schedule="joint", weight="1"), _JOINT),
    _Contrast(
        "dose: joint for twice the steps, against twice the fine-tuning",
        _Setting("joint-twice-the-steps", schedule="joint", weight="0.1"),
        _DOSE,
    ),
    _Contrast(
        "learning rate: joint at sequential's, against its own",
        _Setting("joint-slow", schedule="joint", weight="0.1"),
        _JOINT,
    ),
    _Contrast("sequential against joint", _SEQUENTIAL, _JOINT),
)
"""In the order in which they are read."""


class DueTo(Frozen):
    """One difference between two settings.

    Attributes:
        what: in words.
        cells: that have both.
        points: mean difference of the late score with a 95 % interval over cells (Student's t).
        cell_points: the difference in every cell.
    """

    what: str
    cells: int
    points: Estimate
    cell_points: dict[str, float]


class Curve(Frozen):
    """The gains of one option in one cell along fine-tuning.

    Attributes:
        gains: in points, by steps of fine-tuning.
    """

    study: str
    cell: str
    option: str
    gains: dict[int, float]


class AlongRow(Frozen):
    """The mean gain of one option along fine-tuning, over the cells of one study's grid.

    Attributes:
        gains: in points, by steps of fine-tuning.
    """

    study: str
    option: str
    cells: int
    gains: dict[int, float]


class ControlReport(Frozen):
    """What gains are due to.

    Attributes:
        due_to: differences between settings.
        along: mean gains along the runs of a grid.
        horizon: gains along long runs.
    """

    due_to: tuple[DueTo, ...]
    along: tuple[AlongRow, ...]
    horizon: tuple[Curve, ...]

    def markdown(self) -> str:
        """All tables."""
        return render("controls", report=self)


@dataclass(frozen=True)
class _Run:
    """One line of the table."""

    study: str
    cell: str
    setting: _Setting
    seed: int
    late: float


def controls(path: Path | None = None, records: Path | None = None) -> ControlReport:
    """Compare the runs of the studies' controls with the usual ones of the same cells, seed by seed.

    Args:
        path: the table that ``advisor study compile --controls`` writes; by default the one that comes along.
        records: the table of records, whose looks make the curves; by default the one that comes along.
    """
    runs = list(_read(path or TABLES / _TABLE))
    rows = (_compared(contrast, runs) for contrast in CONTRASTS)
    curves = list(_curves(records or TABLES / _RECORDS))
    return ControlReport(
        due_to=tuple(row for row in rows if row.cells),
        along=tuple(_along(curves)),
        horizon=tuple(
            sorted(
                (curve for curve in curves if max(curve.gains) >= _LONG),
                key=lambda curve: (curve.cell, curve.option),
            )
        ),
    )


def _read(path: Path) -> Iterator[_Run]:
    for row in read_rows(path):
        names = [row.text(name) for name in ("block", "objective", "schedule", "weight")]
        yield _Run(
            study=row.text("study"),
            cell=f"{row.text('model')} {row.text('task')} {row.text('target')}",
            setting=_Setting(*names),
            seed=int(row.number("seed")),
            late=row.number("late"),
        )


def _compared(contrast: _Contrast, runs: Sequence[_Run]) -> DueTo:
    """Means over seeds in each cell where a control was run, then over cells."""
    controlled = {(run.study, run.cell) for run in runs if run.setting.block == _DOSE.block}
    late = {(run.study, run.cell, run.seed, run.setting): run.late for run in runs}
    differences: defaultdict[str, list[float]] = defaultdict(list)
    for (study, cell, seed, setting), score in late.items():
        if setting == contrast.of and (study, cell) in controlled:
            other = late.get((study, cell, seed, contrast.over))
            if other is not None:
                differences[cell].append(score - other)
    by_cell = {cell: float(np.mean(values)) for cell, values in sorted(differences.items())}
    return DueTo(
        what=contrast.what,
        cells=len(by_cell),
        points=_mean(list(by_cell.values())),
        cell_points={cell: round(value, 2) for cell, value in by_cell.items()},
    )


def _mean(values: Sequence[float]) -> Estimate:
    if not values:
        return Estimate(value=None, note="no cell has both")
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(value=mean, note="a single cell")
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return Estimate(value=mean, low=mean - half, high=mean + half)


def _curves(path: Path) -> Iterator[Curve]:
    """Of the runs of a grid that were looked at four times or more."""
    for row in read_rows(path):
        steps = [int(step) for step in row.numbers("look_steps")]
        if len(steps) >= _LOOKS:
            gains = np.subtract(row.numbers("aligned_looks"), row.numbers("baseline_looks")).tolist()
            yield Curve(
                study=row.text("study"),
                cell=" ".join(row.text(name) for name in ("model", "task", "target")),
                option=", ".join(filter(None, map(row.text, ("objective", "schedule", "weight")))),
                gains=dict(zip(steps, gains, strict=True)),
            )


def _along(curves: Sequence[Curve]) -> Iterator[AlongRow]:
    """Means over the cells of a study."""
    alike: defaultdict[tuple[str, str, tuple[int, ...]], list[Curve]] = defaultdict(list)
    for curve in curves:
        alike[curve.study, curve.option, tuple(curve.gains)].append(curve)
    for (study, option, steps), same in sorted(alike.items(), key=lambda item: item[0]):
        means = {step: float(np.mean([curve.gains[step] for curve in same])) for step in steps}
        yield AlongRow(study=study, option=option, cells=len(same), gains=means)
