"""The two points where gradients are taken: the model as given, and after a short warm-up on the task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probes.batches import LabelledText
from probes.budget import Budget
from probes.encoder import Encoder
from probes.gradients.lookahead import look_ahead
from probes.gradients.rounds import GradientRounds, RoundBatches, measure_gradients
from probes.gradients.vectors import VectorPool
from probes.gradients.warm_up import AdamScale, warm_up
from probes.heads import Head
from probes.machine.precision import PassPrecision
from probes.machine.processes import Processes
from probes.material import Material
from probes.objectives import available
from probes.progress import Stopwatch
from probes.signals import LookaheadRow, TaskGradient

__all__ = ["MeasuredPoints", "Points", "measure_points", "warmed_copy"]


@dataclass
class Points:
    """The model at the two points where gradients are taken."""

    start: Encoder
    head: Head
    warm: Encoder
    warm_head: Head
    adam: AdamScale


@dataclass(frozen=True)
class MeasuredPoints:
    """What was found at both points."""

    theta0: GradientRounds
    theta_warm: GradientRounds
    lookahead: tuple[LookaheadRow, ...]
    unavailable: dict[str, str]


def warmed_copy(
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
    warm_head = head.copy()
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


def measure_points(
    points: Points,
    batches: RoundBatches,
    texts: Mapping[TaskGradient, Sequence[LabelledText]],
    material: Material,
    precision: PassPrecision,
    seed: int,
    processes: Processes,
    watch: Stopwatch,
) -> MeasuredPoints:
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
    return MeasuredPoints(zero, warm, (*first, *ahead), unavailable)
