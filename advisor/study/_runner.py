"""Running a study: the queue's steps in worker processes, until nothing is left that can be done."""

import fcntl
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import time

from advisor.console import errors, print_reading
from advisor.files import check_output, write_files
from advisor.report.words import duration
from advisor.study._gpu import sharing_gpu
from advisor.study._grid import Grid, Selection
from advisor.study._inputs import read_inputs
from advisor.study._plan import Plan, write_plan
from advisor.study._preload import preload
from advisor.study._queue import Queue
from advisor.study._state import State
from advisor.study._status import StudyStatus, study_status
from advisor.study._work import Ended, Step
from advisor.study._workers import Doing, Lost, dask_workers, processes
from probes.errors import InputError, RunError

_DEATHS = 3
"""Times that worker processes may die in a row without a single step done."""


def run_study(
    plan: Plan,
    out: str | Path,
    *,
    jobs: int = 2,
    only: Collection[str] = (),
    retry: bool = False,
    device: str = "auto",
    threads: int = 1,
    dask: str | None = None,
    minutes: float | None = None,
) -> StudyStatus:
    """Run what is left of a study. Killing it costs at most the runs in flight: the same call goes on.

    Every probe, every derived encoder and every run is written as soon as it is there, in one move. A run
    that is recorded as done or diverged is never run again.

    Args:
        plan: the grid, as :func:`read_plan` reads it.
        out: folder of the study.
        jobs: worker processes; several may share one GPU.
        only: cells to keep to, such as ``target=wo,task=pos``; those of all filters together.
        retry: do again what has failed.
        device: ``auto``, ``cpu``, ``cuda``, ...
        threads: CPU threads of each process.
        dask: address of a Dask scheduler whose workers do the work instead of processes of this machine.
        minutes: begin no run after so many; what is under way is finished.

    Returns:
        How far the study is now.

    Raises:
        InputError: if something the plan names cannot be used, or another process is running the study.
        RunError: if worker processes die again and again, or the disk fails.
    """
    out = Path(out)
    until = None if minutes is None else time() + 60 * minutes
    check_output(out)
    selected = Grid(plan, Selection(only))
    with errors.status("Reading the data"):
        inputs = read_inputs(selected, print_reading, out.absolute())
    with _locked(out):
        write_files(out, {"plan.yaml": write_plan(plan)})
        state = State(selected, out, inputs, device)
        queue = Queue(state, retry)
        with _workers(selected, jobs, device, threads, until, dask) as (do, many):
            size = f"{_many(len(selected.cells), 'cell')}, {_many(len(list(selected)), 'run')}"
            _say(f"{size}; {many} at a time, into {out}.")
            _work_off(queue, do, many, until)
        for key, problem in queue.problems.items():
            _say(f"{key}: {problem}")
        return study_status(out, only=only)


@contextmanager
def _workers(
    grid: Grid, jobs: int, device: str, threads: int, until: float | None, dask: str | None
) -> Iterator[tuple[Doing, int]]:
    """What does the steps, and how many it does at a time."""
    if dask:
        with dask_workers(dask, device, threads, until) as doing:
            yield doing
        return
    with TemporaryDirectory(prefix="study-") as folder:
        texts = Path(folder) / "texts.pickle" if jobs > 1 else None
        if texts is not None:
            with errors.status("Tokenising the data"):
                preload(grid, texts)
        with sharing_gpu(device, jobs), processes(jobs, device, threads, until, texts) as doing:
            yield doing


def _work_off(queue: Queue, do: Doing, jobs: int, until: float | None) -> None:
    """Run steps until the queue hands out none although none is under way, or the time is up."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    deaths = 0
    for end in do(_BeforeTheEnd(queue, until)):
        if isinstance(end, Lost):
            deaths += 1
            lost = queue.take_back([end.key])
            if deaths >= _DEATHS:
                raise RunError(
                    f"Worker processes died {deaths} times in a row (out of memory?): use fewer --jobs."
                )
            _say(f"{end.key}: its process died; {_many(lost, 'task')} will begin anew.")
            continue
        queue.ended(end.key)
        deaths = 0
        _report(end, queue, spent, jobs)


class _BeforeTheEnd:
    """What a queue hands out before the time is up."""

    def __init__(self, queue: Queue, end: float | None) -> None:
        self._queue, self._end = queue, end

    def __iter__(self) -> Iterator[tuple[str, Step]]:
        return self

    def __next__(self) -> tuple[str, Step]:
        if self._end is not None and time() > self._end:
            raise StopIteration
        return next(self._queue)


def _report(end: Ended, queue: Queue, spent: defaultdict[str, list[float]], jobs: int) -> None:
    """A line a run: what ended, how, and how long the rest will take."""
    if not end.records:
        _say(f"{end.key}: {end.status}{f' ({end.error})' if end.error else ''}; {duration(end.seconds)}.")
    for record in end.records:
        spent[_kind(record.configuration.target)].append(record.seconds)
    left = queue.runs_left
    rest = f" {_many(len(left), 'run')} left" if left else ""
    if left and spent:
        usual = mean(second for seconds in spent.values() for second in seconds)
        seconds = sum(mean(spent[_kind(run.target)] or [usual]) for run in left)
        rest += f", about {duration(seconds / jobs)}"
    for record in end.records:
        if record.scores is not None:
            points = {**record.scores.targets, "source": record.scores.source}
            how = ", ".join(f"{name} {score.value:.1f}" for name, score in points.items())
        else:
            how = f"{record.status} ({record.error})"
        run = record.configuration
        pair = run.source if run.target is None else f"{run.source}-{run.target}"
        what = f"{record.model} {run.task} {pair}, {run.option}, seed {run.seed}"
        _say(f"{what}: {how}; {duration(record.seconds)}.{rest + '.' if rest else ''}")


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _kind(target: str | None) -> str:
    return "none" if target is None else "aligned"


def _say(text: str) -> None:
    errors.print(text, markup=False, highlight=False)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from running the same study; the system lets go if this one is killed.

    Raises:
        InputError: if one is running it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"Another process is running the study in {folder}: let it end, or name another --out."
            ) from error
        yield
