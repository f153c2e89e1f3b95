"""What a plan amounts to, and how far its study is."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from advisor.console import print_reading
from advisor.report.words import duration
from advisor.study._grid import Cell, Grid, PlannedRun, Selection
from advisor.study._inputs import load_inputs, read_inputs
from advisor.study._plan import Plan, read_plan
from advisor.study._record import seconds_for
from advisor.study._state import State
from probes.schema import Frozen

RunState = Literal["done", "diverged", "failed", "left", "impossible"]


class RunTally(Frozen):
    """Runs by how they ended; the impossible are left out, since the model has no MLM head."""

    done: int = 0
    diverged: int = 0
    failed: int = 0
    left: int = 0
    impossible: int = 0


class CellStatus(Frozen):
    """One cell, with the fine-tuning alone that it is compared with."""

    model: str
    task: str
    source: str
    target: str
    probe: Literal["done", "failed", "left", "none"]
    baselines: RunTally
    runs: RunTally


class StudyStatus(Frozen):
    """A whole study, and each error with how often it occurred.

    Seconds are of work over all processes; what is left is judged by the runs that have ended.
    """

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
    """Look up how far a study is, or the cells of ``only``; nothing is loaded but its records.

    Raises:
        InputError: if there is no study in the folder, or a record is damaged.
    """
    folder = Path(folder)
    inputs = load_inputs(folder)
    state = State(Grid(read_plan(folder / "plan.yaml", needs_data=False), Selection(only)), folder, inputs)
    spent: list[tuple[str, float]] = []
    errors: Counter[str] = Counter()
    states: dict[PlannedRun, RunState] = {}
    for planned in state.grid:
        record = state.record(planned)
        if record is None:
            states[planned] = "impossible" if state.impossible(planned) else "left"
            continue
        states[planned] = record.status
        spent.append((_kind(planned), record.seconds))
        if record.error:
            errors[record.error] += 1
    left = (_kind(planned) for planned, how in states.items() if how == "left")
    return StudyStatus(
        runs=_tally(states.values()),
        cells=tuple(_cells(state, states)),
        seconds=sum(seconds for _, seconds in spent),
        seconds_left=seconds_for(left, spent),
        errors=dict(errors.most_common()),
    )


def _kind(planned: PlannedRun) -> str:
    """Runs of a kind take about equally long."""
    return f"{planned.model} {planned.option.objective} {planned.option.schedule}"


def _tally(states: Iterable[RunState]) -> RunTally:
    return RunTally(**Counter[str](states))


def _cells(state: State, states: Mapping[PlannedRun, RunState]) -> Iterator[CellStatus]:
    grid = state.grid
    for cell in grid.cells:
        yield CellStatus(
            **asdict(cell),
            probe=_probe(state, cell),
            baselines=_tally(map(states.__getitem__, grid.baselines(cell.model, cell.task, cell.source))),
            runs=_tally(map(states.__getitem__, grid.runs(cell))),
        )


def _probe(state: State, cell: Cell) -> Literal["done", "failed", "left", "none"]:
    if state.grid.plan.probe is None:
        return "none"
    step = state.probe_step(cell)
    if step is None or not (step.taken or step.failure.exists()):
        return "left"
    return "done" if step.taken else "failed"


class PlanOverview(Frozen):
    """The size of a study.

    Attributes:
        baselines: runs of fine-tuning alone, shared by all pairs; ``runs`` are aligned.
        needs_head: how many of the runs take a model with an MLM head, and are left out for others.
    """

    cells: int
    baselines: int
    runs: int
    probes: int
    needs_head: int
    grid: dict[str, tuple[str, ...]]

    def markdown(self) -> str:
        """Totals, and the pairs of every model and task."""
        lines = [
            f"{self.cells} cells, {self.probes} probes, {self.baselines} runs of fine-tuning alone and "
            f"{self.runs} aligned runs."
            + (f" {self.needs_head} of them need an MLM head." if self.needs_head else ""),
            "",
            "| Model and task | Pairs |",
            "|---|---|",
            *(f"| {name} | {', '.join(pairs)} |" for name, pairs in self.grid.items()),
        ]
        return "\n".join(lines) + "\n"


def overview(plan: Plan, only: Collection[str] = ()) -> PlanOverview:
    """Read everything a plan names, and count the cells of ``only``.

    Raises:
        InputError: if something cannot be used.
    """
    grid = Grid(plan, Selection(only))
    read_inputs(grid, print_reading)
    runs = list(grid)
    alone = [run.target is None for run in runs]
    pairs: dict[str, tuple[str, ...]] = {}
    for cell in grid.cells:
        name = f"{cell.model}, {cell.task}"
        pairs[name] = (*pairs.get(name, ()), f"{cell.source}-{cell.target}")
    return PlanOverview(
        cells=len(grid.cells),
        baselines=sum(alone),
        runs=len(runs) - sum(alone),
        probes=len(grid.cells) if plan.probe else 0,
        needs_head=sum(run.option.needs_mlm_head for run in runs),
        grid=pairs,
    )
