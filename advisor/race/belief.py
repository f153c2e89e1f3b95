"""What is believed of the final gains, given the findings and every look so far.

Gains and looks are jointly Student-t (see :mod:`advisor.race.errors`), so that conditioning is exact: the
means and covariances of the normal case, times how surprising the looks were. Choosing the arm that looks
best overstates its gain; the posterior mean does not, since it knows how far looks can be off.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from advisor.race.errors import ErrorModel, Look, Looks

Array = NDArray[np.float64]

_DRAWS = 4096
"""Of the posterior; a probability of .95 is known to within .01."""
_FUTURES = 512
"""Ways that further looks may come out, for their value."""
_JITTER = 1e-9
_ROUNDS = 5
"""Of the fixed point that tells what is wild from what is the choice of sentences."""


@dataclass(frozen=True)
class Belief:
    """The joint distribution of the arms' final gains in points; fine-tuning alone gains 0 by definition.

    Attributes:
        mean, covariance: of the gains before any look, shapes (arms,) and (arms, arms).
        errors: what looks tell on tasks of this ``level``.
        values: what the looks so far showed: gains in points, shape (looks,).
        sampling: covariance of ``values`` from the choice of test sentences, shape (looks, looks); 0 if None.
    """

    mean: Array
    covariance: Array
    errors: ErrorModel
    level: str
    looks: tuple[Look, ...] = ()
    values: tuple[float, ...] = ()
    sampling: Array | None = None

    def after(
        self, looks: Sequence[Look], values: Sequence[float], sampling: Array | None = None
    ) -> "Belief":
        """The belief after further looks that showed ``values``; ``sampling`` is of all looks then."""
        return replace(self, looks=(*self.looks, *looks), values=(*self.values, *values), sampling=sampling)

    def posterior(self) -> tuple[Array, Array, float]:
        """Mean and covariance of the final gains, and the degrees of freedom of their Student-t."""
        mean, covariance, _ = self._given(Looks.of(()))
        return mean[: len(self.mean)], covariance, self.errors.tails + len(self.looks)

    def draws(self) -> Array:
        """Draws of the gains, fine-tuning alone (0) first, always the same; shape (draws, 1 + arms)."""
        mean, covariance, freedom = self.posterior()
        normal, uniform = _standard(len(mean), freedom, _DRAWS)
        root = np.linalg.cholesky(covariance + _JITTER * np.eye(len(mean)))
        gains = mean + (normal @ root.T) * uniform[:, None]
        return np.column_stack([np.zeros(len(gains)), gains])

    def best_probabilities(self) -> Array:
        """P(best) of fine-tuning alone and of each arm, shape (1 + arms,)."""
        draws = self.draws()
        return np.bincount(draws.argmax(axis=1), minlength=draws.shape[1]) / len(draws)

    def value_of_certainty(self) -> float:
        """Points that a choice would gain, on average, if the final gains were known."""
        draws = self.draws()
        return float(draws.max(axis=1).mean() - draws.mean(axis=0).max())

    def value_of(self, looks: Sequence[Look]) -> float:
        """Points that the choice is expected to gain by taking these looks (the knowledge gradient).

        Frazier, Powell and Dayanik 2009, for correlated beliefs and several looks at once.
        """
        mean, _, gain = self._given(Looks.of(looks))
        arms = len(self.mean)
        values, vectors = np.linalg.eigh(gain)
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        normal, uniform = _standard(arms, self.errors.tails + len(self.looks), _FUTURES)
        moved = mean[:arms] + (normal @ root.T) * uniform[:, None]
        moved -= moved.mean(axis=0) - mean[:arms]  # the draws are few: no arm is to profit from that
        return float(np.maximum(moved.max(axis=1), 0.0).mean() - max(0.0, mean[:arms].max()))

    def _given(self, future: Looks) -> tuple[Array, Array, Array]:
        """Posterior mean and covariance, and the covariance of how ``future`` would move the mean."""
        arms = len(self.mean)
        seen = Looks.of(self.looks)
        both = Looks(*(np.concatenate(pair) for pair in zip(_columns(seen), _columns(future), strict=True)))
        slope = self.errors.slope(both)
        gains = self.covariance[:, both.arm] * slope  # with each look, shape (arms, looks)
        total = slope[:, None] * self.covariance[np.ix_(both.arm, both.arm)] * slope
        total += self.errors.covariance(both, both, self.level)
        total[np.diag_indices_from(total)] += _JITTER
        n = len(self.looks)
        if n:
            off = np.array(self.values) - slope[:n] * self.mean[seen.arm]
            wilder, total[:n, :n] = self._wilder(off, total[:n, :n])
            factor = cho_factor(total[:n, :n])
            mean = self.mean + gains[:, :n] @ cho_solve(factor, off)
            explained = cho_solve(factor, np.hstack([gains[:, :n].T, total[:n, n:]]))
            covariance = self.covariance - gains[:, :n] @ explained[:, :arms]
            gains = gains[:, n:] - gains[:, :n] @ explained[:, arms:]
            total = total[n:, n:] - total[n:, :n] @ explained[:, arms:]
        else:
            mean, covariance, wilder = self.mean, self.covariance, 1.0
        if not len(future.arm):
            return mean, wilder * covariance, np.zeros((arms, arms))
        moves = gains @ np.linalg.solve(total, gains.T)
        return mean, wilder * covariance, wilder * (moves + moves.T) / 2

    def _wilder(self, off: Array, total: Array) -> tuple[float, Array]:
        """How much wilder the cell is than most, in variance, and the covariance of the looks over that.

        The error from the choice of sentences is known: it is the same in a wild cell and in a calm one.
        """
        n, freedom = len(off), self.errors.tails - 2
        sampling = np.zeros((n, n)) if self.sampling is None else self.sampling
        wilder = 1.0
        for _ in range(_ROUNDS if sampling.any() else 1):
            scaled = total + sampling / wilder
            wilder = float((freedom + off @ cho_solve(cho_factor(scaled), off)) / (freedom + n))
        return wilder, total + sampling / wilder


def _columns(looks: Looks) -> tuple[NDArray[np.generic], ...]:
    return looks.arm, looks.seed, looks.align, looks.tune


@lru_cache(maxsize=64)
def _standard(size: int, freedom: float, draws: int) -> tuple[Array, Array]:
    """Draws of a standard normal, and factors that make them Student-t of variance 1."""
    generator = np.random.default_rng(0)
    normal = generator.standard_normal((draws // 2, size))
    factor = np.sqrt((freedom - 2) / generator.chisquare(freedom, draws // 2))
    return np.vstack([normal, -normal]), np.tile(factor, 2)


SURE = 0.95
"""P(best) at which a race is over."""
Stop = Literal["sure", "not worth going on", "time", "all were run"]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that could be run next: the looks that it gives, up to how far it runs, and its cost.

    The cost is in seconds or passes, of whatever it needs that was not yet run.
    """

    looks: tuple[Look, ...]
    cost: float


