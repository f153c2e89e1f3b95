"""Grid: many questions at once, answered from the evidence or by probes; a cell opens its card."""

from collections.abc import Mapping
from contextlib import suppress

import streamlit as st

from advisor.app import _files, _question, _show, _state
from advisor.grid import SORTS, AnswerCell, AnswerGrid, JointAnswer, ask_grid, crossed, grid_page
from advisor.report import Report
from advisor.report.words import estimated, interval, signed
from advisor.service import Run, UnknownRunError
from probes.catalogue import TASKS

_MOST = 600
_DEFAULTS = {
    "model": ["xlm-roberta-base", "bert-base-multilingual-cased"],
    "target": ["tr", "ar", "sw"],
    "task": ["pos", "nli"],
}


def render() -> None:
    """Draw the view."""
    known = {"model": _question.models(), "target": _question.languages(), "task": tuple(TASKS)}
    labels = {"model": "Models", "target": "Target languages", "task": "Tasks"}
    chosen: dict[str, tuple[str, ...]] = {}
    for column, (name, options) in zip(st.columns([1.5, 1.2, 1]), known.items(), strict=True):
        with column:
            chosen[name] = tuple(
                st.multiselect(
                    labels[name],
                    [*options, *(own for own in _DEFAULTS[name] if own not in options)],
                    default=_DEFAULTS[name],
                    accept_new_options=name != "task",
                    key=f"grid-{name}",
                    persist_state="session",
                    format_func=_question.called if name == "target" else str,
                )
            )
    cells = len(chosen["model"]) * len(chosen["target"]) * len(chosen["task"])
    if not 0 < cells <= _MOST:
        st.info(f"Choose a model, a target and a task; at most {_MOST} cells at once.")
        return
    with st.spinner(f"Weighing the evidence for {cells} cells", show_time=False):
        grid = _grid(**chosen)
    show(grid)


def show(grid: AnswerGrid, run: Run | None = None) -> None:
    """What to align together, and the cells: a table, a list on a phone, and the card of the one chosen.

    Args:
        run: that measured them; the whole report of the chosen cell is shown then.
    """
    for joint in grid.joint:
        _joint(joint, grid.headings[joint.model])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.text_input(
            "Filter", key="grid-filter", placeholder="a language, a task, align, likely ..."
        )
        by = st.selectbox("Order", list(SORTS), key="grid-sort", width=160)
        _downloads(grid, run)
    shown = [cell for cell in grid.sorted(by).cells if all(w in _words(cell) for w in wanted.lower().split())]
    if not shown:
        st.caption("No cell holds all of these words.")
        return
    st.caption(
        "A cell opens its card below. "
        "★ highest expected final score of its row, where one study compares the encoders."
    )
    with st.container(key="grid-table"):
        picked = _table(AnswerGrid(cells=tuple(shown)), grid.headings)
    with st.container(key="grid-list"):
        _show.html("".join(map(_item, shown)))
    opened = st.selectbox("Card", [None, *shown], key="grid-opened", format_func=_name, width=420)
    if (cell := picked or opened) is not None:
        _card(cell, run)


@st.cache_data(max_entries=20, show_spinner=False)
def _grid(model: tuple[str, ...], target: tuple[str, ...], task: tuple[str, ...]) -> AnswerGrid:
    return ask_grid(crossed(model, target, task))


def _words(cell: AnswerCell) -> str:
    advice = cell.advice
    answer = f"{'align' if advice.aligns else 'alone'} {advice.confidence}" if advice else cell.problem
    best = "best" if cell.score and cell.score.best else ""
    return f"{cell.model} {cell.target} {_question.called(cell.target)} {cell.task} {answer} {best}".lower()


def _said(cell: AnswerCell) -> str:
    advice = cell.advice
    if advice is None:
        return "no answer" if cell.problem else "not run yet"
    gain = f" {signed(advice.gain.mean)}" if advice.gain else ""
    best = " ★" if cell.score and cell.score.best else ""
    return f"{'Align' if advice.aligns else 'Alone'}, {advice.confidence}{gain}{best}"


