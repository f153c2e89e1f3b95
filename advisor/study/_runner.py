"""Running a study: its steps in the order of their turn, in worker processes, until nothing is left."""

import os
import shutil
import subprocess
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Literal, TypeAlias

from advisor.console import errors, print_reading
from advisor.files import reserved, write_files
from advisor.options import Schedule
from advisor.report.words import duration
from advisor.study._grid import Cell, Grid, PlannedRun, Selection
from advisor.study._inputs import read_inputs
from advisor.study._plan import Plan, write_plan
from advisor.study._record import seconds_for
from advisor.study._state import State
from advisor.study._status import StudyStatus, study_status
from advisor.study._workers import HERE, Doing, Ended, Lost, RunsStep, Step, Workers, dask_workers, processes
from probes.errors import InputError, RunError

Task: TypeAlias = str | Cell | PlannedRun
"""One step in the plan's words: a model by its name, the probe of a cell, or a run."""


class Queue:
    """Hands out what is left to do. A task that must wait is passed over and keeps its place.

    Iterating ends when nothing is left, the time is up, or all that is left waits for what is under way:
    iterate again once that has ended. Tasks that are done, or that will never be possible, are dropped
    silently. Any thread may ask for the next step. With ``retry`` what has failed is done again.

    Attributes:
        problems: why tasks could not be handed out although it was their turn.
    """

    def __init__(self, state: State, workers: Workers = HERE, retry: bool = False) -> None:
        self._state = state
        self._workers = workers
        self._retry = retry
        self._lock = Lock()
        self._waiting: dict[str, Task] = {describe(task): task for task in _tasks(state)}
        self._out: dict[str, tuple[Task, ...]] = {}
        self.problems: dict[str, str] = {}

    def __iter__(self) -> Iterator[tuple[str, Step]]:
        return self

    def __next__(self) -> tuple[str, Step]:
        with self._lock:
            for key, task in [] if self._workers.out_of_time else list(self._waiting.items()):
                step = self._take(key, task)
                if step is not None:
                    self._out[key] = (task,)
                    if isinstance(task, PlannedRun) and isinstance(step, RunsStep):
                        step = self._with_others(key, task, step)
                    return key, step
        raise StopIteration

    def _take(self, key: str, task: Task) -> Step | None:
        """The step that a task takes, if it is its turn; it waits no longer then, nor when it is over."""
        try:
            step = self._step(task)
        except InputError as problem:  # it must not end in a thread of the pool
            step = "over"
            self.problems[key] = str(problem)
        if step is not None:
            del self._waiting[key]
        return None if step == "over" else step

    def _step(self, task: Task) -> Step | Literal["over"] | None:
        """The step that a task takes now; None while it must wait."""
        state = self._state
        match task:
            case str():
                made, waits = state.model(task), state.model_waits(task)
                return "over" if made else None if waits else state.model_step(task)
            case Cell():
                step = state.probe_step(task)
                over = step and (step.taken or (step.failure.exists() and not self._retry))
                return "over" if over else step
            case _:
                if state.impossible(task):
                    return "over"
                run = state.run(task)
                record = run and state.records.find(run.configuration)
                if record and not (record.status == "failed" and self._retry):
                    return "over"
                return RunsStep((run,), state.folder / "records") if run else None

    def _with_others(self, key: str, first: PlannedRun, step: RunsStep) -> RunsStep:
        """The same step with all waiting runs that go on from the same alignment."""
        if first.option.schedule is not Schedule.SEQUENTIAL:
            return step
        wanted = self._alignment(first)
        runs = list(step.runs)
        for name, task in list(self._waiting.items()):
            if isinstance(task, PlannedRun) and self._alignment(task) == wanted:
                other = self._take(name, task)
                if isinstance(other, RunsStep):
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

    def take_back(self, key: str) -> int:
        """Take back what was handed out and will not end, because its process died; says how much it was."""
        with self._lock:
            lost = self._out.pop(key, ())
            self._waiting = {describe(task): task for task in lost} | self._waiting
            return len(lost)


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


_CONTROL = "nvidia-cuda-mps-control"
_FOLDERS = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")


