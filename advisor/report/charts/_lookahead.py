"""Lookahead: the task loss after one step on each objective."""

from typing import Literal

import altair as alt

from advisor.report.charts.style import INKS, PANEL_WIDTH, bounds, categories, finish, over
from advisor.report.words import TASK_GRADIENT_WORDS, clean, estimated
from probes.signals import Point, Signals, TaskGradient

LOOKAHEAD_STYLES: dict[tuple[Point, Literal["raw", "adam"]], tuple[str, str, str]] = {
    ("theta0", "raw"): ("as given, raw gradient", "line", "diamond"),
    ("theta0", "adam"): ("as given, Adam-scaled", "purple", "triangle-down"),
    ("theta_warm", "raw"): ("after warm-up, raw gradient", "blue", "circle"),
    ("theta_warm", "adam"): ("after warm-up, Adam-scaled", "vermillion", "square"),
}
"""Name, colour and shape of each kind of step, in the order in which they are drawn."""


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
    styles = {
        name: (colour, shape) for kind, (name, colour, shape) in LOOKAHEAD_STYLES.items() if kind in kinds
    }
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
    x = alt.Scale(domain=[low - margin, high + margin], nice=False)
    colour, shape = categories("kind", styles, legend=legend, columns=1)
    base = over(values).encode(
        y=alt.Y(
            "objective:N",
            sort=[clean(name) for name in signals.objectives],
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelColor=INKS["ink"], labelPadding=8, labelLimit=140),
        ),
        yOffset=alt.YOffset("kind:N", sort=list(styles)),
        color=colour,
        tooltip=["objective:N", "kind:N", alt.Tooltip("shown:N", title="change, % (95% interval)")],
    )
    layers = [
        over([{"x": 0}])
        .mark_rule(color=INKS["ink"], strokeWidth=1)
        .encode(x=alt.X("x:Q", scale=x, title="fall of the task loss, % (right: the step helps)")),
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(x=alt.X("low:Q", scale=x), x2="high:Q"),
        base.mark_point(filled=True, opacity=1, size=44).encode(x=alt.X("value:Q", scale=x), shape=shape),
    ]
    title = alt.Title(f"loss on {TASK_GRADIENT_WORDS[on]}")
    return finish(layers, width=width, height=58 * len({row.objective for row in rows}), title=title)
