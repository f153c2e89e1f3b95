"""Trial: what aligning really gained, beside what was expected of it."""

import streamlit as st

from advisor.advice import Advice, Gain
from advisor.app import _files, _question, _run, _show, _state
from advisor.options import NO_ALIGNMENT, Option
from advisor.recommend import Asked, ask, recommend
from advisor.report import Report, words
from advisor.study import OptionResult, TrialResult
from probes.catalogue import METRICS
from probes.errors import InputError

_FILE = "A file of mine"


def render() -> None:
    """Draw the view."""
    st.markdown(
        "What aligning really gained on your own data. A finished probe starts a trial from Read; one of "
        "`advisor trial` can be opened here, too."
    )
    try:
        result = _chosen()
    except InputError as error:
        st.error(_show.markdown(error))
        return
    if result is not None:
        _trial(result)


def _chosen() -> TrialResult | None:
    runs = _state.finished("trial")
    linked = _state.linked_run()
    if linked is not None and linked.id in runs:
        st.session_state.setdefault("trial", linked.id)
    chosen = st.selectbox(
        "Trial",
        [*runs, _FILE],
        key="trial",
        format_func=lambda name: _run.label(runs[name]) if name in runs else name,
        persist_state="session",
    )
    if chosen in runs:
        _state.open_run(chosen)
        path = _state.queue().store.artefact(chosen, "trial.json")
        return _files.read_trial((path.name, path.read_bytes()))
    files = _files.brought("trial.json", "trial-files")
    if not files:
        st.info("Choose what a trial wrote. Nothing you choose here is kept.")
        return None
    return _files.read_trial(files[-1])


def _trial(result: TrialResult) -> None:
    st.caption(
        _show.markdown(f"{result.model} · {result.source} → {result.target} · {result.task} · really run")
    )
    signs = {row.target_gain.sign for row in result.options if row.option != NO_ALIGNMENT}
    kind = "align" if 1 in signs else "do-not-align" if signs == {-1} else "open"
    _show.html(
        f'<section class="aa-hero one {kind}" aria-label="Outcome"><div><p class="aa-verdict">What the trial '
        f'says</p><p class="aa-summary" role="heading" aria-level="2">{_show.text(result.verdict)}</p>'
        "</div></section>"
    )
    expected = _expected(result)
    _gains(result, expected)
    _refined(result, expected)
    _cost(result)


def _asked(result: TrialResult, trial: TrialResult | None = None) -> Report:
    asked = Asked(model=result.model, source=result.source, target=result.target, task=result.task)
    return Report(ask(asked, trial))


def _expected(result: TrialResult) -> Report | None:
    """The answer of the latest probe of the trial's question, else that of the evidence, if it has any."""
    wanted = (result.model, result.source, result.target, result.task)
    for run in _state.finished("probe").values():
        if (run.model, _question.short(run.source), _question.short(run.target), run.task) == wanted:
            return _files.of_run(run.id)
    try:
        return _asked(result)
    except InputError:  # of a model, language or task that the evidence does not know
        return None


def _refined(result: TrialResult, expected: Report | None) -> None:
    """The answer once it counts the trial."""
    signals = expected.signals if expected else None
    try:
        report = Report(recommend(signals, trial=result), signals) if signals else _asked(result, result)
    except InputError:
        return
    joined, command = ("this trial, the probe", "recommend") if signals else ("this trial", "ask")
    st.subheader("The answer that counts this trial", anchor=False)
    st.caption(f"From {joined} and the evidence; `advisor {command} ... --trial FOLDER` gives the same.")
    _show.answer(report, whole=False)


def _gains(result: TrialResult, expected: Report | None) -> None:
    st.subheader("What each option gained", anchor=False)
    st.caption(
        f"Gain on {_show.markdown(result.target)} test data over fine-tuning alone, in points of "
        f"{METRICS[result.metric].title}, mean over seeds with its interval."
    )
    rows = (_option_row(row, result, expected) for row in result.options)
    _show.table("All options as a table", rows, opened=True)
    _show.explain(
        "Aligned minus unaligned score, seed by seed: runs of one seed share data order and head, so "
        "their difference is the option's doing.",
        "An interval that clears zero is a gain beyond the noise of the seeds. Where measured and "
        "expected intervals overlap, the expectation was not contradicted.",
        "How other languages, tasks or seeds would fare: few seeds make wide intervals.",
    )


def _option_row(row: OptionResult, result: TrialResult, expected: Report | None) -> dict[str, object]:
    none = row.option == NO_ALIGNMENT
    gain = None if none or expected is None else expected_gain(expected.advice, row.option)
    return {
        "option": str(row.option),
        f"{result.target} score": _points(row.target),
        "gain": "" if none else words.estimated(row.target_gain, 1),
        "expected": words.expected(gain) if gain else "",
        f"{result.source} score": _points(row.source),
        f"{result.source} gain": "" if none else words.estimated(row.source_gain, 1),
        "seeds": row.seeds,
        "failed": row.unfinished,
        "seeds to ±1 point": "" if row.seeds_needed is None else str(row.seeds_needed),
        "a run takes": words.duration(row.seconds),
    }


def expected_gain(advice: Advice, option: Option) -> Gain | None:
    """What ``advice`` expects of the option, whatever the weight and the source of word pairs."""

    def kind(option: Option) -> tuple[str | None, ...]:
        return option.objective, option.schedule, option.frozen_layers

    return next((row.gain for row in advice.alternatives if kind(row.option) == kind(option)), None)


def _points(score: float | None) -> float | None:
    return None if score is None else round(score, 2)


def _cost(result: TrialResult) -> None:
    st.subheader("Cost", anchor=False)
    ended_badly = [run for run in result.runs if run.status != "done"]
    time = words.duration(sum(run.seconds for run in result.runs))
    st.caption(
        f"{len(result.runs)} runs, {f'{len(ended_badly)} not finished' if ended_badly else 'all finished'}; "
        f"{time} in all, one run after another."
    )
    for run in ended_badly:
        st.caption(_show.markdown(f"{run.option}, seed {run.seed}, {run.status}: {run.error}"))
