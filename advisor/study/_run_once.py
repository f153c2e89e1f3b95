"""One run of the training engine, and its record."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from advisor.findings.evidence import EARLY
from advisor.options import Schedule, WordPairs
from advisor.study._record import Configuration, CurvePoint, EarlyScores, Record, Records, Scores
from advisor.training import Recipe
from probes.catalogue import TASKS
from probes.errors import InputError, RunError
from probes.machine.versions import library_versions
from probes.progress import Progress
from probes.signals import Estimate

if TYPE_CHECKING:
    import torch

    from advisor.training import Outcome, Shared

_ELSEWHERE = frozenset(
    {"model", "source", "target", "task", "train", "bitext", "dictionary", "word_links"}
    | {"target_labels", "source_labels", "option", "seed", "output", "goes_on_from"}
)
"""Fields of a recipe that stand elsewhere in a configuration, or do not bear on the outcome."""


@dataclass(frozen=True)
class TrialRun:
    """One option with one seed, and where its inputs are.

    Attributes:
        model, files: as the record is to name them.
        targets: labelled data to score on, by language.
        looks: shares of fine-tuning after which they are scored on as well.
        block: of the plan that asks for the run.
    """

    configuration: Configuration
    recipe: Recipe
    model: str
    files: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    looks: tuple[float, ...] = tuple(EARLY.values())
    block: str | None = None


def roles_of(recipe: Recipe) -> Iterator[str]:
    """The inputs beside target labels that a recipe reads, in the words of the readers."""
    option = recipe.option
    yield "train"
    if recipe.source_labels is not None:
        yield "source-labels"
    if option.aligns:
        yield "bitext"
    if option.word_pairs is WordPairs.DICTIONARY:
        yield "dictionary"
    if option.word_pairs is WordPairs.FILE:
        yield "word links"


def configure(
    recipe: Recipe, *, model_sha256: str, data_sha256: dict[str, str], scored: dict[str, str]
) -> Configuration:
    """The configuration of a run: fine-tuning alone depends on no target language and on no bitext.

    The recipe's languages are codes and its precision is another than ``auto``; hashes of data are by the
    roles of :func:`roles_of`, those of the labels scored on by language.
    """
    option = recipe.option
    unused = set(_ELSEWHERE)
    if option.schedule is not Schedule.SEQUENTIAL:
        unused |= {"align_steps", "align_learning_rate"}
    if not option.aligns:
        unused |= {"align_batch_size"}
    if recipe.experiment is None:  # as it is not mentioned by older records
        unused |= {"experiment"}
    if not recipe.also:  # nor are these
        unused |= {"also", "also_labels", "temperature"}
    return Configuration(
        model_sha256=model_sha256,
        data_sha256=data_sha256,
        source=recipe.source,
        target=recipe.target if option.aligns else None,
        scored=scored,
        task=recipe.task,
        option=option,
        seed=recipe.seed,
        settings=recipe.model_dump(mode="json", exclude=unused),
    )


def run_recorded(
    run: TrialRun, records: Records, device: "torch.device", progress: Progress, shared: "Shared"
) -> Record:
    """The record of a run: as it is there, unless it failed, or as it is made and kept now.

    Raises:
        InputError: if something that the run names cannot be used; it has no record then.
    """
    import torch

    there = records.find(run.configuration)
    if there is not None and there.status != "failed":
        return there
    record = run_once(run, device, progress, shared)
    records.save(record)
    gc.collect()  # accelerate's cycles keep a trained model alive, by the gigabyte
    if device.type == "cuda":
        torch.cuda.empty_cache()  # other processes may share the GPU
    return record


def run_once(run: TrialRun, device: "torch.device", progress: Progress, shared: "Shared") -> Record:
    """Train and score once. Whatever goes wrong with the run itself is recorded, bad input is raised."""
    import torch

    from advisor import training as engine

    begin = perf_counter()
    outcome: dict[str, Any]
    try:
        trained = engine.train(run.recipe, progress, targets=run.targets, shared=shared, looks=run.looks)
        outcome = {"status": "done", **_results(trained)}
    except InputError:
        raise
    except RunError as problem:  # raised by the engine when a loss or a weight is not finite any more
        outcome = {"status": "diverged", "error": one_line(problem)}
    # Not every exception: a signal that became one must end the trial, and so must a fault of the program.
    except (RuntimeError, ValueError, ArithmeticError, MemoryError, OSError) as problem:
        outcome = {"status": "failed", "error": f"{type(problem).__name__}: {one_line(problem)}"}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    seconds = round(perf_counter() - begin, 3)
    return _record(run, device=name, threads=torch.get_num_threads(), seconds=seconds, **outcome)


def failed(run: TrialRun, problem: Exception) -> Record:
    """The record of a run that could not even begin."""
    return _record(run, device="none", threads=1, seconds=0.0, status="failed", error=one_line(problem))


def _record(run: TrialRun, **outcome: Any) -> Record:
    return Record(
        configuration=run.configuration,
        model=run.model,
        files=run.files,
        metric=TASKS.find(run.recipe.task).metric,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        block=run.block,
        **outcome,
    )


def _results(outcome: "Outcome") -> dict[str, Any]:
    looks = outcome.looks.items()
    return {
        "scores": _scores(outcome.after),
        "before": _scores(outcome.before),
        "early": tuple(EarlyScores(step=step, targets=points) for step, points in looks),
        "curve": tuple(_curve(outcome)),
        "texts": outcome.sizes,
    }


def _scores(points: dict[str, Estimate]) -> Scores:
    targets = {name: estimate for name, estimate in points.items() if name != "source"}
    return Scores(source=points["source"], targets=targets)


def _curve(outcome: "Outcome") -> Iterator[CurvePoint]:
    for entry in outcome.log:
        losses = {name: float(f"{loss:.5g}") for name, loss in entry.losses.items()}
        rate = float(f"{entry.learning_rate:.5g}")
        yield CurvePoint(phase=entry.phase, step=entry.step, learning_rate=rate, **losses)


def one_line(problem: BaseException) -> str:
    """What an error says, without line breaks."""
    return " ".join(str(problem).split())


_VARIABLE = "ACCELERATE_TORCH_DEVICE"


@contextmanager
def training_on(name: str) -> "Iterator[torch.device]":
    """Have accelerate train on one device for as long as the context lasts.

    Args:
        name: ``auto`` leaves the choice to accelerate; else a device of torch, such as ``cuda:1``.

    Raises:
        InputError: if there is no such device.
    """
    import torch
    from accelerate.state import AcceleratorState

    if name == "auto":
        yield torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"There is no device '{name}' on this machine: use --device auto or cpu.") from error
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = name
    # accelerate chooses once a process and remembers it: what an earlier run chose must not stand.
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        yield device
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
        AcceleratorState._reset_state(reset_partial_state=True)


def precision_on(device: "torch.device") -> Literal["bf16", "no"]:
    """The precision that ``auto`` stands for on ``device``: it decides the numbers, so it is recorded."""
    from probes.machine.precision import has_fast_bf16

    return "bf16" if has_fast_bf16(device) else "no"
