"""Ask: an answer from the evidence, at once."""

import streamlit as st

from advisor.advice import Advice
from advisor.app import _question, _show, _state
from advisor.decide import DEFAULT_MIN_GAIN
from advisor.options import WordPairs
from advisor.recommend import Asked, ask
from advisor.report import Report


def render() -> None:
    """Draw the view."""
    question = _question.question_inputs()
    with st.expander("More: smallest gain of interest, word pairs"):
        min_gain = st.slider(
            "Smallest gain of interest, points",
            0.0,
            5.0,
            DEFAULT_MIN_GAIN,
            0.05,
            key="min-gain",
            persist_state="session",
            help="Below it, aligning is not worth the trouble to you.",
        )
        word_pairs = st.selectbox(
            "Where aligned words would come from",
            [kind.value for kind in WordPairs],
            key="word-pairs",
            persist_state="session",
        )
    with st.spinner("Weighing the evidence", show_time=False):
        advice = _ask(question.model, question.source, question.target, question.task, word_pairs, min_gain)
    with st.container(horizontal=True):
        st.button(
            "Measure my model",
            type="primary",
            on_click=_state.switch("probe", **{"probe-min-gain": min_gain}),
            help="Probe this model, pair and task: minutes instead of published evidence alone.",
            width="content",
        )
        st.download_button(
            "Download advice.json",
            advice.model_dump_json(indent=2) + "\n",
            "advice.json",
            "application/json",
            on_click="ignore",
            width="content",
        )
    _show.answer(Report(advice))


@st.cache_data(max_entries=200, show_spinner=False)
def _ask(model: str, source: str, target: str, task: str, word_pairs: str, min_gain: float) -> Advice:
    question = Asked.of(
        model=model, source=source, target=target, task=task, word_pairs=word_pairs, min_gain=min_gain
    )
    return ask(question)
