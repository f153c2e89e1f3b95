"""An answer as every view shows it: the report itself, as a part of the page."""

import streamlit as st

from advisor.report import Report


def answer(report: Report, *, whole: bool = True) -> None:
    """Show a report: its card, what was measured, options and next moves, and the rest below.

    Args:
        report: what to show.
        whole: with pictures, evidence and details; else the answer alone.
    """
    with st.spinner("Drawing", show_time=False):
        markup = _fragment(report.to_json(), whole, _report=report)
    st.html(markup)


@st.cache_data(max_entries=60, show_spinner=False)
def _fragment(key: str, whole: bool, *, _report: Report) -> str:
    return _report.fragment(whole=whole)
