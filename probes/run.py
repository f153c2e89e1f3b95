"""The whole probe: from what the user named to :class:`~probes.signals.Signals`.

The user's model is only ever read. Everything that changes happens on working copies, so there is
nothing to undo when a run fails or is interrupted.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from probes.batches import LabelledText
from probes.bitext.distances import sentence_rows, word_rows
from probes.bitext.embedding import EMBEDDING_BATCH, embed_bitext
from probes.bitext.linking import Linker
from probes.bitext.text import text_facts
from probes.budget import Budget, find_budget
from probes.catalogue import Task
from probes.cost.forecast import forecast_cost
from probes.encoder import Encoder, load_encoder
from probes.errors import InputError, RunError
from probes.gradients.points import MeasuredPoints, Points, measure_points, warmed_copy
from probes.gradients.round_data import lookahead_texts, task_batches
from probes.gradients.rounds import GradientRounds, RoundBatches, task_name
from probes.gradients.warm_up import AdamScale
from probes.heads import FittedHead, Head, fit_head, project_labels, score_head
from probes.inputs import Inputs, read_inputs
from probes.machine.memory import freed_memory_kept, halve_until_it_fits, is_out_of_memory
from probes.machine.precision import PassPrecision, choose_precision, or_in_fp32
from probes.machine.processes import Processes
from probes.material import Material, prepare
from probes.progress import Progress, Silent, Stopwatch
from probes.request import ProbeRequest
from probes.run_facts import run_facts
from probes.sampling import deal
from probes.signals import (
    TOTAL,
    Estimate,
    ModelFacts,
    Note,
    ProjectionFacts,
    Signals,
    TaskFacts,
    TaskGradient,
    TransferFacts,
)
from probes.tasks import Projection, level_called

__all__ = ["run_probe"]


def run_probe(
    request: ProbeRequest, watcher: Progress | None = None, inputs: Inputs | None = None
) -> Signals:
    """Measure the user's encoder for a language pair and a task.

    Under ``accelerate launch`` several processes share out the gradient rounds, and all return the same.

    Args:
        request: what to probe.
        watcher: told of phases, steps and the estimated cost.
        inputs: what the request names, where it was read before.

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
            inputs = inputs or read_inputs(request)
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
    level = level_called(task.level)
    linker = Linker(
        start.layers,
        inputs.dictionary.entries if inputs.dictionary else None,
        given=inputs.bitext.links is not None,
    )
    watch.estimate(forecast_cost(start, material, task, budget, precision, processes))
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
            start, material.source.fit[: budget.fit_sentences], len(material.labels), level, seed
        )
        transfer = _transfer(start, fitted, material, task)

    def warmed(size: int) -> tuple[tuple[Encoder, Head, AdamScale], PassPrecision]:
        return or_in_fp32(
            precision, lambda used: warmed_copy(start, fitted.head, material, budget, size, seed, watch, used)
        )

    with watch.phase("warm-up", budget.warm_up_steps):
        ((warm, warm_head, adam), _), warm_up_batch = halve_until_it_fits(budget.batch_size, warmed)
    points = Points(start, fitted.head, warm, warm_head, adam)
    del warm, adam  # held by the points alone, which let go of them early

    reserved = bitext.pairs[budget.rounds * material.pair_batch :][: budget.rounds * material.pair_batch]
    projection = project_labels(points.warm, warm_head, reserved, material.tokenizer)
    tasks, notes = task_batches(material, projection, budget)
    planned = RoundBatches(tasks, deal(bitext.pairs, budget.rounds, material.pair_batch))
    texts = lookahead_texts(material, projection, budget, tasks)

    def measured(size: int) -> MeasuredPoints:
        return measure_points(
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
        run=run_facts(
            request, budget, material, bitext, planned.shrunk(pair_batch), found, start, processes, watch
        ),
    )


def _transfer(encoder: Encoder, fitted: FittedHead, material: Material, task: Task) -> TransferFacts:
    """Score the head on held-out source and, with labels, target text."""

    def points(items: Sequence[LabelledText]) -> Estimate:
        return score_head(encoder, fitted.head, items, material.labels, task.metric)

    level, held_out = fitted.head.level, material.source.held_out
    guesses = level.majority(material.source.fit, held_out)
    majority = level.score(held_out, guesses, material.labels, task.metric).value
    assert majority is not None
    return TransferFacts(
        source=points(material.source.held_out),
        target=points(material.target) if material.target else None,
        majority=majority,
        train_fit=fitted.train_fit,
        regularisation=fitted.regularisation,
    )


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
