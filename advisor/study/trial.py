"""The trial: every option is run for real, with several seeds, beside fine-tuning alone."""

import platform
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from advisor.options import NO_ALIGNMENT, Objective, Option, Schedule, WordPairs
from advisor.recipe import Recipe
from advisor.recipe._config import COLUMN_NAMES
from advisor.recipe._files import _align_learning_rate, _weighted
from advisor.report._files import check_output, write_files
from advisor.study._record import Configuration, CurvePoint, Record, Records, Scores
from advisor.study._result import TrialResult, summarise
from advisor.study._watch import SilentWatcher, Watcher
from probes.data import Columns
from probes.errors import InputError, RunError
from probes.request import ProbeRequest
from probes.tasks import find_task

if TYPE_CHECKING:
    import torch

    from advisor.recipe.outcome import Outcome
    from probes.encoder import Encoder

__all__ = ["DEFAULT_OPTIONS", "run_trial"]

DEFAULT_OPTIONS = ("none", "token-contrastive:joint:0.1")
"""What is compared unless something else is named."""
FEWEST_PAIRS = 8
"""Translation pairs a trial needs: with fewer, a contrastive loss has next to no negatives."""

_INPUTS = frozenset({"model", "source", "target", "task", "train", "bitext", "target_labels", "dictionary"})
_ELSEWHERE = _INPUTS | {"word_links", "option", "seed", "output"}
"""Fields of a recipe that stand elsewhere in a configuration, or do not bear on the outcome."""
_PACKAGES = ("alignment-advisor", "torch", "transformers", "accelerate", "scikit-learn", "numpy")


@dataclass(frozen=True)
class _Run:
    """One option with one seed, and where its inputs are."""

    configuration: Configuration
    recipe: Recipe
    files: dict[str, str]


def run_trial(
    request: ProbeRequest,
    options: Sequence[Option | str] = DEFAULT_OPTIONS,
    *,
    seeds: int = 3,
    steps: int | None = None,
    out: str | Path = "trial",
    watcher: Watcher | None = None,
) -> TrialResult:
    """Align, fine-tune and evaluate with every option and seed, each paired with ``none``.

    Runs of the same seed share the split of the training data, the start of the head and the order of the
    task's batches, so that their difference is the option's doing. Every run leaves a record under
    ``out/records``; what is recorded as done or diverged is not run again, what failed is. Killing the
    trial therefore costs at most the run in flight.

    Args:
        request: what to try on. Target labels are needed; the budget and the seed are not used.
        options: what to compare, typed or as :meth:`Option.parse` reads it; ``none`` is always added, and
            joint training without a weight gets 0.1, as in the published runs.
        seeds: how many seeds (0, 1, ...); the runs of fewer seeds are a part of those of more.
        steps: at most so many optimiser steps in each phase; by default three epochs, and as many steps of
            sequential alignment.
        out: folder for ``records/`` and ``trial.json``.
        watcher: told of the runs and of the phases of each.

    Returns:
        Every option's scores and gains; also written to ``out/trial.json``.

    Raises:
        InputError: if something given cannot be used.
        RunError: if no run at all could be finished, or the disk fails.
    """
    out = Path(out)
    watcher = watcher or SilentWatcher()
    chosen = _options(options, request)
    if seeds < 1:
        raise InputError("A trial needs at least 1 seed, and 2 to know the noise: use --seeds 3.")
    if steps is not None and steps < 1:
        raise InputError("A run needs at least 1 optimiser step: raise --steps.")
    if request.target_labels is None:
        raise InputError(
            "A trial is scored on labelled target-language data: name some with --target-labels."
        )
    check_output(out)

    from advisor.study._device import precision_on, training_on  # torch takes seconds to import

    with training_on(request.device) as device:
        runs = list(_plan(request, chosen, seeds, steps, precision_on(device)))
        records = _run_all(runs, Records(out / "records"), device, watcher)
    result = summarise(records)
    write_files(out, {"trial.json": result.model_dump_json(indent=2) + "\n"})
    if not any(record.status == "done" for record in records):
        raise RunError(
            f"None of the {len(records)} runs could be finished; the first {records[0].status}: "
            f"{records[0].error}"
        )
    return result


