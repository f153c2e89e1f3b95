"""Distance: how close the two languages lie, by hidden state."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import altair as alt

from advisor.report.charts.style import (
    INKS,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    bounds,
    categories,
    finish,
    over,
)
from advisor.report.words import estimated
from probes.signals import DistanceRow, Signals

Unit = Literal["sentence", "word"]


def similarity_chart(
    signals: Signals, unit: Unit = "sentence", *, width: int = PANEL_WIDTH, legend: bool = True
) -> alt.LayerChart | None:
    """Mean cosine of translations and of random pairs and the gap between them, by hidden state."""
    return _lines(
        signals,
        unit,
        {
            "matched-cosine": ("translations", "blue", "circle"),
            "random-cosine": ("random pairs", "orange", "diamond"),
            "cosine-gap": ("gap", "green", "square"),
        },
        title=f"Cosine similarity of {unit}s",
        axis_title="mean cosine",
        width=width,
        legend=legend,
    )


def retrieval_chart(
    signals: Signals, *, width: int = PANEL_WIDTH, legend: bool = True
) -> alt.LayerChart | None:
    """Share of sentences whose nearest neighbour in the other language is their translation."""
    return _lines(
        signals,
        "sentence",
        {
            "retrieval-forward": ("source to target", "blue", "circle"),
            "retrieval-backward": ("target to source", "vermillion", "square"),
            "retrieval-csls": ("CSLS", "purple", "triangle-up"),
            "retrieval-strict": ("strict, both ways", "green", "diamond"),
        },
        title="Retrieval of translations",
        axis_title="share found first",
        width=width,
        legend=legend,
        domain=(0.0, 1.0),
    )


def cka_chart(signals: Signals, *, width: int = PANEL_WIDTH, legend: bool = True) -> alt.LayerChart | None:
    """Debiased linear CKA of the two languages' sentence embeddings, by hidden state."""
    return _lines(
        signals,
        "sentence",
        {"cka": ("debiased linear CKA", "blue", "circle")},
        title="Similarity of geometry",
        axis_title="CKA",
        width=width,
        legend=legend,
    )


def _lines(
    signals: Signals,
    unit: Unit,
    measures: Mapping[str, tuple[str, str, str]],
    *,
    title: str,
    axis_title: str,
    width: int,
    legend: bool,
    domain: tuple[float, float] | None = None,
) -> alt.LayerChart | None:
    """Lines over hidden states; ``measures`` maps each to its name, colour and point shape."""
    rows = [
        row
        for row in signals.distances
        if row.unit == unit and row.measure in measures and row.value.resolved
    ]
    if not rows:
        return None
    present = {row.measure for row in rows}
    styles = {
        name: (colour, shape) for measure, (name, colour, shape) in measures.items() if measure in present
    }
    values = [
        {"state": row.layer, "measure": measures[row.measure][0], "shown": estimated(row.value)}
        | bounds(row.value)
        for row in rows
    ]
    last = max(row.layer for row in rows)
    y = alt.Scale(domain=list(domain)) if domain else alt.Scale(zero=True, nice=True)
    colour, shape = categories("measure", styles, legend=legend, columns=2)
    base = over(values).encode(
        x=alt.X(
            "state:Q",
            title="hidden state (0: embedding output)",
            scale=alt.Scale(domain=[-0.3, last + 0.3], nice=False),
            axis=alt.Axis(values=list(range(0, last + 1, math.ceil(max(last, 1) / 12))), format="d"),
        ),
        color=colour,
        tooltip=["state:Q", "measure:N", alt.Tooltip("shown:N", title="value (95% interval)")],
    )
    chances = [
        over([{"y": chance}])
        .mark_rule(color=INKS["muted"], strokeDash=[3, 3], strokeWidth=1.5)
        .encode(y=alt.Y("y:Q", scale=y))
        for chance in _constant_chances(rows)
    ]
    layers = [
        *chances,
        base.mark_rule(strokeWidth=1.5, opacity=0.5).encode(
            y=alt.Y("low:Q", scale=y, title=axis_title), y2="high:Q"
        ),
        base.mark_line(strokeWidth=1.75, opacity=0.8).encode(y=alt.Y("value:Q", scale=y)),
        base.mark_point(filled=True, opacity=1, size=34).encode(y=alt.Y("value:Q", scale=y), shape=shape),
    ]
    return finish(layers, width=width, height=PANEL_HEIGHT, title=alt.Title(title))


def _constant_chances(rows: Sequence[DistanceRow]) -> list[float]:
    """Chance levels that are the same at every depth: a line for each depth's own would only clutter."""
    levels = {
        measure: {row.chance for row in rows if row.measure == measure}
        for measure in {r.measure for r in rows}
    }
    return sorted(
        {
            chance
            for chances in levels.values()
            if len(chances) == 1
            for chance in chances
            if chance is not None
        }
    )
