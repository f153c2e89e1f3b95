"""What does the steps of a study: processes of this machine, or the workers of a Dask cluster."""

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, Thread
from time import perf_counter, time
from typing import TYPE_CHECKING, Literal, TypeAlias

from advisor.files import staged, write_files
from advisor.study._record import Record, Records
from advisor.study._run_once import TrialRun, failed, one_line, precision_on, run_recorded, training_on
from advisor.study._state import ModelInfo, ModelStep, ProbeStep
from probes.errors import InputError, RunError
from probes.progress import Progress

if TYPE_CHECKING:
    import torch

    from advisor.training import Shared


@dataclass(frozen=True)
class Workers:
    """Who does the steps of a study.

    Attributes:
        jobs: worker processes of this machine; several may share one GPU.
        threads: CPU threads of each; a Dask worker does one step at a time, however many threads it has.
        dask: address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``, whose workers do them instead.
        until: time of the system's clock from which no run is begun; what is under way is finished.
    """

    jobs: int = 2
    device: str = "auto"
    threads: int = 1
    dask: str | None = None
    until: float | None = None

    @property
    def out_of_time(self) -> bool:
        """Whether no further run is to begin."""
        return self.until is not None and time() > self.until


HERE = Workers()
"""Two processes of this machine."""


@dataclass(frozen=True)
class RunsStep:
    """Train, score and record, run by run; several go on from one alignment, which is made once."""

    runs: tuple[TrialRun, ...]
    records: Path


Step: TypeAlias = ModelStep | ProbeStep | RunsStep


@dataclass(frozen=True)
class Ended:
    """How a step, by its key in the queue, ended; ``error`` is one sentence, ``seconds`` are wall time."""

    key: str
    status: Literal["done", "failed"]
    error: str | None
    seconds: float
    records: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Lost:
    """A step, by its key, whose process died."""

    key: str


one_at_a_time = Lock()
"""A Dask worker may have several threads, and the random state is the process's."""


def execute(key: str, step: Step, workers: Workers) -> Ended:
    """Do one step, known by ``key``. What goes wrong with it is its result; it raises no error of its own."""
    import torch
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    with one_at_a_time:
        before = torch.get_num_threads()
        torch.set_num_threads(workers.threads)
        try:
            return _execute(key, step, workers)
        finally:
            torch.set_num_threads(before)
            gc.collect()


def _execute(key: str, step: Step, workers: Workers) -> Ended:
    begin = perf_counter()
    error: str | None = None
    records: list[Record] = []
    try:
        with training_on(workers.device) as place:
            match step:
                case RunsStep():
                    for run in step.runs:
                        if workers.out_of_time:
                            break
                        records.append(_run(run, Records(step.records), place))
                    shared().forget("alignment")  # nobody else goes on from it
                case ProbeStep():
                    _probe(step)
                case ModelStep():
                    _model(step, place)
    except (InputError, RunError, RuntimeError, ValueError, ArithmeticError, MemoryError, OSError) as problem:
        error = one_line(problem) or type(problem).__name__
        if isinstance(step, ProbeStep):
            write_files(step.failure.parent, {step.failure.name: error})
    return Ended(key, "failed" if error else "done", error, perf_counter() - begin, tuple(records))


@cache
def shared() -> "Shared":
    """What the runs of this process have in common."""
    from advisor.training import Shared

    return Shared()


def _run(run: TrialRun, records: Records, device: "torch.device") -> Record:
    try:
        return run_recorded(run, records, device, Progress(), shared())
    except InputError as problem:
        record = failed(run, problem)
        records.save(record)
        return record


def _probe(step: ProbeStep) -> None:
    from probes.run import run_probe

    signals = step.named_as_planned(run_probe(step.request))
    write_files(step.path.parent, {step.path.name: signals.model_dump_json(indent=1) + "\n"})


def _model(step: ModelStep, device: "torch.device") -> None:
    from advisor.study._derive import derive
    from probes.encoder import load_encoder

    derived = not isinstance(step.spec, str)
    load = f"models/{step.name}.{step.made_of}" if derived else str(step.spec)
    folder = step.folder.parent / load
    if not isinstance(step.spec, str) and not folder.exists():
        with staged(folder) as hidden:
            derive(step.spec, hidden, device, step.others)
    encoder = load_encoder(str(folder) if derived else load)
    info = ModelInfo(
        made_of=step.made_of,
        load=load,
        derived=derived,
        sha256=encoder.sha256,
        no_mlm_reason=None if encoder.masked_lm is not None else encoder.no_mlm_reason,
        precision=precision_on(device),
    )
    write_files(step.folder, {f"{step.name}.json": info.model_dump_json(indent=1) + "\n"})


