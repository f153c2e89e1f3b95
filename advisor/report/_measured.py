"""What a probe found on this model, a line each: number, judgement, place in the study."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from advisor.findings import load_tables
from advisor.report import words
from probes.signals import TOTAL, DistanceRow, Estimate, Signals, TaskGradient

_SMALL_GAP, _WIDE_GAP = 5.0, 15.0
"""Points between source and target score of frozen features."""
_LITTLE_ABOVE_MAJORITY = 3.0
_FOUND, _LOST = 0.8, 5.0
"""Share of translations found from which on languages share a space; times chance below which they do not."""
_READ_WELL, _READ_BADLY = 1.3, 2.0
"""Pieces a word, target over source."""
_FEWEST_CELLS = 5
"""Study cells with which a place among them says something."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of the measured block.

    Attributes:
        name: what was measured, in plain words.
        value: the number with its interval.
        beside: what to read it against: null and ceiling, or chance; may be empty.
        judgement: what it says, in a word or two.
        place: where it lies among the encoders and languages of the study; may be empty.
        note: what else to know; may be empty.
        tone: ``good``, ``bad`` or ``plain``: how it is marked.
    """

    name: str
    value: str
    judgement: str
    place: str = ""
    beside: str = ""
    note: str = ""
    tone: str = "plain"


def measurements(signals: Signals) -> tuple[Measurement, ...]:
    """The lines of the measured block, in the order of what they say about the gain."""
    return (_gap(signals), *_directions(signals), *_retrieval(signals), _fertility(signals))


def _gap(signals: Signals) -> Measurement:
    transfer = signals.transfer
    name = f"Frozen features, {signals.source} to {signals.target}"
    source, target = transfer.source.value, transfer.target.value if transfer.target else None
    if source is None or target is None:
        return Measurement(
            name,
            f"{words.estimated(transfer.source, 1)} to {'not scored' if transfer.target is None else '?'}",
            "gap unknown",
            note="no target labels were given: a hundred labelled sentences would tell",
        )
    gap = source - target
    judgement = "small gap" if gap < _SMALL_GAP else "wide gap" if gap > _WIDE_GAP else "a gap"
    if source < transfer.majority + _LITTLE_ABOVE_MAJORITY:
        judgement = "nothing learnt"
    return Measurement(
        name,
        f"{source:.1f} to {target:.1f} points: gap {gap:.1f}",
        judgement,
        place=_place(gap, _study("gap")),
        note="score of a linear head on the encoder as it is; the gap is what alignment could fill",
        tone="bad" if judgement == "nothing learnt" else "plain",
    )


def _directions(signals: Signals) -> Iterator[Measurement]:
    if not signals.task_gradients:
        return
    gradient = signals.task_gradients[0]
    highest = ceilings(signals)
    for objective in signals.objectives:
        rows = [
            row
            for row in signals.cosines
            if (row.objective, row.task_gradient, row.point) == (objective, gradient, "theta_warm")
            and row.block == TOTAL
        ]
        if not rows:
            continue
        cosine, null = rows[0].cosine, rows[0].null_cosine
        beside = []
        if null is not None and null.value is not None:
            beside.append(f"null {words.number(null.value, 2)}")
        if (ceiling := highest.get((objective, gradient, TOTAL))) is not None:
            beside.append(f"ceiling {words.number(ceiling, 2)}")
        shuffled = cosine.sign != 0 and null is not None and _overlap(cosine, null)
        yield Measurement(
            f"Cosine, {objective}",
            words.estimated(cosine),
            "as with shuffled pairs" if shuffled else words.verdict(cosine),
            place=_place(cosine.value, _study_directions(gradient, objective)),
            beside=", ".join(beside),
            note=words.TASK_GRADIENT_WORDS[gradient],
            tone="plain" if shuffled else {1: "good", -1: "bad"}.get(cosine.sign, "plain"),
        )


def _overlap(one: Estimate, other: Estimate) -> bool:
    """Whether two intervals have a point in common."""
    bounds = (one.low, one.high, other.low, other.high)
    if None in bounds:
        return False
    return max(one.low or 0.0, other.low or 0.0) <= min(one.high or 0.0, other.high or 0.0)


def ceilings(signals: Signals) -> dict[tuple[str, TaskGradient, str], float]:
    """The highest raw cosine after warm-up that two single-batch gradients can be expected to reach.

    Noise shrinks the raw cosine of two losses by the root of the product of their ceilings (Spearman 1904,
    the correction for attenuation), so that gradients in full agreement would show this much and no more.

    Returns:
        By objective, task gradient and block, where both ceilings were measured and are above 0.
    """
    of_loss = {
        (row.loss, row.block): row.ceiling.value
        for row in signals.losses
        if row.point == "theta_warm" and row.ceiling.value is not None and row.ceiling.value > 0
    }
    return {
        (row.objective, row.task_gradient, row.block): math.sqrt(objective * task)
        for row in signals.cosines
        if row.point == "theta_warm"
        and (objective := of_loss.get((row.objective, row.block))) is not None
        and (task := of_loss.get((f"task:{row.task_gradient}", row.block))) is not None
    }


def _retrieval(signals: Signals) -> Iterator[Measurement]:
    rows = [
        row
        for row in signals.distances
        if row.measure == "retrieval-strict" and row.unit == "sentence" and row.value.value is not None
    ]
    if not rows:
        return
    best: DistanceRow = max(rows, key=lambda row: row.value.value or 0.0)
    share, chance = best.value.value or 0.0, best.chance or 0.0
    judgement = "shared space" if share >= _FOUND else "partly shared"
    if share < max(_LOST * chance, 0.05):
        judgement = "near chance"
    yield Measurement(
        "Translations found, best layer",
        f"{words.percent(share)} at state {best.layer}",
        judgement,
        place=_place(share, _study("retrieval")),
        beside=f"chance {words.share(chance)}" if chance else "",
        tone="bad" if judgement == "near chance" else "plain",
    )


def _fertility(signals: Signals) -> Measurement:
    text = signals.text
    ratio = text.target_fertility / text.source_fertility if text.source_fertility else 1.0
    judgement = "read well" if ratio < _READ_WELL else "cut small" if ratio > _READ_BADLY else "cut smaller"
    return Measurement(
        f"Subwords a {text.fertility_unit}",
        f"{words.number(text.source_fertility)} to {words.number(text.target_fertility)}",
        judgement,
        place=_place(ratio, _study("fertility")),
        note=f"{words.share(text.target_unknown_rate)} of the target's are unknown",
        tone="bad" if ratio > _READ_BADLY else "plain",
    )


def _place(value: float | None, others: Iterable[float]) -> str:
    """How many cells of the study a number exceeds, in words."""
    numbers = list(others)
    if value is None or len(numbers) < _FEWEST_CELLS:
        return ""
    return f"above {sum(other < value for other in numbers)} of {len(numbers)}"


@cache
def _study(fact: Literal["gap", "retrieval", "fertility"]) -> tuple[float, ...]:
    """A number of every cell of the own records."""
    cells: dict[tuple[str, str, str], float] = {}
    for record in load_tables().records:
        facts = record.signals
        if fact == "gap":
            source, target = facts.get("frozen_source"), facts.get("frozen_target")
            value = None if source is None or target is None else source - target
        elif fact == "retrieval":
            value = max((facts[name] for name in _RETRIEVAL if name in facts), default=None)
        else:
            value = facts.get("fertility_ratio")
        if value is not None:
            cells[record.model, record.task, record.target] = value
    return tuple(cells.values())


@cache
def _study_directions(gradient: TaskGradient, objective: str) -> tuple[float, ...]:
    """The cosine of an objective in every cell of the own records that measured it."""
    cells = {
        (record.model, record.task, record.target): record.cosines[gradient][0]
        for record in load_tables().records
        if record.objective == objective and gradient in record.cosines
    }
    return tuple(cells.values())


_RETRIEVAL = ("sentence_retrieval_last", "sentence_retrieval_middle")