def next_step(belief: Belief, steps: Iterable[Step], budget: float = float("inf")) -> Step | None:
    """The affordable step that is worth most for what it costs: knowledge gradient over cost.

    Where no single step could change the choice, the arm most likely to beat the one that leads is run on,
    or the leader, whichever was looked at less: top-two sampling without chance.
    """
    affordable = [step for step in steps if step.cost <= budget]
    if not affordable:
        return None
    rates = [belief.value_of(step.looks) / max(step.cost, 1e-9) for step in affordable]
    top = int(np.argmax(rates))
    if rates[top] > 1e-9:
        return affordable[top]
    best = belief.best_probabilities()[1:]
    return min(affordable, key=lambda step: (-best[step.looks[-1].arm], step.cost))


def stop_reason(belief: Belief, steps: Sequence[Step], budget: float, min_gain: float) -> Stop | None:
    """Why the race is over, given the possible steps and what is left in the unit of costs; None while not.

    A tenth of the smallest gain of interest (``min_gain``, points) is not worth going on for.
    """
    if not steps:
        return "all were run"
    if belief.best_probabilities().max() >= SURE:
        return "sure"
    if belief.value_of([look for step in steps for look in step.looks]) < min_gain / 10:
        return "not worth going on"
    if all(step.cost > budget for step in steps):
        return "time"
    return None
