"""Compare: two or more probes side by side."""

import streamlit as st

from advisor.app import _pictures, _read, _results, _run, _show, _state
from advisor.app._comparison import compare, comparison_rows
from advisor.report import Report
from probes.errors import InputError


def render() -> None:
    """Draw the view."""
    st.markdown("Put probes side by side: the same model for several languages, or several models for one.")
    runs = {run.id: run for run in _state.known_runs() if run.status == "done" and run.kind == "probe"}
    left, right = st.columns(2, gap="large")
    with left:
        if not runs:
            st.caption("There are no finished runs yet.")
        chosen = runs and st.multiselect(
            "Finished runs",
            list(runs),
            format_func=lambda run_id: _run.label(runs[run_id]),
            key="compared",
            placeholder="choose",
        )
    with right:
        files = st.file_uploader(
            "signals.json files of mine",
            type="json",
            accept_multiple_files=True,
            key="compared-files",
            max_upload_size=max(1, int(_state.queue().limits.upload_mb)),
        )
    reports = [_read.of_run(run_id) for run_id in chosen]
    for file in files:
        try:
            reports.append(_results.read_report([(file.name, file.getvalue())]))
        except InputError as error:
            st.error(_show.markdown(error))
    _side_by_side(reports)


def _side_by_side(reports: list[Report]) -> None:
    probes = compare(reports)
    if len(probes) < 2:
        st.info("Choose two probes or more.")
        return
    st.dataframe(list(comparison_rows(probes)), hide_index=True, width="stretch", height="content")
    gains, words = st.columns([2, 1], gap="large")
    with gains:
        _show.chart(
            _pictures.compared_gains(probes),
            "Expected gain of the best option of each objective, a mark for each probe.",
        )
        _show.chart(
            _pictures.compared_cosines(probes),
            "Cosine of each objective with the task gradient on target text, a mark for each probe.",
        )
    with words:
        _show.explain(
            "Each probe has a colour and a shape. The gains are what the advice expects; the "
            "cosines are what was "
            "measured on target text, over all layers after warm-up.",
            "Differences count where bars do not overlap. Cosines of one model compare well "
            "across languages; "
            "across models compare their signs.",
            "Which language will score best: a gain is over that language's own baseline.",
        )
