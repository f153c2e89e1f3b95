"""When further gradient rounds would not change what is concluded."""

from collections.abc import Mapping, Sequence

from probes.gradients.estimators import Moments
from probes.signals import TASK_GRADIENTS, Estimate, TaskGradient

MIN_ROUNDS = 6
"""Rounds before the first look: fewer leave the jackknife too few degrees of freedom."""
LOOK_EVERY = 2
"""Rounds between looks."""
_NARROW = 0.1
"""Width of a cosine's interval at which it counts as known, whatever its sign."""
_CAUTION = 1.5
"""How much wider than its interval a cosine must be clear of 0. Whoever looks repeatedly and stops at the
first success is fooled more often than once: with this, intervals keep their coverage (tested by
simulation)."""


def leading_task(tasks: Mapping[TaskGradient, object]) -> TaskGradient:
    """The task gradient that says most about transfer, of those there are."""
    return next(task for task in TASK_GRADIENTS if task in tasks)


def settled(moments: Moments, block: str, task: str, objectives: Sequence[str]) -> bool:
    """Whether the cosine of the task gradient with every objective's is resolved.

    That is when its interval is clear of 0 or narrow.
    """
    return all(_resolved(moments.cosine(block, task, objective)) for objective in objectives)


def _resolved(cosine: Estimate) -> bool:
    if cosine.value is None or cosine.low is None or cosine.high is None:
        return False
    width = cosine.high - cosine.low
    return width <= _NARROW or abs(cosine.value) > _CAUTION * width / 2
