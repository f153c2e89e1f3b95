"""The two points where gradients are taken: the model as given, and after a short warm-up on the task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from probes.batches import LabelledText
from probes.budget import Budget
from probes.context import Context, ModelAt
from probes.encoder import Encoder
from probes.gradients.lookahead import look_ahead
from probes.gradients.rounds import GradientRounds, RoundBatches, measure_gradients
from probes.gradients.warm_up import AdamScale, warm_up
from probes.machine.vectors import VectorPool
from probes.objectives import available
from probes.signals import LookaheadRow, TaskGradient


@dataclass
class Points:
    """The model at both points.

    Attributes:
        theta0: as given.
        theta_warm: after the warm-up.
        adam: divisors of the warm-up's optimiser.
    """

    theta0: ModelAt
    theta_warm: ModelAt
    adam: AdamScale

    def with_rows(self, start: Encoder) -> "Points":
        """The points once the model as given has embedding rows for more texts; they share all weights."""
        warm = self.theta_warm.encoder.with_rows(start.rows.ids.tolist(), scale=self.adam.decay)
        return Points(
            replace(self.theta0, encoder=start),
            replace(self.theta_warm, encoder=warm, anchor=start),
            self.adam.with_rows(self.theta_warm.encoder, warm),
        )


@dataclass(frozen=True)
class MeasuredPoints:
    """What was found at both points."""

    theta0: GradientRounds
    theta_warm: GradientRounds
    lookahead: tuple[LookaheadRow, ...]
    unavailable: dict[str, str]


def warmed(
    start: ModelAt, items: Sequence[LabelledText], budget: Budget, batch_size: int, context: Context
) -> Points:
    """The model beside a copy of it that is warmed up on ``items``."""
    warm = replace(
        start,
        point="theta_warm",
        encoder=start.encoder.duplicate(),
        head=start.head.copy(),
        anchor=start.encoder,
    )
    adam = warm_up(
        warm.encoder,
        warm.head,
        items,
        steps=budget.warm_up_steps,
        batch_size=batch_size,
        context=context,
    )
    return Points(start, warm, adam)


def measure_points(
    points: Points,
    batches: RoundBatches,
    texts: Mapping[TaskGradient, Sequence[LabelledText]],
    context: Context,
) -> MeasuredPoints:
    """Gradients and lookahead after the warm-up, where the signals lead, then of the model as given.

    Both points take the same rounds: as many as the first needs.
    """
    context = replace(context, pool=VectorPool())  # both points share it, and nothing after them
    watch, start = context.watch, points.theta0
    enough_links = all(sum(len(pair.links) for pair in batch) >= 2 for batch in batches.pairs)
    losses, unavailable = available(start.encoder, enough_links)
    with watch.phase("theta_warm", batches.rounds):
        warm = measure_gradients(points.theta_warm, losses, batches, context, may_stop=True)
    with watch.phase("lookahead", 2 * len(losses)):
        ahead = look_ahead(points.theta_warm, warm, texts, watch, points.adam)
    warm.release()
    batches = batches.first(warm.rounds)
    with watch.phase("theta0", batches.rounds + len(losses)):
        zero = measure_gradients(start, losses, batches, context)
        first = look_ahead(start, zero, texts, watch)
    zero.release()
    return MeasuredPoints(zero, warm, (*first, *ahead), unavailable)
