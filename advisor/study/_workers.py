"""Where the steps of a study are done: processes of this machine, or the workers of a Dask cluster."""

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from time import sleep
from typing import Any, TypeAlias

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import process_executor

from advisor.study._work import Ended, Step, execute
from probes.errors import InputError

__all__ = ["Doing", "dask_workers", "processes"]

Doing: TypeAlias = Callable[[Iterable[tuple[str, Step]]], Iterator[Ended]]
"""Does the steps that an iterable hands out, and yields each result as soon as it is there.

It asks for the next step only when a worker is free."""

_ANSWER_WITHIN = "20s"
_LOOK_EVERY = 0.5
"""Seconds."""


@contextmanager
def processes(jobs: int, device: str, threads: int) -> Iterator[tuple[Doing, int]]:
    """Worker processes of this machine.

    Args:
        jobs: how many.
        device: as on the command line.
        threads: CPU threads of each.

    Yields:
        What does the steps, and how many it does at a time.
    """
    yield (
        _doing(
            device,
            threads,
            backend="loky",
            n_jobs=jobs,
            inner_max_num_threads=threads,
            initializer=_begin,
            initargs=(os.getpid(),),
        ),
        jobs,
    )


def _begin(parent: int) -> None:
    """Prepare a worker process of this machine."""
    # Encoders that are kept for the next run are no leak: loky would end the process, and them with it.
    process_executor._MAX_MEMORY_LEAK_SIZE = math.inf

    def end_with_parent() -> None:
        while os.getppid() == parent:
            sleep(_LOOK_EVERY)
        os._exit(1)

    # Else a run that a killed study has left under way would write into what by then another one does.
    Thread(target=end_with_parent, daemon=True).start()


@contextmanager
def dask_workers(address: str, device: str, threads: int) -> Iterator[tuple[Doing, int]]:
    """The workers of a Dask cluster: they must see the study's folder and data under the same names.

    A worker that dies costs the step it was at, which another one begins anew. Dask gives a step up that has
    killed four workers, and joblib then waits for it for ever: interrupt the study, and give workers more
    memory.

    Args:
        address: of the scheduler, such as ``tcp://10.0.0.1:8786``.
        device: as on the command line.
        threads: CPU threads of each step. A worker does one at a time, however many threads it has.

    Yields:
        What does the steps, and how many it does at a time.

    Raises:
        InputError: if Dask is not installed, or no scheduler answers.
    """
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
    with client:
        workers = len(client.ncores())
        if not workers:
            raise InputError(
                f"The Dask scheduler at {address} has no workers: start some with 'dask worker'."
            )
        yield _doing(device, threads, backend="dask", client=client), workers


def _doing(device: str, threads: int, **backend: Any) -> Doing:
    work = delayed(execute)

    def do(steps: Iterable[tuple[str, Step]]) -> Iterator[Ended]:
        with parallel_config(**backend):
            parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
            yield from parallel(work(key, step, device, threads) for key, step in steps)

    return do
