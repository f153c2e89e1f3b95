"""Gradient rounds at one point, and the rows of signals they give."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from probes.batches import TokenizedPair, collate_pairs
from probes.catalogue import OBJECTIVES
from probes.context import Context, Measurable
from probes.encoder import EMBEDDINGS, Encoder
from probes.errors import NotFiniteError
from probes.gradients import GradientAccumulator, Receive, stream_gradients
from probes.gradients.between import PULL_WIDTH, Pulls
from probes.gradients.estimators import Moments
from probes.gradients.stopping import LOOK_EVERY, MIN_ROUNDS, leading_task, settled
from probes.machine.precision import PassPrecision, or_in_fp32
from probes.machine.processes import Processes
from probes.objectives import AlignmentLoss, PairView
from probes.signals import TOTAL, ConflictRow, CosineRow, LossRow, Point, TaskGradient

Batches = Sequence[Sequence[Any]]
"""Labelled items, as the model's task loss takes them."""

_LARGE = 200_000_000
"""Parameters from which on running sums are kept in bfloat16."""


def task_name(task_gradient: TaskGradient) -> str:
    """The name of a task gradient among the losses."""
    return f"task:{task_gradient}"


def null_name(objective: str) -> str:
    """The name of an objective on shuffled pairs among the losses."""
    return f"null:{objective}"


def nulls_of(objectives: Iterable[str]) -> tuple[str, ...]:
    """The objectives that have a null: those for which it matters that pairs are translations."""
    return tuple(name for name in objectives if OBJECTIVES[name].parallel)


def sum_dtype_for(encoder: Encoder) -> torch.dtype:
    """The type of running sums: half as long for large encoders, where they take most of the memory."""
    size = sum(p.numel() for p in encoder.parameters())
    return torch.bfloat16 if size >= _LARGE else torch.float32


