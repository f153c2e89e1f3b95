"""What held-out cells make of every way of choosing: the figures of a split."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from advisor.decide import Decision
from advisor.findings.evidence import Tables
from advisor.findings.reports._cells import Split, StudiedCell, seed_floors
from advisor.findings.reports._figures import (
    KNOWS_THE_LAB,
    Ablation,
    Band,
    Bin,
    Figure,
    Method,
    Resample,
    SplitReport,
    TaskScore,
)

Array = NDArray[np.float64]

HURT = 0.5
"""Points: following advice that loses more than this hurts."""
_BINS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a cell's advice.

    Attributes:
        got: points gained by following the advice, as anybody is given it who asks.
        got_in_lab: the same, if the effects of the cell's own lab were known.
        got_by: the same for other ways of choosing.
        best: gain of the best option in hindsight, fine-tuning alone among them.
        decision: the advice.
        unruled: the advice as it were if nothing kept extrapolation from being sure.
        right: whether it was: the advised option gained or, where aligning was not advised, the option that
            promised most gained no more than is worth its trouble.
        positive: P(gain > 0) of the option spoken of, and whether it gained.
        covered: share of the options' gains inside their interval in this lab, seed noise included.
        signs: share of the options' gains whose sign was predicted.
        rank: correlation of predicted and measured gains over the cell's options; NaN for fewer than two.
        errors: squared errors on the model's scale, by method.
    """

    cell: StudiedCell
    got: float
    got_in_lab: float
    got_by: Mapping[str, float]
    best: float
    decision: Decision
    unruled: Decision
    right: bool
    positive: tuple[float, bool]
    covered: float
    signs: float
    rank: float
    errors: Mapping[str, float]


def report_of(tables: Tables, split: Split, folds: int, judged: Sequence[Judged], draws: int) -> SplitReport:
    resample = Resample([row.cell.target for row in judged], draws)
    best = np.array([row.best for row in judged])
    methods = [_method("advice", np.array([row.got for row in judged]), judged, best, resample)]
    if split != "lab":
        in_lab = np.array([row.got_in_lab for row in judged])
        methods.append(_method(KNOWS_THE_LAB, in_lab, judged, best, resample))
    methods += [
        _method(name, np.array([row.got_by[name] for row in judged]), judged, best, resample)
        for name in judged[0].got_by
        if split in ("source", "lab") or not name.startswith("always joint")
    ]
    return SplitReport(
        split=split,
        folds=folds,
        cells=len(judged),
        hindsight=float(best.mean()),
        floor=None
        if split in ("source", "lab")
        else resample.mean(np.array(seed_floors(tables, [row.cell for row in judged]))),
        methods=tuple(methods),
        bands=bands_of(judged),
        coverage=_mean(resample, [row.covered for row in judged]),
        coverage_of_labs=_over_labs(judged, [row.covered for row in judged]),
        signs=_mean(resample, [row.signs for row in judged]),
        rank=resample.mean(np.array([row.rank for row in judged])),
        tasks=tuple(tasks_of(judged)),
    )


def tasks_of(judged: Sequence[Judged]) -> Iterator[TaskScore]:
    for task in sorted({row.cell.effects[0].task for row in judged}):
        rows = [row for row in judged if row.cell.effects[0].task == task]
        by_any = [float(np.mean(row.cell.gains)) for row in rows]
        aligned = [row.decision.decision == "align" for row in rows]
        yield TaskScore(
            task=task,
            cells=len(rows),
            harmed=sum(gain < 0 for gain in by_any),
            warned=sum(gain < 0 and not align for gain, align in zip(by_any, aligned, strict=True)),
            encouraged=sum(gain >= 0 and align for gain, align in zip(by_any, aligned, strict=True)),
            right=float(np.mean([row.right for row in rows])),
            kept=float(np.mean([row.got for row in rows])),
            kept_by_any=float(np.mean(by_any)),
        )


def _method(name: str, got: Array, judged: Sequence[Judged], best: Array, resample: Resample) -> Method:
    errors = [row.errors[name] for row in judged if name in row.errors]
    return Method(
        name=name,
        regret=_mean(resample, (best - got).tolist()),
        regret_of_labs=_over_labs(judged, (best - got).tolist()),
        kept=_mean(resample, got.tolist()),
        hurt=_mean(resample, (got < -HURT).astype(float).tolist()),
        rmse=float(np.mean(errors)) ** 0.5 if errors else None,
    )


def _mean(resample: Resample, values: Sequence[float]) -> Figure:
    figure = resample.mean(np.array(values))
    assert figure is not None  # there is a value for every cell
    return figure


def _over_labs(judged: Sequence[Judged], values: Sequence[float]) -> float:
    """Mean over labs, each counted once."""
    by_lab: defaultdict[str, list[float]] = defaultdict(list)
    for row, value in zip(judged, values, strict=True):
        by_lab[row.cell.effects[0].lab].append(value)
    return float(np.mean([np.mean(values) for values in by_lab.values()]))


def bands_of(judged: Sequence[Judged], ruled: bool = True) -> tuple[Band, ...]:
    found = []
    for confidence in ("likely", "leaning", "open"):
        rows = [row for row in judged if (row.decision if ruled else row.unruled).confidence == confidence]
        right = float(np.mean([row.right for row in rows])) if rows else 0.0
        found.append(Band(confidence=confidence, cells=len(rows), right=right, share=len(rows) / len(judged)))
    return tuple(found)


def reliability_of(judged: Sequence[Judged]) -> tuple[Bin, ...]:
    chances = np.array([row.positive[0] for row in judged])
    came = np.array([row.positive[1] for row in judged], dtype=float)
    found = []
    for low, high in pairwise(_BINS):
        inside = (chances >= low) & ((chances < high) | (high == 1.0))
        if inside.any():
            found.append(
                Bin(
                    said=float(chances[inside].mean()),
                    came=float(came[inside].mean()),
                    cells=int(inside.sum()),
                )
            )
    return tuple(found)


def ablations_of(scored: Mapping[tuple[str, Split], Sequence[Judged]]) -> Iterator[Ablation]:
    def regret(rows: Sequence[Judged]) -> float:
        return float(np.mean([row.best - row.got for row in rows]))

    def coverage(rows: Sequence[Judged]) -> float:
        return _over_labs(rows, [row.covered for row in rows])

    for (without, split), judged in scored.items():
        whole = scored["", split]
        yield Ablation(
            without=without or "the rule on extrapolation",
            split=split,
            regret=regret(judged),
            regret_with=regret(whole),
            coverage=coverage(judged) if without else None,
            coverage_with=coverage(whole) if without else None,
            likely=None if without else bands_of(judged, ruled=False)[0],
            likely_with=None if without else bands_of(judged)[0],
        )
