"""Pictures that only the page has: the evidence, and several probes in one frame."""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from advisor.app._comparison import Probe
from advisor.report import words
from advisor.report.charts import COLOURS, INKS
from advisor.report.charts.style import bounds, categories, finish, over

_MOST = 30
"""Groups shown at most, those with most effects."""
_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")


def gain_strip(frame: pd.DataFrame, group: str, name: str) -> alt.LayerChart:
    """Every gain as a dot, a row for each group, with its median.

    Args:
        frame: with the columns ``gain`` and ``group``.
        group: the column to group by.
        name: what its values are, for the title.
    """
    counts = frame[group].value_counts()
    shown = frame[frame[group].isin(counts.index[:_MOST])]
    order = list(shown.groupby(group)["gain"].median().sort_values(ascending=False).index)
    rows = [
        {"group": str(label), "gain": gain, "option": option, "model": model, "source": source}
        for label, gain, option, model, source in zip(
            shown[group], shown["gain"], shown["option"], shown["model"], shown["source_id"], strict=True
        )
    ]
    base = over(rows).encode(
        y=alt.Y(
            "group:N",
            sort=[str(label) for label in order],
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelColor=INKS["ink"], labelLimit=170, labelPadding=8),
        )
    )
    layers = [
        over([{"x": 0}]).mark_rule(color=INKS["ink"], strokeWidth=1).encode(x="x:Q"),
        base.mark_circle(size=26, opacity=0.35, color=COLOURS["blue"]).encode(
            x=alt.X("gain:Q", title="gain over the unaligned model, points"),
            tooltip=["group:N", alt.Tooltip("gain:Q", format="+.2f"), "option:N", "model:N", "source:N"],
        ),
        base.mark_tick(color=COLOURS["vermillion"], thickness=3, size=16).encode(x="median(gain):Q"),
    ]
    few = f" ({_MOST} of {len(counts)})" if len(counts) > _MOST else ""
    return finish(layers, width=640, height=22 * len(order), title=alt.Title(f"Gain by {name}{few}"))


def validation_chart(
    figures: Mapping[str, tuple[float, float, float]], title: str, axis: str, floor: float | None = None
) -> alt.LayerChart:
    """A figure of every way of choosing with its interval; that of the advice stands out.

    Args:
        figures: value, low and high by the way's name, the advice first.
        title: what the figure is.
        axis: its name with unit.
        floor: what no way of choosing can fall below, for a rule.
    """
    values = [
        {"method": name, "value": value, "low": low, "high": high, "advice": place == 0}
        for place, (name, (value, low, high)) in enumerate(figures.items())
    ]
    base = over(values).encode(
        y=alt.Y(
            "method:N",
            sort=None,
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelColor=INKS["ink"], labelLimit=220, labelPadding=10),
        ),
        color=alt.condition(
            "datum.advice", alt.value(COLOURS["blue"]), alt.value(INKS["muted"]), legend=None
        ),
        tooltip=["method:N", *(alt.Tooltip(f"{name}:Q", format=".2f") for name in ("value", "low", "high"))],
    )
    layers = [
        over([{"x": 0}]).mark_rule(color=INKS["ink"], strokeWidth=1).encode(x="x:Q"),
        base.mark_rule(strokeWidth=3, strokeCap="round", opacity=0.7).encode(
            x=alt.X("low:Q", title=axis, axis=alt.Axis(tickCount=5)), x2="high:Q"
        ),
        base.mark_point(filled=True, size=70, opacity=1).encode(x="value:Q"),
    ]
    if floor is not None:
        rule = over([{"x": floor}]).mark_rule(color=INKS["muted"], strokeDash=[4, 3])
        layers.insert(0, rule.encode(x="x:Q"))
    return finish(layers, width=500, height=24 * len(values), title=alt.Title(title))


def compared_cosines(probes: Sequence[Probe]) -> alt.LayerChart | None:
    """The leading cosine of every objective, a mark for each probe."""
    values = [
        {"objective": objective, "probe": probe.name, "shown": words.estimated(cosine)} | bounds(cosine)
        for probe in probes
        for objective, cosine in probe.cosines.items()
        if cosine.resolved
    ]
    return _compared(values, probes, "cosine with the task on target text")


def compared_gains(probes: Sequence[Probe]) -> alt.LayerChart | None:
    """The best gain of every objective, a mark for each probe."""
    values = [
        {
            "objective": row.option.objective,
            "probe": probe.name,
            "shown": f"{words.signed(row.gain.mean)} ({words.interval(row.gain)}), {row.option}",
            "value": row.gain.mean,
            "low": row.gain.low,
            "high": row.gain.high,
        }
        for probe in probes
        for row in probe.best.values()
    ]
    return _compared(values, probes, "gain of the best option, points")


def _compared(
    values: Sequence[Mapping[str, object]], probes: Sequence[Probe], title: str
) -> alt.LayerChart | None:
    if not values:
        return None
    names = [probe.name for probe in probes]
    palette = list(COLOURS)
    styles = {name: (palette[i % len(palette)], _SHAPES[i % len(_SHAPES)]) for i, name in enumerate(names)}
    colour, shape = categories("probe", styles, legend=True, columns=1)
    rows = len(dict.fromkeys(str(value["objective"]) for value in values))
    base = over(values).encode(
        y=alt.Y(
            "objective:N",
            sort=None,
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelColor=INKS["ink"], labelLimit=170, labelPadding=8),
        ),
        yOffset=alt.YOffset("probe:N", sort=names),
        color=colour,
        tooltip=["probe:N", "objective:N", alt.Tooltip("shown:N", title="value (interval)")],
    )
    layers = [
        over([{"x": 0}]).mark_rule(color=INKS["ink"], strokeWidth=1).encode(x="x:Q"),
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            x=alt.X("low:Q", title=title, axis=alt.Axis(tickCount=5)), x2="high:Q"
        ),
        base.mark_point(filled=True, opacity=1, size=60).encode(x="value:Q", shape=shape),
    ]
    return finish(
        layers, width=640, height=(16 * len(names) + 18) * rows, title=alt.Title(title.capitalize())
    )
