"""Learning curves of a race: the gain of every arm at each look."""

from typing import TYPE_CHECKING

from advisor.race.result import RaceResult

if TYPE_CHECKING:
    import altair as alt


def race_chart(result: RaceResult, *, width: int = 640) -> "alt.LayerChart | None":
    """Gain over fine-tuning alone against the share of fine-tuning, a line a run; None without a look."""
    import altair as alt

    from advisor.report.charts import COLOURS, INKS

    values = [
        {
            "option": str(arm.option),
            "run": f"{arm.option} {look.seed} {look.align}",
            "tune": look.tune,
            "gain": look.gain,
            "alignment": f"{look.align:.0%}",
        }
        for arm in result.arms
        for look in arm.looks
    ]
    if not values:
        return None
    names = list(dict.fromkeys(str(value["option"]) for value in values))
    base = alt.Chart(alt.InlineData(values=values)).encode(
        x=alt.X("tune:Q", title="share of fine-tuning", axis=alt.Axis(format="%")),
        y=alt.Y("gain:Q", title="gain over fine-tuning alone, points"),
        color=alt.Color(
            "option:N",
            scale=alt.Scale(domain=names, range=list(COLOURS.values())),
            legend=alt.Legend(orient="bottom", columns=1, title=None, labelLimit=0),
        ),
        detail="run:N",
        tooltip=["option:N", "alignment:N", alt.Tooltip("gain:Q", format="+.1f")],
    )
    zero = alt.Chart(alt.InlineData(values=[{"y": 0}])).mark_rule(color=INKS["ink"]).encode(y="y:Q")
    layers = [zero, base.mark_line(), base.mark_point(filled=True, size=50)]
    return alt.LayerChart(layer=layers, width=width, height=240)
