"""Grid: many questions at once, answered from the evidence; a cell opens its card."""

import streamlit as st

from advisor.app import _question, _show, _state
from advisor.grid import SORTS, AnswerCell, AnswerGrid, ask_grid, crossed
from advisor.report import Report
from advisor.report.words import interval, signed
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
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.text_input(
            "Filter", key="grid-filter", placeholder="a language, a task, align, likely ..."
        )
        by = st.selectbox("Order", list(SORTS), key="grid-sort", width=160)
        st.download_button("CSV", grid.to_csv(), "grid.csv", "text/csv", on_click="ignore", width="content")
    shown = [cell for cell in grid.sorted(by).cells if all(w in _words(cell) for w in wanted.lower().split())]
    if not shown:
        st.caption("No cell holds all of these words.")
        return
    st.caption("★ highest expected final score of its row, where one study compares the encoders.")
    with st.container(key="grid-table"):
        _table(AnswerGrid(cells=tuple(shown)))
    with st.container(key="grid-list"):
        _show.html("".join(map(_item, shown)))


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
    if advice is None or advice.gain is None:
        return "no answer"
    best = " ★" if cell.score and cell.score.best else ""
    return f"{'Align' if advice.aligns else 'Alone'}, {advice.confidence} {signed(advice.gain.mean)}{best}"


def _table(grid: AnswerGrid) -> None:
    """Questions down, models across; the chosen cell's card below."""
    import pandas as pd

    found = {(cell.target, cell.task, cell.model): cell for cell in grid.cells}
    rows = list(dict.fromkeys((cell.target, cell.task) for cell in grid.cells))
    frame = pd.DataFrame(
        [
            {"Language": _question.called(target), "Task": task}
            | {m: _said(found[target, task, m]) if (target, task, m) in found else "" for m in grid.models}
            for target, task in rows
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
    for number, model in event.selection.cells:
        cell = found.get((*rows[number], model)) if number < len(rows) else None
        if cell is None:
            st.caption("Choose a cell in the column of a model: its card opens here.")
        elif cell.advice is None:
            st.error(_show.markdown(cell.problem))
        else:
            question = {"model": cell.model, "target": cell.target, "task": cell.task, "source": cell.source}
            st.button("Open this question", on_click=_state.switch("ask", **question))
            _show.answer(Report(cell.advice), whole=False)


def _item(cell: AnswerCell) -> str:
    """A cell as a line that opens, for a narrow screen."""
    name = f"{_question.called(cell.target)}, {cell.task}, {cell.model}"
    advice = cell.advice
    more = cell.problem if advice is None else advice.summary
    if advice is not None and advice.gain is not None:
        more = f"{more} Expected gain {signed(advice.gain.mean)} points ({interval(advice.gain)})."
    said = f"<b>{_show.text(_said(cell))}</b> {_show.text(name)}"
    return f"<details class='aa-cell'><summary>{said}</summary><p>{_show.text(more)}</p></details>"