@contextmanager
def sharing_gpu(workers: Workers) -> Iterator[None]:
    """Let the kernels of several processes run side by side on a GPU, where NVIDIA's MPS is installed.

    Without it they take turns. A server that is running already (``CUDA_MPS_PIPE_DIRECTORY`` is set) is used.
    """
    wanted = workers.jobs > 1 and (workers.device == "auto" or workers.device.startswith("cuda"))
    if not wanted or _FOLDERS[0] in os.environ or not shutil.which(_CONTROL):
        yield
        return
    with TemporaryDirectory(prefix="mps-") as folder:
        os.environ |= dict.fromkeys(_FOLDERS, folder)
        started = subprocess.run([_CONTROL, "-d"], check=False, capture_output=True).returncode == 0
        if not started:
            del os.environ[_FOLDERS[0]]
        try:
            yield
        finally:
            if started:
                subprocess.run([_CONTROL], input=b"quit\n", check=False, capture_output=True)
            for name in _FOLDERS:
                os.environ.pop(name, None)


_DEATHS = 3
"""Times that worker processes may die in a row without a single step done."""


def run_study(
    plan: Plan,
    out: str | Path,
    workers: Workers = HERE,
    *,
    only: Collection[str] = (),
    retry: bool = False,
) -> StudyStatus:
    """Run what is left of a study. Killing it costs at most the runs in flight: the same call goes on.

    Every probe, every derived encoder and every run is written as soon as it is there, in one move. A run
    that is recorded as done or diverged is never run again.

    Args:
        plan: the grid, as :func:`read_plan` reads it.
        out: folder of the study.
        workers: who does it.
        only: cells to keep to, such as ``target=wo,task=pos``; those of all filters together.
        retry: do again what has failed.

    Raises:
        InputError: if something the plan names cannot be used, or another process is running the study.
        RunError: if worker processes die again and again, or the disk fails.
    """
    out = Path(out)
    selected = Grid(plan, Selection(only))
    with reserved(out), ExitStack() as stack:
        with errors.status("Reading the data"):
            inputs = read_inputs(selected, print_reading, out.absolute())
        write_files(out, {"plan.yaml": write_plan(plan)})
        queue = Queue(State(selected, out, inputs, workers.device), workers, retry)
        if not workers.dask:
            stack.enter_context(sharing_gpu(workers))
        at_work = dask_workers if workers.dask else processes
        doing, at_a_time = stack.enter_context(at_work(workers))
        size = f"{_many(len(selected.cells), 'cell')}, {_many(len(list(selected)), 'run')}"
        _say(f"{size}; {at_a_time} at a time, into {out}.")
        _work_off(queue, doing, at_a_time)
    for key, problem in queue.problems.items():
        _say(f"{key}: {problem}")
    return study_status(out, only=only)


def _work_off(queue: Queue, doing: Doing, at_a_time: int) -> None:
    """Run steps until the queue hands out none although none is under way, or the time is up."""
    spent: list[tuple[bool, float]] = []
    deaths = 0
    for end in doing(queue):
        if isinstance(end, Lost):
            deaths += 1
            lost = queue.take_back(end.key)
            if deaths >= _DEATHS:
                raise RunError(
                    f"Worker processes died {deaths} times in a row (out of memory?): use fewer --jobs."
                )
            _say(f"{end.key}: its process died; {_many(lost, 'task')} will begin anew.")
            continue
        queue.ended(end.key)
        deaths = 0
        _report(end, queue, spent, at_a_time)


def _report(end: Ended, queue: Queue, spent: list[tuple[bool, float]], at_a_time: int) -> None:
    """A line a run: what ended, how, and how long the rest will take."""
    if not end.records:
        _say(f"{end.key}: {end.status}{f' ({end.error})' if end.error else ''}; {duration(end.seconds)}.")
    spent += [(record.configuration.target is None, record.seconds) for record in end.records]
    left = queue.runs_left
    rest = f" {_many(len(left), 'run')} left" if left else ""
    seconds = seconds_for((run.target is None for run in left), spent)
    if left and seconds is not None:
        rest += f", about {duration(seconds / at_a_time)}"
    for record in end.records:
        run = record.configuration
        pair = run.source if run.target is None else f"{run.source}-{run.target}"
        what = f"{record.model} {run.task} {pair}, {run.option}, seed {run.seed}"
        _say(f"{what}: {record.outcome}; {duration(record.seconds)}.{rest + '.' if rest else ''}")


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _say(text: str) -> None:
    errors.print(text, markup=False, highlight=False)
