"""The whole probe: from what the user named to :class:`~probes.signals.Signals`.

The user's model is only ever read. Everything that changes happens on working copies, so there is
nothing to undo when a run fails or is interrupted.
"""

import os
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Literal

import numpy as np
import psutil
import torch

from probes.batches import LabelledText, TokenizedPair, collate_labelled, collate_pairs
from probes.budget import Budget, find_budget
from probes.cost import CostEstimate, PassTimes, estimate_cost
from probes.distances import sentence_rows, word_rows
from probes.embedding import EmbeddedBitext, embed_bitext
from probes.encoder import Encoder, load_encoder
from probes.errors import InputError, RunError
from probes.gradients import block_gradients
from probes.heads import FittedHead, Head, fit_head, score_head
from probes.linking import Linker
from probes.lookahead import look_ahead
from probes.material import Inputs, Material, prepare, read_inputs
from probes.metrics import score
from probes.objectives import Objective, PairView, available
from probes.progress import Progress, Silent, Stopwatch
from probes.projection import Projection, project_labels
from probes.request import ProbeRequest
from probes.rounds import GradientRounds, RoundBatches, measure_gradients, task_name
from probes.sampling import deal
from probes.signals import (
    TOTAL,
    Estimate,
    LookaheadRow,
    Note,
    ProjectionFacts,
    RunFacts,
    Signals,
    TaskFacts,
    TaskGradient,
    TransferFacts,
)
from probes.tasks import Task
from probes.text import text_facts
from probes.warm_up import AdamScale, warm_up

__all__ = ["run_probe"]


def run_probe(request: ProbeRequest, watcher: Progress | None = None) -> Signals:
    """Measure the user's encoder for a language pair and a task.

    Args:
        request: what to probe.
        watcher: told of phases, steps and the estimated cost.

    Returns:
        All signals; finite, with an interval or the reason why there is none.

    Raises:
        InputError: if something the user gave cannot be used.
        RunError: if the run cannot finish (memory).
    """
    watch = Stopwatch(watcher or Silent())
    budget = find_budget(request.budget)
    device = _device(request.device)
    with _undisturbed(), _memory_errors(budget):
        with watch.phase("read"):
            inputs = read_inputs(request)
        with watch.phase("load"):
            encoder = load_encoder(request.model, device)
            material = prepare(inputs, encoder, budget, request.seed)
        return _measure(request, encoder, inputs, material, budget, watch)


