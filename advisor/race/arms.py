"""The arms of a race: the options worth running, and what is expected of them before anything is."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from advisor.decide import Expected
from advisor.options import Option
from advisor.race.errors import ErrorModel

Array = NDArray[np.float64]

_WIDTH = 2 * NormalDist().inv_cdf(0.9)
"""Of an 80 % interval, in standard deviations."""
_LEAST_SD = 0.1


@dataclass(frozen=True, slots=True)
class Arm:
    """An option that is run, for itself and for those that it cannot be told apart from.

    Attributes:
        option: what is run.
        mean, sd: of its gain as the findings expect it, in points.
        alike: options of the same loss and schedule whose expected gains are as good as the same.
    """

    option: Option
    mean: float
    sd: float
    alike: tuple[Option, ...] = ()


def arms_of(expected: Sequence[Expected], min_gain: float) -> list[Arm]:
    """The arms, the one that is expected to gain most first.

    Options of one objective and schedule share an arm where their expected gains differ by less than
    ``min_gain``: nothing that a race sees would tell them apart. The best of them is run.

    Args:
        expected: of every option that aligns.
        min_gain: smallest gain of interest, in points.
    """
    arms: list[Arm] = []
    for row in sorted(expected, key=lambda row: -row.mean):
        for i, arm in enumerate(arms):
            kin = (arm.option.objective, arm.option.schedule) == (row.option.objective, row.option.schedule)
            if kin and arm.mean - row.mean < min_gain:
                arms[i] = Arm(arm.option, arm.mean, arm.sd, (*arm.alike, row.option))
                break
        else:
            sd = max(_LEAST_SD, (row.high - row.low) / _WIDTH)
            arms.append(Arm(row.option, row.mean, sd))
    return arms


def prior_of(options: Sequence[Option], mean: Array, sd: Array, errors: ErrorModel) -> tuple[Array, Array]:
    """Means and covariance of the arms' gains: the findings' spread, correlated as in the studies.

    Args:
        options: of the arms.
        mean, sd: of each gain in points, shape (arms,).
        errors: knows how the gains of like arms go together.
    """
    correlation = errors.correlation(
        [str(option.objective) for option in options], [str(option.schedule) for option in options]
    )
    return mean, sd[:, None] * correlation * sd
