"""What probes and trials wrote: of finished runs, and in files a visitor brings."""

from collections.abc import Iterable
from contextlib import suppress

import streamlit as st
from pydantic import ValidationError

from advisor.advice import Advice
from advisor.app import _state
from advisor.recommend import recommend
from advisor.report import Report
from advisor.study import TrialResult
from probes.errors import InputError
from probes.signals import Signals

File = tuple[str, bytes]
"""Its name and content."""


def brought(label: str, key: str, explanation: str | None = None) -> list[File]:
    """Ask for JSON files; they are read and not kept."""
    files = st.file_uploader(
        label,
        type="json",
        accept_multiple_files=True,
        key=key,
        max_upload_size=max(1, int(_state.queue().limits.upload_mb)),
        help=explanation,
    )
    return [(file.name, file.getvalue()) for file in files]


def read(file: File) -> Advice | Signals | TrialResult:
    """What a file holds.

    Raises:
        InputError: if that is none of the three.
    """
    name, content = file
    for kind in (Advice, Signals, TrialResult):
        with suppress(ValidationError):
            return kind.model_validate_json(content)
    raise InputError(
        f"{name} is no advice.json, signals.json or trial.json of this version: choose what a probe or a "
        "trial wrote."
    )


def read_report(files: Iterable[File]) -> Report:
    """The report that saved files make: advice, signals, or both.

    Signals without advice are advised on now, as ``advisor recommend`` does.

    Raises:
        InputError: if a file is neither, there are two of a kind, or advice and signals are of different
            questions.
    """
    things = [read(file) for file in files]
    advice = [thing for thing in things if isinstance(thing, Advice)]
    signals = [thing for thing in things if isinstance(thing, Signals)]
    if not things or len(advice) > 1 or len(signals) > 1 or len(things) > len(advice) + len(signals):
        raise InputError(
            "Those files make no report: choose one advice.json, one signals.json or both. Several probes "
            "are put side by side in the view Compare."
        )
    if not advice:
        return Report(recommend(signals[0]), signals[0])
    if signals and advice[0].provenance.model_sha256 != signals[0].model.sha256:
        raise InputError("Advice and signals are of different probes: choose two that belong together.")
    return Report(advice[0], signals[0] if signals else None)


@st.cache_data(max_entries=20, show_spinner=False)
def of_run(run_id: str, cell: str | None = None) -> Report:
    """The report of a finished run, or of a cell of a grid."""
    store = _state.queue().store
    return read_report(
        (name, store.artefact(run_id, name, cell).read_bytes()) for name in ("advice.json", "signals.json")
    )


def read_trial(file: File) -> TrialResult:
    """The trial in a ``trial.json``.

    Raises:
        InputError: if it is none.
    """
    thing = read(file)
    if not isinstance(thing, TrialResult):
        raise InputError(f"{file[0]} is no trial.json: choose what a trial wrote.")
    return thing
