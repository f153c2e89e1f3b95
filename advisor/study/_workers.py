"""Where the steps of a study are done: processes of this machine, or the workers of a Dask cluster."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from time import sleep
from typing import TypeAlias

from advisor.study._work import Ended, Step, execute, shared
from probes.errors import InputError

_ANSWER_WITHIN = "20s"
_LOOK_EVERY = 0.5
"""Seconds."""


@dataclass(frozen=True)
class Lost:
    """A step whose process died.

    Attributes:
        key: of the step.
    """

    key: str


Doing: TypeAlias = Callable[[Iterator[tuple[str, Step]]], Iterator[Ended | Lost]]
"""Does the steps that an iterator hands out, and yields each result as soon as it is there.

It asks for the next step only when a worker is free, and asks again after every result: an iterator that had
none to hand out may have one by then."""


class _Worker:
    """A process that does one step after another; when it dies, it takes nothing with it but that step."""

    def __init__(
        self, context: BaseContext, device: str, threads: int, until: float | None, texts: Path | None
    ) -> None:
        self.key: str | None = None
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(theirs, os.getpid(), device, threads, until, texts), daemon=True
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
def processes(
    jobs: int, device: str, threads: int, until: float | None = None, texts: Path | None = None
) -> Iterator[tuple[Doing, int]]:
    """Worker processes of this machine, each begun afresh: a GPU cannot be used by a process that was forked.

    A process that dies is replaced, and none of the others notices.

    Args:
        jobs: how many.
        device: as on the command line.
        threads: CPU threads of each.
        until: time from which no further run is begun.
        texts: file of what they share, see :func:`preload`.

    Yields:
        What does the steps, and how many it does at a time.
    """
    context = multiprocessing.get_context("spawn")
    workers: list[_Worker] = []

    def do(steps: Iterator[tuple[str, Step]]) -> Iterator[Ended | Lost]:
        while True:
            while (idle := [worker for worker in workers if worker.key is None]) or len(workers) < jobs:
                given = next(steps, None)
                if given is None:
                    break
                if not idle:
                    idle = [_Worker(context, device, threads, until, texts)]
                    workers.append(idle[0])
                idle[0].begin(*given)
            busy = {worker.connection: worker for worker in workers if worker.key is not None}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                result = worker.result()
                if isinstance(result, Lost):
                    workers.remove(worker)
                    worker.stop()
                yield result

    def do_here(steps: Iterator[tuple[str, Step]]) -> Iterator[Ended | Lost]:
        for key, step in steps:
            yield execute(key, step, device, threads, until)

    try:
        yield (do_here if jobs == 1 else do), jobs
    finally:
        for worker in workers:
            if worker.key is not None:  # interrupted
                worker.process.kill()
            worker.stop()


def _serve(
    connection: Connection,
    parent: int,
    device: str,
    threads: int,
    until: float | None,
    texts: Path | None,
) -> None:
    """Do steps until the other side hangs up."""

    def end_with_parent() -> None:
        while os.getppid() == parent:
            sleep(_LOOK_EVERY)
        os._exit(1)

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the study's process hears it, too, and ends this one
    # Else a run that a killed study has left under way would write into what by then another one does.
    Thread(target=end_with_parent, daemon=True).start()
    if texts is not None:
        shared().load(texts)
    while True:
        try:
            task: tuple[str, Step] | None = connection.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            task = None
        if task is None:
            os._exit(0)  # what is on a GPU need not be tidied up piece by piece
        key, step = task
        connection.send(execute(key, step, device, threads, until))


@contextmanager
def dask_workers(
    address: str, device: str, threads: int, until: float | None = None
) -> Iterator[tuple[Doing, int]]:
    """The workers of a Dask cluster: they must see the study's folder and data under the same names.

    A worker that dies costs the step it was at, which another one begins anew. Dask gives a step up that has
    killed four workers, and joblib then waits for it for ever: interrupt the study, and give workers more
    memory.

    Args:
        address: of the scheduler, such as ``tcp://10.0.0.1:8786``.
        device: as on the command line.
        threads: CPU threads of each step. A worker does one at a time, however many threads it has.
        until: time from which no further run is begun.

    Yields:
        What does the steps, and how many it does at a time.

    Raises:
        InputError: if Dask is not installed, or no scheduler answers.
    """
    from joblib import Parallel, delayed, parallel_config

    try:
        from distributed import Client
    except ImportError as error:
        raise InputError('Dask is not installed: run pip install "alignment-advisor[dask]".') from error
    try:
        client = Client(address, timeout=_ANSWER_WITHIN, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"No Dask scheduler answers at {address}: start one with 'dask scheduler' and name its address."
        ) from error

    def do(steps: Iterable[tuple[str, Step]]) -> Iterator[Ended | Lost]:
        work = delayed(execute)
        with parallel_config(backend="dask", client=client):
            ended = True
            while ended:  # what had to wait for others may have its turn by then
                ended = False
                parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
                for end in parallel(work(key, step, device, threads, until) for key, step in steps):
                    ended = True
                    yield end

    with client:
        workers = len(client.ncores())
        if not workers:
            raise InputError(
                f"The Dask scheduler at {address} has no workers: start some with 'dask worker'."
            )
        yield do, workers
