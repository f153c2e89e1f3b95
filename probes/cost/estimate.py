"""Time and memory of a probe: arithmetic on a few measured passes and on the sizes of what is to be done."""

import math
from dataclasses import dataclass

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class PassTimes:
    """Measured seconds, and bytes that a graph holds.

    Attributes:
        forward, lookahead: forward pass without a graph, in fp32 and in the run's precision, a subword.
        labelled: forward and backward of the task loss, a subword.
        aligned: the same of all objectives and nulls on pairs encoded once, a subword of both sides.
        walks: of all gradients of a round, once.
        step: of the optimiser.
        labelled_bytes, pair_bytes: held by the graph of one batch of labelled texts, or of translation pairs
            with the objective whose own part is the largest.
    """

    forward: float
    lookahead: float
    labelled: float
    aligned: float
    walks: float
    step: float
    labelled_bytes: int
    pair_bytes: int


@dataclass(frozen=True, slots=True)
class Workload:
    """What is left to do, in subwords where its cost goes by subwords.

    Attributes:
        rounds: gradient rounds at each of the two points.
        processes: that share them out.
        tasks: task gradients in a round.
        task_subwords, pair_subwords: of one round: all its task batches, both sides of its pairs.
        warm_up_steps: optimiser steps.
        warm_up_subwords: of all steps together.
        forward_subwords: of passes without a gradient: embedding, head, projection.
        lookahead_subwords: the same of the lookahead.
        resident_bytes, peak_bytes: held now, and at most so far.
        gradient_bytes: one gradient of one loss in fp32.
        sum_bytes: all running sums and sketches of one point.
    """

    rounds: int
    processes: int
    tasks: int
    task_subwords: float
    pair_subwords: float
    warm_up_steps: int
    warm_up_subwords: float
    forward_subwords: float
    lookahead_subwords: float
    resident_bytes: int
    peak_bytes: int
    gradient_bytes: int
    sum_bytes: int


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What the rest of a run should take.

    Attributes:
        seconds: wall-clock time, if all rounds of the budget are taken.
        memory_gib: highest memory, weights included: resident on a CPU, of the device elsewhere.
    """

    seconds: float
    memory_gib: float

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds), 60)
        time = f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
        return f"about {time} and {self.memory_gib:.1f} GiB of memory"


def estimate_cost(times: PassTimes, work: Workload) -> CostEstimate:
    """Estimate what a run takes once the encoder is loaded."""
    a_round = work.task_subwords * times.labelled + work.pair_subwords * times.aligned + times.walks
    seconds = (
        2 * math.ceil(work.rounds / work.processes) * a_round
        + work.warm_up_subwords * times.labelled
        + work.warm_up_steps * times.step
        + work.forward_subwords * times.forward
        + work.lookahead_subwords * times.lookahead
    )
    # Beside the start: the warm copy with its gradient and Adam's two moments; or the warm copy with Adam's
    # scale, running sums and the references of the round.
    warm_up = 4 * work.gradient_bytes + times.labelled_bytes
    rounds = (2 + work.tasks) * work.gradient_bytes + work.sum_bytes + times.pair_bytes
    peak = max(work.peak_bytes, work.resident_bytes + max(warm_up, rounds))
    return CostEstimate(seconds, peak / _GIB)
