"""Magnitude, lookahead and distance of what was measured."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import altair as alt

from advisor.report.charts.style import (
    INKS,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    block_axis,
    bounds,
    categories,
    finish,
    level,
    names,
    objective_style,
    over,
    whiskers,
)
from advisor.report.words import POINT_WORDS, TASK_GRADIENT_WORDS, block_label, clean, estimated
from probes.signals import DistanceRow, Point, Signals, TaskGradient

LOOKAHEAD_STYLES: dict[tuple[Point, Literal["raw", "adam"]], tuple[str, str, str]] = {
    ("theta0", "raw"): ("as given, raw gradient", "line", "diamond"),
    ("theta0", "adam"): ("as given, Adam-scaled", "purple", "triangle-down"),
    ("theta_warm", "raw"): ("after warm-up, raw gradient", "blue", "circle"),
    ("theta_warm", "adam"): ("after warm-up, Adam-scaled", "vermillion", "square"),
}
"""Name, colour and shape of each kind of step, in the order in which they are drawn."""


def magnitude_chart(
    signals: Signals, task_gradient: TaskGradient, *, width: int = PANEL_WIDTH, legend: bool = True
) -> alt.LayerChart | None:
    """Norm of each objective's gradient over the task's after warm-up, block by block, on a log scale.

    The panels of all task gradients share their vertical scale.
    """
    point: Point = "theta_warm"
    at_point = [
        (row, row.magnitude_ratio.value)
        for row in signals.cosines
        if row.point == point and row.magnitude_ratio.value is not None and row.magnitude_ratio.value > 0
    ]
    rows = [row for row, _ in at_point if row.task_gradient == task_gradient]
    if not rows:
        return None
    ratios = [ratio for _, ratio in at_point]
    low, high = min(0.5, *ratios) / 1.3, max(2.0, *ratios) * 1.3
    values: list[dict[str, Any]] = [
        {
            "block": block_label(row.block),
            "layer": row.block.startswith("layer."),
            "objective": clean(row.objective),
            "shown": estimated(row.magnitude_ratio),
        }
        | bounds(row.magnitude_ratio)
        for row in rows
    ]
    for value in values:  # a log scale has no place for a bound at or below 0: the bar then runs to the foot
        value["low"] = max(value["low"] or low, low)
    styles = {clean(name): objective_style(name) for name in signals.objectives}
    colour, shape = categories("objective", styles, legend=legend)
    base = over(values).encode(
        x=block_axis(rows),
        color=colour,
        tooltip=["block:N", "objective:N", alt.Tooltip("shown:N", title="ratio (95% interval)")],
    )
    ticks = [mantissa * 10.0**power for power in range(-6, 7) for mantissa in (1, 2, 5)]
    y = alt.Y(
        title="objective / task",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=[tick for tick in ticks if low <= tick <= high], format="~g"),
    )
    layers = [
        level("y", 1, scale=y["scale"]),
        *whiskers(base, y, shape=shape, line=base.transform_filter("datum.layer")),
    ]
    title = alt.Title(
        f"against the task on {TASK_GRADIENT_WORDS[task_gradient]}", subtitle=POINT_WORDS[point]
    )
    return finish(layers, width=width, height=PANEL_HEIGHT, title=title)


def lookahead_chart(
    signals: Signals, on: TaskGradient, *, width: int = PANEL_WIDTH, legend: bool = True
) -> alt.LayerChart | None:
    """How the task loss changes after one small step on each objective, in per cent of itself.

    The panels of all task losses share their horizontal scale.
    """
    taken = [row for row in signals.lookahead if row.change.resolved]
    rows = [row for row in taken if row.on == on]
    if not rows:
        return None
    kinds = {(row.point, row.scaling) for row in rows}
    styles = {name: look for kind, (name, *look) in LOOKAHEAD_STYLES.items() if kind in kinds}
    values = [
        {
            "objective": clean(row.objective),
            "kind": LOOKAHEAD_STYLES[row.point, row.scaling][0],
            "shown": estimated(row.change),
        }
        | bounds(row.change)
        for row in rows
    ]
    ends = [end for row in taken for end in bounds(row.change).values() if end is not None]
    low, high = min(0.0, *ends), max(0.0, *ends)
    margin = 0.06 * (high - low) or 1.0
    colour, shape = categories("kind", styles, legend=legend, columns=1)
    base = over(values).encode(
        y=names("objective", [clean(name) for name in signals.objectives], labelLimit=140),
        yOffset=alt.YOffset("kind:N", sort=list(styles)),
        color=colour,
        tooltip=["objective:N", "kind:N", alt.Tooltip("shown:N", title="change, % (95% interval)")],
    )
    x = alt.X(
        title="fall of the task loss, % (right: the step helps)",
        scale=alt.Scale(domain=[low - margin, high + margin], nice=False),
    )
    layers = [level("x", scale=x["scale"]), *whiskers(base, x, shape=shape, size=44, width=2)]
    height = 58 * len({row.objective for row in rows})
    return finish(layers, width=width, height=height, title=f"loss on {TASK_GRADIENT_WORDS[on]}")


class _Lines(NamedTuple):
    """A chart of distances over the hidden states.

    Attributes:
        measures: the name, colour and shape of each.
    """

    title: str
    axis: str
    measures: Mapping[str, tuple[str, str, str]]
    scale: alt.Scale = alt.Scale(zero=True, nice=True)


def similarity_chart(
    signals: Signals,
    unit: Literal["sentence", "word"] = "sentence",
    *,
    width: int = PANEL_WIDTH,
    legend: bool = True,
) -> alt.LayerChart | None:
    """Mean cosine of translations and of random pairs and the gap between them, by hidden state."""
    measures = {
        "matched-cosine": ("translations", "blue", "circle"),
        "random-cosine": ("random pairs", "orange", "diamond"),
        "cosine-gap": ("gap", "green", "square"),
    }
    lines = _Lines(f"Cosine similarity of {unit}s", "mean cosine", measures)
    return _over_states(signals, unit, lines, width, legend)


def retrieval_chart(
    signals: Signals, *, width: int = PANEL_WIDTH, legend: bool = True
) -> alt.LayerChart | None:
    """Share of sentences whose nearest neighbour in the other language is their translation."""
    measures = {
        "retrieval-forward": ("source to target", "blue", "circle"),
        "retrieval-backward": ("target to source", "vermillion", "square"),
        "retrieval-csls": ("CSLS", "purple", "triangle-up"),
        "retrieval-strict": ("strict, both ways", "green", "diamond"),
    }
    lines = _Lines("Retrieval of translations", "share found first", measures, alt.Scale(domain=[0, 1]))
    return _over_states(signals, "sentence", lines, width, legend)


def cka_chart(signals: Signals, *, width: int = PANEL_WIDTH, legend: bool = True) -> alt.LayerChart | None:
    """Debiased linear CKA of the two languages' sentence embeddings, by hidden state."""
    lines = _Lines("Similarity of geometry", "CKA", {"cka": ("debiased linear CKA", "blue", "circle")})
    return _over_states(signals, "sentence", lines, width, legend)


