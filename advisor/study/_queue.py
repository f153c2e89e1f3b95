"""The steps of a study in the order of their turn, handed out as they become possible."""

from collections.abc import Collection, Iterator
from itertools import chain
from threading import Lock
from typing import TypeAlias

from advisor.options import Schedule
from advisor.study._grid import Cell, PlannedRun
from advisor.study._state import State, failure_path
from advisor.study._work import RunsStep, Step
from probes.errors import InputError

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
        self._out: dict[str, tuple[Task, ...]] = {}
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
                    self._out[key] = (task,)
                    if isinstance(task, PlannedRun) and isinstance(step, RunsStep):
                        step = self._with_others(key, task, step)
                    return key, step
        raise StopIteration

    def _with_others(self, key: str, first: PlannedRun, step: RunsStep) -> RunsStep:
        """The same step with all waiting runs that go on from the same alignment."""
        if first.option.option.schedule is not Schedule.SEQUENTIAL:
            return step
        wanted = self._alignment(first)
        runs = list(step.runs)
        for name, task in list(self._waiting.items()):
            if isinstance(task, PlannedRun) and self._alignment(task) == wanted:
                try:
                    over, other = self._run(task)
                except InputError as problem:
                    over, other = True, None
                    self.problems[name] = str(problem)
                if over or other is not None:
                    del self._waiting[name]
                if other is not None:
                    runs += other.runs
                    self._out[key] = (*self._out[key], task)
        # The alignment goes on from one to the next.
        runs.sort(key=lambda run: (run.recipe.experiment and run.recipe.experiment.align_stop) or 2**31)
        return RunsStep(tuple(runs), step.records)

    def _alignment(self, run: PlannedRun) -> tuple[object, ...]:
        """What runs that share their alignment phase agree in."""
        training, experiment = self._state.grid.training(run), self._state.grid.experiment(run)
        return (
            *(run.model, run.source, run.target, run.option, run.seed, run.block is None),
            *(training.align_steps or training.steps, training.align_learning_rate),
            None if experiment is None else experiment.pairing,
        )

    @property
    def runs_left(self) -> list[PlannedRun]:
        """Runs that have not ended, as far as is known."""
        with self._lock:
            tasks = [*chain.from_iterable(self._out.values()), *self._waiting.values()]
        return [task for task in tasks if isinstance(task, PlannedRun)]

    def ended(self, key: str) -> None:
        """A step that was handed out has ended."""
        with self._lock:
            self._out.pop(key, None)

    def take_back(self, keys: Collection[str] | None = None) -> int:
        """Take back what was handed out and will not end, because its process died; says how much it was.

        Args:
            keys: of the steps; None: all.
        """
        with self._lock:
            lost = list(chain.from_iterable(self._out.values())) if keys is None else []
            for key in keys or ():
                lost += self._out.pop(key, ())
            if keys is None:
                self._out = {}
            self._waiting = {describe(task): task for task in lost} | self._waiting
            return len(lost)

    def _look_at(self, task: Task) -> tuple[bool, Step | None]:
        """Whether a task is over, and the step that it takes now, if it is its turn."""
        match task:
            case str():
                if self._state.model(task) is not None:
                    return True, None
                return False, None if self._state.model_waits(task) else self._state.model_step(task)
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

    def _run(self, planned: PlannedRun) -> tuple[bool, RunsStep | None]:
        if self._state.impossible(planned):
            return True, None
        run = self._state.run(planned)
        if run is None:
            return False, None
        record = self._state.records.find(run.configuration)
        if record is not None and not (record.status == "failed" and self._retry):
            return True, None
        return False, RunsStep((run,), self._state.folder / "records")


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
    """Models first, then probes and runs in the order of their turn."""
    yield from state.grid.models
    probed = state.grid.plan.probe is not None
    yield from (task for task in state.grid.in_turn() if probed or isinstance(task, PlannedRun))