# --- plan ------------------------------------------------------------------------------------------------


def _options(options: Sequence[Option | str], request: ProbeRequest) -> list[Option]:
    """``none``, then every other option once."""
    word_pairs = WordPairs.MUTUAL_ARGMAX
    if request.dictionary:
        word_pairs = WordPairs.DICTIONARY
    elif request.word_links:
        word_pairs = WordPairs.FILE
    typed = [option if isinstance(option, Option) else Option.parse(option, word_pairs) for option in options]
    for option in typed:
        if option.word_pairs is WordPairs.DICTIONARY and not request.dictionary:
            raise InputError(f"'{option}' needs a bilingual dictionary: name one with --dictionary.")
        if option.word_pairs is WordPairs.FILE and not request.word_links:
            raise InputError(f"'{option}' needs word links of the bitext: name them with --word-links.")
    chosen = list(dict.fromkeys([NO_ALIGNMENT, *map(_weighted, typed)]))
    if len(chosen) == 1:
        raise InputError(
            "There is nothing to compare fine-tuning alone with: name an option, such as "
            "--option token-contrastive:joint:0.1."
        )
    return chosen


def _plan(
    request: ProbeRequest,
    options: Sequence[Option],
    seeds: int,
    steps: int | None,
    precision: Literal["bf16", "no"],
) -> Iterator[_Run]:
    """All runs, seed by seed: paired gains come early, and bad input comes out in the first round."""
    from probes.encoder import load_encoder
    from probes.material import read_inputs

    inputs = read_inputs(request)
    if len(inputs.bitext) < FEWEST_PAIRS:
        raise InputError(
            f"{request.bitext} holds {len(inputs.bitext)} usable translation pairs: bring {FEWEST_PAIRS} or "
            "more to try alignment on."
        )
    encoder = load_encoder(request.model)
    hashes: defaultdict[str, list[str]] = defaultdict(list)
    files: defaultdict[str, list[str]] = defaultdict(list)
    for fact in inputs.facts:
        hashes[fact.role].append(fact.sha256)
        files[fact.role].append(fact.spec)
    columns = request.columns or Columns()
    for option in options:
        _check_head(option, encoder, request.model)
    for seed in range(seeds):
        for option in options:
            recipe = Recipe(
                model=request.model,
                source=inputs.source.code,
                target=inputs.target.code,
                task=inputs.task.name,
                train=request.train,
                bitext=request.bitext,
                target_labels=request.target_labels,
                dictionary=request.dictionary,
                word_links=request.word_links,
                columns={
                    name: column for name in COLUMN_NAMES if (column := getattr(columns, name)) is not None
                },
                option=option,
                max_steps=steps,
                align_learning_rate=_align_learning_rate(request.model),
                mixed_precision=precision,
                seed=seed,
            )
            roles = tuple(_roles(option))
            configuration = Configuration(
                model_sha256=encoder.sha256,
                data_sha256={role: "+".join(hashes[role]) for role in roles},
                source=recipe.source,
                target=recipe.target,
                task=recipe.task,
                option=option,
                seed=seed,
                settings=recipe.model_dump(mode="json", exclude=_unused(option)),
            )
            yield _Run(configuration, recipe, {role: " + ".join(files[role]) for role in roles})


def _check_head(option: Option, encoder: "Encoder", model: str) -> None:
    if option.objective.needs_mlm_head and encoder.masked_lm is None:
        raise InputError(
            f"'{option.objective}' cannot be run on '{model}', since {encoder.no_mlm_reason}: "
            "choose another objective."
        )


