"""The whole probe: from what the user named to :class:`~probes.signals.Signals`.

The user's model is only ever read. Everything that changes happens on working copies, so there is
nothing to undo when a run fails or is interrupted.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch

from probes.batches import LabelledText
from probes.budget import Budget, find_budget
from probes.cost import CostEstimate, Workload, estimate_cost
from probes.distances import sentence_rows, word_rows
from probes.embedding import EMBEDDING_BATCH, EmbeddedBitext, embed_bitext
from probes.encoder import Encoder, load_encoder
from probes.errors import InputError, RunError
from probes.gradients import SKETCH_WIDTH
from probes.heads import FittedHead, Head, fit_head, score_head
from probes.linking import Linker
from probes.lookahead import look_ahead
from probes.material import Inputs, Material, prepare, read_inputs
from probes.memory import (
    freed_memory_kept,
    halve_until_it_fits,
    is_out_of_memory,
    peak_bytes,
    resident_bytes,
)
from probes.metrics import score
from probes.objectives import available
from probes.precision import PassPrecision, choose_precision, or_in_fp32
from probes.processes import Processes
from probes.progress import Progress, Silent, Stopwatch
from probes.projection import Projection, project_labels
from probes.request import ProbeRequest
from probes.rounds import (
    GradientRounds,
    RoundBatches,
    measure_gradients,
    nulls_of,
    sum_dtype_for,
    task_name,
)
from probes.sampling import deal
from probes.signals import (
    TOTAL,
    Estimate,
    LookaheadRow,
    ModelFacts,
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
from probes.timing import subwords, time_passes
from probes.vectors import VectorPool
from probes.warm_up import AdamScale, warm_up

__all__ = ["run_probe"]


def run_probe(request: ProbeRequest, watcher: Progress | None = None) -> Signals:
    """Measure the user's encoder for a language pair and a task.

    Under ``accelerate launch`` several processes share out the gradient rounds, and all return the same.

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
    processes = Processes.here(device)
    precision = choose_precision(request.precision, device)
    with _undisturbed(), _memory_errors(budget), freed_memory_kept():
        with watch.phase("read"):
            inputs = read_inputs(request)
        with watch.phase("load"):
            encoder = load_encoder(request.model, device)
            facts = encoder.facts()
            material = prepare(inputs, encoder, budget, request.seed)
            used = {i for ids in material.ids for i in ids} | set(encoder.tokenizer.all_special_ids)
            start = encoder.working_copy(sorted(used))
            del encoder  # its layers are in the copy, and would be held twice
        return _measure(request, facts, start, inputs, material, budget, precision, processes, watch)


