"""Figures with intervals from drawing whole languages, and correlations of ranks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Array = NDArray[np.float64]


class Figure(BaseModel):
    """A figure with its 95 % bootstrap interval (languages are drawn, with all their cells)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


class Resample:
    """Cluster bootstrap: languages are drawn with replacement, with all their cells.

    Args:
        languages: of each cell.
        draws: how many.

    Attributes:
        weights: times each cell was drawn, shape (draws, cells).
    """

    def __init__(self, languages: Sequence[str], draws: int) -> None:
        names = sorted(set(languages))
        of = np.array([names.index(language) for language in languages])
        generator = np.random.default_rng(0)
        drawn = generator.integers(len(names), size=(draws, len(names)))
        times = np.stack([np.bincount(row, minlength=len(names)) for row in drawn])
        self.weights: Array = times[:, of].astype(np.float64)

    def mean(self, values: Array) -> Figure | None:
        """The mean of those values that are not NaN; None if there are none."""
        known = ~np.isnan(values)
        if not known.any():
            return None
        weights = self.weights[:, known]
        total = weights.sum(axis=1)
        drawn = (weights @ values[known])[total > 0] / total[total > 0]
        return _figure(float(values[known].mean()), drawn)

    def correlation(self, x: Array, y: Array, of: NDArray[np.int64] | None = None) -> Figure | None:
        """Pearson's correlation; None where one of the two does not vary.

        Of ranks it is Spearman's: ranking anew in each draw would change the third decimal and cost a minute.

        Args:
            x, y: shape (rows,).
            of: the cell of each row; None if rows are cells.
        """
        if x.std() == 0 or y.std() == 0:
            return None
        weights = self.weights if of is None else self.weights[:, of]
        total = weights.sum(axis=1)
        mx, my = weights @ x / total, weights @ y / total
        cross = weights @ (x * y) / total - mx * my
        sx = weights @ x**2 / total - mx**2
        sy = weights @ y**2 / total - my**2
        varied = (sx > 1e-9) & (sy > 1e-9)  # a draw may hold a single language
        return _figure(float(np.corrcoef(x, y)[0, 1]), cross[varied] / np.sqrt(sx * sy)[varied])


def _figure(value: float, drawn: Array) -> Figure:
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return Figure(value=value, low=low, high=high)


def ranks(values: Array) -> Array:
    """Ranks, ties at their mean."""
    _, of, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[of], dtype=np.float64)
