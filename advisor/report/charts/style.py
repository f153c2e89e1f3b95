"""What every chart shares: colours, shapes, whiskers, axes of blocks, legends, the finish."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

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
Styles = Mapping[str, Sequence[str]]
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


class _SharedRows(alt.InlineData):
    """Rows that all copies of a chart have in common: Altair copies a chart with every step of its making."""

    def __deepcopy__(self, _: object) -> "_SharedRows":
        return self


def over(rows: Rows) -> alt.Chart:
    """A chart of ``rows``, which travel inside it."""
    return alt.Chart(_SharedRows(values=list(rows)))


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


def names(field: str, order: Sequence[str] | None = None, **axis: Any) -> alt.Y:
    """Categories below each other, by default in the order of the rows; a line break in a name is kept."""
    look: dict[str, Any] = {
        **{"ticks": False, "domain": False, "labelColor": INKS["ink"], "labelLimit": 0, "labelPadding": 8},
        **{"labelExpr": "split(datum.label, '\\n')", "labelLineHeight": 14},
    }
    return alt.Y(f"{field}:N", sort=order, title=None, axis=alt.Axis(**look | axis))


def level(along: Literal["x", "y"], at: float = 0, *, scale: Any = alt.Undefined, **mark: Any) -> alt.Chart:
    """A line across the chart where one axis has the value ``at``."""
    channel = alt.X if along == "x" else alt.Y
    look: dict[str, Any] = {"color": INKS["ink"], "strokeWidth": 1} | mark
    line: alt.Chart = over([{"at": at}]).mark_rule(**look).encode(**{along: channel("at:Q", scale=scale)})
    return line


def whiskers(
    base: alt.Chart,
    axis: alt.X | alt.Y,
    *,
    shape: Any = alt.Undefined,
    line: alt.Chart | None = None,
    size: int = 36,
    width: float = 1.5,
) -> list[alt.Chart]:
    """From ``low`` to ``high`` a bar along an axis, and a mark at ``value``.

    Args:
        base: rows with these fields and all other encodings.
        axis: title, scale and ticks; the field is filled in.
        line: those of the rows that a line is to join.
    """
    along = "x" if isinstance(axis, alt.X) else "y"

    def at(field: str) -> dict[str, Any]:
        channel = axis.copy()
        channel["shorthand"] = f"{field}:Q"
        return {along: channel}

    # An end that is round is seen on a wide bar only, and costs as many bytes as the rest of a narrow one.
    cap: dict[str, Any] = {"strokeCap": "round"} if width > 2 else {}
    bar = base.mark_rule(strokeWidth=width, clip=True, opacity=0.65, **cap)
    layers = [bar.encode(**at("low"), **{f"{along}2": "high:Q"})]
    if line is not None:
        layers.append(line.mark_line(strokeWidth=1.5, clip=True, opacity=0.75).encode(**at("value")))
    mark = base.mark_point(filled=True, opacity=1, size=size, clip=True)
    return [*layers, mark.encode(**at("value"), shape=shape)]


def finish(
    layers: Sequence[alt.Chart],
    *,
    width: int,
    height: int,
    title: str | alt.Title | None = None,
    label_room: int = 4,
) -> alt.LayerChart:
    """The layers, from back to front, as one chart with the report's typography.

    Args:
        width: of the whole chart.
        height: of the plot alone.
        label_room: left of the labels, for readers whose font is wider than the one they were measured in.
    """
    chart = alt.LayerChart(
        layer=list(layers),
        width=width,
        height=height,
        title=title if title is not None else alt.Undefined,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    )
    ink, muted, line = INKS["ink"], INKS["muted"], INKS["line"]
    styled: alt.LayerChart = chart.configure(
        font=_FONT,
        background="transparent",
        padding={"left": label_room, "right": 4, "top": 4, "bottom": 4},
        view={"stroke": None},
        title={
            **{"anchor": "start", "frame": "bounds", "offset": 10, "fontSize": 13, "fontWeight": 600},
            **{"color": ink, "subtitleColor": muted, "subtitleFontSize": 11.5, "subtitlePadding": 4},
        },
        axis={
            **{"labelColor": muted, "titleColor": muted, "labelFontSize": 11, "titleFontSize": 11},
            **{"titleFontWeight": "normal", "titlePadding": 8, "domainColor": line, "tickColor": line},
            "gridColor": INKS["grid"],
        },
        axisX={"grid": False},
        legend={"labelColor": ink, "labelFontSize": 11, "symbolSize": 60},
    )
    return styled
