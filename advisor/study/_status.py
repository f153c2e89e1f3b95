"""How far a study is."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from statistics import mean
from typing import Literal

from pydantic import BaseModel, ConfigDict

from advisor.report.words import duration
from advisor.study._grid import Cell, Grid, PlannedRun, Selection
from advisor.study._inputs import load_inputs
from advisor.study._plan import read_plan
from advisor.study._state import State

RunState = Literal["done", "diverged", "failed", "left", "impossible"]


class RunTally(BaseModel):
    """Runs by how they ended.

    Attributes:
        impossible: left out, since the model has no MLM head.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    done: int = 0
    diverged: int = 0
    failed: int = 0
    left: int = 0
    impossible: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing is left to run."""
        return self.left == 0


class CellStatus(BaseModel):
    """One cell, with the fine-tuning alone that it is compared with.

    Attributes:
        probe: ``done``, ``failed``, ``left``, or ``none`` where the plan has none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    task: str
    source: str
    target: str
    probe: Literal["done", "failed", "left", "none"]
    baselines: RunTally
    runs: RunTally


class StudyStatus(BaseModel):
    """A whole study.

    Attributes:
        seconds: of work done so far, over all processes.
        seconds_left: of work left, judged by the runs that have ended; None before the first.
        errors: each error with how often it occurred.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runs: RunTally
    cells: tuple[CellStatus, ...]
    seconds: float
    seconds_left: float | None
    errors: dict[str, int]

    def markdown(self) -> str:
        """Totals and a line a cell."""
        runs = self.runs
        lines = [
            f"{runs.done} runs done, {runs.diverged} diverged, {runs.failed} failed, {runs.left} left"
            + (f"; {runs.impossible} are not possible" if runs.impossible else "")
            + f". {duration(self.seconds)} of work so far"
            + (f", about {duration(self.seconds_left)} left." if self.seconds_left else "."),
            "",
            "| Model | Task | Pair | Probe | None | Aligned | Diverged | Failed | Left |",
            "|---|---|---|---|---:|---:|---:|---:|---:|",
        ]
        for cell in self.cells:
            both = (cell.baselines, cell.runs)
            lines.append(
                f"| {cell.model} | {cell.task} | {cell.source}-{cell.target} | {cell.probe} "
                f"| {cell.baselines.done} | {cell.runs.done} | {sum(t.diverged for t in both)} "
                f"| {sum(t.failed for t in both)} | {sum(t.left for t in both)} |"
            )
        if self.errors:
            lines += ["", *(f"- {count} x {error}" for error, count in self.errors.items())]
        return "\n".join(lines) + "\n"


def study_status(folder: str | Path, only: Collection[str] = ()) -> StudyStatus:
    """Look up how far a study is; nothing is loaded but its records.

    Args:
        folder: of the study.
        only: cells to keep to, as for :func:`run_study`.

    Raises:
        InputError: if there is no study in the folder, or a record is damaged.
    """
    folder = Path(folder)
    inputs = load_inputs(folder)
    state = State(Grid(read_plan(folder / "plan.yaml", needs_data=False), Selection(only)), folder, inputs)
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    errors: Counter[str] = Counter()
    states: dict[PlannedRun, RunState] = {}
    for planned in state.grid:
        record = state.record(planned)
        if record is None:
            states[planned] = "impossible" if state.impossible(planned) else "left"
            continue
        states[planned] = record.status
        seconds[_kind(planned)].append(record.seconds)
        if record.error:
            errors[record.error] += 1
    left = [planned for planned, how in states.items() if how == "left"]
    return StudyStatus(
        runs=_tally(states.values()),
        cells=tuple(_cells(state, states)),
        seconds=sum(map(sum, seconds.values())),
        seconds_left=_seconds_left(left, seconds),
        errors=dict(errors.most_common()),
    )


def _kind(planned: PlannedRun) -> str:
    """Runs of a kind take about equally long."""
    return f"{planned.model} {planned.option.option.objective} {planned.option.option.schedule}"


def _seconds_left(left: Collection[PlannedRun], seconds: dict[str, list[float]]) -> float | None:
    if not seconds:
        return None
    usual = mean(value for values in seconds.values() for value in values)
    return sum(mean(seconds.get(_kind(planned)) or [usual]) for planned in left)


def _tally(states: Collection[RunState]) -> RunTally:
    counts = Counter(states)
    return RunTally(
        done=counts["done"],
        diverged=counts["diverged"],
        failed=counts["failed"],
        left=counts["left"],
        impossible=counts["impossible"],
    )


def _cells(state: State, states: dict[PlannedRun, RunState]) -> Iterator[CellStatus]:
    grid = state.grid
    for cell in grid.cells:
        baselines = grid.baselines(cell.model, cell.task, cell.source)
        yield CellStatus(
            model=cell.model,
            task=cell.task,
            source=cell.source,
            target=cell.target,
            probe=_probe(state, cell),
            baselines=_tally([states[planned] for planned in baselines]),
            runs=_tally([states[planned] for planned in grid.runs(cell)]),
        )


def _probe(state: State, cell: Cell) -> Literal["done", "failed", "left", "none"]:
    if state.grid.plan.probe is None:
        return "none"
    step = state.probe_step(cell)
    if step is not None and step.taken is not None:
        return "done"
    return "failed" if state.probe_error(cell) is not None else "left"
