"""How things look: escaped text, charts that follow the theme, tables, explanations."""

import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from advisor.report import Report
from advisor.report.words import clean

if TYPE_CHECKING:
    import altair as alt

_FONT = '"Source Sans", sans-serif'
"""Streamlit's own, so that charts and page are of one piece."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&=^@/])")


def text(value: object) -> str:
    """``value`` as text inside HTML: escaped, on one line, without characters that reorder it."""
    return escape(clean(str(value)))


def markdown(value: object) -> str:
    """``value`` as plain text where Streamlit takes Markdown: no link, image, formula or directive in it."""
    return _MARKDOWN.sub(r"\\\1", clean(str(value)))


def html(markup: str) -> None:
    """Show markup whose every foreign part went through :func:`text`."""
    st.html(markup)


def chart(
    drawn: "alt.LayerChart | None", description: str, *, missing: str = "Nothing to draw here."
) -> None:
    """Show a chart as wide as its column, in the colours of the theme; ``missing`` where there is none."""
    if drawn is None:
        st.caption(missing)
        return
    specification = drawn.to_dict(validate=False)
    specification["width"] = "container"
    specification.setdefault("config", {})["font"] = _FONT
    if st.context.theme.type == "dark":
        from advisor.report.charts import COLOURS, DARK, INKS  # altair takes half a second to import

        on_dark = {colour: DARK[name] for name, colour in (COLOURS | INKS).items()}
        specification = _recoloured(specification, on_dark)
    st.vega_lite_chart(spec=specification, theme=None, width="stretch", alt=description)


def _recoloured(part: Any, colours: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {key: _recoloured(value, colours) for key, value in part.items()}
    if isinstance(part, list):
        return [_recoloured(value, colours) for value in part]
    return colours.get(part, part) if isinstance(part, str) else part


def table(title: str, rows: Iterable[Mapping[str, object]], *, opened: bool = False) -> None:
    """The numbers behind a picture, to be opened; ``rows`` have the same columns."""
    import pandas as pd

    frame = pd.DataFrame([{k: clean(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows])
    with st.expander(markdown(title), expanded=opened):
        if frame.empty:
            st.caption("Nothing was measured.")
        else:
            st.dataframe(frame, hide_index=True, width="stretch")


def explain(means: str, read: str, cannot: str) -> None:
    """What a picture means, how to read it and what it cannot tell."""
    parts = (("What it means", means), ("How to read it", read), ("What it cannot tell", cannot))
    entries = "".join(f"<div><dt>{name}</dt><dd>{text(said)}</dd></div>" for name, said in parts)
    html(f'<dl class="aa-reading">{entries}</dl>')


def style() -> None:
    """The page's own styles; ``light-dark`` follows the theme that is chosen."""
    st.html(Path(__file__).with_name("page.css"))


def answer(report: Report, *, whole: bool = True) -> None:
    """Show a report: its answer and, if it is to be ``whole``, pictures, evidence and details below."""
    with st.spinner("Drawing", show_time=False):
        markup = _fragment(report.to_json(), whole, _report=report)
    st.html(markup)


@st.cache_data(max_entries=60, show_spinner=False)
def _fragment(key: str, whole: bool, *, _report: Report) -> str:
    return _report.fragment(whole=whole)
