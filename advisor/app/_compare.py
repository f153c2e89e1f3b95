"""Compare: several probes in the same terms, side by side."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from advisor.advice import Alternative
from advisor.app import _pictures, _read, _run, _show, _state
from advisor.options import NO_ALIGNMENT
from advisor.report import Report, words
from probes.errors import InputError
from probes.signals import Estimate, Signals


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe in a comparison.

    Attributes:
        name: short, and different from the others'.
        report: all of it.
        signals: of the report.
        cosines: by objective, with the leading task gradient on target text, all layers after warm-up.
        best: by objective, the option with the highest expected gain.
    """

    name: str
    report: Report
    signals: Signals
    cosines: Mapping[str, Estimate]
    best: Mapping[str, Alternative]


def compare(reports: Sequence[Report]) -> list[Probe]:
    """The probes of ``reports``, each with a name of its own; those without signals are left out."""
    with_signals = [(report, report.signals) for report in reports if report.signals is not None]
    names = [_name(signals) for _, signals in with_signals]
    repeated = Counter(names)
    seen: Counter[str] = Counter()
    probes = []
    for name, (report, signals) in zip(names, with_signals, strict=True):
        seen[name] += 1
        label = f"{name} ({seen[name]})" if repeated[name] > 1 else name
        probes.append(Probe(words.clean(label), report, signals, _cosines(signals), _best(report)))
    return probes


def comparison_rows(probes: Sequence[Probe]) -> Iterator[dict[str, str]]:
    """A row for each measure, a column for each probe."""
    for measure, of in (
        (
            "decision",
            lambda p: f"{words.DECISION_WORDS[p.report.advice.decision]}, {p.report.advice.confidence}",
        ),
        ("option", lambda p: str(p.report.advice.option or "–")),
        ("expected gain", lambda p: _gain(p.report)),
        ("budget", lambda p: p.signals.run.budget),
        ("frozen features, source", lambda p: words.estimated(p.signals.transfer.source, 1)),
        ("frozen features, target", lambda p: words.estimated(p.signals.transfer.target, 1)),
        (
            "subwords a word",
            lambda p: (
                f"{words.number(p.signals.text.source_fertility)} → "
                f"{words.number(p.signals.text.target_fertility)}"
            ),
        ),
        ("highest strict retrieval", lambda p: _highest(p.signals, "retrieval-strict")),
        ("highest CKA", lambda p: _highest(p.signals, "cka")),
    ):
        yield {"measure": measure} | {probe.name: of(probe) for probe in probes}
    for objective in dict.fromkeys(name for probe in probes for name in probe.cosines):
        yield {"measure": f"cosine, {objective}"} | {
            probe.name: words.estimated(probe.cosines.get(objective)) for probe in probes
        }


def _name(signals: Signals) -> str:
    return f"{signals.model.id}, {signals.source} → {signals.target}, {signals.task.name}"


def _cosines(signals: Signals) -> dict[str, Estimate]:
    cosines = {
        objective: signals.cosine(objective, signals.task_gradients[0]) for objective in signals.objectives
    }
    return {objective: cosine for objective, cosine in cosines.items() if cosine is not None}


def _best(report: Report) -> dict[str, Alternative]:
    best: dict[str, Alternative] = {}
    for row in report.advice.alternatives:
        if row.option != NO_ALIGNMENT:
            best.setdefault(row.option.objective, row)
    return best


def _gain(report: Report) -> str:
    best = report.advice.spoken_of
    gain = report.advice.gain or (best.gain if best else None)
    return f"{words.signed(gain.mean)} ({words.interval(gain)})" if gain else "–"


def _highest(signals: Signals, measure: str) -> str:
    values = [
        (row.value.value, row)
        for row in signals.distances
        if row.measure == measure and row.value.value is not None
    ]
    if not values:
        return "–"
    value, row = max(values, key=lambda entry: entry[0])
    return f"{words.number(value, 2)} at state {row.layer}"


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
            reports.append(_read.read_report([(file.name, file.getvalue())]))
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
