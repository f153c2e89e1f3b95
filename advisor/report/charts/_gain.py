"""Expected gain of the options."""

from collections.abc import Sequence

import altair as alt

from advisor.advice import Advice
from advisor.options import NO_ALIGNMENT
from advisor.report.charts.style import COLOURS, INKS, finish, over
from advisor.report.words import interval, is_advised, option_labels, percent, signed

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
    labels = option_labels([row.option for row in rows])
    shown = [
        (row, label)
        for place, (row, label) in enumerate(zip(rows, labels, strict=True))
        if place < limit or is_advised(advice, row.option)
    ]
    if not shown:
        return None
    narrow = width < _NARROW
    values = [
        {
            "option": f"{objective}\n{how}" if narrow else f"{objective}, {how}",
            "gain": row.gain.mean,
            "low": row.gain.low,
            "high": row.gain.high,
            "chance": percent(row.gain.probability_positive),
            "advised": advice.aligns and is_advised(advice, row.option),
            "shown": f"{signed(row.gain.mean)} ({interval(row.gain)})",
        }
        for row, (objective, how) in shown
    ]
    level = percent(shown[0][0].gain.level)
    low = min(-advice.min_gain, *(row.gain.low for row, _ in shown))
    high = max(advice.min_gain, *(row.gain.high for row, _ in shown))
    margin = 0.04 * (high - low)
    room_for_chance = (0.26 if narrow else 0.1) * (high - low)
    x = alt.Scale(domain=[low - margin, high + margin + room_for_chance], nice=False)
    base = _marks(values, narrow, level)
    title = "gain, points" if narrow else "expected gain over fine-tuning alone, points"
    axis = alt.Axis(tickCount=5 if narrow else 9)
    band = over([{"low": -advice.min_gain, "high": advice.min_gain}])
    layers = [
        band.mark_rect(color=INKS["band"]).encode(x=alt.X("low:Q", scale=x), x2="high:Q"),
        over([{"x": 0}]).mark_rule(color=INKS["ink"], strokeWidth=1.5).encode(x=alt.X("x:Q", scale=x)),
        base.mark_rule(strokeWidth=4, strokeCap="round", opacity=0.7).encode(
            x=alt.X("low:Q", scale=x, title=f"{title} ({level} interval)", axis=axis), x2="high:Q"
        ),
        base.mark_point(filled=True, size=90, opacity=1).encode(x=alt.X("gain:Q", scale=x)),
        base.mark_text(align="right", baseline="middle", fontSize=12, fontWeight="bold").encode(
            x=alt.value("width"), text="chance:N"
        ),
        over([{"text": "P(gain > 0)"}])
        .mark_text(align="right", baseline="bottom", fontSize=11, color=INKS["muted"])
        .encode(x=alt.value("width"), y=alt.value(-6), text="text:N"),
    ]
    return finish(
        layers, width=width, height=(38 if narrow else 28) * len(values), label_room=12 if narrow else 40
    )


def _marks(values: Sequence[dict[str, object]], narrow: bool, level: str) -> alt.Chart:
    """A row for each option, that which is advised in colour."""
    options = alt.Y(
        "option:N",
        sort=[str(value["option"]) for value in values],
        title=None,
        axis=alt.Axis(
            labelExpr="split(datum.label, '\\n')",
            labelLimit=0,
            labelPadding=10,
            labelColor=INKS["ink"],
            labelFontSize=12,
            labelLineHeight=14,
            labelOffset=-7 if narrow else 0,
            ticks=False,
            domain=False,
        ),
    )
    return over(values).encode(
        y=options,
        color=alt.condition(
            "datum.advised", alt.value(COLOURS["blue"]), alt.value(INKS["muted"]), legend=None
        ),
        tooltip=[
            alt.Tooltip("option:N", title="option"),
            alt.Tooltip("shown:N", title=f"gain ({level} interval), points"),
            alt.Tooltip("chance:N", title="P(gain > 0)"),
        ],
    )
