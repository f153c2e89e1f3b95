"""Scores from counts by sentence: splits of the target labels, and errors from the choice of sentences.

A look keeps, for each sentence, the two numbers whose sums make the score (right and all labels; twice the
right spans and all spans). Any part of the labels can then be scored afterwards, and two runs compared on the
very same sentences.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from probes.metrics import points

Array = NDArray[np.float64]

FEW = 200
"""Labelled target texts below which a race cannot keep half of them back."""
_RESAMPLES = 400


def guide_part(labels: Sequence[Sequence[object]], seed: int) -> NDArray[np.bool_]:
    """Which half of the texts guides the race; the other half is kept back for the final estimate.

    Stratified by the label of a text that is the rarest of all, so that both halves have what is rare.
    """
    counts = Counter(label for row in labels for label in row)
    strata = [min((counts[label], str(label)) for label in row) if row else (0, "") for row in labels]
    generator = np.random.default_rng(seed)
    mixed = sorted(generator.permutation(len(labels)).tolist(), key=lambda i: strata[i])
    guide = np.zeros(len(labels), dtype=bool)
    guide[mixed[::2]] = True
    return guide


def resampled_gains(arm: Array, alone: Array, part: NDArray[np.bool_], seed: int = 0) -> Array:
    """The gain on bootstrap samples of a part of the texts, the same samples at every look; shape (samples,).

    ``arm`` and ``alone`` are counts of a look and of fine-tuning alone at it, shape (texts, 2).
    """
    texts = int(part.sum())
    drawn = np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), size=_RESAMPLES)
    return points(drawn @ arm[part]) - points(drawn @ alone[part])


def gain(arm: Array, alone: Array, part: NDArray[np.bool_]) -> float:
    """The gain on a part of the texts, in points."""
    return float(points(arm[part].sum(axis=0)) - points(alone[part].sum(axis=0)))