def _table(grid: AnswerGrid, headings: Mapping[str, str]) -> AnswerCell | None:
    """Questions down, models across; returns the cell that was chosen."""
    import pandas as pd

    rows = list(grid.rows.values())
    firsts = [next(iter(row.values())) for row in rows]
    models = {headings[model]: model for model in grid.models}
    frame = pd.DataFrame(
        [
            {"Language": _question.called(first.target), "Task": first.task}
            | {name: _said(row[model]) if model in row else "" for name, model in models.items()}
            for first, row in zip(firsts, rows, strict=True)
        ]
    )
    event = st.dataframe(
        frame,
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="single-cell",
        key="grid-cells",
    )
    picked = [
        rows[number].get(models.get(name, "")) for number, name in event.selection.cells if number < len(rows)
    ]
    return picked[0] if picked else None


def _card(cell: AnswerCell, run: Run | None) -> None:
    """The answer of a cell: with all that was measured if ``run`` measured it."""
    if cell.problem is not None:
        st.error(_show.markdown(cell.problem))
    if cell.advice is None:
        return
    if run is None:
        question = {"model": cell.model, "target": cell.target, "task": cell.task, "source": cell.source}
        st.button("Open this question", on_click=_state.switch("ask", **question))
    report = Report(cell.advice) if run is None or cell.folder is None else _files.of_run(run.id, cell.folder)
    _show.answer(report, whole=run is not None)


def _joint(joint: JointAnswer, model: str) -> None:
    """What to align together, how the targets lie to each other, and the doubts."""
    st.subheader(_show.markdown(joint.text), anchor=False)
    st.caption(
        _show.markdown(
            f"{model}, {joint.task}. Cosine of what translations add to the gradients of two targets, with "
            "its interval: 1 the same direction, 0 unrelated, below 0 against each other."
        )
    )
    for objective in joint.objectives:
        rows = [
            {objective: first} | {second: _cosine(joint, first, second, objective) for second in joint.order}
            for first in joint.order
        ]
        _show.table(objective, rows, opened=objective == joint.objective)
    for doubt in joint.doubts:
        st.caption(_show.markdown(doubt))


def _cosine(joint: JointAnswer, first: str, second: str, objective: str) -> str:
    row = joint.between(first, second, objective)
    return "" if row is None or first == second else estimated(row.net, 2)


def _downloads(grid: AnswerGrid, run: Run | None) -> None:
    files: dict[str, tuple[str, str | bytes]] = {"grid.csv": ("text/csv", grid.to_csv())}
    if run is not None:
        files["grid.json"] = "application/json", grid.to_json()
        alone = (cell.model_copy(update={"folder": None}) for cell in grid.cells)  # no reports lie beside it
        files["grid.html"] = "text/html", grid_page(grid.model_copy(update={"cells": tuple(alone)}))
        with suppress(UnknownRunError):  # no cell has one yet
            files["recipes.zip"] = "application/zip", _state.queue().store.recipe_zip(run.id)
    for name, (kind, content) in files.items():
        st.download_button(name, content, name, kind, on_click="ignore", width="content")


def _name(cell: AnswerCell | None) -> str:
    return f"{_question.called(cell.target)}, {cell.task}, {cell.model}" if cell else "choose a cell"


def _item(cell: AnswerCell) -> str:
    """A cell as a line that opens, for a narrow screen."""
    name = _name(cell)
    advice = cell.advice
    more = (cell.problem or "It has not been run yet.") if advice is None else advice.summary
    if advice is not None and advice.gain is not None:
        more = f"{more} Expected gain {signed(advice.gain.mean)} points ({interval(advice.gain)})."
    said = f"<b>{_show.text(_said(cell))}</b> {_show.text(name)}"
    return f"<details class='aa-cell'><summary>{said}</summary><p>{_show.text(more)}</p></details>"
