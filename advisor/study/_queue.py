"""The steps of a study in the order of their turn, handed out as they become possible."""

from collections.abc import Iterator
from threading import Lock
from typing import TypeAlias

from advisor.study._grid import Cell, PlannedRun
from advisor.study._state import State, failure_path
from advisor.study._work import RunStep, Step
from probes.errors import InputError

__all__ = ["Queue", "Task"]

Task: TypeAlias = str | Cell | PlannedRun
"""One step in the plan's words: a model by its name, the probe of a cell, or a run."""


class Queue:
    """Hands out what is left to do. A task that must wait is passed over and keeps its place.

    Iterating ends when nothing is left, or when all that is left waits for what is under way: iterate
    again once that has ended. Tasks that are done, or that will never be possible, are dropped silently.
    Any thread may ask for the next step.

    Args:
        state: of the study.
        retry: do again what has failed.

    Attributes:
        problems: why tasks could not be handed out although it was their turn.
    """

    def __init__(self, state: State, retry: bool = False) -> None:
        self._state = state
        self._retry = retry
        self._lock = Lock()
        self._waiting: dict[str, Task] = {describe(task): task for task in _tasks(state)}
        self._out: dict[str, Task] = {}
        self.problems: dict[str, str] = {}

    def __iter__(self) -> Iterator[tuple[str, Step]]:
        return self

    def __next__(self) -> tuple[str, Step]:
        with self._lock:
            for key, task in list(self._waiting.items()):
                try:
                    over, step = self._look_at(task)
                except InputError as problem:  # it must not end in a thread of the pool
                    over, step = True, None
                    self.problems[key] = str(problem)
                if over or step is not None:
                    del self._waiting[key]
                if step is not None:
                    self._out[key] = task
                    return key, step
        raise StopIteration

    @property
    def runs_left(self) -> list[PlannedRun]:
        """Runs that have not ended, as far as is known."""
        with self._lock:
            tasks = [*self._out.values(), *self._waiting.values()]
        return [task for task in tasks if isinstance(task, PlannedRun)]

    def ended(self, key: str) -> None:
        """A step that was handed out has ended."""
        with self._lock:
            self._out.pop(key, None)

    def take_back(self) -> int:
        """Take back what was handed out and will not end, because its process died; says how much it was."""
        with self._lock:
            lost, self._out = self._out, {}
            self._waiting = lost | self._waiting
            return len(lost)

    def _look_at(self, task: Task) -> tuple[bool, Step | None]:
        """Whether a task is over, and the step that it takes now, if it is its turn."""
        match task:
            case str():
                ready = self._state.model(task) is not None
                return ready, None if ready else self._state.model_step(task)
            case Cell():
                return self._probe(task)
            case _:
                return self._run(task)

    def _probe(self, cell: Cell) -> tuple[bool, Step | None]:
        step = self._state.probe_step(cell)
        if step is None or step.taken is not None:
            return step is not None, None
        if failure_path(step).exists() and not self._retry:
            return True, None
        return False, step

    def _run(self, planned: PlannedRun) -> tuple[bool, Step | None]:
        if self._state.impossible(planned):
            return True, None
        run = self._state.run(planned)
        if run is None:
            return False, None
        record = self._state.records.find(run.configuration)
        if record is not None and not (record.status == "failed" and self._retry):
            return True, None
        return False, RunStep(run, self._state.folder / "records")


def describe(task: Task) -> str:
    """A task in words; no two tasks share theirs."""
    match task:
        case str():
            return f"model {task}"
        case Cell():
            return f"{task}, probe"
        case _:
            return str(task)


def _tasks(state: State) -> Iterator[Task]:
    """Models when they are first needed; then fine-tuning alone, then cell by cell with the probe first."""
    made: set[str] = set()
    for model, task, source, cells in state.grid.stages:
        if model not in made:
            made.add(model)
            yield model
        yield from state.grid.baselines(model, task, source)
        for cell in cells:
            if state.grid.plan.probe is not None:
                yield cell
            yield from state.grid.runs(cell)
