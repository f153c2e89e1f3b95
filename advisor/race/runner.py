"""The race on runs that are there already, recorded or simulated, with account kept of what it uses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from advisor.race.belief import Belief
from advisor.race.choice import Step, next_step, stop_reason
from advisor.race.errors import ErrorModel, Look
from advisor.race.rungs import WHOLE, Rung
from advisor.race.traces import Trace

__all__ = ["NONE", "Moment", "Runner", "race"]

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


@dataclass
class Runner:
    """Runs arms of a trace with given seeds and keeps account; what arms have in common is run once.

    Attributes:
        trace: whose runs these are.
        seeds: that may be used, in this order.
        spent: passes so far.
        seen: looks taken, in order, with what they showed.
    """

    trace: Trace
    seeds: Sequence[int]
    spent: float = 0.0
    seen: dict[Look, float] = field(default_factory=dict)
    _reached: dict[tuple[int, int], Rung] = field(default_factory=dict)
    _baseline: dict[int, float] = field(default_factory=dict)

    def step(self, arm: int, seed: int, rung: Rung) -> Step:
        """What running an arm to a rung would show and cost."""
        reached = self._reached.get((arm, seed))
        cost = self.trace.plan.passes(self.trace.options[arm], rung, reached)
        tuned = self._baseline.get(seed, 0.0)
        cost += max(0.0, rung.tune - tuned) * self.trace.plan.tune_steps
        looks = tuple(
            look
            for look in self.trace.gains
            if (look.arm, look.seed) == (arm, seed)
            and look not in self.seen
            and look.rung.align == rung.align
            and look.rung.tune <= rung.tune
        )
        return Step(tuple(sorted(looks, key=lambda look: look.rung)), cost)

    def steps(self) -> list[Step]:
        """Everything that could be run next: every later rung of every arm, one further seed at a time."""
        return [
            step
            for arm in range(len(self.trace.options))
            for seed in self._seeds_of(arm)
            for rung in self.trace.rungs(arm, seed)
            if (step := self.step(arm, seed, rung)).looks
            and step.looks[-1].rung == rung
            and step.cost > 0
            and rung.align >= self._aligned(arm, seed)
        ]

    def take(self, step: Step) -> list[float]:
        """Run a step: what its looks showed."""
        last = step.looks[-1]
        self.spent += step.cost
        self._reached[last.arm, last.seed] = last.rung
        self._baseline[last.seed] = max(self._baseline.get(last.seed, 0.0), last.rung.tune)
        shown = [self.trace.gains[look] for look in step.looks]
        self.seen |= dict(zip(step.looks, shown, strict=True))
        return shown

    def _aligned(self, arm: int, seed: int) -> float:
        reached = self._reached.get((arm, seed))
        return 0.0 if reached is None else reached.align

    def _seeds_of(self, arm: int) -> Iterator[int]:
        """The seeds that were begun, and the next one once those are whole."""
        for seed in self.seeds:
            yield seed
            if self._reached.get((arm, seed)) != WHOLE:
                return


def race(
    runner: Runner, prior: tuple[Array, Array], errors: ErrorModel, min_gain: float = 0.5
) -> Iterator[Moment]:
    """The race of this product.

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
        steps = runner.steps()
        if stop_reason(belief, steps, float("inf"), min_gain):
            return
        step = next_step(belief, steps)
        if step is None:
            return
        belief = belief.after(step.looks, runner.take(step))
