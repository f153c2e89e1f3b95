"""Time and memory of a probe, estimated from one timed batch and from shapes."""

from dataclasses import dataclass

__all__ = ["CostEstimate", "PassTimes", "estimate_cost"]

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class PassTimes:
    """Measured seconds of single passes at the run's batch size.

    Attributes:
        labelled: forward and backward on one labelled batch.
        encode_pairs: forward on both sides of one bitext batch.
        align: backward of one objective through it.
    """

    labelled: float
    encode_pairs: float
    align: float


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What the rest of a run should take.

    Attributes:
        seconds: wall-clock time.
        memory_gib: highest resident memory, weights included.
    """

    seconds: float
    memory_gib: float

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds), 60)
        time = f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
        return f"about {time} and {self.memory_gib:.1f} GiB of memory"


def estimate_cost(
    times: PassTimes,
    *,
    rounds: int,
    task_losses: int,
    pair_losses: int,
    warm_up_steps: int,
    lookahead_batches: int,
    resident_bytes: int,
    gradient_bytes: int,
) -> CostEstimate:
    """Estimate what remains once the head is fitted: warm-up, both gradient points, lookahead.

    Args:
        times: measured on this machine, model and data.
        rounds: gradient rounds at each of the two points.
        task_losses, pair_losses: losses differentiated in a round (nulls count among the latter).
        warm_up_steps: optimiser steps.
        lookahead_batches: forward passes on labelled batches.
        resident_bytes: held already.
        gradient_bytes: size of one gradient of one loss.
    """
    a_round = task_losses * times.labelled + times.encode_pairs + pair_losses * times.align
    forward_share = 1 / 3  # a backward pass costs about two forward passes
    seconds = (
        2 * rounds * a_round
        + warm_up_steps * times.labelled * 1.15  # the optimiser's own step on top
        + lookahead_batches * times.labelled * forward_share
    )
    losses = task_losses + pair_losses
    # Running sums and the current round, then the warm copy with its two Adam moments and its gradient.
    memory = resident_bytes + (2 * losses + 5) * gradient_bytes
    return CostEstimate(seconds, memory / _GIB)
