"""What the effect model says of new runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from advisor.findings.model import scale
from advisor.findings.model._features import Column

__all__ = ["Prediction"]

Array = NDArray[np.float64]

_PROBABILITIES = np.linspace(0.1, 0.9, 81)
_QUANTILES = np.array([NormalDist().inv_cdf(p) for p in _PROBABILITIES.tolist()])


@dataclass(frozen=True, slots=True)
class Prediction:
    """Gains of n cases in a new run: normal on the model's scale.

    Attributes:
        centre: mean on the model's scale, shape (n,).
        sd: standard deviation on the model's scale, shape (n,); seed noise of a test is not in it.
        parts: what each coefficient adds to the centre, one mapping a case.
    """

    centre: Array
    sd: Array
    parts: tuple[Mapping[Column, float], ...]

    def moved(self, shift: Array, sd: Array) -> "Prediction":
        """The prediction with its centre moved by a shift that has a standard deviation of its own."""
        return Prediction(self.centre + shift, np.hypot(self.sd, sd), self.parts)

    @property
    def mean(self) -> Array:
        """Expected gains in points, shape (n,).

        The mean of the central 80 %: on this scale the far tail of a vague prediction is an exponential, and
        a plain mean of it can lie outside its own interval.
        """
        z = self.centre[:, None] + self.sd[:, None] * _QUANTILES
        return np.asarray(scale.to_points(z).mean(axis=1))

    def quantile(self, probability: float) -> Array:
        """Quantiles of the gains in points, shape (n,)."""
        return scale.to_points(self.centre + self.sd * NormalDist().inv_cdf(probability))

    def probability_above(self, points: float) -> Array:
        """P(gain > points), shape (n,)."""
        threshold = float(scale.to_scale(np.array(points)))
        normal = NormalDist()
        return np.array([normal.cdf(z) for z in ((self.centre - threshold) / self.sd).tolist()])
