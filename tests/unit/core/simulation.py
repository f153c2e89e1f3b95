"""Gradients with known truth, and the estimators' formulas written out the long way."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.gradients.estimators import Moments

Array = NDArray[np.float64]

BLOCK = "layer.0"


def moments_of(gradients: Array, losses: Sequence[str] | None = None) -> Moments:
    """Moments of one block from everything: gradients of shape (losses, rounds, parameters)."""
    total = gradients.sum(axis=1)
    between = np.einsum("ikd,jld->ikjl", gradients, gradients)
    return Moments(
        losses=tuple(losses) if losses is not None else tuple("abcdef"[: len(gradients)]),
        blocks=(BLOCK,),
        sizes=np.array([gradients.shape[-1]]),
        sums=(total @ total.T)[None],
        within=np.einsum("ikjk->ijk", between)[None],
        between=between[None],
    )


def naive_inner(first: Array, second: Array) -> float:
    """<G_a, G_b> from gradients of shape (rounds, parameters): the mean over products of different rounds."""
    rounds = len(first)
    products = [first[i] @ second[j] for i in range(rounds) for j in range(rounds) if i != j]
    return float(np.mean(products))


def naive_cosine(first: Array, second: Array) -> float:
    return naive_inner(first, second) / float(
        np.sqrt(naive_inner(first, first) * naive_inner(second, second))
    )


@dataclass(frozen=True)
class World:
    """A truth to estimate: two losses whose noise is half shared, since they share batches.

    Attributes:
        cosine: of the two expected gradients; the first has norm 1, the second ``ratio``.
        noise: root mean squared norm of one round's noise over the norm of the expected gradient.
        parameters: number of dimensions.
        decay: of the noise's spectrum, 1/i^decay: real noise lies along few directions.
    """

    cosine: float
    noise: float
    ratio: float = 2.0
    parameters: int = 64
    decay: float = 1.0

    def draw(self, draws: int, rounds: int, seed: int) -> Array:
        """Gradients of shape (draws, 2 losses, rounds, parameters)."""
        generator = np.random.default_rng(seed)
        first, other = np.linalg.qr(generator.standard_normal((self.parameters, 2)))[0].T
        second = self.cosine * first + np.sqrt(1 - self.cosine**2) * other
        truth = np.stack([first, self.ratio * second])
        spectrum = np.arange(1, self.parameters + 1) ** -self.decay
        shape = (draws, 3, rounds, self.parameters)
        noise = generator.standard_normal(shape) * np.sqrt(spectrum / spectrum.sum())
        own, shared = noise[:, 1:], noise[:, :1]
        scale = self.noise * np.array([1.0, self.ratio])[:, None, None]
        return np.asarray(truth[:, None] + scale * (own + shared) / np.sqrt(2))
