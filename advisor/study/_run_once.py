"""One run of the training engine, and its record."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from advisor.findings.evidence import EARLY
from advisor.options import Schedule, WordPairs
from advisor.study._record import Configuration, CurvePoint, EarlyScores, Record, Scores
from advisor.training import Recipe
from probes.catalogue import TASKS
from probes.errors import InputError, RunError
from probes.machine.versions import library_versions
from probes.progress import Progress
from probes.signals import Estimate

if TYPE_CHECKING:
    import torch

    from advisor.training import Outcome, Shared

_INPUTS = frozenset({"model", "source", "target", "task", "train", "bitext", "dictionary", "word_links"})
_LABELS = frozenset({"target_labels", "source_labels"})
_ELSEWHERE = _INPUTS | _LABELS | {"option", "seed", "output", "goes_on_from"}
"""Fields of a recipe that stand elsewhere in a configuration, or do not bear on the outcome."""


@dataclass(frozen=True)
class TrialRun:
    """One option with one seed, and where its inputs are.

    Attributes:
        configuration: what the run is.
        recipe: how the engine is told.
        model: the encoder as its record is to name it.
        files: the data as its record is to name it, by role.
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

    Args:
        recipe: with languages as codes and a precision other than ``auto``.
        model_sha256: of the encoder's weights.
        data_sha256: by the roles of :func:`roles_of`.
        scored: SHA-256 of the labels scored on, by language.
    """
    option = recipe.option
    none = not option.aligns
    unused = set(_ELSEWHERE)
    if option.schedule is not Schedule.SEQUENTIAL:
        unused |= {"align_steps", "align_learning_rate"}
    if none:
        unused |= {"align_batch_size"}
    if recipe.experiment is None:  # as it is not mentioned by older records
        unused |= {"experiment"}
    if not recipe.also:  # nor are these
        unused |= {"also", "also_labels", "temperature"}
    return Configuration(
        model_sha256=model_sha256,
        data_sha256=data_sha256,
        source=recipe.source,
        target=None if none else recipe.target,
        scored=scored,
        task=recipe.task,
        option=option,
        seed=recipe.seed,
        settings=recipe.model_dump(mode="json", exclude=unused),
    )


def run_once(run: TrialRun, device: "torch.device", progress: Progress, shared: "Shared") -> Record:
    """Train and score once. Whatever goes wrong with the run itself is recorded, bad input is raised.

    Args:
        run: what to do.
        device: where accelerate trains.
        progress: told of the phases.
        shared: keeps what several runs have in common.

    Raises:
        InputError: if something the run names cannot be used.
    """
    import torch

    from advisor import training as engine

    begin = perf_counter()
    outcome: Outcome | None = None
    status: Literal["done", "failed", "diverged"] = "done"
    error: str | None = None
    try:
        outcome = engine.train(run.recipe, progress, targets=run.targets, shared=shared, looks=run.looks)
    except InputError:
        raise
    except RunError as problem:  # raised by the engine when a loss or a weight is not finite any more
        status, error = "diverged", _one_line(problem)
    # Not every exception: a signal that became one must end the trial, and so must a fault of the program.
    except (RuntimeError, ValueError, ArithmeticError, MemoryError, OSError) as problem:
        status, error = "failed", f"{type(problem).__name__}: {_one_line(problem)}"
    return Record(
        configuration=run.configuration,
        model=run.model,
        files=run.files,
        status=status,
        error=error,
        metric=TASKS.find(run.recipe.task).metric,
        scores=_scores(outcome.after) if outcome else None,
        before=_scores(outcome.before) if outcome else None,
        early=tuple(EarlyScores(step=step, targets=points) for step, points in outcome.looks.items())
        if outcome
        else (),
        curve=tuple(_curve(outcome)) if outcome else (),
        texts=outcome.sizes if outcome else {},
        device=_device_name(device),
        threads=torch.get_num_threads(),
        seconds=round(perf_counter() - begin, 3),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        block=run.block,
    )


def failed(run: TrialRun, problem: Exception) -> Record:
    """The record of a run that could not even begin."""
    return Record(
        configuration=run.configuration,
        model=run.model,
        files=run.files,
        status="failed",
        error=_one_line(problem),
        metric=TASKS.find(run.recipe.task).metric,
        device="none",
        threads=1,
        seconds=0.0,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        block=run.block,
    )


def _scores(points: dict[str, Estimate]) -> Scores:
    return Scores(
        source=points["source"],
        targets={name: estimate for name, estimate in points.items() if name != "source"},
    )


def _curve(outcome: "Outcome") -> Iterator[CurvePoint]:
    for entry in outcome.log:
        losses = {name: float(f"{loss:.5g}") for name, loss in entry.losses.items()}
        rate = float(f"{entry.learning_rate:.5g}")
        yield CurvePoint(phase=entry.phase, step=entry.step, learning_rate=rate, **losses)


def _device_name(device: "torch.device") -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _one_line(problem: BaseException) -> str:
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
