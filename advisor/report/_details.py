"""The numbers behind the pictures, as tables of text: each is folded away until somebody asks for it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from advisor.advice import Advice, Alternative
from advisor.options import NO_ALIGNMENT
from advisor.report import words
from advisor.report._card import basis_of
from probes.signals import TOTAL, DistanceRow, Estimate, Signals

_HEADS = {
    "null_sd": "1/√d",
    "point": "Model",
    "parameters": "Weights",
    "magnitude_ratio": "Objective / task",
    "magnitude_similarity": "Similarity of magnitudes",
    "on": "Loss on",
    "scaling": "Step",
    "step": "Size",
    "change": "Fall of the loss, %",
    "layer": "Hidden state",
    "spec": "From",
    "kept": "Used",
}
"""Of fields whose names do not say it themselves."""
_WORDS: Mapping[str, Mapping[Any, str]] = {
    "point": words.POINT_WORDS,
    "task_gradient": words.TASK_GRADIENT_WORDS,
    "on": words.TASK_GRADIENT_WORDS,
}
"""What the values of a field are called."""


class DetailTable(NamedTuple):
    """A table: what is in it, the heads, and cells as text; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _table(title: str, rows: Iterable[Any], fields: str) -> DetailTable:
    """The fields of every row, by their names in ``fields``."""
    names = fields.split()
    return DetailTable(
        title,
        tuple(_HEADS.get(name, name.replace("_", " ").capitalize()) for name in names),
        tuple(tuple(_cell(getattr(row, name), _WORDS.get(name, {})) for name in names) for row in rows),
    )


def _cell(value: Any, called: Mapping[Any, str]) -> str:
    match value:
        case None:
            return "–"
        case Estimate():
            return words.estimated(value)
        case int():
            return words.count(value)
        case float():
            return words.number(value)
        case dict():
            return ", ".join(f"{words.count(number)} {why}" for why, number in value.items()) or "nothing"
        case _:
            return called.get(value, str(value))


def measured_tables(signals: Signals) -> dict[str, DetailTable]:
    """Everything that was measured, by the names that the page has for it."""
    cosine = "objective task_gradient point block"
    return {
        "matrix": _matrix(signals),
        "all_cosines": _table(
            "All cosines", signals.cosines, f"{cosine} cosine raw_cosine null_cosine null_sd"
        ),
        "ratios": _table("All ratios", signals.cosines, f"{cosine} magnitude_ratio magnitude_similarity"),
        "losses": _table(
            "Norm, ceiling and noise scale of every loss",
            signals.losses,
            "loss point block parameters squared_norm ceiling noise_scale mean_loss",
        ),
        "all_steps": _table(
            "All lookahead steps", signals.lookahead, "objective on point scaling step change"
        ),
        "depths": DetailTable(
            "In short", ("Measure", "Highest", "At state", "Last layer"), tuple(_depths(signals))
        ),
        "all_distances": _table("All distances", signals.distances, "layer unit measure value chance"),
        "data_read": _table("Data read", signals.data, "role spec format read kept dropped"),
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


def _chances(row: Alternative) -> tuple[str, ...]:
    """Interval and probabilities of an option; of fine-tuning alone there are none."""
    if row.option == NO_ALIGNMENT:
        return "0 by definition", "–", "–"
    gain = row.gain
    chances = gain.probability_positive, gain.probability_worthwhile
    return words.interval(gain), *map(words.percent, chances)


def answer_tables(advice: Advice) -> dict[str, DetailTable]:
    """Every option, unfolded, with its probabilities; and the effects nearest to the question."""
    rows = advice.alternatives
    labels = words.option_labels([row.option for row in rows])
    worthwhile = f"P(gain > {words.number(advice.min_gain)})"
    return {
        "all_options": DetailTable(
            "All options",
            ("Option", "Gain", "Interval", "P(gain > 0)", worthwhile, "Basis", "Direct rows"),
            tuple(
                (
                    ", ".join(filter(None, label)),
                    words.signed(row.gain.mean),
                    *_chances(row),
                    basis_of(row),
                    words.count(row.direct),
                )
                for row, label in zip(rows, labels, strict=True)
            ),
        ),
        "nearest": DetailTable(
            "The nearest effects that were really measured",
            ("Model", "Task", "Target", "Option", "Gain", "Direct", "Distance", "Source", "Lab"),
            tuple(
                (
                    *(row.model, row.task, row.target, row.option, words.signed(row.gain)),
                    *(
                        "yes" if row.direct else "no",
                        words.number(row.distance, 2),
                        row.source_id,
                        row.lab or "-",
                    ),
                )
                for row in advice.support.nearest
            ),
        ),
    }
