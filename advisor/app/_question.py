"""The question: model, languages, task; the same inputs in every view that asks."""

from functools import cache

import streamlit as st

from advisor.app import _state
from advisor.findings import load_tables
from advisor.recommend import Asked
from probes.catalogue import TASKS
from probes.errors import InputError
from probes.languages import parse_language

_DEFAULTS = {"model": "xlm-roberta-base", "source": "en", "target": "tr", "task": "pos"}


def question_inputs(*, model: str | None = None) -> Asked:
    """Ask for model, source, target and task; starts from the link and keeps it up to date.

    Args:
        model: to start from where neither the link nor the visitor has said.
    """
    defaults = _DEFAULTS | ({"model": model} if model else {})
    for name, value in defaults.items():
        st.session_state.setdefault(name, value)
    if st.session_state.task not in TASKS:  # from a link
        st.error("The link names no task that there is; it was set to pos.")
        st.session_state.task = "pos"
    columns = st.columns([1.5, 1, 1, 1])
    with columns[0]:
        chosen = _choice(
            "Model", "model", models(), "A hub id, a folder, or an offline encoder. Type your own."
        )
    with columns[1]:
        source = _choice("Source language", "source", languages(), "Of your labelled data. Any code will do.")
    with columns[2]:
        target = _choice("Target language", "target", languages(), "In which the model is to be used.")
    with columns[3]:
        task = st.selectbox("Task", list(TASKS), key="task", persist_state="session")
    source, target = short(source), short(target)
    _state.keep_link(model=chosen, source=source, target=target, task=task)
    return Asked(model=chosen, source=source, target=target, task=task)


def _choice(label: str, name: str, offered: tuple[str, ...], explanation: str) -> str:
    """A list to choose from or to type into; what a link brought is offered as well."""
    current = str(st.session_state[name])
    options = offered if current in offered else (current, *offered)
    chosen = st.selectbox(
        label,
        options,
        key=name,
        format_func=called if offered is languages() else str,
        accept_new_options=True,
        help=explanation,
        persist_state="session",
    )
    return (chosen or "").strip()[:200] or current


@cache
def models() -> tuple[str, ...]:
    """Encoders to choose from."""
    encoders = load_tables().encoders.values()
    names = dict.fromkeys(encoder.name for encoder in encoders if encoder.kind == "encoder")
    return ("bundled", "bundled-enpt", *names)


@cache
def languages() -> tuple[str, ...]:
    """Codes of the languages to choose from, by name."""
    names = load_tables().languages
    return tuple(sorted(names, key=lambda code: names[code].name))


def called(code: str) -> str:
    """The language's name with its code, or what was said if there is none of that code."""
    try:
        return f"{parse_language(code).name} ({code})"
    except InputError:
        return code


def short(text: str) -> str:
    """The code of a language that was named in another way, if it says as much."""
    try:
        language = parse_language(text)
        return language.code if parse_language(language.code) == language else text
    except InputError:
        return text  # the answer will say that there is no such language