def _over_states(
    signals: Signals, unit: str, lines: _Lines, width: int, legend: bool
) -> alt.LayerChart | None:
    rows = [
        row
        for row in signals.distances
        if row.unit == unit and row.measure in lines.measures and row.value.resolved
    ]
    if not rows:
        return None
    present = {row.measure for row in rows}
    styles = {name: look for measure, (name, *look) in lines.measures.items() if measure in present}
    values = [
        {"state": row.layer, "measure": lines.measures[row.measure][0], "shown": estimated(row.value)}
        | bounds(row.value)
        for row in rows
    ]
    last = max(row.layer for row in rows)
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
    chance = {"color": INKS["muted"], "strokeDash": [3, 3], "strokeWidth": 1.5}
    layers = [
        *(level("y", at, scale=lines.scale, **chance) for at in _constant_chances(rows)),
        *whiskers(base, alt.Y(title=lines.axis, scale=lines.scale), shape=shape, line=base),
    ]
    return finish(layers, width=width, height=PANEL_HEIGHT, title=lines.title)


def _constant_chances(rows: Sequence[DistanceRow]) -> list[float]:
    """Chance levels that are the same at every depth: a line for each depth's own would only clutter."""
    levels = [{row.chance for row in rows if row.measure == name} for name in {r.measure for r in rows}]
    return sorted({chance for (chance, *others) in levels if chance is not None and not others})
