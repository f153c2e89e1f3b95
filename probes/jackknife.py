"""Intervals from values that leave one part of the data out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from probes.signals import Estimate

LEVEL = 0.95
"""Of all intervals of signals."""


def jackknife(value: float, without: NDArray[np.float64] | Sequence[float]) -> Estimate:
    """``value`` with its interval (Efron & Stein 1981; by groups, Kott 2001), by Student's t.

    Args:
        value: on all data.
        without: the same with each round, text or group left out in turn.
    """
    left_out = np.asarray(without, dtype=np.float64)
    k = len(left_out)
    spread = float(np.sqrt((k - 1) / k * ((left_out - left_out.mean()) ** 2).sum()))
    reach = float(stdtrit(k - 1, (1 + LEVEL) / 2)) * spread
    return Estimate(value=float(value), low=float(value) - reach, high=float(value) + reach, level=LEVEL)
