"""What a worker process does: one step of a study, from inputs on disk to its result on disk."""

import gc
import secrets
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from time import perf_counter, time
from typing import TYPE_CHECKING, Literal, TypeAlias

from advisor.files import write_files
from advisor.study._record import Record, Records
from advisor.study._run_once import TrialRun, failed, run_once
from advisor.study._state import ModelInfo, ModelStep, ProbeStep, failure_path
from probes.errors import InputError, RunError
from probes.progress import Silent

if TYPE_CHECKING:
    import torch

    from advisor.training import Shared


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


def execute(key: str, step: Step, device: str, threads: int, until: float | None = None) -> Ended:
    """Do one step. What goes wrong with it is its result; it never raises an error of its own.

    Args:
        key: returned with the result.
        step: what to do.
        device: as on the command line.
        threads: CPU threads of torch.
        until: time (of the system's clock) from which no further run is begun.
    """
    import torch
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    with _one_at_a_time:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return _execute(key, step, device, until)
        finally:
            torch.set_num_threads(before)
            gc.collect()


def _execute(key: str, step: Step, device: str, until: float | None) -> Ended:
    from advisor.study._device import training_on

    begin = perf_counter()
    status: Literal["done", "failed", "diverged"] = "done"
    error: str | None = None
    records: list[Record] = []
    try:
        with training_on(device) as place:
            match step:
                case RunsStep():
                    for run in step.runs:
                        if until is not None and time() > until:
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
        record = run_once(run, device, Silent(), shared())
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
    from advisor.study._device import precision_on
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
