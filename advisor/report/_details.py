"""The numbers behind the pictures, as tables of text: each is folded away until somebody asks for it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from advisor.advice import Advice
from advisor.options import NO_ALIGNMENT
from advisor.report import words
from probes.signals import TOTAL, DistanceRow, Signals

_Column: TypeAlias = tuple[str, Callable[[Any], str]]
"""Its head, and the cell of a row."""


class DetailTable(NamedTuple):
    """A table.

    Attributes:
        title: what is in it.
        columns: heads; the first column names the row.
        rows: cells, as text.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _table(title: str, rows: Iterable[Any], *columns: _Column) -> DetailTable:
    cells = tuple(tuple(cell(row) for _, cell in columns) for row in rows)
    return DetailTable(title, tuple(head for head, _ in columns), cells)


def _said(head: str, field: str) -> _Column:
    return head, lambda row: str(getattr(row, field))


def _estimated(head: str, field: str) -> _Column:
    return head, lambda row: words.estimated(getattr(row, field))


def _number(head: str, field: str, digits: int = 3) -> _Column:
    def cell(row: Any) -> str:
        value = getattr(row, field)
        return "–" if value is None else words.number(value, digits)

    return head, cell


def _count(head: str, field: str) -> _Column:
    return head, lambda row: words.count(getattr(row, field))


_MODEL: _Column = ("Model", lambda row: words.POINT_WORDS[row.point])
_WHERE: tuple[_Column, ...] = (
    _said("Objective", "objective"),
    ("Task gradient", lambda row: words.TASK_GRADIENT_WORDS[row.task_gradient]),
    _MODEL,
    _said("Block", "block"),
)
_LOSS = (_said("Loss", "loss"), _MODEL, _said("Block", "block"), _count("Weights", "parameters"))


def measured_tables(signals: Signals) -> dict[str, DetailTable]:
    """Everything that was measured, by the names that the page has for it."""
    return {
        "matrix": _matrix(signals),
        "all_cosines": _table(
            "All cosines",
            signals.cosines,
            *_WHERE,
            _estimated("Cosine", "cosine"),
            _estimated("Raw", "raw_cosine"),
            _estimated("Null", "null_cosine"),
            _number("1/√d", "null_sd", 2),
        ),
        "ratios": _table(
            "All ratios",
            signals.cosines,
            *_WHERE,
            _estimated("Objective / task", "magnitude_ratio"),
            _estimated("Similarity of magnitudes", "magnitude_similarity"),
        ),
        "losses": _table(
            "Norm, ceiling and noise scale of every loss",
            signals.losses,
            *_LOSS,
            _estimated("Squared norm", "squared_norm"),
            _estimated("Ceiling", "ceiling"),
            _estimated("Noise scale", "noise_scale"),
            _number("Mean loss", "mean_loss"),
        ),
        "all_steps": _table(
            "All lookahead steps",
            signals.lookahead,
            _said("Objective", "objective"),
            ("Loss on", lambda row: words.TASK_GRADIENT_WORDS[row.on]),
            _MODEL,
            _said("Step", "scaling"),
            _number("Size", "step", 2),
            _estimated("Fall of the loss, %", "change"),
        ),
        "depths": DetailTable(
            "In short", ("Measure", "Highest", "At state", "Last layer"), tuple(_depths(signals))
        ),
        "all_distances": _table(
            "All distances",
            signals.distances,
            *(_said("Hidden state", "layer"), _said("Unit", "unit"), _said("Measure", "measure")),
            _estimated("Value", "value"),
            _number("Chance", "chance", 2),
        ),
        "data_read": _table(
            "Data read",
            signals.data,
            *(_said("Role", "role"), _said("From", "spec"), _said("Format", "format")),
            *(_count("Read", "read"), _count("Used", "kept")),
            (
                "Dropped",
                lambda row: (
                    ", ".join(f"{words.count(n)} {why}" for why, n in row.dropped.items()) or "nothing"
                ),
            ),
        ),
    }


def _depths(signals: Signals) -> Iterator[tuple[str, ...]]:
    """The telling distances where they are highest and at the last hidden state."""
    for name, unit, measure in (
        ("strict retrieval", "sentence", "retrieval-strict"),
        ("cosine gap, sentences", "sentence", "cosine-gap"),
        ("cosine gap, words", "word", "cosine-gap"),
        ("CKA", "sentence", "cka"),
    ):
        by_value: dict[float, DistanceRow] = {
            row.value.value: row
            for row in signals.distances
            if (row.unit, row.measure) == (unit, measure) and row.value.value is not None
        }
        if by_value:
            best, last = by_value[max(by_value)], max(by_value.values(), key=lambda row: row.layer)
            yield name, words.estimated(best.value), str(best.layer), words.estimated(last.value)


def _matrix(signals: Signals) -> DetailTable:
    """Every objective against every task gradient: all layers together, then the layers counted."""
    gradients = signals.task_gradients

    def cell(objective: str, gradient: str) -> str:
        blocks = {
            row.block: row.cosine
            for row in signals.cosines
            if (row.objective, row.task_gradient, row.point) == (objective, gradient, "theta_warm")
        }
        total = blocks.pop(TOTAL, None)
        if total is None:
            return "not measured"
        signs = [cosine.sign for block, cosine in blocks.items() if block != "embeddings"]
        layers = f"{signs.count(1)} layers agree, {signs.count(-1)} conflict, {signs.count(0)} unclear"
        return f"{words.verdict(total)}: {words.estimated(total)}; {layers}"

    return DetailTable(
        "Direction in short",
        ("Objective", *(words.TASK_GRADIENT_WORDS[name] for name in gradients)),
        tuple((name, *(cell(name, gradient) for gradient in gradients)) for name in signals.objectives),
    )


def answer_tables(advice: Advice) -> dict[str, DetailTable]:
    """Every option, unfolded, with its probabilities; and the effects nearest to the question."""
    rows = advice.alternatives
    labels = words.option_labels([row.option for row in rows])
    names = {row.option: ", ".join(filter(None, label)) for row, label in zip(rows, labels, strict=True)}
    return {
        "all_options": _table(
            "All options",
            rows,
            ("Option", lambda row: names[row.option]),
            ("Gain", lambda row: words.signed(row.gain.mean)),
            (
                "Interval",
                lambda row: "0 by definition" if row.option == NO_ALIGNMENT else words.interval(row.gain),
            ),
            ("P(gain > 0)", lambda row: words.percent(row.gain.probability_positive)),
            (
                f"P(gain > {words.number(advice.min_gain)})",
                lambda row: words.percent(row.gain.probability_worthwhile),
            ),
            ("Basis", lambda row: row.basis.replace("-", " ")),
            _count("Direct rows", "direct"),
        ),
        "nearest": _table(
            "The nearest effects that were really measured",
            advice.support.nearest,
            *(_said("Model", "model"), _said("Task", "task"), _said("Target", "target")),
            _said("Option", "option"),
            ("Gain", lambda row: words.signed(row.gain)),
            ("Direct", lambda row: "yes" if row.direct else "no"),
            _number("Distance", "distance", 2),
            _said("Source", "source_id"),
            ("Lab", lambda row: row.lab or "-"),
        ),
    }
