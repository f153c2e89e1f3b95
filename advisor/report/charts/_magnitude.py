"""Magnitude: norms of the objectives' gradients over the task's."""

import altair as alt

from advisor.report.charts.style import (
    INKS,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    block_axis,
    bounds,
    categories,
    finish,
    objective_style,
    over,
)
from advisor.report.words import POINT_WORDS, TASK_GRADIENT_WORDS, block_label, clean, estimated
from probes.signals import Point, Signals, TaskGradient


def magnitude_chart(
    signals: Signals,
    task_gradient: TaskGradient,
    *,
    point: Point = "theta_warm",
    width: int = PANEL_WIDTH,
    legend: bool = True,
) -> alt.LayerChart | None:
    """Norm of each objective's gradient over the task gradient's, block by block, on a log scale.

    The panels of all task gradients share their vertical scale.
    """
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
    y = alt.Scale(type="log", domain=[low, high], nice=False)
    values = []
    for row in rows:
        whisker = bounds(row.magnitude_ratio)
        # A log scale has no place for a bound at or below 0: the whisker then runs to the foot.
        whisker["low"] = max(whisker["low"] or low, low)
        values.append(
            {
                "block": block_label(row.block),
                "layer": row.block.startswith("layer."),
                "objective": clean(row.objective),
                "shown": estimated(row.magnitude_ratio),
            }
            | whisker
        )
    colour, shape = categories(
        "objective", {clean(name): objective_style(name) for name in signals.objectives}, legend=legend
    )
    base = over(values).encode(
        x=block_axis(rows),
        color=colour,
        tooltip=["block:N", "objective:N", alt.Tooltip("shown:N", title="ratio (95% interval)")],
    )
    ticks = [mantissa * 10.0**power for power in range(-6, 7) for mantissa in (1, 2, 5)]
    axis = alt.Axis(values=[tick for tick in ticks if low <= tick <= high], format="~g")
    layers = [
        over([{"y": 1}])
        .mark_rule(color=INKS["ink"], strokeWidth=1)
        .encode(y=alt.Y("y:Q", scale=y, axis=axis, title="objective / task")),
        base.mark_rule(strokeWidth=1.5, clip=True, opacity=0.6).encode(
            y=alt.Y("low:Q", scale=y), y2="high:Q"
        ),
        base.transform_filter("datum.layer")
        .mark_line(strokeWidth=1.5, opacity=0.7)
        .encode(y=alt.Y("value:Q", scale=y)),
        base.mark_point(filled=True, opacity=1, size=36).encode(y=alt.Y("value:Q", scale=y), shape=shape),
    ]
    title = alt.Title(
        f"against the task on {TASK_GRADIENT_WORDS[task_gradient]}", subtitle=POINT_WORDS[point]
    )
    return finish(layers, width=width, height=PANEL_HEIGHT, title=title)