_ANSWER_WITHIN = "20s"

Doing: TypeAlias = Callable[[Iterator[tuple[str, Step]]], Iterator[Ended | Lost]]
"""Does the steps that an iterator hands out, and yields each result as soon as it is there.

It asks for the next step only when a worker is free, and asks again after every result: an iterator that had
none to hand out may have one by then."""


@contextmanager
def processes(workers: Workers) -> Iterator[tuple[Doing, int]]:
    """Worker processes of this machine, forked from a server that has imported torch and used no GPU yet.

    Each is a pool of its own: one that dies takes nothing with it but its step, and is replaced.

    Yields:
        What does the steps, and how many it does at a time.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["advisor.training.run", "probes.run"])  # seconds, once for all workers
    listens, ours = context.Pipe(duplex=False)

    def in_processes(steps: Iterator[tuple[str, Step]]) -> Iterator[Ended | Lost]:
        idle: list[ProcessPoolExecutor] = []
        busy: dict[Future[Ended], tuple[str, ProcessPoolExecutor]] = {}
        while True:
            while len(busy) < workers.jobs and (task := next(steps, None)) is not None:
                worker = idle.pop() if idle else ProcessPoolExecutor(1, context, _begin, (listens,))
                busy[worker.submit(execute, *task, workers)] = task[0], worker
            if not busy:
                return
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                key, worker = busy.pop(future)
                try:
                    end: Ended | Lost = future.result()
                    idle.append(worker)
                except BrokenProcessPool:
                    end = Lost(key)
                yield end

    def do_here(steps: Iterator[tuple[str, Step]]) -> Iterator[Ended | Lost]:
        for key, step in steps:
            yield execute(key, step, workers)

    try:
        yield (do_here if workers.jobs == 1 else in_processes), workers.jobs
    finally:
        ours.close()


def _begin(study: Connection) -> None:
    """Make a worker end at once when the study is over or killed, and its end of the pipe is closed.

    Else a run that a killed study has left under way would write into what by then another one does. What is
    on a GPU need not be tidied up piece by piece.
    """

    def end_with_study() -> None:
        study.poll(None)
        os._exit(1)

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the study's process hears it, too, and ends this one
    Thread(target=end_with_study, daemon=True).start()


@contextmanager
def dask_workers(workers: Workers) -> Iterator[tuple[Doing, int]]:
    """The workers of a Dask cluster: they must see the study's folder and data under the same names.

    A worker that dies costs the step it was at, which another one begins anew. Dask gives a step up that has
    killed four workers, and joblib then waits for it for ever: interrupt the study, and give workers more
    memory.

    Raises:
        InputError: if Dask is not installed, or no scheduler answers.
    """
    from joblib import Parallel, delayed

    def on_cluster(steps: Iterable[tuple[str, Step]]) -> Iterator[Ended | Lost]:
        work = delayed(execute)
        ended = True
        while ended:  # what had to wait for others may have its turn by then
            ended = False
            parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
            for end in parallel(work(key, step, workers) for key, step in steps):
                ended = True
                yield end

    with joblib_backend(1, workers.dask) as size:
        yield on_cluster, size


@contextmanager
def joblib_backend(jobs: int, dask: str | None = None) -> Iterator[int]:
    """What joblib runs on within the context: processes of this machine, or the workers of a Dask cluster.

    Yields:
        How much is done at a time.

    Raises:
        InputError: if Dask is not installed, no scheduler answers at its address, or it has no workers.
    """
    from joblib import parallel_config

    if dask is None:
        with parallel_config(backend="loky", n_jobs=jobs):
            yield jobs
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError('Dask is not installed: run pip install "alignment-advisor[dask]".') from error
    try:
        client = Client(dask, timeout=_ANSWER_WITHIN, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"No Dask scheduler answers at {dask}: start one with 'dask scheduler' and name its address."
        ) from error

    with client:
        size = len(client.ncores())
        if not size:
            raise InputError(f"The Dask scheduler at {dask} has no workers: start some with 'dask worker'.")
        with parallel_config(backend="dask", client=client):
            yield size
