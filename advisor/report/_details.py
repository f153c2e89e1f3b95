"""The numbers behind the pictures, as tables of text: each is folded away until somebody asks for it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from advisor.advice import Advice
from advisor.options import NO_ALIGNMENT
from advisor.report import words
from probes.signals import DistanceRow, Signals


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


def cosines(signals: Signals) -> DetailTable:
    """Direction of every objective, block by block."""
    return _grid(
        "All cosines",
        "Objective|Task gradient|Model|Block|Cosine|Raw|Null|1/√d",
        (
            (
                row.objective,
                words.TASK_GRADIENT_WORDS[row.task_gradient],
                words.POINT_WORDS[row.point],
                row.block,
                words.estimated(row.cosine),
                words.estimated(row.raw_cosine),
                words.estimated(row.null_cosine),
                words.number(row.null_sd, 2),
            )
            for row in signals.cosines
        ),
    )


def ratios(signals: Signals) -> DetailTable:
    """Magnitude of every objective's gradient, block by block."""
    return _grid(
        "All ratios",
        "Objective|Task gradient|Model|Block|Objective / task|Similarity of magnitudes",
        (
            (
                row.objective,
                words.TASK_GRADIENT_WORDS[row.task_gradient],
                words.POINT_WORDS[row.point],
                row.block,
                words.estimated(row.magnitude_ratio),
                words.estimated(row.magnitude_similarity),
            )
            for row in signals.cosines
        ),
    )


def losses(signals: Signals) -> DetailTable:
    """Norm, ceiling and noise of every loss's gradient."""
    return _grid(
        "Norm, ceiling and noise scale of every loss",
        "Loss|Model|Block|Weights|Squared norm|Ceiling|Noise scale|Mean loss",
        (
            (
                row.loss,
                words.POINT_WORDS[row.point],
                row.block,
                words.count(row.parameters),
                words.estimated(row.squared_norm),
                words.estimated(row.ceiling),
                words.estimated(row.noise_scale),
                words.number(row.mean_loss),
            )
            for row in signals.losses
        ),
    )


def lookahead(signals: Signals) -> DetailTable:
    """The task loss after a step on every objective."""
    return _grid(
        "All lookahead steps",
        "Objective|Loss on|Model|Step|Size|Fall of the loss, %",
        (
            (
                row.objective,
                words.TASK_GRADIENT_WORDS[row.on],
                words.POINT_WORDS[row.point],
                row.scaling,
                words.number(row.step, 2),
                words.estimated(row.change),
            )
            for row in signals.lookahead
        ),
    )


def distances(signals: Signals) -> DetailTable:
    """Every embedding distance by hidden state."""
    return _grid(
        "All distances",
        "Hidden state|Unit|Measure|Value|Chance",
        (
            (
                str(row.layer),
                row.unit,
                row.measure,
                words.estimated(row.value),
                "–" if row.chance is None else words.number(row.chance, 2),
            )
            for row in signals.distances
        ),
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
    return _grid(
        "Data read",
        "Role|From|Format|Read|Used|Dropped",
        (
            (
                row.role,
                row.spec,
                row.format,
                words.count(row.read),
                words.count(row.kept),
                ", ".join(f"{words.count(n)} {reason}" for reason, n in row.dropped.items()) or "nothing",
            )
            for row in signals.data
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
