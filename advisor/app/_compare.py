"""Compare: several probes in the same terms, side by side."""

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from advisor.app import _files, _run, _show, _state
from advisor.options import NO_ALIGNMENT
from advisor.report import Report, words
from probes.errors import InputError


def compare(reports: Sequence[Report]) -> dict[str, dict[str, str]]:
    """What each probe says, by a name of its own; reports without signals are left out."""
    with_signals = [(report, report.signals) for report in reports if report.signals is not None]
    names = [words.clean(f"{s.model.id}, {s.source} → {s.target}, {s.task.name}") for _, s in with_signals]
    seen: Counter[str] = Counter()
    columns = {}
    for name, (report, signals) in zip(names, with_signals, strict=True):
        seen[name] += 1
        label = f"{name} ({seen[name]})" if names.count(name) > 1 else name
        columns[label] = _said(report) | {"budget": signals.run.budget} | report.measured
    return columns


def _said(report: Report) -> dict[str, str]:
    """The answer, and the expected gain of the best option of each loss."""
    advice = report.advice
    gains: dict[str, str] = {}
    for row in advice.alternatives:
        if row.option != NO_ALIGNMENT:
            gains.setdefault(f"gain, {row.option.objective}", words.expected(row.gain))
    decision = f"{words.DECISION_WORDS[advice.decision]}, {advice.confidence}"
    return {"decision": decision, "option": str(advice.option)} | gains


def render() -> None:
    """Draw the view."""
    st.markdown("Put probes side by side: the same model for several languages, or several models for one.")
    runs = _state.finished("probe")
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
        files = _files.brought("signals.json files of mine", "compared-files")
    reports = [_files.of_run(run_id) for run_id in chosen]
    for file in files:
        try:
            reports.append(_files.read_report([file]))
        except InputError as error:
            st.error(_show.markdown(error))
    columns = compare(reports)
    if len(columns) < 2:
        st.info("Choose two probes or more.")
        return
    measures = dict.fromkeys(measure for column in columns.values() for measure in column)
    st.dataframe(
        [
            {"measure": measure} | {name: column.get(measure, "–") for name, column in columns.items()}
            for measure in measures
        ],
        hide_index=True,
        width="stretch",
        height="content",
    )
    st.caption(
        "Gains are what the advice expects of the best option of each loss, over that language's own "
        "baseline; the rest was measured. Differences count where intervals do not overlap. Cosines of one "
        "model compare well across languages; across models compare their signs."
    )
