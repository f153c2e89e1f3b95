"""Probe: say what to measure, see what would be read, start it, follow it."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, get_args

import streamlit as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.uploaded_file_manager import UploadedFile

from advisor.app import _question, _run, _show, _state
from advisor.corpora import find_data
from advisor.recommend import Asked, listed
from advisor.report import words
from advisor.sample import LANGUAGES, SAMPLE_PREFIX
from advisor.service import UPLOAD_PREFIX, Preview, RunRequest, Upload
from probes.data import Columns, Reading
from probes.errors import InputError
from probes.request import COLUMNS, ProbeRequest, problem_in

_SAMPLE, _UPLOAD, _PATHS = "The sample", "Upload files", "Paths and data sets"
_SAMPLE_TASKS = {"pos": "{}.conllu", "topic": "topics.{}.tsv", "qa": "questions.{}.json"}
_DATA = {name: field for name, field in ProbeRequest.fields_of("data").items() if name != "columns"}
_SPREAD = 4
"""Inputs beside each other."""


def render() -> None:
    """Draw the view."""
    run = _state.linked_run()
    if run is None and "run" in st.query_params:
        st.warning("The run that this link names is not here (any more).")
        _state.forget_run()
    if run is not None:
        _run.render(run)
    else:
        _form()
    _run.others(run.id if run else None)


def _form() -> None:
    st.markdown(
        "Measure your own encoder on your own data. The model is only read; a run takes minutes and goes on "
        "when you close the page. Several models or languages, with commas between, make a table."
    )
    question = _question.question_inputs(model="bundled")
    kind = st.segmented_control(
        "Data",
        [_SAMPLE, _UPLOAD, _PATHS],
        key="data",
        default=_SAMPLE,
        required=True,
        persist_state="session",
    )
    named = {_SAMPLE: _sample, _UPLOAD: _uploads, _PATHS: _paths}[kind](question)
    more = _more()
    asked = ProbeRequest.model_fields["budget"]
    budget = st.segmented_control(
        str(asked.title),
        get_args(asked.annotation),
        key="budget",
        default="quick",
        required=True,
        persist_state="session",
        help=asked.description,
    )
    if named is None:
        return
    try:
        request = RunRequest(
            model=question.model,
            source=question.source,
            target=question.target,
            task=question.task,
            **named,
            budget=budget,
            **more,
        )
    except ValidationError as error:
        st.error(_show.markdown(problem_in(error)))
        return
    _check_and_start(request)


def _check_and_start(request: ProbeRequest) -> None:
    with st.spinner("Reading the data", show_time=False):
        preview = _preview(request)
    if isinstance(preview, str):
        st.error(_show.markdown(preview))
        return
    _what_was_read(preview)
    if request.target_labels is None:
        st.info(
            "Without target labels the probe measures distances and the direction on projected labels, but "
            "neither the gap between the languages nor the direction on target text, which move the answer "
            "most: about a hundred labelled sentences would do."
        )
    if preview.problem is None:
        probes = preview.cells - len(preview.refused)
        label = "Start the probe" if probes == 1 else f"Start {probes} probes"
        st.button(label, type="primary", on_click=_run.start, args=(request,))
    _run.refusal()


def _preview(request: ProbeRequest) -> Preview | str:
    """What would be read, or why it cannot be; kept until something else is asked for."""
    key = request.model_dump_json(exclude={"seed", "min_gain"})
    if st.session_state.get("previewed", (None,))[0] != key:
        queue = _state.queue()
        try:
            st.session_state.previewed = key, queue.preview(request, _state.session())
        except InputError as error:
            st.session_state.previewed = key, str(error)
    preview: Preview | str = st.session_state.previewed[1]
    return preview


# --- where the data comes from ---------------------------------------------------------------------------


def _sample(question: Asked) -> dict[str, Any] | None:
    source, target, task = question.source, question.target, question.task
    several = len(listed(target)) > 1
    if source != "en" or not {*listed(target)} <= {*LANGUAGES[1:]} or task not in _SAMPLE_TASKS:
        st.info(
            f"The sample goes from en to {', '.join(LANGUAGES[1:])} and is labelled for "
            f"{', '.join(_SAMPLE_TASKS)}: choose those above, or bring your own data."
        )
        return None
    st.caption(
        "120 everyday sentences and 20 passages in six languages: to see how a probe goes, not to measure "
        "anything by."
    )
    labels, name = SAMPLE_PREFIX + _SAMPLE_TASKS[task], "{target}" if several else target
    return {
        "train": labels.format("en"),
        "bitext": f"sample:bitext.en-{name}.tsv",
        "target_labels": labels.format(name),
    }


def _uploads(question: Asked) -> dict[str, Any] | None:
    st.caption(
        "Files are yours alone: nobody else can name them, and they are removed a day after their last run, "
        "or with it."
    )
    targets = listed(question.target)
    if len(targets) < 2:
        return _own(question, _uploaded)
    st.caption("But for the labelled source data, one file for each target, its code in the name: en-tr.tsv.")
    uploads: dict[str, str] = {}

    def of_targets(place: DeltaGenerator, role: str, field: FieldInfo) -> str:
        if role == "train":
            return _uploaded(place, role, field)
        files = _files(place, f"upload-{role}-each", field, several=True)
        for target in targets:
            own = [file for file in files if target in re.split(r"[\W_]", file.name)]
            if len(own) > 1:
                place.error(
                    _show.markdown(f"{own[0].name} and {own[1].name} are both of {target}: keep one.")
                )
                return ""
            uploads.update({f"{role}.{target}": _stored(file).spec for file in own})
        return f"{UPLOAD_PREFIX}{role}.{{target}}" if files else ""

    specs = _own(question, of_targets)
    return specs and {**specs, "uploads": uploads}


def _paths(question: Asked) -> dict[str, Any] | None:
    roots = _state.queue().limits.roots
    where = " or ".join(f"`{root}`" for root in roots)
    st.caption(
        (f"Files below {where}, or " if roots else "No folders of this machine are open here; give ")
        + "data sets of the hub as `hf:NAME:CONFIG:SPLIT`."
    )
    return _own(question, _typed)


def _own(question: Asked, named: Callable[[DeltaGenerator, str, FieldInfo], str]) -> dict[str, Any] | None:
    """Ask for each kind of data; where some is missing, say which public sets there are."""
    places = zip(_grid(len(_DATA), 2), _DATA.items(), strict=True)
    specs = {role: spec for place, (role, field) in places if (spec := named(place, role, field))}
    if {"train", "bitext"} <= specs.keys():
        return specs
    st.info("Labelled source data and a bitext are needed.")
    with suppress(InputError):  # of the question itself, which is said elsewhere
        data = find_data(source=question.source, target=question.target, task=question.task)
        with st.expander("Public data for this question"):
            st.markdown(data.markdown())
    return None


def _typed(place: DeltaGenerator, role: str, field: FieldInfo) -> str:
    return place.text_input(
        _label(field), key=f"path-{role}", help=field.description, persist_state="session"
    ).strip()


def _uploaded(place: DeltaGenerator, role: str, field: FieldInfo) -> str:
    files = _files(place, f"upload-{role}", field, several=role == "bitext")
    return ",".join(_stored(file).spec for file in files)


def _files(place: DeltaGenerator, key: str, field: FieldInfo, *, several: bool) -> list[UploadedFile]:
    files = place.file_uploader(
        _label(field),
        key=key,
        accept_multiple_files=several,
        max_upload_size=max(1, int(_state.queue().limits.upload_mb)),
        help=field.description,
    )
    return files if isinstance(files, list) else [files] if files else []


def _stored(file: UploadedFile) -> Upload:
    """The file where a run can find it; sent to the store once."""
    stored: dict[str, Upload] = st.session_state.setdefault("stored", {})
    if file.file_id not in stored or not stored[file.file_id].path.exists():
        queue = _state.queue()
        chunks = iter(lambda: file.read(1 << 20), b"")
        file.seek(0)
        stored[file.file_id] = queue.store.save_upload(
            _state.session(), file.name, chunks, queue.limits.upload_bytes
        )
    return stored[file.file_id]


def _grid(count: int, width: int) -> list[DeltaGenerator]:
    """Places for so many inputs, row by row."""
    return [place for _ in range(-(-count // width)) for place in st.columns(width)][:count]


def _label(field: FieldInfo) -> str:
    return str(field.title) if field.is_required() else f"{field.title} (optional)"


def _more() -> dict[str, Any]:
    """Column names, and how to measure."""
    others = {name: field for name, field in ProbeRequest.fields_of("measuring").items() if name != "budget"}
    with st.expander("More: columns, device, precision, seed, smallest gain of interest"):
        names = {
            name: place.text_input(
                f"{name.capitalize()} column", key=f"column-{name}", help=text, persist_state="session"
            ).strip()
            or None
            for place, (name, text) in zip(_grid(len(COLUMNS), _SPREAD), COLUMNS.items(), strict=True)
        }
        more = {
            name: _measuring(place, name, field)
            for place, (name, field) in zip(_grid(len(others), _SPREAD), others.items(), strict=True)
        }
    return {**more, "columns": Columns(**names) if any(names.values()) else None}


def _measuring(place: DeltaGenerator, name: str, field: FieldInfo) -> Any:
    """An input for a field, by its type: a choice, a number between its limits, or text."""
    key, label = f"probe-{name.replace('_', '-')}", str(field.title)
    choices = get_args(field.annotation)
    if choices:
        return place.selectbox(label, choices, choices.index(field.default), key=key, help=field.description)
    if field.annotation is str:
        return place.text_input(label, field.default, key=key, help=field.description)
    kind: type[int] | type[float] = int if field.annotation is int else float
    limits = ProbeRequest.model_json_schema()["properties"][name]
    low, high = limits["minimum"], limits.get("maximum", limits.get("exclusiveMaximum", 1) - 1)
    step = 1 if kind is int else 0.1
    return place.number_input(
        label, kind(low), kind(high), field.default, step, key=key, help=field.description
    )


# --- what was read ---------------------------------------------------------------------------------------


def _what_was_read(preview: Preview) -> None:
    for sentence in preview.refused:
        st.warning(_show.markdown(sentence))
    if preview.cells > 1:
        st.caption(f"{preview.cells} cells; what follows is of the first that can be probed.")
    st.subheader("What was read", anchor=False)
    for seen in preview.inputs:
        _input(seen)
    if preview.unread:
        st.caption(_show.markdown(f"Read when the run starts, and all else with it: {preview.unread[0]}."))
    if preview.problem is not None:
        st.error(_show.markdown(preview.problem))
        return
    if preview.forecast is None:
        cost = "This model's size is only known once it is loaded; the run then says what it will take."
    else:
        low, high = map(words.duration, (preview.forecast.fastest, preview.forecast.slowest))
        cost = (
            f"Between {low} and {high}, and {preview.forecast.memory_gib:.1f} GiB of memory, on this "
            "machine's processor as busy as it is now. The run times its first steps and then says it better."
        )
    st.markdown(f"**Estimate.** {cost}")


def _input(seen: Reading) -> None:
    counted = f"{words.count(seen.kept)} of {words.count(seen.read)} kept"
    with st.expander(_show.markdown(f"{seen.role}: {counted} · {seen.name} ({seen.layout})")):
        for line in filter(None, (seen.counts, seen.label_counts)):
            st.caption(_show.markdown(f"{line[0].upper()}{line[1:]}."))
        if seen.samples:
            st.dataframe(
                [dict(zip(seen.header, map(words.clean, row), strict=True)) for row in seen.samples],
                hide_index=True,
                width="stretch",
            )
    for note in seen.notes:
        st.info(_show.markdown(f"{seen.role}: {note}"))
