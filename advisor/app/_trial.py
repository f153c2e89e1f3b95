"""Trial: what aligning really gained, beside what was expected of it."""

from collections.abc import Mapping

import streamlit as st

from advisor.advice import Advice
from advisor.app import _pictures, _question, _read, _run, _show, _state
from advisor.app._trial_files import (
    Trial,
    expected_gain,
    find_trials,
    learning_curves,
    open_trial,
    read_trial,
)
from advisor.options import NO_ALIGNMENT, Option
from advisor.recommend import ask, recommend
from advisor.report import Report, words
from advisor.study import OptionResult, TrialResult
from probes.catalogue import METRICS
from probes.errors import InputError

_FILES = "Files of mine"
_EVIDENCE, _NOTHING, _GIVEN = "evidence", "nothing", "given"
"""What to compare with, beside runs by their id."""


def render() -> None:
    """Draw the view."""
    st.markdown(
        "What aligning really gained on your own data. A finished probe starts a trial from Read; one of "
        "`advisor trial` can be opened here, too."
    )
    trial = _chosen()
    if trial is not None:
        _trial(trial)


def _chosen() -> Trial | None:
    limits = _state.queue().limits
    runs = {run.id: run for run in _state.known_runs() if run.status == "done" and run.kind == "trial"}
    linked = _state.linked_run()
    options = [*runs, *(str(folder) for folder in find_trials(limits)), _FILES]
    if linked is not None and linked.id in runs:
        st.session_state.setdefault("trial", linked.id)
    chosen = st.selectbox(
        "Trial",
        options,
        key="trial",
        format_func=lambda name: _run.label(runs[name]) if name in runs else name,
        persist_state="session",
        accept_new_options=bool(limits.roots),
        help="A folder that a trial was written to: choose or type one." if limits.roots else None,
    )
    try:
        if chosen in runs:
            _state.open_run(chosen)
            return read_trial(_state.queue().store.trial_files(chosen))
        if chosen and chosen != _FILES:
            return open_trial(chosen, limits)
        files = st.file_uploader(
            "trial.json, and the files in records/ for learning curves",
            type="json",
            accept_multiple_files=True,
            key="trial-files",
            max_upload_size=max(1, int(limits.upload_mb)),
            help="With the advice.json of the probe before it, both are shown side by side.",
        )
        if not files:
            st.info("Choose what a trial wrote. Nothing you choose here is kept.")
            return None
        return read_trial((file.name, file.getvalue()) for file in files)
    except InputError as error:
        st.error(_show.markdown(error))
        return None


def _trial(trial: Trial) -> None:
    result = trial.result
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
    beside = _compared_with(trial)
    advice = beside.advice if beside else None
    labels = _labels(result)
    _gains(result, advice, labels)
    _refined(result, beside)
    _curves(trial, labels)
    _cost(trial)


def _compared_with(trial: Trial) -> Report | None:
    """The answer to show beside the trial, with the signals that it rests on where there are any."""
    result = trial.result
    runs = {
        run.id: run
        for run in _state.known_runs()
        if run.status == "done"
        and run.kind == "probe"
        and (_question.short(run.source), _question.short(run.target), run.task)
        == (result.source, result.target, result.task)
    }
    names = {_EVIDENCE: "the evidence alone, without a probe", _NOTHING: "nothing"}
    if trial.advice is not None:
        names = {_GIVEN: "the advice.json among the files"} | names
    same_model = [run_id for run_id, run in runs.items() if run.model == result.model]
    options = [*([_GIVEN] if trial.advice else []), *same_model]
    options += [*(run_id for run_id in runs if run_id not in same_model), _EVIDENCE, _NOTHING]
    chosen = st.selectbox(
        "Beside it, what was expected by",
        options,
        format_func=lambda name: names.get(name) or f"probe: {_run.label(runs[name])}",
        key="trial-beside",
    )
    if chosen == _NOTHING:
        return None
    if chosen == _EVIDENCE:
        try:
            return Report(_asked(result))
        except InputError as error:
            st.error(_show.markdown(error))
            return None
    report = Report(trial.advice) if chosen == _GIVEN and trial.advice else _read.of_run(chosen)
    if asked := _differs(report.advice, result):
        st.warning(_show.markdown(f"That advice is about {asked}, the trial is about something else."))
    return report


def _asked(result: TrialResult, trial: TrialResult | None = None) -> Advice:
    return ask(model=result.model, source=result.source, target=result.target, task=result.task, trial=trial)


def _refined(result: TrialResult, beside: Report | None) -> None:
    """The answer once it counts the trial."""
    signals = beside.signals if beside and not _differs(beside.advice, result) else None
    try:
        advice = recommend(signals, trial=result) if signals else _asked(result, result)
    except InputError:  # of a model, language or task that the evidence does not know: said above
        return
    joined, command = ("this trial, the probe", "recommend") if signals else ("this trial", "ask")
    st.subheader("The answer that counts this trial", anchor=False)
    st.caption(f"From {joined} and the evidence; `advisor {command} ... --trial FOLDER` gives the same.")
    _show.answer(Report(advice, signals), whole=False)


def _differs(advice: Advice, result: TrialResult) -> str:
    question = advice.question
    same = (question.model, _question.short(question.source), _question.short(question.target), question.task)
    if same == (result.model, result.source, result.target, result.task):
        return ""
    return f"{question.model}, {question.source} → {question.target}, {question.task}"