def _measure(
    request: ProbeRequest,
    encoder: Encoder,
    inputs: Inputs,
    material: Material,
    budget: Budget,
    watch: Stopwatch,
) -> Signals:
    seed, task = request.seed, inputs.task
    token_level = task.level == "token"
    linker = Linker(
        encoder.layers,
        inputs.dictionary.entries if inputs.dictionary else None,
        given=inputs.bitext.links is not None,
    )
    with watch.phase("embed", -(-len(material.pairs) // 32)):
        bitext = embed_bitext(encoder, material.tokenizer, material.pairs, linker, budget.pairs, watch)
        distances = (
            *sentence_rows(bitext.source, bitext.target),
            *word_rows(bitext.source_words, bitext.target_words),
        )
    with watch.phase("head"):
        fitted = fit_head(
            encoder,
            material.source.fit[: budget.fit_sentences],
            len(material.labels),
            token_level,
            seed,
        )
        transfer = _transfer(encoder, fitted, material, task)
    used_ids = sorted({i for ids in material.ids for i in ids} | set(encoder.tokenizer.all_special_ids))
    start = encoder.working_copy(used_ids)
    pair_batches = deal(bitext.pairs, budget.rounds, material.pair_batch)
    enough_links = all(sum(len(pair.links) for pair in batch) >= 2 for batch in pair_batches)
    objectives, unavailable = available(start, enough_links)
    watch.estimate(_estimate(start, fitted.head, objectives, pair_batches[0], material, budget))

    warm = encoder.working_copy(used_ids)
    warm_head = Head(
        fitted.head.weight.detach().clone(), fitted.head.bias.detach().clone(), fitted.head.token_level
    )
    with watch.phase("warm-up", budget.warm_up_steps):
        adam = warm_up(
            warm,
            warm_head,
            material.source.fit,
            steps=budget.warm_up_steps,
            batch_size=budget.batch_size,
            seed=seed,
            watch=watch,
        )
    reserved = bitext.pairs[budget.rounds * material.pair_batch :][: budget.rounds * material.pair_batch]
    projection = project_labels(warm, warm_head, reserved, task.level, material.tokenizer)
    tasks, notes = _task_batches(material, projection, budget)
    batches = RoundBatches(tasks, pair_batches)

    found: list[GradientRounds] = []
    points: tuple[tuple[Literal["theta0", "theta_warm"], Encoder, Head, Encoder | None], ...] = (
        ("theta0", start, fitted.head, None),
        ("theta_warm", warm, warm_head, start),
    )
    for point, model, head, anchor in points:
        with watch.phase(point, budget.rounds):
            found.append(
                measure_gradients(
                    model,
                    head,
                    objectives,
                    batches,
                    material.tokenizer,
                    point=point,
                    anchor=anchor,
                    seed=seed,
                    watch=watch,
                )
            )
    texts = _lookahead_texts(material, projection, budget, tasks)
    with watch.phase("lookahead", 3 * len(objectives)):
        ahead: list[LookaheadRow] = []
        scales: tuple[AdamScale | None, ...] = (None, adam)
        for (point, model, head, _), rounds, scale in zip(points, found, scales, strict=True):
            ahead += look_ahead(model, head, rounds, texts, scale, point=point, watch=watch)
    return Signals(
        model=encoder.facts(),
        source=inputs.source.code,
        target=inputs.target.code,
        task=TaskFacts(name=task.name, level=task.level, metric=task.metric, labels=material.labels),
        word_pairs=linker.kind,
        data=inputs.facts,
        transfer=transfer,
        losses=tuple(row for rounds in found for row in rounds.losses),
        cosines=tuple(row for rounds in found for row in rounds.cosines),
        conflicts=tuple(row for rounds in found for row in rounds.conflicts),
        lookahead=tuple(ahead),
        distances=distances,
        text=text_facts(
            [pair.strings[0] for pair in material.pairs],
            [pair.strings[1] for pair in material.pairs],
            encoder.tokenizer,
            inputs.source,
            inputs.target,
        ),
        projection=_projection_facts(projection, found[-1], tasks, task, linker),
        unavailable=unavailable,
        notes=(*material.notes, *notes, *_head_notes(transfer)),
        run=_run_facts(request, budget, material, bitext, tasks, encoder, watch),
    )


def _transfer(encoder: Encoder, fitted: FittedHead, material: Material, task: Task) -> TransferFacts:
    """Score the head on held-out source and, with labels, target text."""

    def points(items: Sequence[LabelledText]) -> Estimate:
        return score_head(encoder, fitted.head, items, material.labels, task.metric)

    fit = np.concatenate([item.labels for item in material.source.fit])
    most_frequent = material.labels[int(np.bincount(fit).argmax())]
    gold = [[material.labels[i] for i in item.labels] for item in material.source.held_out]
    majority = score(gold, [[most_frequent] * len(row) for row in gold], task.metric).value
    assert majority is not None
    return TransferFacts(
        source=points(material.source.held_out),
        target=points(material.target) if material.target else None,
        majority=majority,
        train_fit=fitted.train_fit,
        regularisation=fitted.regularisation,
    )


def _task_batches(
    material: Material, projection: Projection, budget: Budget
) -> tuple[dict[TaskGradient, list[list[LabelledText]]], list[Note]]:
    """Batches for every task gradient there is data for."""
    tasks: dict[TaskGradient, list[list[LabelledText]]] = {"source": material.source.rounds}
    notes = []
    for name, items in (("target-labels", material.target), ("target-projected", list(projection.items))):
        size = min(budget.batch_size, len(items) // budget.rounds)
        if size >= 2:
            key: TaskGradient = "target-labels" if name == "target-labels" else "target-projected"
            tasks[key] = deal(items, budget.rounds, size)
        elif items:
            notes.append(
                Note(
                    code=f"too-few-{name}",
                    text=f"{len(items)} sentences are too few for a gradient ({name}): "
                    f"{2 * budget.rounds} are needed.",
                )
            )
    return tasks, notes


def _lookahead_texts(
    material: Material,
    projection: Projection,
    budget: Budget,
    tasks: Mapping[TaskGradient, Sequence[Sequence[LabelledText]]],
) -> dict[TaskGradient, list[LabelledText]]:
    """Texts to evaluate the task loss on; no objective's gradient has seen their labels."""
    most = budget.held_out_sentences // 3
    texts: dict[TaskGradient, list[LabelledText]] = {
        "source": material.source.held_out,
        "target-labels": material.target,
        "target-projected": list(projection.items),
    }
    return {name: items[:most] for name, items in texts.items() if name in tasks}


def _projection_facts(
    projection: Projection,
    warm: GradientRounds,
    tasks: Mapping[TaskGradient, object],
    task: Task,
    linker: Linker,
) -> ProjectionFacts | None:
    if "target-projected" not in tasks:
        return None
    cosine = None
    if "target-labels" in tasks:
        cosine = warm.moments.cosine(TOTAL, task_name("target-labels"), task_name("target-projected"))
    return ProjectionFacts(
        sentences=len(projection.items),
        coverage=projection.coverage,
        word_alignment=linker.kind if task.level == "token" else None,
        cosine_with_labels=cosine,
    )


def _head_notes(transfer: TransferFacts) -> Iterator[Note]:
    if transfer.source.low is not None and transfer.source.low <= transfer.majority:
        yield Note(
            code="head-at-majority",
            text=f"On frozen features the task is not learned: {transfer.source.value:.1f} points on "
            "held-out source text, where always answering the most frequent label scores "
            f"{transfer.majority:.1f}.",
        )


def _estimate(
    encoder: Encoder,
    head: Head,
    objectives: Mapping[str, Objective],
    pairs: Sequence[TokenizedPair],
    material: Material,
    budget: Budget,
) -> CostEstimate:
    """Time single passes on the first batch and add them up."""
    parameters = encoder.block_parameters()
    batch = collate_labelled(material.source.rounds[0], head.token_level, encoder.tokenizer, encoder.device)
    begin = perf_counter()
    block_gradients(head.loss(encoder, batch), parameters)
    labelled = perf_counter() - begin
    begin = perf_counter()
    view = PairView(encoder, collate_pairs(pairs, material.tokenizer, encoder.device))
    _ = view.source, view.target
    encode = perf_counter() - begin
    begin = perf_counter()
    block_gradients(next(iter(objectives.values())).loss(view), parameters)
    align = perf_counter() - begin
    nulls = sum("pairs" in objective.requires for objective in objectives.values())
    return estimate_cost(
        PassTimes(labelled, encode, align),
        rounds=budget.rounds,
        task_losses=2 + bool(material.target),
        pair_losses=len(objectives) + nulls,
        warm_up_steps=budget.warm_up_steps,
        lookahead_batches=3
        * 3
        * len(objectives)
        * max(1, budget.held_out_sentences // 3 // budget.batch_size),
        resident_bytes=psutil.Process().memory_info().rss,
        gradient_bytes=4 * sum(p.numel() for p in encoder.parameters()),
    )


def _run_facts(
    request: ProbeRequest,
    budget: Budget,
    material: Material,
    bitext: EmbeddedBitext,
    tasks: Mapping[TaskGradient, Sequence[Sequence[LabelledText]]],
    encoder: Encoder,
    watch: Stopwatch,
) -> RunFacts:
    used = {
        "head": min(len(material.source.fit), budget.fit_sentences),
        "warm-up": len(material.source.fit),
        "held-out source": len(material.source.held_out),
        "target labels": len(material.target),
        "distances": bitext.source.shape[1],
        "word links": sum(len(pair.links) for pair in bitext.pairs),
        "bitext gradients": budget.rounds * material.pair_batch,
    } | {f"gradients {name}": sum(len(batch) for batch in batches) for name, batches in tasks.items()}
    return RunFacts(
        budget=budget.name,
        rounds=budget.rounds,
        batch_size=material.pair_batch,
        warm_up_steps=budget.warm_up_steps,
        seed=request.seed,
        device=str(encoder.device),
        dtype="float32",
        threads=torch.get_num_threads(),
        seconds=watch.total,
        phases=dict(watch.seconds),
        peak_memory_gib=_peak_memory_gib(),
        versions=_versions(),
        used=used,
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"There is no device '{name}' on this machine: use --device auto or cpu.") from error
    return device


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave the caller's random state as it was."""
    with torch.random.fork_rng():
        yield


@contextmanager
def _memory_errors(budget: Budget) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise RunError(_out_of_memory(budget)) from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):  # how the CPU allocator says it
            raise
        raise RunError(_out_of_memory(budget)) from error


def _out_of_memory(budget: Budget) -> str:
    smaller = "a machine with more memory" if budget.name == "quick" else "--budget quick or more memory"
    return f"Out of memory with budget '{budget.name}': use {smaller}."


def _peak_memory_gib() -> float | None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20


def _versions() -> dict[str, str]:
    versions = {"python": ".".join(map(str, sys.version_info[:3])), "os": os.uname().sysname}
    for package in ("alignment-advisor", "torch", "transformers", "scikit-learn", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
