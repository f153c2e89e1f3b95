"""How far labs differ: a hyperparameter that few labs inform, so it is integrated over and not estimated.

A lab stands for everything that differs when somebody else does the same: code, data, learning rates, how a
checkpoint is chosen. Its spread ``lambda``, the standard deviation of a lab's effect on the model's scale,
has a half-normal prior of scale 1.4: labs' mean gains on one task differ by about 1.0 where alignment is at
the scale of pretraining (13 means) and by 2.1 where it is light (6), which is 1.4 together; ``replications``
computes both. The mean gain of all labs, on the model's scale, has a normal prior about 1.0: six labs that
aligned at the scale of pretraining, each counted once, gained 1.4 on average, and what is published gained
more than what was tried. These two are all that the strata tell each other.

The posterior is held on a grid. With a handful of labs it stays wide, so a prediction for a lab not seen,
which is what a user is, is a mixture of normals: heavier in its tails than any one of them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import Effect
from advisor.findings.model import scale

__all__ = ["GRID", "PRIOR_MEAN", "PRIOR_SCALE", "log_prior", "replications"]

Array = NDArray[np.float64]

PRIOR_SCALE = 1.4
PRIOR_MEAN = 1.0
GRID: tuple[float, ...] = (0.5, 1.0, 1.6, 2.3, 3.2)
"""Spreads between labs that predictions are averaged over; the prior has a fiftieth beyond the last."""


def log_prior(spread: float) -> float:
    """Log density of the half-normal prior on a grid point, with the width that it stands for."""
    edges = (0.0, *[(a + b) / 2 for a, b in pairwise(GRID)], GRID[-1] + 0.5)
    place = GRID.index(spread)
    return float(-0.5 * (spread / PRIOR_SCALE) ** 2 + np.log(edges[place + 1] - edges[place]))


def replications(effects: Sequence[Effect]) -> Mapping[str, tuple[float, int]]:
    """How far labs' mean gains on one task differ, and how many lab-task means that is from, by stratum.

    Args:
        effects: that a fit of their stratum may use.

    Returns:
        Standard deviation on the model's scale over labs within tasks that more than one lab measured.
    """
    gains: defaultdict[tuple[str, str], defaultdict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for effect in effects:
        labs = gains.setdefault((effect.stratum, effect.task), defaultdict(list))
        labs[effect.lab].append(effect.gain)
    squares: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for (stratum, _), labs in gains.items():
        if len(labs) > 1:
            means = np.array([float(scale.to_scale(np.array(values)).mean()) for values in labs.values()])
            squares[stratum].append((float(((means - means.mean()) ** 2).sum()), len(means)))
    return {
        stratum: (
            (sum(square for square, _ in found) / sum(count - 1 for _, count in found)) ** 0.5,
            sum(count for _, count in found),
        )
        for stratum, found in squares.items()
    }
