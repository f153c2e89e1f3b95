"""Direction at one glance: layers across, losses down."""

import altair as alt

from advisor.report.charts.style import COLOURS, INKS, PANEL_WIDTH, block_axis, finish, over
from advisor.report.words import TASK_GRADIENT_WORDS, block_label, clean, estimated
from probes.signals import TOTAL, Signals

_HATCH = "M-1,-0.1L-0.1,-1M-1,1L1,-1M0.1,1L1,0.1"
"""Three strokes across a cell."""


def heat_chart(signals: Signals, *, width: int = PANEL_WIDTH) -> alt.LayerChart | None:
    """Noise-corrected cosine of every loss with the leading task gradient, by layer after warm-up.

    Blue agrees and vermillion conflicts, the stronger the larger; a cell that cannot be told from noise is
    hatched, and a dot marks those whose interval lies on one side of zero.
    """
    if not signals.task_gradients:
        return None
    gradient = signals.task_gradients[0]
    rows = [
        row
        for row in signals.cosines
        if (row.task_gradient, row.point) == (gradient, "theta_warm") and row.block != TOTAL
    ]
    if not rows:
        return None
    strongest = max((abs(row.cosine.value) for row in rows if row.cosine.value is not None), default=1.0)
    axis = block_axis(rows)
    axis["title"] = "layer (emb: embeddings)"
    values = [
        {
            "block": block_label(row.block),
            "objective": clean(row.objective),
            "way": "agree" if (row.cosine.value or 0) >= 0 else "conflict",
            "strength": 0.0 if row.cosine.value is None else 0.08 + 0.85 * abs(row.cosine.value) / strongest,
            "resolved": row.cosine.value is not None,
            "clear": row.cosine.sign != 0,
            "shown": estimated(row.cosine),
        }
        for row in rows
    ]
    y = alt.Y(
        "objective:N",
        sort=[clean(name) for name in signals.objectives],
        title=None,
        axis=alt.Axis(labelLimit=0, ticks=False, domain=False, labelColor=INKS["ink"]),
    )
    base = over(values).encode(
        x=axis, y=y, tooltip=["objective:N", "block:N", alt.Tooltip("shown:N", title="cosine")]
    )
    layers = [
        base.mark_rect(stroke=INKS["grid"], strokeWidth=0.5).encode(
            color=alt.Color(
                "way:N",
                scale=alt.Scale(domain=["agree", "conflict"], range=[COLOURS["blue"], COLOURS["vermillion"]]),
                legend=None,
            ),
            opacity=alt.Opacity("strength:Q", scale=None, legend=None),
        ),
        base.transform_filter("!datum.resolved").mark_point(
            shape=_HATCH, size=190, strokeWidth=1, filled=False, opacity=1, color=INKS["line"]
        ),
        base.transform_filter("datum.clear").mark_point(
            shape="circle", size=9, filled=True, opacity=1, color=INKS["ink"]
        ),
    ]
    title = alt.Title(
        f"Direction, {TASK_GRADIENT_WORDS[gradient]}",
        subtitle=["blue: agree, orange: conflict, hatched: noise hides it,", "dot: clear of zero"],
    )
    return finish(layers, width=width, height=26 * len(signals.objectives), title=title, label_room=20)
