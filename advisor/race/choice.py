"""Which arm is run on next, and when to stop."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from advisor.race.belief import Belief
from advisor.race.errors import Look

SURE = 0.95
"""P(best) at which a race is over."""
Stop = Literal["sure", "not worth going on", "time", "all were run"]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that could be run next.

    Attributes:
        looks: that it would give; the last one is how far it runs.
        cost: in seconds or passes, of whatever it needs that was not yet run.
    """

    looks: tuple[Look, ...]
    cost: float


def next_step(belief: Belief, steps: Iterable[Step], budget: float = float("inf")) -> Step | None:
    """The step that is worth most for what it costs: knowledge gradient over cost.

    Where no single step could change the choice, the arm most likely to beat the one that leads is run on,
    or the leader, whichever was looked at less: top-two sampling without chance.

    Args:
        belief: so far.
        steps: that are possible.
        budget: what is left, in the unit of the costs.

    Returns:
        The step; None if nothing can be afforded.
    """
    affordable = [step for step in steps if step.cost <= budget]
    if not affordable:
        return None
    rates = [belief.value_of(step.looks) / max(step.cost, 1e-9) for step in affordable]
    top = int(np.argmax(rates))
    if rates[top] > 1e-9:
        return affordable[top]
    best = belief.best_probabilities()[1:]
    return min(affordable, key=lambda step: (-best[step.looks[-1].arm], step.cost))


def stop_reason(belief: Belief, steps: Sequence[Step], budget: float, min_gain: float) -> Stop | None:
    """Why the race is over; None while it is not.

    Args:
        belief: so far.
        steps: that are possible.
        budget: what is left, in the unit of the costs.
        min_gain: smallest gain of interest in points; a tenth of it is not worth going on for.
    """
    if not steps:
        return "all were run"
    if belief.best_probabilities().max() >= SURE:
        return "sure"
    if belief.value_of([look for step in steps for look in step.looks]) < min_gain / 10:
        return "not worth going on"
    if all(step.cost > budget for step in steps):
        return "time"
    return None