def _labels(result: TrialResult) -> dict[Option, str]:
    """What the options are called, in two lines; weights and word pairs where they tell options apart."""
    options = [row.option for row in result.options]
    short = ["\n".join(filter(None, label)) for label in words.option_labels(options)]
    return {
        option: label if short.count(label) == 1 else f"{label}\nweight {option.weight}, {option.word_pairs}"
        for option, label in zip(options, short, strict=True)
    }


def _gains(result: TrialResult, advice: Advice | None, labels: Mapping[Option, str]) -> None:
    st.subheader("What each option gained", anchor=False)
    metric = METRICS[result.metric].title
    picture, words = st.columns([2, 1], gap="large")
    with picture:
        st.caption(
            f"Gain on {_show.markdown(result.target)} test data over fine-tuning alone, in points of "
            f"{metric}; thin ticks are single seeds."
        )
        _show.chart(
            _pictures.trial_chart(result, advice, labels),
            "Gain of each option in the trial with its interval"
            + (", beside the gain that was expected." if advice else "."),
            missing="No option has two finished runs beside those of fine-tuning alone.",
        )
    with words:
        _show.explain(
            "Aligned minus unaligned score, seed by seed: runs of one seed share data order and head, so "
            "their difference is the option's doing.",
            "An interval that clears zero is a gain beyond the noise of the seeds. Where measured and "
            "expected intervals overlap, the expectation was not contradicted.",
            "How other languages, tasks or seeds would fare: few seeds make wide intervals.",
        )
    _show.table(
        "All options as a table",
        (_option_row(row, result, advice, labels[row.option]) for row in result.options),
        opened=True,
    )


def _option_row(
    row: OptionResult, result: TrialResult, advice: Advice | None, label: str
) -> dict[str, object]:
    none = row.option == NO_ALIGNMENT
    expected = expected_gain(advice, row.option) if advice and not none else None
    return {
        "option": label.replace("\n", ", "),
        f"{result.target} score": _points(row.target),
        "gain": "" if none else words.estimated(row.target_gain, 1),
        "expected": f"{words.signed(expected.mean)} ({words.interval(expected)})" if expected else "",
        f"{result.source} score": _points(row.source),
        f"{result.source} gain": "" if none else words.estimated(row.source_gain, 1),
        "seeds": row.seeds,
        "failed": row.unfinished,
        "seeds to ±1 point": "" if row.seeds_needed is None else str(row.seeds_needed),
        "a run takes": words.duration(row.seconds),
    }


def _points(score: float | None) -> float | None:
    return None if score is None else round(score, 2)


def _curves(trial: Trial, labels: Mapping[Option, str]) -> None:
    st.subheader("Learning curves", anchor=False)
    if trial.strangers:
        st.warning(f"{trial.strangers} of the records belong to another trial and were left out.")
    rows = list(learning_curves(trial.records))
    if not rows:
        st.caption(
            "No curves without the records of the runs: choose the files in records/ as well."
            if not trial.records
            else "The records hold no losses."
        )
        return
    missing = len(trial.result.runs) - len(trial.records)
    st.caption(
        f"Training losses of {len(trial.records)} runs, means over seeds and stretches of steps."
        + (f" The records of {missing} runs were not among the files." if missing else "")
    )
    for column, loss, what in zip(
        st.columns(2, gap="medium"),
        ("task", "alignment"),
        ("Task loss on source text", "Alignment loss on the bitext"),
        strict=True,
    ):
        with column:
            _show.chart(
                _pictures.curve_chart(rows, loss, labels),
                f"{what} by optimiser step, a line for each option.",
                missing="No alignment loss was recorded."
                if loss == "alignment"
                else "No task loss was recorded.",
            )
    _show.explain(
        "The losses that training minimised: the task's on labelled source text, the alignment's on bitext.",
        "A curve still falling at its end would have gained from more steps; task curves that part early say "
        "that alignment gets in the way of the task, or helps it to start.",
        "Transfer: a lower training loss on source text is no higher score on target text. Alignment losses "
        "of different objectives are in different units.",
    )
    _show.table(
        "The curves as a table",
        (
            {
                "option": labels[row.option].replace("\n", ", "),
                "loss": row.loss,
                "phase": row.phase,
                "step": round(row.step, 1),
                "value": round(row.value, 4),
            }
            for row in rows
        ),
    )


def _cost(trial: Trial) -> None:
    st.subheader("Cost", anchor=False)
    runs = trial.result.runs
    ended_badly = [run for run in runs if run.status != "done"]
    facts = {
        "Runs": (str(len(runs)), f"{len(ended_badly)} not finished" if ended_badly else "all finished"),
        "Time in all": (words.duration(sum(run.seconds for run in runs)), "one run after another"),
    }
    devices = dict.fromkeys(f"{record.device}, {record.threads} threads" for record in trial.records)
    if devices:
        facts["Where"] = "; ".join(devices), ""
    _show.facts(facts)
    if ended_badly:
        st.markdown("**Not finished**")
        _show.notes([f"{run.option}, seed {run.seed}, {run.status}: {run.error}" for run in ended_badly], "")
    _show.table(
        "Every run as a table",
        (
            {
                "option": str(run.option),
                "seed": run.seed,
                "status": run.status,
                f"{trial.result.target} score": _points(run.target),
                f"{trial.result.source} score": _points(run.source),
                "time": words.duration(run.seconds),
                "record": run.record,
            }
            for run in runs
        ),
    )
