"""Gradient rounds at one point, and the rows of signals they give."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor

from probes.batches import LabelledText, TokenizedPair, Tokenizer, collate_labelled, collate_pairs
from probes.encoder import EMBEDDINGS, Encoder
from probes.estimators import Moments
from probes.gradients import BlockGradients, GradientAccumulator, block_gradients
from probes.heads import Head
from probes.objectives import Objective, PairView
from probes.progress import Stopwatch
from probes.signals import TOTAL, ConflictRow, CosineRow, LossRow, Point, TaskGradient

__all__ = ["GradientRounds", "RoundBatches", "measure_gradients", "null_name", "task_name"]

Batches = Sequence[Sequence[LabelledText]]


def task_name(task_gradient: TaskGradient) -> str:
    """The name of a task gradient among the losses."""
    return f"task:{task_gradient}"


def null_name(objective: str) -> str:
    """The name of an objective on shuffled pairs among the losses."""
    return f"null:{objective}"


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


@dataclass(frozen=True)
class GradientRounds:
    """The outcome at one point: rows for the signals, and mean gradients for the lookahead."""

    losses: tuple[LossRow, ...]
    cosines: tuple[CosineRow, ...]
    conflicts: tuple[ConflictRow, ...]
    moments: Moments
    mean_gradients: Mapping[str, Mapping[str, Tensor]]


def measure_gradients(
    encoder: Encoder,
    head: Head,
    objectives: Mapping[str, Objective],
    batches: RoundBatches,
    tokenizer: Tokenizer,
    *,
    point: Point,
    anchor: Encoder | None,
    seed: int,
    watch: Stopwatch,
) -> GradientRounds:
    """Take the gradient of every task loss, objective and null, round by round.

    The encoder is in eval mode, so that a gradient is a function of its batch alone.

    Args:
        encoder, head: at the point.
        objectives: those to measure, by name.
        batches: one set a round.
        tokenizer: of the encoder.
        point: name of the point.
        anchor: the model as it was given, when ``encoder`` no longer is.
        seed: of masks and shuffles; the same at both points, so that they are compared on equal terms.
        watch: advanced a round at a time.
    """
    parameters = encoder.block_parameters()
    sizes = {block: sum(p.numel() for p in group) for block, group in parameters.items()}
    nulls = [name for name, objective in objectives.items() if "pairs" in objective.requires]
    names = [*map(task_name, batches.tasks), *objectives, *map(null_name, nulls)]
    accumulator = GradientAccumulator(sizes, names, encoder.device, seed=seed)
    values: dict[str, list[float]] = {name: [] for name in names}

    def gradient(name: str, loss: Callable[[], Tensor], keep_graph: bool) -> BlockGradients:
        value = loss()
        values[name].append(float(value.detach()))
        return block_gradients(value, parameters, keep_graph)

    for k in watch.each(range(batches.rounds)):
        view = PairView(
            encoder, collate_pairs(batches.pairs[k], tokenizer, encoder.device), anchor, seed=seed + k
        )
        losses: dict[str, Callable[[], BlockGradients]] = {}
        for task, texts in batches.tasks.items():
            batch = collate_labelled(texts[k], head.token_level, encoder.tokenizer, encoder.device)
            name = task_name(task)
            losses[name] = partial(gradient, name, partial(head.loss, encoder, batch), keep_graph=False)
        for name, objective in objectives.items():
            losses[name] = partial(gradient, name, partial(objective.loss, view), keep_graph=True)
        for name in nulls:
            losses[null_name(name)] = partial(
                gradient, null_name(name), partial(_null_loss, objectives[name], view), keep_graph=True
            )
        accumulator.add_round(losses)
    moments = accumulator.moments()
    layers = tuple(block for block in encoder.blocks if block != EMBEDDINGS)
    blocks = {block: (block,) for block in encoder.blocks} | {TOTAL: layers}
    sets = {name: moments.total(members, name) for name, members in blocks.items()}
    batch_size = len(batches.pairs[0])
    loss_rows = tuple(
        _loss_row(point, name, part, batch_size, float(np.mean(values[name])))
        for name in names
        if not name.startswith("null:")
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
        mean_gradients={name: accumulator.mean(name) for name in objectives},
    )


def _null_loss(objective: Objective, view: PairView) -> Tensor:
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