def _measure(
    request: ProbeRequest,
    model_facts: ModelFacts,
    start: Encoder,
    inputs: Inputs,
    material: Material,
    budget: Budget,
    precision: PassPrecision,
    processes: Processes,
    watch: Stopwatch,
) -> Signals:
    seed, task = request.seed, inputs.task
    token_level = task.level == "token"
    linker = Linker(
        start.layers,
        inputs.dictionary.entries if inputs.dictionary else None,
        given=inputs.bitext.links is not None,
    )
    watch.estimate(_estimate(start, material, task, budget, precision, processes))
    with watch.phase("embed", -(-len(material.pairs) // EMBEDDING_BATCH)):
        bitext, _ = halve_until_it_fits(
            EMBEDDING_BATCH,
            lambda size: embed_bitext(
                start, material.tokenizer, material.pairs, linker, budget.pairs, watch, size
            ),
        )
        distances = (
            *sentence_rows(bitext.source, bitext.target),
            *word_rows(bitext.source_words, bitext.target_words),
        )
    with watch.phase("head"):
        fitted = fit_head(
            start, material.source.fit[: budget.fit_sentences], len(material.labels), token_level, seed
        )
        transfer = _transfer(start, fitted, material, task)

    def warmed(size: int) -> tuple[tuple[Encoder, Head, AdamScale], PassPrecision]:
        return or_in_fp32(
            precision, lambda used: _warm(start, fitted.head, material, budget, size, seed, watch, used)
        )

    with watch.phase("warm-up", budget.warm_up_steps):
        ((warm, warm_head, adam), _), warm_up_batch = halve_until_it_fits(budget.batch_size, warmed)
    points = _Points(start, fitted.head, warm, warm_head, adam)
    del warm, adam  # held by the points alone, which let go of them early

    reserved = bitext.pairs[budget.rounds * material.pair_batch :][: budget.rounds * material.pair_batch]
    projection = project_labels(points.warm, warm_head, reserved, task.level, material.tokenizer)
    tasks, notes = _task_batches(material, projection, budget)
    planned = RoundBatches(tasks, deal(bitext.pairs, budget.rounds, material.pair_batch))
    texts = _lookahead_texts(material, projection, budget, tasks)

    def measured(size: int) -> _Measured:
        return _measure_points(
            points, planned.shrunk(size), texts, material, precision, seed, processes, watch
        )

    found, pair_batch = halve_until_it_fits(material.pair_batch, measured)
    return Signals(
        model=model_facts,
        source=inputs.source.code,
        target=inputs.target.code,
        task=TaskFacts(name=task.name, level=task.level, metric=task.metric, labels=material.labels),
        word_pairs=linker.kind,
        data=inputs.facts,
        transfer=transfer,
        losses=(*found.theta0.losses, *found.theta_warm.losses),
        cosines=(*found.theta0.cosines, *found.theta_warm.cosines),
        conflicts=(*found.theta0.conflicts, *found.theta_warm.conflicts),
        lookahead=found.lookahead,
        distances=distances,
        text=text_facts(
            [pair.strings[0] for pair in material.pairs],
            [pair.strings[1] for pair in material.pairs],
            start.tokenizer,
            inputs.source,
            inputs.target,
        ),
        projection=_projection_facts(projection, found.theta_warm, tasks, task, linker),
        unavailable=found.unavailable,
        notes=(
            *material.notes,
            *notes,
            *_head_notes(transfer),
            *_shrinking_notes(budget, warm_up_batch, material, pair_batch),
        ),
        run=_run_facts(
            request, budget, material, bitext, planned.shrunk(pair_batch), found, start, processes, watch
        ),
    )


@dataclass
class _Points:
    """The model at the two points where gradients are taken."""

    start: Encoder
    head: Head
    warm: Encoder
    warm_head: Head
    adam: AdamScale


@dataclass(frozen=True)
class _Measured:
    """What was found at both points."""

    theta0: GradientRounds
    theta_warm: GradientRounds
    lookahead: tuple[LookaheadRow, ...]
    unavailable: dict[str, str]


def _warm(
    start: Encoder,
    head: Head,
    material: Material,
    budget: Budget,
    batch_size: int,
    seed: int,
    watch: Stopwatch,
    precision: PassPrecision,
) -> tuple[Encoder, Head, AdamScale]:
    """A warmed-up copy of the model and its head, with Adam's scale."""
    warm = start.duplicate()
    warm_head = Head(head.weight.detach().clone(), head.bias.detach().clone(), head.token_level)
    adam = warm_up(
        warm,
        warm_head,
        material.source.fit,
        steps=budget.warm_up_steps,
        batch_size=batch_size,
        seed=seed,
        watch=watch,
        precision=precision,
    )
    return warm, warm_head, adam


def _measure_points(
    points: _Points,
    batches: RoundBatches,
    texts: Mapping[TaskGradient, Sequence[LabelledText]],
    material: Material,
    precision: PassPrecision,
    seed: int,
    processes: Processes,
    watch: Stopwatch,
) -> _Measured:
    """Gradients and lookahead after the warm-up, where the signals lead, then of the model as given.

    Both points take the same rounds: as many as the first needs.
    """
    pool = VectorPool()
    enough_links = all(sum(len(pair.links) for pair in batch) >= 2 for batch in batches.pairs)
    objectives, unavailable = available(points.start, enough_links)
    with watch.phase("theta_warm", batches.rounds):
        warm = measure_gradients(
            points.warm,
            points.warm_head,
            objectives,
            batches,
            material.tokenizer,
            point="theta_warm",
            anchor=points.start,
            seed=seed,
            watch=watch,
            precision=precision,
            may_stop=True,
            processes=processes,
            pool=pool,
        )
    with watch.phase("lookahead", 2 * len(objectives)):
        ahead = look_ahead(
            points.warm,
            points.warm_head,
            warm,
            texts,
            points.adam,
            point="theta_warm",
            watch=watch,
            precision=warm.precision,
        )
    warm.release()
    batches = batches.first(warm.rounds)
    with watch.phase("theta0", batches.rounds + len(objectives)):
        zero = measure_gradients(
            points.start,
            points.head,
            objectives,
            batches,
            material.tokenizer,
            point="theta0",
            anchor=None,
            seed=seed,
            watch=watch,
            precision=precision,
            processes=processes,
            pool=pool,
        )
        first = look_ahead(
            points.start,
            points.head,
            zero,
            texts,
            None,
            point="theta0",
            watch=watch,
            precision=zero.precision,
        )
    zero.release()
    return _Measured(zero, warm, (*first, *ahead), unavailable)


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


def _shrinking_notes(
    budget: Budget, warm_up_batch: int, material: Material, pair_batch: int
) -> Iterator[Note]:
    for what, before, after in (
        ("warm-up", budget.batch_size, warm_up_batch),
        ("gradient", material.pair_batch, pair_batch),
    ):
        if after < before:
            yield Note(
                code="batches-halved",
                text=f"Memory ran out: {what} batches hold {after} instead of {before}, so that noise is "
                "larger and contrastive losses have fewer negatives.",
            )


def _estimate(
    encoder: Encoder,
    material: Material,
    task: Task,
    budget: Budget,
    precision: PassPrecision,
    processes: Processes,
) -> CostEstimate:
    """What a run will take, from the sizes of its parts and one timed batch of each kind."""
    objectives, _ = available(encoder, has_links=True)
    # The longest batches, since memory is that of the largest graph.
    texts = max(material.source.rounds, key=subwords)
    pairs = max(deal(material.pairs, budget.rounds, material.pair_batch), key=subwords)
    tasks = 2 + bool(material.target)
    times = time_passes(
        encoder,
        objectives,
        texts,
        pairs,
        material.tokenizer,
        classes=len(material.labels),
        token_level=task.level == "token",
        references=tasks,
        precision=precision,
    )
    in_pairs = subwords(material.pairs) / len(material.pairs)  # of a pair's two sides
    in_text = subwords(material.source.fit) / len(material.source.fit)
    in_target = subwords(material.target) / max(1, len(material.target)) or in_pairs / 2
    projected = in_pairs / 2
    batch = len(texts)
    most = budget.held_out_sentences // 3
    sets = [
        min(most, len(material.source.held_out)) * in_text,
        min(most, len(material.target)) * in_target,
        min(most, budget.rounds * material.pair_batch) * projected,
    ]
    reserved = len(
        material.pairs[budget.rounds * material.pair_batch :][: budget.rounds * material.pair_batch]
    )
    size = 4 * sum(p.numel() for p in encoder.parameters())
    nulls = nulls_of(objectives)
    losses = tasks + len(objectives) + len(nulls)
    work = Workload(
        rounds=budget.rounds,
        processes=processes.count,
        tasks=tasks,
        nulls=nulls,
        task_subwords=batch * in_text
        + min(budget.batch_size, len(material.target) // budget.rounds) * in_target
        + min(budget.batch_size, reserved // budget.rounds) * projected,
        pair_subwords=material.pair_batch * in_pairs,
        warm_up_steps=budget.warm_up_steps,
        warm_up_subwords=budget.warm_up_steps * min(budget.batch_size, len(material.source.fit)) * in_text,
        forward_subwords=subwords(material.pairs)
        + min(len(material.source.fit), budget.fit_sentences) * in_text
        + subwords(material.source.held_out)
        + subwords(material.target)
        + reserved * projected,
        lookahead_subwords=(2 + 3 * len(objectives)) * sum(sets),
        resident_bytes=resident_bytes(encoder.device),
        peak_bytes=peak_bytes(encoder.device),
        gradient_bytes=size,
        sum_bytes=size * sum_dtype_for(encoder).itemsize // 4,
        sketch_bytes=4 * SKETCH_WIDTH * len(encoder.blocks) * budget.rounds * losses,
    )
    return estimate_cost(times, work)


def _run_facts(
    request: ProbeRequest,
    budget: Budget,
    material: Material,
    bitext: EmbeddedBitext,
    batches: RoundBatches,
    found: _Measured,
    encoder: Encoder,
    processes: Processes,
    watch: Stopwatch,
) -> RunFacts:
    taken = found.theta_warm.rounds
    used = {
        "head": min(len(material.source.fit), budget.fit_sentences),
        "warm-up": len(material.source.fit),
        "held-out source": len(material.source.held_out),
        "target labels": len(material.target),
        "distances": bitext.source.shape[1],
        "word links": sum(len(pair.links) for pair in bitext.pairs),
        "bitext gradients": taken * batches.size,
    } | {
        f"gradients {name}": sum(len(batch) for batch in each)
        for name, each in batches.first(taken).tasks.items()
    }
    precisions = {found.theta0.precision, found.theta_warm.precision}
    return RunFacts(
        budget=budget.name,
        rounds=taken,
        stopped="resolved" if taken < budget.rounds else "budget",
        batch_size=batches.size,
        warm_up_steps=budget.warm_up_steps,
        seed=request.seed,
        device=str(encoder.device),
        dtype="bfloat16" if precisions == {"bf16"} else "float32",
        threads=torch.get_num_threads(),
        processes=processes.count,
        seconds=watch.total,
        phases=dict(watch.seconds),
        peak_memory_gib=peak_bytes(encoder.device) / 2**30,
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
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(_out_of_memory(budget)) from error


def _out_of_memory(budget: Budget) -> str:
    smaller = "a machine with more memory" if budget.name == "quick" else "--budget quick or more memory"
    return f"Out of memory with budget '{budget.name}': use {smaller}."


def _versions() -> dict[str, str]:
    versions = {"python": ".".join(map(str, sys.version_info[:3])), "os": os.uname().sysname}
    for package in ("alignment-advisor", "torch", "transformers", "scikit-learn", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
