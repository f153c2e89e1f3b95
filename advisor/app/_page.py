"""The page: masthead, the choice of a view, the view."""

import streamlit as st

from advisor.app import _ask, _compare, _explore, _probe, _read, _show, _state
from probes.errors import InputError, RunError

__all__ = ["render"]

_VIEWS = {
    "ask": ("Ask", _ask.render),
    "probe": ("Probe", _probe.render),
    "read": ("Read", _read.render),
    "explore": ("Explore", _explore.render),
    "compare": ("Compare", _compare.render),
}


def render() -> None:
    """Draw the page."""
    st.set_page_config(page_title="Alignment advisor", page_icon="🧭", layout="wide")
    _show.style()
    _state.take_link()
    if st.session_state.get("view") not in _VIEWS:
        st.session_state.view = "ask"
    _show.html(
        '<header class="aa-mast"><b>Alignment advisor</b>'
        "<span>Should a multilingual encoder be aligned before it is fine-tuned?</span></header>"
    )
    st.segmented_control(
        "View",
        list(_VIEWS),
        key="view",
        format_func=lambda name: _VIEWS[name][0],
        required=True,
        label_visibility="collapsed",
        persist_state="session",
    )
    _state.keep_link(view=_state.view())
    try:
        _VIEWS[_state.view()][1]()
    except (InputError, RunError) as error:
        st.error(_show.markdown(error))
