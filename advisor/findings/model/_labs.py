"""How far labs differ: a hyperparameter that few labs inform, so it is integrated over and not estimated.

A lab stands for everything that differs when somebody else does the same: code, data, learning rates, how a
checkpoint is chosen. Its spread ``lambda``, the standard deviation of a lab's effect on the model's scale,
has a half-t prior of 4 degrees of freedom and scale 1.1: by so much do labs' mean gains on one encoder and
task differ, where alignment is light (1.1, 6 means) as at the scale of pretraining (1.1, 9 means;
``replications`` computes both).
The mean gain of all labs, on the model's scale, has a normal prior about 0.5: six labs that aligned at the
scale of pretraining, each counted once, gained 1.4 on average, light alignment is less of the same, and what
is published gained more than what was tried. That mean is all that the strata tell each other.

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

Array = NDArray[np.float64]

PRIOR_SCALE = 1.1
PRIOR_MEAN = 0.5
_DEGREES = 4
GRID: tuple[float, ...] = (0.3, 0.8, 1.4, 2.2, 3.5)
"""Spreads between labs that predictions are averaged over; the prior has a twentieth beyond the last."""


def log_prior(spread: float) -> float:
    """Log density of the half-t prior on a grid point, with the width that it stands for."""
    edges = (0.0, *[(a + b) / 2 for a, b in pairwise(GRID)], GRID[-1] + 0.5)
    place = GRID.index(spread)
    density = -0.5 * (_DEGREES + 1) * np.log1p((spread / PRIOR_SCALE) ** 2 / _DEGREES)
    return float(density + np.log(edges[place + 1] - edges[place]))


def replications(effects: Sequence[Effect]) -> Mapping[str, tuple[float, int]]:
    """How far labs' mean gains on one encoder and task differ, and how many means that is from, by stratum.

    Returns:
        Standard deviation on the model's scale over labs within encoders and tasks that more than one lab
        measured.
    """
    gains: defaultdict[tuple[str, str, str], defaultdict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for effect in effects:
        gains[effect.stratum, effect.model, effect.task][effect.lab].append(effect.gain)
    squares: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for (stratum, *_), labs in gains.items():
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