def _roles(option: Option) -> Iterator[str]:
    """The inputs that an option reads, in the words of the readers."""
    yield from ("train", "target-labels")
    if option.objective is not Objective.NONE:
        yield "bitext"
    if option.word_pairs is WordPairs.DICTIONARY:
        yield "dictionary"
    if option.word_pairs is WordPairs.FILE:
        yield "word links"


def _unused(option: Option) -> set[str]:
    """Fields of the recipe that have no part in the settings of a run: a baseline outlives a new bitext."""
    unused = set(_ELSEWHERE)
    if option.schedule is not Schedule.SEQUENTIAL:
        unused |= {"align_steps", "align_learning_rate"}
    if option.objective is Objective.NONE:
        unused |= {"align_batch_size"}
    return unused


# --- runs ------------------------------------------------------------------------------------------------


def _run_all(
    runs: Sequence[_Run], records: Records, device: "torch.device", watcher: Watcher
) -> list[Record]:
    """The records of ``runs``, in their order; those that are not there yet are made."""
    found = [records.find(run.configuration) for run in runs]
    ended = {i: record for i, record in enumerate(found) if record and record.status != "failed"}
    watcher.planned(len(runs), len(ended))
    for i, run in enumerate(runs):
        if i in ended:
            continue
        watcher.begins(run.configuration.option, run.configuration.seed)
        ended[i] = _run(run, device, watcher)
        records.save(ended[i])
        waiting = [run.configuration.option for j, run in enumerate(runs) if j not in ended]
        watcher.ended(ended[i], _seconds_left(waiting, list(ended.values())))
    return [ended[i] for i in range(len(runs))]


def _seconds_left(waiting: Sequence[Option], ended: Sequence[Record]) -> float:
    """Each run is taken to last as long as those of its option did, or as all did."""
    usual = mean(record.seconds for record in ended)
    spent: defaultdict[Option, list[float]] = defaultdict(list)
    for record in ended:
        spent[record.configuration.option].append(record.seconds)
    return sum(mean(spent[option]) if option in spent else usual for option in waiting)


def _run(run: _Run, device: "torch.device", watcher: Watcher) -> Record:
    """Train once; whatever goes wrong with the run itself is recorded, bad input is raised."""
    import torch

    from advisor.recipe import train as engine

    begin = perf_counter()
    outcome: Outcome | None = None
    status: Literal["done", "failed", "diverged"] = "done"
    error: str | None = None
    try:
        outcome = engine.train(run.recipe, watcher)
    except InputError:
        raise
    except RunError as problem:  # raised by the engine when a loss or a weight is not finite any more
        status, error = "diverged", _one_line(problem)
    # Not every exception: a signal that became one must end the trial, and so must a fault of the program.
    except (RuntimeError, ValueError, ArithmeticError, MemoryError, OSError) as problem:
        status, error = "failed", f"{type(problem).__name__}: {_one_line(problem)}"
    return Record(
        configuration=run.configuration,
        model=run.recipe.model,
        files=run.files,
        status=status,
        error=error,
        metric=find_task(run.recipe.task).metric,
        scores=Scores(**outcome.after) if outcome else None,
        before=Scores(**outcome.before) if outcome else None,
        curve=tuple(_curve(outcome)) if outcome else (),
        texts=outcome.metrics()["texts"] if outcome else {},
        device=_device_name(device),
        threads=torch.get_num_threads(),
        seconds=round(perf_counter() - begin, 3),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions(),
    )


def _curve(outcome: "Outcome") -> Iterator[CurvePoint]:
    for entry in outcome.log:
        yield CurvePoint(
            phase=entry.phase, step=entry.step, learning_rate=entry.learning_rate, **entry.losses
        )


def _device_name(device: "torch.device") -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _one_line(problem: BaseException) -> str:
    return " ".join(str(problem).split())


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # a source tree that was never installed
            versions[package] = "unknown"
    return versions