@dataclass(frozen=True)
class RoundBatches:
    """What each of the K rounds draws, all disjoint.

    Attributes:
        tasks: for each task gradient, K batches of labelled texts.
        pairs: K batches of translation pairs.
    """

    tasks: Mapping[TaskGradient, Batches]
    pairs: Sequence[Sequence[TokenizedPair]]

    @property
    def rounds(self) -> int:
        """K."""
        return len(self.pairs)

    @property
    def size(self) -> int:
        """Translation pairs in a round."""
        return len(self.pairs[0])

    def first(self, rounds: int) -> "RoundBatches":
        """The first rounds of these."""
        tasks = {task: batches[:rounds] for task, batches in self.tasks.items()}
        return RoundBatches(tasks, self.pairs[:rounds])

    def shrunk(self, size: int) -> "RoundBatches":
        """The same rounds with ``size`` pairs each, and as much smaller batches of labelled texts."""

        def part(batch: Sequence[Any]) -> Sequence[Any]:
            return batch[: max(2, len(batch) * size // self.size)]

        tasks = {task: [part(batch) for batch in batches] for task, batches in self.tasks.items()}
        return RoundBatches(tasks, [batch[:size] for batch in self.pairs])


@dataclass(frozen=True)
class GradientRounds:
    """The outcome at one point.

    Attributes:
        losses, cosines, conflicts: rows for the signals.
        moments: of all layers together.
        objectives: names of those measured.
        pulls: sketches of every objective's gradient and its null, for comparing targets.
        mean_gradient: gives the mean gradient of an objective, block by block, until ``release`` is called.
        rounds: how many were taken.
        precision: of the passes.
        release: gives the memory back that mean gradients take.
    """

    losses: tuple[LossRow, ...]
    cosines: tuple[CosineRow, ...]
    conflicts: tuple[ConflictRow, ...]
    moments: Moments
    objectives: tuple[str, ...]
    pulls: Pulls
    mean_gradient: Callable[[str], Mapping[str, Tensor]]
    rounds: int
    precision: PassPrecision
    release: Callable[[], None]


def measure_gradients(
    model: Measurable,
    losses: Mapping[str, AlignmentLoss],
    batches: RoundBatches,
    context: Context,
    *,
    may_stop: bool = False,
    nulls: bool = True,
) -> GradientRounds:
    """Take the gradient of every task loss, objective and null, round by round.

    The encoder is in eval mode, so that a gradient is a function of its batch alone. All is taken again in
    fp32 if bf16 overflows.

    Args:
        model: at the point.
        losses: those to measure, by objective.
        batches: one set a round.
        context: its seed is the same at both points, so that they are compared on equal terms.
        may_stop: whether to stop as soon as the leading signals are resolved.
        nulls: whether to take the objectives on shuffled pairs, too.

    Raises:
        NotFiniteError: if a gradient is not finite in fp32 either.
        RunError: if the processes do not take the same rounds.
    """
    encoder, anchor = model.encoder, model.anchor or model.encoder
    shuffled = nulls_of(losses) if nulls else ()

    def take(precision: PassPrecision) -> tuple[GradientAccumulator, Mapping[str, list[float]]]:
        with encoder.passes_in(precision), anchor.passes_in(precision):
            return _take_rounds(model, losses, shuffled, batches, context, may_stop)

    context.processes.check_in_step((model.point, batches.rounds, batches.size, context.precision))
    (accumulator, values), precision = or_in_fp32(context.precision, take)
    return _rows(model, tuple(losses), batches, accumulator, values, precision)


def _rows(
    model: Measurable,
    objectives: tuple[str, ...],
    batches: RoundBatches,
    accumulator: GradientAccumulator,
    values: Mapping[str, list[float]],
    precision: PassPrecision,
) -> GradientRounds:
    """What the rounds say, block by block and of all layers together."""
    point, moments = model.point, accumulator.moments()
    layers = _layers(model.encoder)
    blocks = {block: (block,) for block in model.encoder.blocks} | {TOTAL: layers}
    sets = {name: moments.total(members, name) for name, members in blocks.items()}
    nulls = {null_name(name) for name in objectives}
    loss_rows = tuple(
        _loss_row(point, name, part, batches.size, float(np.mean(values[name])))
        for name in moments.losses
        if name not in nulls
        for part in sets.values()
    )
    cosine_rows = tuple(
        _cosine_row(point, task, name, part)
        for task in batches.tasks
        for name in objectives
        for part in sets.values()
    )
    return GradientRounds(
        losses=loss_rows,
        cosines=cosine_rows,
        conflicts=_conflicts(point, cosine_rows, layers),
        moments=sets[TOTAL],
        objectives=objectives,
        pulls=_pulls(objectives, moments.losses, layers, accumulator),
        mean_gradient=accumulator.mean,
        rounds=accumulator.rounds,
        precision=precision,
        release=accumulator.release,
    )


def _pulls(
    objectives: tuple[str, ...],
    taken: Sequence[str],
    layers: Sequence[str],
    accumulator: GradientAccumulator,
) -> Pulls:
    """Sketches of the objectives, and of their nulls as far as those were taken."""
    with_null = tuple(name for name in nulls_of(objectives) if null_name(name) in taken)
    losses = (*objectives, *map(null_name, with_null))
    return Pulls(objectives, with_null, {b: accumulator.folded(b, losses, PULL_WIDTH) for b in layers})


def _layers(encoder: Encoder) -> tuple[str, ...]:
    return tuple(block for block in encoder.blocks if block != EMBEDDINGS)


def _take_rounds(
    model: Measurable,
    losses: Mapping[str, AlignmentLoss],
    shuffled: Sequence[str],
    batches: RoundBatches,
    context: Context,
    may_stop: bool,
) -> tuple[GradientAccumulator, Mapping[str, list[float]]]:
    """All rounds, or as many as it takes; with the values of every loss."""
    parameters, processes = model.encoder.block_parameters(), context.processes
    tasks = [task_name(task) for task in batches.tasks]
    nulls = [null_name(name) for name in shuffled]
    accumulator = GradientAccumulator(
        {block: [p.numel() for p in group] for block, group in parameters.items()},
        [*tasks, *losses, *nulls],
        references=tasks,
        sketched=nulls,
        device=model.encoder.device,
        seed=context.seed,
        sum_dtype=sum_dtype_for(model.encoder),
        pool=context.pool,
    )
    values: dict[str, list[float]] = {name: [] for name in accumulator.losses}

    def gradient(name: str, k: int, loss: Callable[[], Tensor], receive: Receive) -> None:
        if name == task_name("source") and context.kept is not None:
            key = (model.point, model.encoder.precision, len(batches.tasks["source"][k]), k)
            values[name].append(context.kept.hand_over(key, model.encoder, loss, receive))
            return
        value = loss()
        values[name].append(float(value.detach()))
        stream_gradients(value, parameters, receive, keep_graph=name not in tasks)

    layers = _layers(model.encoder)
    leading = task_name(leading_task(batches.tasks))
    problem: Exception | None = None
    for k in context.watch.each(range(batches.rounds)):
        if processes.takes(k) and problem is None:
            of_round = round_losses(model, losses, batches, k, context.seed)
            of_round = {name: of_round[name] for name in accumulator.losses}
            try:
                accumulator.add_round(
                    {name: partial(gradient, name, k, loss) for name, loss in of_round.items()}
                )
            except (NotFiniteError, RuntimeError, MemoryError) as error:
                problem = processes.hold(error)
            del of_round  # and with it the graphs of the round
        if may_stop and _may_look(k + 1, batches.rounds, processes):
            processes.raise_any(problem)
            so_far = accumulator.sketched(processes).total(layers, TOTAL)
            if settled(so_far, TOTAL, leading, list(losses)):
                break
    processes.raise_any(problem)
    accumulator.join(processes)
    return accumulator, {name: processes.in_turn(of_rounds) for name, of_rounds in values.items()}


def _may_look(taken: int, rounds: int, processes: Processes) -> bool:
    """Whether rounds may end here; several processes look when all have taken as many."""
    at_all = MIN_ROUNDS <= taken < rounds and (taken - MIN_ROUNDS) % LOOK_EVERY == 0
    return at_all and taken % processes.count == 0


def round_losses(
    model: Measurable, losses: Mapping[str, AlignmentLoss], batches: RoundBatches, k: int, seed: int
) -> dict[str, Callable[[], Tensor]]:
    """Every loss of round ``k`` by name: tasks, objectives and nulls.

    All objectives and nulls share one view of the pairs, so that what they have in common is encoded once;
    its graph lives as long as these functions do.
    """
    encoder = model.encoder
    pairs = collate_pairs(batches.pairs[k], model.tokenizer, encoder.device)
    view = PairView(encoder, pairs, model.anchor, seed=seed + k)
    of_round: dict[str, Callable[[], Tensor]] = {}
    for task, texts in batches.tasks.items():
        of_round[task_name(task)] = partial(model.task_loss, texts[k])
    for name, loss in losses.items():
        of_round[name] = partial(loss.loss, view)
    for name in nulls_of(losses):
        of_round[null_name(name)] = partial(_null_loss, losses[name], view)
    return of_round


def _null_loss(objective: AlignmentLoss, view: PairView) -> Tensor:
    """The loss on shuffled pairs; reads the states that the objectives have encoded by then."""
    return objective.loss(view.null())


def _loss_row(point: Point, loss: str, part: Moments, batch_size: int, mean_loss: float) -> LossRow:
    block = part.blocks[0]
    return LossRow(
        point=point,
        loss=loss,
        block=block,
        parameters=int(part.sizes[0]),
        squared_norm=part.squared_norm(block, loss),
        ceiling=part.ceiling(block, loss),
        noise_scale=part.noise_scale(block, loss, batch_size),
        mean_loss=mean_loss,
    )


def _cosine_row(point: Point, task: TaskGradient, objective: str, part: Moments) -> CosineRow:
    block, of_task = part.blocks[0], task_name(task)
    null = null_name(objective)
    return CosineRow(
        point=point,
        task_gradient=task,
        objective=objective,
        block=block,
        cosine=part.cosine(block, of_task, objective),
        raw_cosine=part.raw_cosine(block, of_task, objective),
        null_cosine=part.cosine(block, of_task, null) if null in part.losses else None,
        null_sd=float(part.sizes[0]) ** -0.5,
        magnitude_ratio=part.magnitude_ratio(block, objective, of_task),
        magnitude_similarity=part.magnitude_similarity(block, objective, of_task),
    )


def _conflicts(point: Point, rows: Sequence[CosineRow], layers: Sequence[str]) -> tuple[ConflictRow, ...]:
    groups: dict[tuple[TaskGradient, str], list[CosineRow]] = {}
    for row in rows:
        if row.block in layers:
            groups.setdefault((row.task_gradient, row.objective), []).append(row)
    return tuple(
        ConflictRow(
            point=point,
            task_gradient=task,
            objective=objective,
            share=sum(row.cosine.sign < 0 for row in members) / len(members),
            blocks=len(members),
            resolved=sum(row.cosine.resolved for row in members),
        )
        for (task, objective), members in groups.items()
    )
