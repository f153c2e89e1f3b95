"""Where a question lies among the evidence."""

import altair as alt

from advisor.advice import Advice
from advisor.report.charts.style import COLOURS, INKS, PANEL_WIDTH, finish, over
from advisor.report.words import clean, signed


def place_chart(advice: Advice, *, width: int = PANEL_WIDTH) -> alt.LayerChart | None:
    """The nearest measured effects by their distance from the question, beside what is expected of it."""
    spoken_of, nearest = advice.spoken_of, advice.support.nearest
    if spoken_of is None or not nearest:
        return None
    expected = {"x": 0, "gain": spoken_of.gain.mean, "low": spoken_of.gain.low, "high": spoken_of.gain.high}
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
    layers = [
        over([{"y": 0}]).mark_rule(color=INKS["ink"]).encode(y="y:Q"),
        over(values)
        .mark_point(filled=True, size=50, opacity=0.75, color=COLOURS["orange"])
        .encode(x=x, y=alt.Y("gain:Q", title="gain, points"), tooltip=["what:N", "shown:N"]),
        over([expected])
        .mark_rule(strokeWidth=4, opacity=0.55, color=COLOURS["blue"])
        .encode(x=x, y="low:Q", y2="high:Q"),
        over([expected])
        .mark_point(shape="diamond", filled=True, size=90, opacity=1, color=COLOURS["blue"])
        .encode(x=x, y="gain:Q"),
    ]
    title = alt.Title(
        "Among the evidence",
        subtitle=["blue: expected here, with interval;", "orange: effects that were measured"],
    )
    return finish(layers, width=width, height=200, title=title)
