"""What does the steps of a study: processes of this machine, or the workers of a Dask cluster."""

import gc
import multiprocessing
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Lock, Thread
from time import perf_counter, sleep, time
from typing import TYPE_CHECKING, Literal, TypeAlias

from advisor.files import write_files
from advisor.study._record import Record, Records
from advisor.study._run_once import TrialRun, failed, precision_on, run_once, training_on
from advisor.study._state import ModelInfo, ModelStep, ProbeStep, failure_path
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
        device: ``auto``, ``cpu``, ``cuda``, ...
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
    """Train and score, and write each record into a folder as soon as it is there.

    Several runs go on from one alignment, which is made once.
    """

    runs: tuple[TrialRun, ...]
    records: Path


_one_at_a_time = Lock()
"""A Dask worker may have several threads, and the random state is the process's."""

Step: TypeAlias = ModelStep | ProbeStep | RunsStep


@dataclass(frozen=True)
class Ended:
    """How a step ended.

    Attributes:
        key: of the step, as the queue knows it.
        status: ``done``, ``failed`` or ``diverged``.
        error: one sentence, unless it is done.
        seconds: wall time.
        records: of its runs.
    """

    key: str
    status: Literal["done", "failed", "diverged"]
    error: str | None
    seconds: float
    records: tuple[Record, ...] = ()


def execute(key: str, step: Step, workers: Workers) -> Ended:
    """Do one step, known by ``key``. What goes wrong with it is its result; it raises no error of its own."""
    import torch
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    with _one_at_a_time:
        before = torch.get_num_threads()
        torch.set_num_threads(workers.threads)
        try:
            return _execute(key, step, workers)
        finally:
            torch.set_num_threads(before)
            gc.collect()


def _execute(key: str, step: Step, workers: Workers) -> Ended:
    begin = perf_counter()
    status: Literal["done", "failed", "diverged"] = "done"
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
                        _let_go(place)
                    shared().forget("alignment")  # nobody else goes on from it
                case ProbeStep():
                    _probe(step)
                case ModelStep():
                    _model(step, place)
    except (InputError, RunError, RuntimeError, ValueError, ArithmeticError, MemoryError, OSError) as problem:
        status, error = "failed", " ".join(str(problem).split()) or type(problem).__name__
        if isinstance(step, ProbeStep):
            path = failure_path(step)
            write_files(path.parent, {path.name: error})
    return Ended(key, status, error, perf_counter() - begin, tuple(records))


@cache
def shared() -> "Shared":
    """What the runs of this process have in common."""
    from advisor.training import Shared

    return Shared()


def _let_go(device: "torch.device") -> None:
    """Give a finished run's memory back: other processes may share the GPU."""
    import torch

    gc.collect()  # accelerate's cycles keep a trained model alive, by the gigabyte
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _run(run: TrialRun, records: Records, device: "torch.device") -> Record:
    there = records.find(run.configuration)
    if there is not None and there.status != "failed":
        return there
    try:
        record = run_once(run, device, Progress(), shared())
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
    name = load
    if not isinstance(step.spec, str):
        final = step.folder.parent / load
        name = str(final)
        if not final.exists():
            hidden = final.with_name(f".{final.name}-{secrets.token_hex(4)}")
            try:
                derive(step.spec, hidden, device, step.others)
                hidden.rename(final)
            finally:
                shutil.rmtree(hidden, ignore_errors=True)
    encoder = load_encoder(name)
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
_LOOK_EVERY = 0.5
"""Seconds."""


@dataclass(frozen=True)
class Lost:
    """A step, by its key, whose process died."""

    key: str


Doing: TypeAlias = Callable[[Iterator[tuple[str, Step]]], Iterator[Ended | Lost]]
"""Does the steps that an iterator hands out, and yields each result as soon as it is there.

It asks for the next step only when a worker is free, and asks again after every result: an iterator that had
none to hand out may have one by then."""


class _Worker:
    """A process that does one step after another; when it dies, it takes nothing with it but that step."""

    def __init__(self, context: BaseContext, workers: Workers) -> None:
        self.key: str | None = None
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(theirs, workers), daemon=True
        )
        self.process.start()
        theirs.close()

    def begin(self, key: str, step: Step) -> None:
        self.key = key
        self.connection.send((key, step))

    def result(self) -> Ended | Lost:
        """What became of the step; it has ended, or the process has."""
        assert self.key is not None
        try:
            ended: Ended | Lost = self.connection.recv()
        except (EOFError, OSError):
            ended = Lost(self.key)
        self.key = None
        return ended

    def stop(self) -> None:
        with suppress(OSError):
            self.connection.send(None)
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()


@contextmanager
def processes(workers: Workers) -> Iterator[tuple[Doing, int]]:
    """Worker processes of this machine, forked from a server that has imported torch and used no GPU yet.

    A process that dies is replaced, and none of the others notices.

    Yields:
        What does the steps, and how many it does at a time.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["advisor.training.run", "probes.run"])  # seconds, once for all workers
    started: list[_Worker] = []

    def in_processes(steps: Iterator[tuple[str, Step]]) -> Iterator[Ended | Lost]:
        while True:
            while (idle := [worker for worker in started if worker.key is None]) or len(
                started
            ) < workers.jobs:
                task = next(steps, None)
                if task is None:
                    break
                if not idle:
                    idle = [_Worker(context, workers)]
                    started.append(idle[0])
                idle[0].begin(*task)
            busy = {worker.connection: worker for worker in started if worker.key is not None}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                result = worker.result()
                if isinstance(result, Lost):
                    started.remove(worker)
                    worker.stop()
                yield result

    def do_here(steps: Iterator[tuple[str, Step]]) -> Iterator[Ended | Lost]:
        for key, step in steps:
            yield execute(key, step, workers)

    try:
        yield (do_here if workers.jobs == 1 else in_processes), workers.jobs
    finally:
        for worker in started:
            if worker.key is not None:  # interrupted
                worker.process.kill()
            worker.stop()


def _serve(connection: Connection, workers: Workers) -> None:
    """Do steps until the other side hangs up."""

    def end_with_parent() -> None:
        parent = multiprocessing.parent_process()
        while parent is not None and parent.is_alive():
            sleep(_LOOK_EVERY)
        os._exit(1)

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the study's process hears it, too, and ends this one
    # Else a run that a killed study has left under way would write into what by then another one does.
    Thread(target=end_with_parent, daemon=True).start()
    while True:
        try:
            task: tuple[str, Step] | None = connection.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            task = None
        if task is None:
            os._exit(0)  # what is on a GPU need not be tidied up piece by piece
        key, step = task
        connection.send(execute(key, step, workers))


@contextmanager
def dask_workers(workers: Workers) -> Iterator[tuple[Doing, int]]:
    """The workers of a Dask cluster: they must see the study's folder and data under the same names.

    A worker that dies costs the step it was at, which another one begins anew. Dask gives a step up that has
    killed four workers, and joblib then waits for it for ever: interrupt the study, and give workers more
    memory.

    Yields:
        What does the steps, and how many it does at a time.

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

    Args:
        jobs: processes, where there is no cluster.
        dask: address of a scheduler.

    Yields:
        How much is done at a time.

    Raises:
        InputError: if Dask is not installed, no scheduler answers, or it has no workers.
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
