"""A run as it goes: queue, phases, time left, cancel; and the other runs one may see."""

import time

import streamlit as st
from pydantic import ValidationError

from advisor.app import _show, _state
from advisor.race import RaceResult
from advisor.race.console import race_chart
from advisor.report import words
from advisor.service import RacePlan, Run, TrialPlan
from probes.errors import InputError
from probes.progress import PHASES
from probes.request import ProbeRequest

_WAITING = {"queued": "waiting"}
_STEPS = {"grid": "cells of the grid", "trial": "runs of the trial", "race": "time of the race"}
"""What the one phase of a run counts that is no probe."""
_SECONDS = 1.0
"""Between two looks at a run that is under way."""


def label(run: Run) -> str:
    """A run in a line."""
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created))
    question = f"{run.model}, {run.source} → {run.target}, {run.task}"
    what = f"{run.budget} probe" if run.kind == "probe" else run.kind
    return f"{question}, {what}: {_WAITING.get(run.status, run.status)}, {begun}"


def start(request: ProbeRequest, plan: TrialPlan | RacePlan | None = None) -> None:
    """Queue a run and show it; a refusal is kept for :func:`refusal`."""
    try:
        run = _state.queue().submit(request, _state.session(), plan)
    except InputError as error:
        st.session_state.refusal = str(error)
        return
    st.session_state.pop("stored", None)
    _state.switch("probe")()
    _state.open_run(run.id)


def refusal() -> None:
    """Say why a run could not be started, if one could not."""
    if "refusal" in st.session_state:
        st.error(_show.markdown(st.session_state.pop("refusal")))


def render(run: Run) -> None:
    """Show a run; what is under way is looked at again every second, the rest of the page stays."""
    st.subheader(_show.markdown(f"{run.model}, {run.source} → {run.target}, {run.task}"), anchor=False)
    if run.active:
        _live(run.id)
    else:
        _ended(run)


@st.fragment(run_every=_SECONDS)
def _live(run_id: str) -> None:
    run = _state.linked_run()
    if run is None or run.id != run_id or not run.active:  # ended, removed, or another was opened
        st.rerun()
    if run.status == "queued":
        first = {0: "it is next", 1: "1 run comes first"}.get(run.ahead, f"{run.ahead} runs come first")
        st.info(f"Waiting: {first}.")
    else:
        _progress(run)
    if _state.queue().store.has_result(run):
        st.button("Read the finished cells", on_click=_state.switch("read"))
    st.caption(
        "The run goes on when you close this page. Its address leads back here; whoever has it can see this "
        "run and its result."
    )
    if _state.may_change(run):
        st.button("Cancel the run", on_click=_cancel, args=(run,), key="cancel")
    else:
        st.caption("It was started in another browser: only there it can be cancelled.")


def _cancel(run: Run) -> None:
    if _state.may_change(run):
        _state.queue().cancel(run.id)


def _resume(run: Run) -> None:
    if _state.may_change(run):
        _state.queue().resume(run.id)


def _remove(run: Run) -> None:
    if _state.may_change(run):
        _state.forget_run()
        _state.queue().store.remove(run.id)


def _progress(run: Run) -> None:
    names: list[str] = list(PHASES) if run.kind == "probe" else [run.kind]
    place = names.index(run.phase) if run.phase is not None and run.phase in names else 0
    within = min(1.0, run.step / run.total) if run.total else 0.0
    said = [(PHASES | _STEPS).get(names[place], names[place]) if run.phase else "starting"]
    if run.total > 1:
        said.append(f"{min(run.step, run.total)} of {run.total}")
    said.append(f"{words.duration(run.seconds)} so far")
    if run.seconds_left:
        said.append(f"about {words.duration(run.seconds_left)} left")
    if run.memory_gib is not None:
        said.append(f"{run.memory_gib:.1f} GiB of memory")
    st.progress((place + within) / len(names), text=_show.markdown(" · ".join(said)))
    standings(run)
    if len(names) == 1:
        return
    marks = []
    for i, name in enumerate(names):
        done, now = i < place, i == place
        sign, kind = ("✓", "") if done else ("●", ' class="now" aria-current="step"') if now else ("○", "")
        marks.append(f'<li{kind}><span aria-hidden="true">{sign}</span> {_show.text(PHASES[name])}</li>')
    _show.html(f'<ol class="aa-phases" aria-label="Phases">{"".join(marks)}</ol>')


def _ended(run: Run) -> None:
    after = f" after {words.duration(run.seconds)}" if run.seconds else ""
    if run.status == "done":
        st.success(_show.markdown(f"Done{after}: {run.summary}"))
    elif run.status == "cancelled":
        kept = {
            "race": "What it has found is kept, and it can go on.",
            "grid": "Of its cells, what was finished is kept.",
        }
        st.info(f"Cancelled{after}. {kept.get(run.kind, 'Nothing of it was kept.')}")
    else:
        st.error(_show.markdown(f"{run.status.capitalize()}{after}: {run.error}"))
    standings(run)
    with st.container(horizontal=True):
        if run.kind != "race" and _state.queue().store.has_result(run):
            view = "trial" if run.kind == "trial" else "read"
            st.button("Read the result", type="primary", on_click=_state.switch(view))
        if run.kind == "race" and run.status != "done" and _state.may_change(run):
            st.button("Go on with the race", type="primary", on_click=_resume, args=(run,), key="resume")
        st.button("New probe", on_click=_state.forget_run, key="new-probe")
        if _state.may_change(run):
            with st.popover("Remove", width="content"):
                st.markdown("The run and its results will be gone, for everybody who has the link.")
                st.button("Remove for good", on_click=_remove, args=(run,), key="remove")


def others(shown: str | None) -> None:
    """The other runs this visitor may see, to go to."""
    runs = [run for run in _state.known_runs() if run.id != shown]
    if not runs:
        return
    st.subheader("All runs" if _state.queue().limits.list_all else "Your runs", anchor=False)
    with st.container(gap=None):
        for run in runs[:20]:
            st.button(
                _show.markdown(label(run)),
                key=f"open-{run.id}",
                on_click=_state.open_run,
                args=(run.id,),
                type="tertiary",
            )


def standings(run: Run) -> None:
    """Show how the options of a race stand; nothing for other runs, or before its first step."""
    stored = _state.queue().store.race(run.id) if run.kind == "race" else None
    if stored is None:
        return
    try:
        result = RaceResult.model_validate_json(stored)
    except ValidationError:  # of another version
        return
    rows = [
        {
            "option": str(arm.option),
            "run to": f"{arm.reach:.0%}" if arm.error is None else "out",
            "seen, points": None if arm.measured is None else round(arm.measured, 1),
            "gain, points": round(arm.gain.mean, 1),
            "80 % interval": f"{arm.gain.low:+.1f} to {arm.gain.high:+.1f}",
            "P(best)": f"{arm.best:.0%}",
        }
        for arm in result.arms
    ]
    alone = {"option": "none (fine-tune only)", "gain, points": 0.0, "P(best)": f"{result.best_alone:.0%}"}
    st.markdown(_show.markdown(result.summary))
    _show.table("How the options stand", [*rows, alone], opened=True)
    _show.chart(race_chart(result), "Gain over fine-tuning alone at each look, a line for every run")
