"""Read: the report of a finished run, the table of a grid, or saved files."""

from collections.abc import Callable

import streamlit as st

from advisor.app import _files, _grid, _run, _show, _state
from advisor.report import Report, words
from advisor.service import RacePlan, Run, TrialPlan
from probes.errors import InputError

_FILES = "Files of mine"
_SEEDS, _RACE_MINUTES = 3, 30.0
"""Of a trial and of a race that are started here."""


def render() -> None:
    """Draw the view."""
    runs = _state.finished("probe", "grid")
    options = [*runs, _FILES]
    current = st.session_state.get("reading", st.query_params.get("run"))
    chosen = st.selectbox(
        "Result",
        options,
        index=options.index(current) if current in options else 0,
        format_func=lambda name: name if name == _FILES else _run.label(runs[name]),
        key="reading",
    )
    if chosen != _FILES:
        _state.open_run(chosen)
        if runs[chosen].kind == "grid":
            _grid.show(_state.queue().store.grid(chosen), runs[chosen])
            return
        report, run = _files.of_run(chosen), runs[chosen]
        _downloads(report, run)
        _for_real(report, run)
        _show.answer(report)
        return
    files = _files.brought(
        "advice.json, signals.json or both",
        "saved",
        "What a probe wrote. Signals alone are advised on now.",
    )
    if not files:
        st.info("Choose what a probe wrote, or start a probe. Nothing you choose here is kept.")
        return
    try:
        report = _files.read_report(files)
    except InputError as error:
        st.error(_show.markdown(error))
        return
    _downloads(report, None)
    _show.answer(report)


def _for_real(report: Report, run: Run) -> None:
    """Start a trial of the option the answer turns on, with the data of the probe."""
    spoken_of = report.advice.spoken_of
    request = _state.queue().store.request(run.id)
    if spoken_of is None or not _state.may_change(run):
        return
    if request.target_labels is None:
        st.caption("A trial needs labelled target data: a new probe with a hundred sentences comes first.")
        return
    st.button(
        f"Start a trial: {words.option_label(spoken_of.option)}, {_SEEDS} seeds",
        on_click=_run.start,
        args=(request, TrialPlan(options=(spoken_of.option.spec,), seeds=_SEEDS)),
        help="Aligns and fine-tunes for real, beside fine-tuning alone; the answer then counts it.",
    )
    minutes = min(_RACE_MINUTES, _state.queue().limits.run_minutes)
    st.button(
        f"Start a race of {minutes:g} minutes",
        on_click=_run.start,
        args=(request, RacePlan(minutes=minutes)),
        help="Runs the most promising options for real, cut short, and decides within that time.",
    )
    _run.refusal()


def _downloads(report: Report, run: Run | None) -> None:
    advice, signals = report.advice, report.signals
    files: dict[str, tuple[str, str | bytes | Callable[[], str]]] = {
        "report.html": ("text/html", report.to_html),
        "advice.json": ("application/json", advice.model_dump_json(indent=2) + "\n"),
    }
    if signals is not None:
        files["signals.json"] = "application/json", signals.model_dump_json(indent=2) + "\n"
    if run is not None:
        files["recipe.zip"] = "application/zip", _state.queue().store.recipe_zip(run.id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Download", width="content")
        for name, (kind, content) in files.items():
            st.download_button(name, content, name, kind, on_click="ignore", width="content")
