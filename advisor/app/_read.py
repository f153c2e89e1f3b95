"""Read: the report of a finished run or of saved files."""

import json
from collections.abc import Callable, Iterable

import streamlit as st
from pydantic import ValidationError

from advisor.advice import Advice
from advisor.app import _run, _show, _state
from advisor.options import Option
from advisor.recommend import recommend
from advisor.report import Report, words
from advisor.service import RacePlan, Run, TrialPlan
from probes.errors import InputError
from probes.request import ProbeRequest
from probes.signals import Signals

_FILES = "Files of mine"
_SEEDS, _RACE_MINUTES = 3, 30.0
"""Of a trial and of a race that are started here."""


def render() -> None:
    """Draw the view."""
    runs = {run.id: run for run in _state.known_runs() if run.status == "done" and run.kind == "probe"}
    linked = st.query_params.get("run")
    options = [*runs, _FILES]
    current = st.session_state.get("reading", linked)
    chosen = st.selectbox(
        "Result",
        options,
        index=options.index(current) if current in options else 0,
        format_func=lambda name: name if name == _FILES else _run.label(runs[name]),
        key="reading",
    )
    if chosen == _FILES:
        report, run = _of_files(), None
    else:
        run = runs[chosen]
        _state.open_run(run.id)
        report = of_run(run.id)
    if report is not None:
        _report(report, run)


def _of_files() -> Report | None:
    files = st.file_uploader(
        "advice.json, signals.json or both",
        type="json",
        accept_multiple_files=True,
        key="saved",
        max_upload_size=max(1, int(_state.queue().limits.upload_mb)),
        help="What a probe wrote. Signals alone are advised on now.",
    )
    if not files:
        st.info("Choose what a probe wrote, or start a probe. Nothing you choose here is kept.")
        return None
    try:
        return read_report([(file.name, file.getvalue()) for file in files])
    except InputError as error:
        st.error(_show.markdown(error))
        return None


@st.cache_data(max_entries=20, show_spinner=False)
def of_run(run_id: str) -> Report:
    """The report of a finished run."""
    store = _state.queue().store
    return read_report(
        (name, store.artefact(run_id, name).read_bytes()) for name in ("advice.json", "signals.json")
    )


def _report(report: Report, run: Run | None) -> None:
    _downloads(report, run)
    if run is not None:
        _for_real(report, run)
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
        on_click=_start_trial,
        args=(request, spoken_of.option),
        help="Aligns and fine-tunes for real, beside fine-tuning alone; the answer then counts it.",
    )
    minutes = min(_RACE_MINUTES, _state.queue().limits.run_minutes)
    st.button(
        f"Start a race of {minutes:g} minutes",
        on_click=_start,
        args=(request, RacePlan(minutes=minutes)),
        help="Runs the most promising options for real, cut short, and decides within that time.",
    )
    if "refusal" in st.session_state:
        st.error(_show.markdown(st.session_state.pop("refusal")))


def _start_trial(request: ProbeRequest, option: Option) -> None:
    _start(request, TrialPlan(options=(option.spec,), seeds=_SEEDS))


def _start(request: ProbeRequest, plan: TrialPlan | RacePlan) -> None:
    try:
        run = _state.queue().submit(request, _state.session(), plan)
    except InputError as error:
        st.session_state.refusal = str(error)
        return
    _state.switch("probe")()
    _state.open_run(run.id)


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


def read_signals(name: str, content: bytes) -> Signals:
    """The signals in a file.

    Raises:
        InputError: if it holds none.
    """
    try:
        return Signals.model_validate_json(content)
    except ValidationError as error:
        raise InputError(
            f"{name} is no signals.json of this version: choose one that a probe wrote."
        ) from error


def read_report(files: Iterable[tuple[str, bytes]]) -> Report:
    """The report that saved files make: advice, signals, or both.

    Signals without advice are advised on now, as ``advisor recommend`` does.

    Args:
        files: name and content of each.

    Raises:
        InputError: if a file is neither, there are two of a kind, or advice and signals are of different
            questions.
    """
    advice: Advice | None = None
    signals: Signals | None = None
    for name, content in files:
        if _is_advice(content):
            if advice is not None:
                raise InputError(
                    "Those are two files of advice: choose one, with its signals if you have them."
                )
            try:
                advice = Advice.model_validate_json(content)
            except ValidationError as error:
                raise InputError(
                    f"{name} is no advice.json of this version: choose one that a probe wrote."
                ) from error
        elif signals is not None:
            raise InputError(
                "Those are two files of signals: choose one, or compare them in the view Compare."
            )
        else:
            signals = read_signals(name, content)
    if advice is None:
        if signals is None:
            raise InputError("Nothing was chosen: take a signals.json or an advice.json.")
        return Report(recommend(signals), signals)
    if signals is not None and advice.provenance.model_sha256 != signals.model.sha256:
        raise InputError("Advice and signals are of different probes: choose two that belong together.")
    return Report(advice, signals)


def _is_advice(content: bytes) -> bool:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and "decision" in fields
