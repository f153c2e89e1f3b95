"""The race on runs that are there already, recorded or simulated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.race.belief import Belief
from advisor.race.choice import Step, next_step, stop_reason
from advisor.race.course import Course
from advisor.race.errors import ErrorModel, Look
from advisor.race.rungs import Rung
from advisor.race.traces import Trace

Array = NDArray[np.float64]

NONE = -1
"""The pick that stands for fine-tuning alone; other picks are the arms' places."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a policy would answer after spending so much.

    Attributes:
        spent: in passes.
        pick: an arm's place, or -1 for fine-tuning alone.
        sure: P(best) of the pick, from policies that have one.
        gain: that is expected of the pick, likewise.
    """

    spent: float
    pick: int
    sure: float | None = None
    gain: float | None = None


class Runner(Course):
    """Plays a trace; costs are passes.

    Args:
        trace: whose runs these are.
        seeds: that may be used, in this order.
    """

    def __init__(self, trace: Trace, seeds: Sequence[int]) -> None:
        super().__init__(trace.options, trace.plan, seeds)
        self.trace = trace

    def looks(self, arm: int, seed: int) -> Sequence[Look]:
        """Those that were recorded."""
        return self.trace.looks(arm, seed)

    def cost(self, arm: int, seed: int, rung: Rung) -> float:
        """Passes, those of fine-tuning alone included."""
        alone = max(0.0, rung.tune - self.tuned_alone.get(seed, 0.0)) * self.plan.tune_steps
        return alone + self.plan.passes(self.options[arm], rung, self.reached.get((arm, seed)))

    def step(self, arm: int, seed: int, rung: Rung) -> Step:
        """What running an arm to a rung would show and cost."""
        return Step(self._on_the_way(arm, seed, rung), self.cost(arm, seed, rung))

    def take(self, step: Step) -> list[float]:
        """Run a step: what its looks showed."""
        self.spent += step.cost
        gains = [self.trace.gains[look] for look in step.looks]
        self.took(step, gains)
        return gains


def race(
    runner: Runner, prior: tuple[Array, Array], errors: ErrorModel, min_gain: float = 0.5
) -> Iterator[Moment]:
    """The race of this product, until it stops by itself.

    Args:
        runner: of the cell.
        prior: means and covariance of the arms' gains.
        errors: what looks tell.
        min_gain: smallest gain of interest, in points.
    """
    belief = Belief(*prior, errors, runner.trace.level)
    while True:
        mean, _, _ = belief.posterior()
        chances = belief.best_probabilities()
        pick = int(mean.argmax()) if mean.max() > 0 else NONE
        yield Moment(runner.spent, pick, float(chances[pick + 1]), max(0.0, float(mean.max())))
        runner.drop(chances.tolist())
        steps = runner.steps()
        if stop_reason(belief, steps, float("inf"), min_gain):
            return
        step = next_step(belief, steps)
        if step is None:
            return
        belief = belief.after(step.looks, runner.take(step))
