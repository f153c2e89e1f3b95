"""What the options are expected to bring: side by side, against their cost, and among the evidence."""

from typing import Any

import altair as alt

from advisor.advice import Advice, Gain
from advisor.options import NO_ALIGNMENT, relative_cost
from advisor.report.charts.style import (
    COLOURS,
    INKS,
    PANEL_WIDTH,
    categories,
    finish,
    level,
    names,
    objective_style,
    over,
    whiskers,
)
from advisor.report.words import clean, expected, is_advised, option_labels, percent, signed

_NARROW = 560


def gain_chart(advice: Advice, *, width: int = 760, limit: int = 12) -> alt.LayerChart | None:
    """Expected gain of each aligning option with its interval, best first, against ``none`` at zero.

    The shaded band holds the gains smaller than the smallest gain of interest, either way.

    Args:
        advice: whose alternatives to show.
        width: of the whole chart in pixels; below 560 the labels take two lines.
        limit: options shown at most, beside the advised one, which is always shown.
    """
    rows = [row for row in advice.alternatives if row.option != NO_ALIGNMENT]
    narrow = width < _NARROW
    values: list[dict[str, Any]] = [
        {
            "option": f"{objective}\n{how}" if narrow else f"{objective}, {how}",
            "chance": percent(row.gain.probability_positive),
            "advised": advice.aligns and is_advised(advice, row.option),
        }
        | _bounds(row.gain)
        for place, (row, (objective, how)) in enumerate(
            zip(rows, option_labels([row.option for row in rows]), strict=True)
        )
        if place < limit or is_advised(advice, row.option)
    ]
    if not values:
        return None
    confidence = percent(rows[0].gain.level)
    low = min(-advice.min_gain, *(value["low"] for value in values))
    high = max(advice.min_gain, *(value["high"] for value in values))
    margin, room_for_chance = 0.04 * (high - low), (0.26 if narrow else 0.1) * (high - low)
    x = alt.Scale(domain=[low - margin, high + margin + room_for_chance], nice=False)
    title = "gain, points" if narrow else "expected gain over fine-tuning alone, points"
    base = over(values).encode(
        y=names("option", labelFontSize=12, labelPadding=10, labelOffset=-7 if narrow else 0),
        color=alt.condition(
            "datum.advised", alt.value(COLOURS["blue"]), alt.value(INKS["muted"]), legend=None
        ),
        tooltip=[
            alt.Tooltip("option:N", title="option"),
            alt.Tooltip("shown:N", title=f"gain ({confidence} interval), points"),
            alt.Tooltip("chance:N", title="P(gain > 0)"),
        ],
    )
    band = over([{"low": -advice.min_gain, "high": advice.min_gain}])
    axis = alt.X(
        title=f"{title} ({confidence} interval)", scale=x, axis=alt.Axis(tickCount=5 if narrow else 9)
    )
    layers = [
        band.mark_rect(color=INKS["band"]).encode(x=alt.X("low:Q", scale=x), x2="high:Q"),
        level("x", scale=x, strokeWidth=1.5),
        *whiskers(base, axis, size=90, width=4),
        base.mark_text(align="right", baseline="middle", fontSize=12, fontWeight="bold").encode(
            x=alt.value("width"), text="chance:N"
        ),
        over([{"text": "P(gain > 0)"}])
        .mark_text(align="right", baseline="bottom", fontSize=11, color=INKS["muted"])
        .encode(x=alt.value("width"), y=alt.value(-6), text="text:N"),
    ]
    height, room = (38, 12) if narrow else (28, 40)
    return finish(layers, width=width, height=height * len(values), label_room=room)


def cost_chart(advice: Advice, *, width: int = PANEL_WIDTH) -> alt.LayerChart | None:
    """Expected gain of every option by its relative cost; the advised one carries its interval."""
    rows = [row for row in advice.alternatives if row.option != NO_ALIGNMENT]
    if not rows:
        return None
    labels = option_labels([row.option for row in rows])
    objectives = list(dict.fromkeys(row.option.objective for row in rows))
    values = [
        {
            "option": ", ".join(filter(None, label)),
            "objective": row.option.objective,
            # side by side where they cost the same
            "cost": relative_cost(row.option)
            + 0.05 * (objectives.index(row.option.objective) - (len(objectives) - 1) / 2),
            "advised": is_advised(advice, row.option) or (not advice.aligns and row is rows[0]),
        }
        | _bounds(row.gain)
        for row, label in zip(rows, labels, strict=True)
    ]
    styles = {name: objective_style(name) for name in objectives}
    colour, shape = categories("objective", styles, legend=True, columns=2)
    base = over(values).encode(
        x=alt.X(
            "cost:Q",
            title="training, in runs of fine-tuning alone",
            scale=alt.Scale(domain=[0.8, 3.3], nice=False),
            axis=alt.Axis(values=[1, 2, 3], format=".0f"),
        ),
        color=colour,
        tooltip=["option:N", alt.Tooltip("shown:N", title="gain, points")],
    )
    layers = [
        level("y"),
        base.transform_filter("datum.advised")
        .mark_rule(strokeWidth=3, opacity=0.5)
        .encode(y=alt.Y("low:Q", title="expected gain, points"), y2="high:Q"),
        base.mark_point(filled=True, opacity=0.9, size=42).encode(y="value:Q", shape=shape),
        over([{"x": 1, "y": 0}])
        .mark_point(shape="square", filled=True, size=60, opacity=1, color=INKS["ink"])
        .encode(x="x:Q", y="y:Q"),
    ]
    title = alt.Title("Gain against cost", subtitle="square: fine-tuning alone; bar: the option spoken of")
    return finish(layers, width=width, height=200, title=title)


def place_chart(advice: Advice, *, width: int = PANEL_WIDTH) -> alt.LayerChart | None:
    """The nearest measured effects by their distance from the question, beside what is expected of it."""
    spoken_of, nearest = advice.spoken_of, advice.support.nearest
    if spoken_of is None or not nearest:
        return None
    values = [
        {
            "x": row.distance,
            "gain": row.gain,
            "what": clean(f"{row.model}, {row.task}, {row.target}"),
            "shown": clean(f"{signed(row.gain)}, {row.source_id}"),
        }
        for row in nearest
    ]
    furthest = max(1.0, *(row.distance for row in nearest))
    x = alt.X(
        "x:Q",
        title="distance from this question",
        scale=alt.Scale(domain=[-0.08 * furthest, 1.05 * furthest], nice=False),
        axis=alt.Axis(tickCount=4),
    )
    measured = over(values).encode(
        x=x, y=alt.Y("gain:Q", title="gain, points"), tooltip=["what:N", "shown:N"]
    )
    here = over([{"x": 0} | _bounds(spoken_of.gain)]).encode(x=x, color=alt.value(COLOURS["blue"]))
    layers = [
        level("y"),
        measured.mark_point(filled=True, size=50, opacity=0.75, color=COLOURS["orange"]),
        *whiskers(here, alt.Y(), shape=alt.value("diamond"), size=90, width=4),
    ]
    title = alt.Title(
        "Among the evidence",
        subtitle=["blue: expected here, with interval;", "orange: effects that were measured"],
    )
    return finish(layers, width=width, height=200, title=title)


def _bounds(gain: Gain) -> dict[str, Any]:
    return {
        **{"value": gain.mean, "low": gain.low, "high": gain.high},
        "shown": expected(gain),
    }
