"""Gradients of task losses and alignment losses: accumulated over rounds, compared, and stepped along.

From bottom to top: one gradient (``stream``), sums and products over rounds (``accumulator``,
``estimators``), the rounds at one point (``rounds``, ``stopping``), what a step does (``lookahead``), and
both points with the warm-up between them (``points``, ``warm_up``).
"""

from probes.gradients.accumulator import SKETCH_WIDTH, GradientAccumulator
from probes.gradients.stream import Receive, stream_gradients

__all__ = [
    "SKETCH_WIDTH",
    "GradientAccumulator",
    "Receive",
    "stream_gradients",
]
