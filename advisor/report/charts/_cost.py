"""What an option is expected to bring against what its training costs."""

import altair as alt

from advisor.advice import Advice
from advisor.options import NO_ALIGNMENT, relative_cost
from advisor.report.charts.style import INKS, PANEL_WIDTH, categories, finish, objective_style, over
from advisor.report.words import interval, is_advised, option_labels, signed


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
            "gain": row.gain.mean,
            "low": row.gain.low,
            "high": row.gain.high,
            "advised": is_advised(advice, row.option) or (not advice.aligns and row is rows[0]),
            "shown": f"{signed(row.gain.mean)} ({interval(row.gain)})",
        }
        for row, label in zip(rows, labels, strict=True)
    ]
    colour, shape = categories(
        "objective", {name: objective_style(name) for name in objectives}, legend=True, columns=2
    )
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
        over([{"y": 0}]).mark_rule(color=INKS["ink"]).encode(y="y:Q"),
        base.transform_filter("datum.advised")
        .mark_rule(strokeWidth=3, opacity=0.5)
        .encode(y=alt.Y("low:Q", title="expected gain, points"), y2="high:Q"),
        base.mark_point(filled=True, opacity=0.9, size=42).encode(y="gain:Q", shape=shape),
        over([{"x": 1, "y": 0}])
        .mark_point(shape="square", filled=True, size=60, opacity=1, color=INKS["ink"])
        .encode(x="x:Q", y="y:Q"),
    ]
    title = alt.Title("Gain against cost", subtitle="square: fine-tuning alone; bar: the option spoken of")
    return finish(layers, width=width, height=200, title=title)
