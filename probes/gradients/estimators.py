"""What can be said of expected gradients from a few noisy rounds, with intervals.

K rounds give, for each loss a, independent gradients g_a^1 ... g_a^K of one expected gradient G_a. Losses may
share batches within a round, so only products between *different* rounds are unbiased for <G_a, G_b>:

    <G_a, G_b> ~ (<S_a, S_b> - sum_k <g_a^k, g_b^k>) / (K (K - 1)),   S_a = sum_k g_a^k,

and with a = b for the squared norm. All functions work on inner products alone, never on gradients.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from probes.jackknife import LEVEL, jackknife
from probes.signals import Estimate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Inner products of K rounds of gradients of L losses in B blocks.

    Attributes:
        losses, blocks: names, lengths L and B.
        sizes: parameters a block, (B,).
        sums: <S_a, S_b>, (B, L, L).
        within: <g_a^k, g_b^k>, (B, L, L, K). Both are exact, or both from sketches, for a pair of losses (see
            :class:`probes.gradients.GradientAccumulator`).
        between: <g_a^i, g_b^j> from sketches, (B, L, K, L, K); used for intervals only.
    """

    losses: tuple[str, ...]
    blocks: tuple[str, ...]
    sizes: NDArray[np.int64]
    sums: Array
    within: Array
    between: Array

    @classmethod
    def of_products(cls, losses: tuple[str, ...], sizes: Mapping[str, int], between: Array) -> "Moments":
        """The moments that products between single rounds make up; ``sizes`` are those of the blocks."""
        return cls(
            losses=losses,
            blocks=tuple(sizes),
            sizes=np.array(list(sizes.values())),
            sums=between.sum(axis=(2, 4)),
            within=np.einsum("bikjk->bijk", between).copy(),
            between=between,
        )

    @property
    def rounds(self) -> int:
        """Number of rounds K."""
        return int(self.within.shape[-1])

    def total(self, blocks: tuple[str, ...], name: str) -> "Moments":
        """The moments of several blocks taken together as one block called ``name``."""
        rows = [self.blocks.index(block) for block in blocks]
        return Moments(
            losses=self.losses,
            blocks=(name,),
            sizes=self.sizes[rows].sum(keepdims=True),
            sums=self.sums[rows].sum(0, keepdims=True),
            within=self.within[rows].sum(0, keepdims=True),
            between=self.between[rows].sum(0, keepdims=True),
        )

    @cached_property
    def _inner(self) -> Array:
        """Unbiased <G_a, G_b>, (B, L, L)."""
        k = self.rounds
        return np.asarray((self.sums - self.within.sum(-1)) / (k * (k - 1)))

    @cached_property
    def _inner_without(self) -> Array:
        """The same with each round left out in turn, (B, L, L, K), from the sketches."""
        k = self.rounds
        within = np.einsum("blkmk->blmk", self.between)
        sums = self.between.sum(axis=(2, 4))[..., None]
        row = self.between.sum(axis=4).transpose(0, 1, 3, 2)  # <g_a^k, S_b>
        column = self.between.sum(axis=2)  # <S_a, g_b^k>
        left = sums - row - column + within
        return np.asarray((left - (within.sum(-1, keepdims=True) - within)) / ((k - 1) * (k - 2)))

    def _at(self, block: str, a: str, b: str) -> tuple[int, int, int]:
        return self.blocks.index(block), self.losses.index(a), self.losses.index(b)

    def squared_norm(self, block: str, loss: str) -> Estimate:
        """|G|^2, unbiased; may be below zero when the gradient is not told from noise."""
        i, a, _ = self._at(block, loss, loss)
        return jackknife(self._inner[i, a, a], self._inner_without[i, a, a])

    def resolved(self, block: str, loss: str) -> bool:
        """Whether the squared norm is clearly above 0: the lower end of its interval is."""
        low = self.squared_norm(block, loss).low
        return low is not None and low > 0

    def cosine(self, block: str, a: str, b: str) -> Estimate:
        """Noise-corrected cosine between G_a and G_b.

        The inner product over the root of the two squared norms, each unbiased, with a jackknife interval
        over rounds. It has no value when either squared norm is not clearly above 0.
        """
        for loss in (a, b):
            if not self.resolved(block, loss):
                return Estimate(value=None, note=f"the gradient of {loss} is not clearly above its noise")
        i, a_, b_ = self._at(block, a, b)
        whole, without = self._inner[i], self._inner_without[i]
        norms = without[a_, a_] * without[b_, b_]
        if not (norms > 0).all():
            return Estimate(value=None, note="a gradient's norm rests on a single round")
        value = whole[a_, b_] / np.sqrt(whole[a_, a_] * whole[b_, b_])
        return _clip(jackknife(value, without[a_, b_] / np.sqrt(norms)), -1.0, 1.0)

    def raw_cosine(self, block: str, a: str, b: str) -> Estimate:
        """Mean cosine of single-batch gradients of the same round: shrunk toward 0 by noise."""
        i, a_, b_ = self._at(block, a, b)
        within = self.within[i]
        norms = np.sqrt(within[a_, a_] * within[b_, b_])
        if not (norms > 0).all():
            return Estimate(value=None, note="a gradient is exactly zero")
        return _mean(within[a_, b_] / norms)

    def ceiling(self, block: str, loss: str) -> Estimate:
        """Cosine between gradients of independent batches of the same loss, in expectation.

        |G|^2 over the mean squared norm of one batch's gradient: the ratio of the two expectations.
        """
        i, a, _ = self._at(block, loss, loss)
        k = self.rounds
        single = self.within[i, a, a]
        if np.count_nonzero(single) < 2:
            return Estimate(value=None, note="the gradient is exactly zero")
        mean_without = (single.sum() - single) / (k - 1)
        return jackknife(self._inner[i, a, a] / single.mean(), self._inner_without[i, a, a] / mean_without)

    def noise_scale(self, block: str, loss: str, batch_size: int) -> Estimate:
        """Batch size at which the gradient's noise equals its signal (arXiv:1812.06162, B_simple).

        tr(Sigma)/|G|^2 with tr(Sigma) = batch_size (E|g|^2 - |G|^2), in examples.
        """
        ceiling = self.ceiling(block, loss)
        if not self.resolved(block, loss) or ceiling.value is None or ceiling.value <= 0:
            return Estimate(value=None, note=f"the gradient of {loss} is not clearly above its noise")

        def scale(c: float) -> float:
            return batch_size * (1 / min(1.0, c) - 1)

        low, high = ceiling.low, ceiling.high
        return Estimate(
            value=scale(ceiling.value),
            low=scale(high) if high is not None and high > 0 else None,
            high=scale(low) if low is not None and low > 0 else None,
        )

    def magnitude_ratio(self, block: str, over: str, under: str) -> Estimate:
        """|G_over| / |G_under|."""
        for loss in (over, under):
            if not self.resolved(block, loss):
                return Estimate(value=None, note=f"the gradient of {loss} is not clearly above its noise")
        i, a, b = self._at(block, over, under)
        without = self._inner_without[i]
        if not ((without[a, a] > 0) & (without[b, b] > 0)).all():
            return Estimate(value=None, note="a gradient's norm rests on a single round")
        value = np.log(self._inner[i, a, a] / self._inner[i, b, b]) / 2
        log = jackknife(float(value), np.log(without[a, a] / without[b, b]) / 2)
        assert log.value is not None
        assert log.low is not None
        assert log.high is not None
        bounded = [float(np.exp(np.clip(x, -40, 40))) for x in (log.value, log.low, log.high)]
        return Estimate(value=bounded[0], low=bounded[1], high=bounded[2])

    def magnitude_similarity(self, block: str, a: str, b: str) -> Estimate:
        """2|G_a||G_b| / (|G_a|^2 + |G_b|^2), in (0, 1] (arXiv:2001.06782, definition 2)."""
        ratio = self.magnitude_ratio(block, a, b)
        if ratio.value is None or ratio.low is None or ratio.high is None:
            return ratio
        ends = sorted(2 * r / (1 + r * r) for r in (ratio.low, ratio.high))
        high = 1.0 if ratio.low <= 1 <= ratio.high else ends[1]
        return Estimate(value=2 * ratio.value / (1 + ratio.value**2), low=ends[0], high=high)


def _mean(values: Array) -> Estimate:
    k = len(values)
    reach = float(stdtrit(k - 1, (1 + LEVEL) / 2) * values.std(ddof=1) / np.sqrt(k))
    value = float(values.mean())
    return Estimate(value=value, low=value - reach, high=value + reach, level=LEVEL)


def _clip(estimate: Estimate, low: float, high: float) -> Estimate:
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return Estimate(
        value=float(np.clip(estimate.value, low, high)),
        low=float(np.clip(estimate.low, low, high)),
        high=float(np.clip(estimate.high, low, high)),
        level=estimate.level,
    )
