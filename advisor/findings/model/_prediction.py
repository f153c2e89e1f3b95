"""What the effect model says of new runs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from advisor.findings.model import scale
from advisor.findings.model._features import Column

Array = NDArray[np.float64]

_NORMAL = NormalDist()
_STEPS = 199
_QUANTILES = np.array([_NORMAL.inv_cdf((i + 0.5) / _STEPS) for i in range(_STEPS)])


@dataclass(frozen=True, slots=True)
class Prediction:
    """Gains of n cases in a new run: each a mixture of K normals on the model's scale.

    Attributes:
        centres: means of the normals, shape (n, K).
        sds: their standard deviations, shape (n, K); seed noise of a test is not in it.
        weights: of the normals, shape (K,).
        parts: what each coefficient adds to the centre, one mapping a case.
    """

    centres: Array
    sds: Array
    weights: Array
    parts: tuple[Mapping[Column, float], ...] = ()

    @property
    def centre(self) -> Array:
        """Mean of the mixture, shape (n,)."""
        return np.asarray(self.centres @ self.weights)

    @property
    def sd(self) -> Array:
        """Standard deviation of the mixture, shape (n,)."""
        second = (self.sds**2 + (self.centres - self.centre[:, None]) ** 2) @ self.weights
        return np.asarray(np.sqrt(second))

    def moved(self, shift: Array, sd: Array) -> "Prediction":
        """The prediction with its centre moved by a shift that has a standard deviation of its own."""
        return replace(self, centres=self.centres + shift[:, None], sds=np.hypot(self.sds, sd[:, None]))

    @property
    def mean(self) -> Array:
        """Expected gains in points, shape (n,): the mean on the model's scale, in points.

        A mean over points would be ruled by the far tail, which on this scale is an exponential: of two
        options it would prefer the one that less is known of.
        """
        return scale.to_points(self.centre)

    def quantile(self, probability: float) -> Array:
        """Quantiles of the gains in points, shape (n,)."""
        n = len(self.centres)
        points = (self.centres[:, :, None] + self.sds[:, :, None] * _QUANTILES).reshape(n, -1)
        weights = np.repeat(self.weights / _STEPS, _STEPS)
        order = np.argsort(points, axis=1)
        points = np.take_along_axis(points, order, axis=1)
        below = np.cumsum(weights[order], axis=1) - 0.5 * weights[order]
        found = [np.interp(probability, b, p) for b, p in zip(below, points, strict=True)]
        return scale.to_points(np.array(found))

    def probability_above(self, points: float) -> Array:
        """P(gain > points), shape (n,)."""
        threshold = float(scale.to_scale(np.array(points)))
        distances = (self.centres - threshold) / self.sds
        chances = np.array([[_NORMAL.cdf(z) for z in row] for row in distances.tolist()])
        return np.asarray(chances.reshape(self.centres.shape) @ self.weights)
