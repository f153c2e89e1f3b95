"""The numbers behind the pictures, as tables of text: each is folded away until somebody asks for it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from advisor.advice import Advice
from advisor.options import NO_ALIGNMENT
from advisor.report import words
from probes.signals import DistanceRow, Signals

_Column: TypeAlias = tuple[str, Callable[[Any], str]]
"""Its head, and the cell of a row."""


@dataclass(frozen=True, slots=True)
class DetailTable:
    """A table.

    Attributes:
        title: what is in it.
        columns: heads; the first column names the row.
        rows: cells, as text.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _grid(title: str, columns: str, rows: Iterable[Sequence[str]]) -> DetailTable:
    return DetailTable(title, tuple(columns.split("|")), tuple(tuple(row) for row in rows))


def _table(title: str, rows: Iterable[Any], *columns: _Column) -> DetailTable:
    cells = tuple(tuple(cell(row) for _, cell in columns) for row in rows)
    return DetailTable(title, tuple(head for head, _ in columns), cells)


_OBJECTIVE: _Column = ("Objective", lambda row: row.objective)
_GRADIENT: _Column = ("Task gradient", lambda row: words.TASK_GRADIENT_WORDS[row.task_gradient])
_MODEL: _Column = ("Model", lambda row: words.POINT_WORDS[row.point])
_BLOCK: _Column = ("Block", lambda row: row.block)


def cosines(signals: Signals) -> DetailTable:
    """Direction of every objective, block by block."""
    return _table(
        "All cosines",
        signals.cosines,
        *(_OBJECTIVE, _GRADIENT, _MODEL, _BLOCK),
        ("Cosine", lambda row: words.estimated(row.cosine)),
        ("Raw", lambda row: words.estimated(row.raw_cosine)),
        ("Null", lambda row: words.estimated(row.null_cosine)),
        ("1/√d", lambda row: words.number(row.null_sd, 2)),
    )


def ratios(signals: Signals) -> DetailTable:
    """Magnitude of every objective's gradient, block by block."""
    return _table(
        "All ratios",
        signals.cosines,
        *(_OBJECTIVE, _GRADIENT, _MODEL, _BLOCK),
        ("Objective / task", lambda row: words.estimated(row.magnitude_ratio)),
        ("Similarity of magnitudes", lambda row: words.estimated(row.magnitude_similarity)),
    )


def losses(signals: Signals) -> DetailTable:
    """Norm, ceiling and noise of every loss's gradient."""
    return _table(
        "Norm, ceiling and noise scale of every loss",
        signals.losses,
        ("Loss", lambda row: row.loss),
        *(_MODEL, _BLOCK),
        ("Weights", lambda row: words.count(row.parameters)),
        ("Squared norm", lambda row: words.estimated(row.squared_norm)),
        ("Ceiling", lambda row: words.estimated(row.ceiling)),
        ("Noise scale", lambda row: words.estimated(row.noise_scale)),
        ("Mean loss", lambda row: words.number(row.mean_loss)),
    )


def lookahead(signals: Signals) -> DetailTable:
    """The task loss after a step on every objective."""
    return _table(
        "All lookahead steps",
        signals.lookahead,
        _OBJECTIVE,
        ("Loss on", lambda row: words.TASK_GRADIENT_WORDS[row.on]),
        _MODEL,
        ("Step", lambda row: row.scaling),
        ("Size", lambda row: words.number(row.step, 2)),
        ("Fall of the loss, %", lambda row: words.estimated(row.change)),
    )


def distances(signals: Signals) -> DetailTable:
    """Every embedding distance by hidden state."""
    return _table(
        "All distances",
        signals.distances,
        ("Hidden state", lambda row: str(row.layer)),
        ("Unit", lambda row: row.unit),
        ("Measure", lambda row: row.measure),
        ("Value", lambda row: words.estimated(row.value)),
        ("Chance", lambda row: "–" if row.chance is None else words.number(row.chance, 2)),
    )


def depths(signals: Signals) -> DetailTable:
    """The telling distances where they are highest and at the last hidden state."""

    def rows() -> Iterator[tuple[str, ...]]:
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
                yield (
                    name,
                    words.estimated(best.value),
                    str(best.layer),
                    words.estimated(last.value),
                )

    return _grid("In short", "Measure|Highest|At state|Last layer", rows())


def matrix(signals: Signals) -> DetailTable:
    """Every objective against every task gradient: all layers together, then the layers counted."""
    gradients = signals.task_gradients

    def cell(objective: str, gradient: str) -> str:
        rows = [
            row
            for row in signals.cosines
            if (row.objective, row.task_gradient, row.point) == (objective, gradient, "theta_warm")
        ]
        total = next((row.cosine for row in rows if row.block == "encoder"), None)
        if total is None:
            return "not measured"
        signs = [row.cosine.sign for row in rows if row.block not in ("encoder", "embeddings")]
        layers = f"{signs.count(1)} layers agree, {signs.count(-1)} conflict, {signs.count(0)} unclear"
        return f"{words.verdict(total)}: {words.estimated(total)}; {layers}"

    return _grid(
        "Direction in short",
        "|".join(("Objective", *(words.TASK_GRADIENT_WORDS[name] for name in gradients))),
        (
            (objective, *(cell(objective, gradient) for gradient in gradients))
            for objective in signals.objectives
        ),
    )


def data_read(signals: Signals) -> DetailTable:
    """What was read from every file."""
    return _table(
        "Data read",
        signals.data,
        ("Role", lambda row: row.role),
        ("From", lambda row: row.spec),
        ("Format", lambda row: row.format),
        ("Read", lambda row: words.count(row.read)),
        ("Used", lambda row: words.count(row.kept)),
        (
            "Dropped",
            lambda row: ", ".join(f"{words.count(n)} {why}" for why, n in row.dropped.items()) or "nothing",
        ),
    )


def options(advice: Advice) -> DetailTable:
    """Every option, unfolded, with its probabilities."""
    labels = words.option_labels([row.option for row in advice.alternatives])
    return _grid(
        "All options",
        f"Option|Gain|Interval|P(gain > 0)|P(gain > {words.number(advice.min_gain)})|Basis|Direct rows",
        (
            (
                ", ".join(filter(None, label)),
                words.signed(row.gain.mean),
                "0 by definition" if row.option == NO_ALIGNMENT else words.interval(row.gain),
                words.percent(row.gain.probability_positive),
                words.percent(row.gain.probability_worthwhile),
                row.basis.replace("-", " "),
                words.count(row.direct),
            )
            for row, label in zip(advice.alternatives, labels, strict=True)
        ),
    )


def nearest(advice: Advice) -> DetailTable:
    """The effects nearest to the question."""
    return _grid(
        "The nearest effects that were really measured",
        "Model|Task|Target|Option|Gain|Direct|Distance|Source|Lab",
        (
            (
                row.model,
                row.task,
                row.target,
                row.option,
                words.signed(row.gain),
                "yes" if row.direct else "no",
                words.number(row.distance, 2),
                row.source_id,
                row.lab or "-",
            )
            for row in advice.support.nearest
        ),
    )
