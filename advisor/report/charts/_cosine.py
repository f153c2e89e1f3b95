"""Direction: noise-corrected cosines, block by block and at one glance."""

from collections.abc import Sequence
from statistics import quantiles
from typing import Any

import altair as alt

from advisor.report._measured import ceilings
from advisor.report.charts.style import (
    COLOURS,
    INKS,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    Rows,
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
from advisor.report.words import POINT_WORDS, TASK_GRADIENT_WORDS, block_label, clean, estimated, number
from probes.signals import TOTAL, CosineRow, Signals, TaskGradient

_Ceilings = dict[tuple[str, TaskGradient, str], float]
"""By objective, task gradient and block."""

_CEILING_REACH = 2.0
"""How far above the highest cosine a ceiling may lie and still be drawn."""
_HATCH = "M-1,-0.1L-0.1,-1M-1,1L1,-1M0.1,1L1,0.1"
"""Three strokes across a cell."""


def cosine_chart(
    signals: Signals,
    objective: str,
    task_gradient: TaskGradient,
    *,
    width: int = PANEL_WIDTH,
    legend: bool = True,
) -> alt.LayerChart | None:
    """Noise-corrected cosine of an objective's gradient with a task gradient, block by block.

    Drawn behind it, for the model after warm-up: the interval of the same objective on shuffled pairs
    (light band), plus and minus twice 1/sqrt(d) (dark band), and the ceiling of the raw cosine (dashes).
    A cross at the foot marks a block whose cosine could not be told from noise. All panels of one set of
    signals share their vertical scale; what lies beyond it is cut off and stands in the table.
    """
    rows = [
        row for row in signals.cosines if (row.objective, row.task_gradient) == (objective, task_gradient)
    ]
    if not rows:
        return None
    highest = ceilings(signals)
    low, high, drawn_ceilings = _frame(signals.cosines, highest)
    y = alt.Scale(domain=[low, high], nice=False, zero=False)
    values = [
        {
            "block": block_label(row.block),
            "layer": row.block.startswith("layer."),
            "point": POINT_WORDS[row.point],
            "shown": estimated(row.cosine),
            "foot": low,
        }
        | bounds(row.cosine)
        for row in rows
    ]
    styles = {
        POINT_WORDS["theta0"]: ("line", "diamond"),
        POINT_WORDS["theta_warm"]: (objective_style(objective)[0], "circle"),
    }
    colour, shape = categories("point", styles, legend=legend)
    base = over(values).encode(
        x=block_axis(rows),
        xOffset=alt.XOffset("point:N", sort=list(styles), scale=alt.Scale(padding=0.6)),
        color=colour,
        tooltip=["block:N", "point:N", alt.Tooltip("shown:N", title="cosine (95% interval)")],
    )
    behind = [_background_row(row, drawn_ceilings) for row in rows if row.point == "theta_warm"]
    layers = [
        *_background(behind, block_axis(rows), y),
        *whiskers(
            base.transform_filter("isValid(datum.value)"),
            alt.Y(title="cosine", scale=y),
            shape=shape,
            line=base.transform_filter("datum.layer"),
        ),
        base.transform_filter("!isValid(datum.value)")
        .mark_text(text="\N{MULTIPLICATION SIGN}", fontSize=13, dy=-7)
        .encode(y=alt.Y("foot:Q", scale=y)),
    ]
    title = alt.Title(
        f"{clean(objective)} \N{MULTIPLICATION SIGN} {TASK_GRADIENT_WORDS[task_gradient]}",
        subtitle=_in_short(rows, highest),
    )
    return finish(layers, width=width, height=PANEL_HEIGHT, title=title)


def _in_short(rows: Sequence[CosineRow], ceilings: _Ceilings) -> str:
    """All layers together after warm-up: corrected cosine, raw cosine and what the raw one could reach."""
    for row in rows:
        if row.block == TOTAL and row.point == "theta_warm":
            parts = [f"all layers {estimated(row.cosine)}"]
            if row.raw_cosine.value is not None:
                parts.append(f"raw {number(row.raw_cosine.value, 2)}")
            ceiling = ceilings.get((row.objective, row.task_gradient, row.block))
            if ceiling is not None:
                parts.append(f"its ceiling {number(ceiling, 2)}")
            return " \N{MIDDLE DOT} ".join(parts)
    return ""


def _background_row(row: CosineRow, ceilings: _Ceilings) -> dict[str, Any]:
    null = row.null_cosine
    return {
        "block": block_label(row.block),
        "null_low": null.low if null else None,
        "null_high": null.high if null else None,
        "spread_low": -2 * row.null_sd,
        "spread_high": 2 * row.null_sd,
        "ceiling": ceilings.get((row.objective, row.task_gradient, row.block)),
    }


def _background(values: Rows, x: alt.X, y: alt.Scale) -> list[alt.Chart]:
    base = over(values).encode(x=x)
    return [
        base.transform_filter("isValid(datum.null_low) && isValid(datum.null_high)")
        .mark_bar(color=INKS["band"], clip=True)
        .encode(y=alt.Y("null_low:Q", scale=y), y2="null_high:Q"),
        base.mark_bar(color=INKS["band-strong"], clip=True).encode(
            y=alt.Y("spread_low:Q", scale=y), y2="spread_high:Q"
        ),
        level("y", scale=y),
        base.transform_filter("isValid(datum.ceiling)")
        .mark_tick(color=INKS["muted"], thickness=1.5, clip=True)
        .encode(y=alt.Y("ceiling:Q", scale=y)),
    ]


def _frame(rows: Sequence[CosineRow], ceilings: _Ceilings) -> tuple[float, float, _Ceilings]:
    """The vertical range of every cosine panel, and the ceilings to draw in it: all or none.

    The range holds all values and nulls, and all but the widest intervals: a few blocks with intervals
    as wide as the whole range would press the rest flat, so theirs are cut. For the same reason the
    ceilings are drawn only where they are of the cosines' own size.
    """
    nulls = [row.null_cosine for row in rows if row.null_cosine is not None]
    resolved = [row.cosine for row in rows if row.cosine.resolved]
    values = [estimate.value for estimate in (*resolved, *nulls) if estimate.value is not None]
    lows = [cosine.low for cosine in resolved if cosine.low is not None]
    highs = [cosine.high for cosine in resolved if cosine.high is not None]
    low = min([-0.02, *values, _twentieths(lows)[0]])
    high = max([0.02, *values, _twentieths(highs)[-1]])
    highest = max(ceilings.values(), default=0.0)
    if highest > _CEILING_REACH * high:
        ceilings = {}
    else:
        high = max(high, highest)
    margin = 0.08 * (high - low)
    # A little more below: the crosses of unresolved blocks stand there.
    return max(-1.1, low - 1.5 * margin), min(1.05, high + margin), ceilings


def _twentieths(values: Sequence[float]) -> list[float]:
    if len(values) < 2:
        return [*values, 0.0]
    return quantiles(values, n=20, method="inclusive")


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
    base = over(values).encode(
        x=axis,
        y=names("objective", [clean(name) for name in signals.objectives]),
        tooltip=["objective:N", "block:N", alt.Tooltip("shown:N", title="cosine")],
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
