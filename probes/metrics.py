"""Scores on labelled text, in points, from counts that add up over sentences."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from probes.catalogue import METRICS
from probes.data.spans import spans
from probes.signals import Estimate

_RESAMPLES = 400


def score_counts(counts: NDArray[np.float64], seed: int = 0) -> Estimate:
    """A score in points (0-100) from the counts of each sentence, shape (sentences, 2), with the percentile
    interval of 400 bootstraps over sentences. Where nothing is counted nothing was missed, and it is 100."""
    generator = np.random.default_rng(seed)
    draws = generator.integers(len(counts), size=(_RESAMPLES, len(counts)))
    values = points(counts[draws].sum(axis=1))
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(value=float(points(counts.sum(0))), low=float(low), high=float(high))


def counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], metric: str
) -> NDArray[np.float64]:
    """For each sentence two numbers whose sums over sentences make the score; shape (sentences, 2).

    Args:
        gold, predicted: label sequences, one a sentence (of length 1 for sentence and pair tasks).
        metric: ``accuracy``, or ``span-f1`` for BIO tags.
    """
    rows = [_counts(truth, guess, metric) for truth, guess in zip(gold, predicted, strict=True)]
    return np.array(rows, dtype=np.float64)


def points(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores (0-100) from summed counts, shape (..., 2)."""
    above, below = counts[..., 0], counts[..., 1]
    return np.asarray(100 * np.divide(above, below, out=np.ones_like(above), where=below > 0))


def _counts(gold: Sequence[str], predicted: Sequence[str], metric: str) -> tuple[int, int]:
    """A numerator and a denominator that add up: F1 = 2 TP / (gold spans + predicted spans)."""
    if not METRICS[metric].spans:
        return sum(g == p for g, p in zip(gold, predicted, strict=True)), len(gold)
    truth, guess = set(spans(gold)), set(spans(predicted))
    return 2 * len(truth & guess), len(truth) + len(guess)
