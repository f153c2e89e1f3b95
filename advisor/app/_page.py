"""The page: masthead, the choice of a view, the view."""

from importlib import import_module

import streamlit as st

from advisor.app import _show, _state
from probes.errors import InputError, RunError

_VIEWS = ("ask", "grid", "probe", "read", "explore", "compare", "trial")
"""Each is drawn by ``render`` in the module of its name."""


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
        _VIEWS,
        key="view",
        format_func=str.capitalize,
        required=True,
        label_visibility="collapsed",
        persist_state="session",
    )
    _state.keep_link(view=_state.view())
    try:
        # Imported now, so that the masthead is there while the view's libraries load.
        import_module(f"advisor.app._{_state.view()}").render()
    except (InputError, RunError) as error:
        st.error(_show.markdown(error))
    _state.keep_session()  # last, since its element takes up room


if __name__ == "__main__":  # as Streamlit runs it for `advisor app`
    render()
