"""Compare: several probes in the same terms, side by side."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from advisor.advice import Alternative
from advisor.app import _files, _pictures, _run, _show, _state
from advisor.options import NO_ALIGNMENT
from advisor.report import Report, words
from probes.errors import InputError
from probes.signals import Estimate, Signals


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe in a comparison.

    Attributes:
        name: short, and different from the others'.
        facts: what it says, by what that is.
        cosines: by objective, with the leading task gradient on target text, all layers after warm-up.
        best: by objective, the option with the highest expected gain.
    """

    name: str
    facts: Mapping[str, str]
    cosines: Mapping[str, Estimate]
    best: Mapping[str, Alternative]


def compare(reports: Sequence[Report]) -> Iterator[Probe]:
    """The probes of ``reports``, each with a name of its own; those without signals are left out."""
    with_signals = [(report, report.signals) for report in reports if report.signals is not None]
    names = [f"{s.model.id}, {s.source} → {s.target}, {s.task.name}" for _, s in with_signals]
    seen: Counter[str] = Counter()
    for name, (report, signals) in zip(names, with_signals, strict=True):
        seen[name] += 1
        label = f"{name} ({seen[name]})" if names.count(name) > 1 else name
        best: dict[str, Alternative] = {}
        for row in report.advice.alternatives:
            if row.option != NO_ALIGNMENT:
                best.setdefault(row.option.objective, row)
        yield Probe(words.clean(label), _facts(report, signals), _cosines(signals), best)


def _facts(report: Report, signals: Signals) -> dict[str, str]:
    advice, best = report.advice, report.advice.spoken_of
    gain = advice.gain or (best.gain if best else None)
    return {
        "decision": f"{words.DECISION_WORDS[advice.decision]}, {advice.confidence}",
        "option": str(advice.option),
        "expected gain": _pictures.expected_words(gain) if gain else "–",
        "budget": signals.run.budget,
        **report.measured,
    }


def _cosines(signals: Signals) -> dict[str, Estimate]:
    if not signals.task_gradients:
        return {}
    leading = signals.task_gradients[0]
    cosines = {objective: signals.cosine(objective, leading) for objective in signals.objectives}
    return {objective: cosine for objective, cosine in cosines.items() if cosine is not None}


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
    _side_by_side(list(compare(reports)))


def _side_by_side(probes: Sequence[Probe]) -> None:
    if len(probes) < 2:
        st.info("Choose two probes or more.")
        return
    measures = dict.fromkeys(measure for probe in probes for measure in probe.facts)
    st.dataframe(
        [
            {"measure": name} | {probe.name: probe.facts.get(name, "–") for probe in probes}
            for name in measures
        ],
        hide_index=True,
        width="stretch",
        height="content",
    )
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
            "Each probe has a colour and a shape. The gains are what the advice expects; the cosines are "
            "what was measured on target text, over all layers after warm-up.",
            "Differences count where bars do not overlap. Cosines of one model compare well across "
            "languages; across models compare their signs.",
            "Which language will score best: a gain is over that language's own baseline.",
        )
