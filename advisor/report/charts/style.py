"""What every chart shares: colours, shapes, whiskers, axes of blocks, legends, the finish."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from advisor.report.words import block_label
from probes.signals import CosineRow, Estimate

COLOURS = {
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#009e73",
    "purple": "#cc79a7",
    "orange": "#bb7d00",
    "sky": "#3d93c9",
}
"""Okabe and Ito's palette (Color Universal Design, 2008), without black and yellow; orange and sky are darker
here, since a mark must stand out 3 to 1 from white (WCAG 2.2, 1.4.11)."""

INKS = {
    "ink": "#26313d",
    "muted": "#5d6b7a",
    "line": "#8592a0",
    "grid": "#e6eaee",
    "band": "#e4e9ee",
    "band-strong": "#c3ccd6",
}
"""Everything that carries no category: text, axes, bands."""

DARK = {
    "blue": "#4aa8e0",
    "vermillion": "#f08a4b",
    "green": "#2ec49a",
    "purple": "#e2a0c5",
    "orange": "#f2b632",
    "sky": "#8fd0f7",
    "ink": "#d9e0e7",
    "muted": "#9dabb9",
    "line": "#66737f",
    "grid": "#28313b",
    "band": "#2b3540",
    "band-strong": "#4a5866",
}
"""The same on a dark page."""

PANEL_WIDTH = 360
PANEL_HEIGHT = 230

Rows = Sequence[Mapping[str, Any]]
Styles = Mapping[str, tuple[str, str]]
"""For each category its colour, by its name in ``COLOURS`` or ``INKS``, and its Vega shape."""

_FONT = "Helvetica Neue, Arial, Liberation Sans, sans-serif"
_OBJECTIVES = {
    "token-contrastive": ("blue", "circle"),
    "token-l2": ("vermillion", "square"),
    "sentence-contrastive": ("green", "triangle-up"),
    "tlm": ("purple", "diamond"),
    "mlm": ("orange", "triangle-down"),
}


def objective_style(objective: str) -> tuple[str, str]:
    """The colour an objective has in every chart, by its name in ``COLOURS``, and its Vega shape."""
    return _OBJECTIVES.get(objective, ("sky", "circle"))


def over(rows: Rows) -> alt.Chart:
    """A chart of ``rows``, which travel inside it."""
    return alt.Chart(alt.InlineData(values=list(rows)))


def bounds(estimate: Estimate) -> dict[str, float | None]:
    """Value and interval as fields; an interval that is not known shrinks to the value."""
    value = estimate.value
    return {
        "value": value,
        "low": value if estimate.low is None else estimate.low,
        "high": value if estimate.high is None else estimate.high,
    }


def categories(field: str, styles: Styles, *, legend: bool, columns: int = 0) -> tuple[alt.Color, alt.Shape]:
    """Colour and shape of a nominal field, with one legend for both below the chart if wanted."""
    below = (
        alt.Legend(orient="bottom", title=None, columns=columns, labelLimit=0, symbolOpacity=1)
        if legend
        else None
    )
    palette = COLOURS | INKS
    names = list(styles)
    colours = alt.Scale(domain=names, range=[palette[colour] for colour, _ in styles.values()])
    shapes = alt.Scale(domain=names, range=[shape for _, shape in styles.values()])
    return (
        alt.Color(f"{field}:N", scale=colours, legend=below),
        alt.Shape(f"{field}:N", scale=shapes, legend=below),
    )


def block_axis(rows: Iterable[CosineRow]) -> alt.X:
    """The blocks of ``rows`` side by side, in the order of the rows."""
    blocks = list(dict.fromkeys(block_label(row.block) for row in rows))
    return alt.X(
        "block:N",
        sort=blocks,
        title="layer (emb: embeddings, all: every layer together)",
        scale=alt.Scale(domain=blocks, type="band", padding=0.1),
        axis=alt.Axis(labelAngle=0, labelOverlap="greedy", ticks=False),
    )


def finish(
    layers: Sequence[alt.Chart],
    *,
    width: int,
    height: int,
    title: alt.Title | None = None,
    label_room: int = 4,
) -> alt.LayerChart:
    """The layers as one chart with the report's typography.

    Args:
        layers: from back to front.
        width: of the whole chart.
        height: of the plot alone.
        title: above it.
        label_room: left of the labels, for readers whose font is wider than the one they were measured in.
    """
    chart = alt.LayerChart(
        layer=list(layers),
        width=width,
        height=height,
        title=title if title is not None else alt.Undefined,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    )
    styled: alt.LayerChart = chart.configure(
        font=_FONT,
        background="transparent",
        padding={"left": label_room, "right": 4, "top": 4, "bottom": 4},
        view=alt.ViewConfig(stroke=None),
        title=alt.TitleConfig(
            anchor="start",
            frame="bounds",
            fontSize=13,
            fontWeight=600,
            color=INKS["ink"],
            subtitleColor=INKS["muted"],
            subtitleFontSize=11.5,
            subtitlePadding=4,
            offset=10,
        ),
        axis=alt.AxisConfig(
            labelColor=INKS["muted"],
            titleColor=INKS["muted"],
            labelFontSize=11,
            titleFontSize=11,
            titleFontWeight="normal",
            titlePadding=8,
            gridColor=INKS["grid"],
            domainColor=INKS["line"],
            tickColor=INKS["line"],
        ),
        axisX=alt.AxisConfig(grid=False),
        legend=alt.LegendConfig(labelColor=INKS["ink"], labelFontSize=11, symbolSize=60),
    )
    return styled
