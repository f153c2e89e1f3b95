"""Gains from runs paired by seed: Student's t over the differences."""

import math
from collections.abc import Sequence
from itertools import count

import numpy as np
from scipy.special import stdtrit

from probes.signals import Estimate

_LEVEL = 0.95


def half_width(sd: float, pairs: int) -> float:
    """Half the width of the 95 % interval of a mean: ``t(0.975, n - 1) * sd / sqrt(n)``.

    Args:
        sd: standard deviation of the differences, with ``n - 1`` in its denominator.
        pairs: how many differences, at least 2.
    """
    return float(stdtrit(pairs - 1, (1 + _LEVEL) / 2)) * sd / math.sqrt(pairs)


def paired_gain(differences: Sequence[float]) -> Estimate:
    """The mean difference in points with its 95 % interval (Student's t, paired).

    Args:
        differences: aligned minus unaligned score, one a seed.

    Returns:
        The gain; without a value for fewer than two pairs, and without bounds where the pairs do not
        differ at all, since both leave the noise unknown. A note then says so.
    """
    pairs = len(differences)
    if pairs < 2:
        found = f" (its gain: {differences[0]:+.1f} points)" if pairs else ""
        return Estimate(
            value=None,
            note=f"{pairs} of the runs can be paired by seed{found}: the noise is known from two pairs on",
        )
    mean, sd = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if sd < 1e-9:  # rounding apart, all the same
        return Estimate(
            value=mean,
            note=f"all {pairs} seeds gave the same gain, so the noise cannot be seen: more test data would",
        )
    margin = half_width(sd, pairs)
    return Estimate(value=mean, low=mean - margin, high=mean + margin, level=_LEVEL)


def seeds_needed(differences: Sequence[float], points: float = 1.0) -> int | None:
    """Roughly how many pairs would make the interval as narrow as plus or minus ``points``.

    It takes the observed standard deviation for the true one, which from three pairs may be off by half.

    Args:
        differences: as for :func:`paired_gain`.
        points: half-width wanted, above 0.

    Returns:
        A number from 2; None where fewer than two pairs leave the spread unknown.
    """
    if len(differences) < 2:
        return None
    sd = float(np.std(differences, ddof=1))
    # The normal quantile is below Student's: no smaller number can do.
    start = max(2, math.floor((1.959 * sd / points) ** 2))
    return next(pairs for pairs in count(start) if half_width(sd, pairs) <= points)
