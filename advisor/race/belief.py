"""What is believed of the final gains, given the findings and every look so far.

Given gains, looks are Student-t about them (see :mod:`advisor.race.errors`); conditioning is that of a
normal, linearised where the belief ends up, times how surprising the looks were. Choosing the arm that looks
best overstates its gain; what is believed does not, since it knows how far looks can be off.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from advisor.findings.model import scale
from advisor.race.errors import ErrorModel, Look, Looks

Array = NDArray[np.float64]

_DRAWS = 4096
"""Of the posterior; a probability of .95 is known to within .01."""
_FUTURES = 512
"""Ways that further looks may come out, for their value."""
_JITTER = 1e-9
_STEPS, _DAMPED, _LONGEST, _TOLERANCE = 60, 0.8, 2.0, 1e-7
"""Of the search for the middle of what is believed, in units of the model's scale."""
_ROUNDS = 5
"""Of the fixed point that tells what is wild from what is the choice of sentences."""


@dataclass(frozen=True)
class Belief:
    """The joint distribution of the arms' final gains; fine-tuning alone gains 0 by definition.

    Before any look it is the findings' own: gains are Student-t on the scale that they model gains on
    (:mod:`advisor.findings.model.scale`), where they are skewed in points. Looks err in points.

    Attributes:
        mean, covariance: of the gains before any look, on that scale, shapes (arms,) and (arms, arms).
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

    @property
    def expected(self) -> Array:
        """The final gains in points, in the middle of what is believed, shape (arms,)."""
        return scale.to_points(self.posterior.mean)

    def draws(self) -> Array:
        """Draws of the gains in points, fine-tuning alone (0) first, always the same: (draws, 1 + arms)."""
        gains = scale.to_points(self._draws)
        return np.column_stack([np.zeros(len(gains)), gains])

    @cached_property
    def _draws(self) -> Array:
        """On the model's scale: the linearised posterior's, resampled by what that leaves out."""
        now, arms, n = self.posterior, len(self.mean), len(self.looks)
        drawn = self._drawn(now.mean, now.covariance, _DRAWS)
        off = self._off(scale.to_points(drawn))
        surprise = _squared(drawn - self.mean, self.covariance) + _squared(off, now.noise)
        freedom = self.errors.tails + n - 2
        said = 1 + _squared(drawn - now.mean, now.covariance) / freedom
        weights = (said / (1 + surprise / (self.errors.tails - 2))) ** ((freedom + 2 + arms) / 2)
        places = (np.arange(_DRAWS) + 0.5) / _DRAWS
        return np.asarray(
            drawn[np.searchsorted(np.cumsum(weights) / weights.sum(), places).clip(max=_DRAWS - 1)]
        )

    def best_probabilities(self) -> Array:
        """P(best) of fine-tuning alone and of each arm, shape (1 + arms,)."""
        return _shares(self.draws())

    def winning_probabilities(self, finals: Sequence[Look]) -> Array:
        """P that runs show the highest mean gain, of fine-tuning alone and of each arm, shape (1 + arms,).

        Args:
            finals: looks at their ends, some of every arm.
        """
        ends, now = Looks.of(finals), self.posterior
        between = self.errors.covariance(now.looks, ends, self.level)
        explained = np.linalg.solve(now.noise, between)
        luck = self.errors.covariance(ends, ends, self.level) - between.T @ explained
        gains = scale.to_points(self._draws)
        shown = self.errors.slope(ends) * gains[:, ends.arm] + self._off(gains) @ explained
        shown += self._drawn(np.zeros(len(finals)), now.wilder * luck, _DRAWS, seed=1)
        arms = range(len(self.mean))
        means = np.column_stack([shown[:, ends.arm == arm].mean(axis=1) for arm in arms])
        return _shares(np.column_stack([np.zeros(len(shown)), means]))

    def _off(self, gains: Array) -> Array:
        """How far looks are off what gains let expect, shape (draws, looks)."""
        seen = self.posterior.looks
        return np.asarray(np.array(self.values) - self.errors.slope(seen) * gains[:, seen.arm])

    def value_of(self, looks: Sequence[Look]) -> float:
        """Points that the choice is expected to gain by taking these looks (the knowledge gradient).

        Frazier, Powell and Dayanik 2009, for correlated beliefs and several looks at once.
        """
        covariance, with_gains = self._foreseen(Looks.of(looks))
        moves = with_gains @ np.linalg.solve(covariance, with_gains.T)
        moved = scale.to_points(self._drawn(self.posterior.mean, (moves + moves.T) / 2, _FUTURES))
        return float(np.maximum(moved.max(axis=1), 0.0).mean() - max(0.0, moved.mean(axis=0).max()))

    def _drawn(self, mean: Array, covariance: Array, draws: int, seed: int = 0) -> Array:
        """Draws of a Student-t as heavy-tailed as what is believed, shape (draws, n)."""
        values, vectors = np.linalg.eigh(covariance)
        normal, factor = _standard(len(mean), self.errors.tails + len(self.looks), draws, seed)
        return np.asarray(
            mean + (normal @ (vectors * np.sqrt(np.clip(values, 0.0, None))).T) * factor[:, None]
        )

    @cached_property
    def posterior(self) -> "Learnt":
        """What is believed after the looks, linearised where it ends up (Gauss and Newton's steps)."""
        seen, middle = Looks.of(self.looks), self.mean
        shown, slope = np.array(self.values), self.errors.slope(seen)
        noise = self.errors.covariance(seen, seen, self.level) + _JITTER * np.eye(len(shown))
        for _ in range(_STEPS):
            per_unit = slope * _points_per_unit(middle)[seen.arm]
            with_gains = self.covariance[:, seen.arm] * per_unit
            prior = with_gains[seen.arm].T * per_unit
            off = shown - slope * scale.to_points(middle)[seen.arm]
            off += per_unit * (middle - self.mean)[seen.arm]
            wilder, total = self._wilder(off, prior + noise)
            step = self.mean + with_gains @ np.linalg.solve(total, off) - middle
            middle = middle + _DAMPED * np.clip(step, -_LONGEST, _LONGEST)
            if np.abs(step).max(initial=0.0) < _TOLERANCE:
                break
        explained = np.linalg.solve(total, with_gains.T)
        covariance = wilder * (self.covariance - with_gains @ explained)
        return Learnt(seen, middle, (covariance + covariance.T) / 2, wilder, with_gains, total, total - prior)

    def _foreseen(self, future: Looks) -> tuple[Array, Array]:
        """Covariance of what further looks will show, and its covariance with the gains."""
        now = self.posterior
        per_unit = self.errors.slope(future) * _points_per_unit(now.mean)[future.arm]
        with_seen = now.with_gains.T[:, future.arm] * per_unit
        with_seen += self.errors.covariance(now.looks, future, self.level)
        explained = np.linalg.solve(now.total, with_seen)
        prior = self.covariance[:, future.arm] * per_unit
        covariance = prior[future.arm].T * per_unit + self.errors.covariance(future, future, self.level)
        covariance += _JITTER * np.eye(len(per_unit)) - with_seen.T @ explained
        return now.wilder * covariance, now.wilder * (prior - now.with_gains @ explained)

    def _wilder(self, off: Array, total: Array) -> tuple[float, Array]:
        """How much wilder the cell is than most, in variance, and the covariance of the looks over that.

        The error from the choice of sentences is known: it is the same in a wild cell and in a calm one.
        """
        n, freedom = len(off), self.errors.tails - 2
        sampling = np.zeros((n, n)) if self.sampling is None else self.sampling
        wilder = 1.0
        for _ in range(_ROUNDS if sampling.any() else 1):
            scaled = total + sampling / wilder
            wilder = float((freedom + off @ np.linalg.solve(scaled, off)) / (freedom + n))
        return wilder, total + sampling / wilder


@dataclass(frozen=True, slots=True)
class Learnt:
    """What looks have taught.

    Attributes:
        mean, covariance: of the gains on the model's scale, shapes (arms,) and (arms, arms).
        wilder: variance of the cell over that of most cells.
        with_gains: covariance of the gains with what looks show, before any, shape (arms, looks).
        total: covariance of what they show, over ``wilder``, shape (looks, looks).
        noise: the part of it that is not the gains', shape (looks, looks).
    """

    looks: Looks
    mean: Array
    covariance: Array
    wilder: float
    with_gains: Array
    total: Array
    noise: Array


def _squared(off: Array, covariance: Array) -> Array:
    """How far rows are off, squared, in standard deviations, shape (rows,)."""
    root = np.linalg.cholesky(covariance + _JITTER * np.eye(len(covariance)))
    return np.asarray((solve_triangular(root, off.T, lower=True) ** 2).sum(axis=0))


def _points_per_unit(middle: Array) -> Array:
    """What a unit of the model's scale is in points."""
    return np.asarray(1 / scale.unit(scale.to_points(middle)))


def _shares(gains: Array) -> Array:
    """How often each column is the highest, shape (columns,)."""
    return np.asarray(np.bincount(gains.argmax(axis=1), minlength=gains.shape[1]) / len(gains))


@lru_cache(maxsize=64)
def _standard(size: int, freedom: float, draws: int, seed: int) -> tuple[Array, Array]:
    """Draws of a standard normal, and factors that make them Student-t of variance 1."""
    generator = np.random.default_rng(seed)
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

    def begins(self, other: "Step") -> bool:
        """Whether it is a part of another: of the same run, with as much alignment."""
        mine, its = self.looks[-1], other.looks[-1]
        return (mine.arm, mine.seed, mine.rung.align) == (its.arm, its.seed, its.rung.align)


def next_step(belief: Belief, steps: Iterable[Step], budget: float = float("inf")) -> Step | None:
    """The beginning, up to its first look, of the step that is worth most for what it costs: knowledge
    gradient over cost. Nothing is lost by thinking again at every look on the way.

    Where no single step could change the choice, the arm most likely to beat the one that leads is run on,
    or the leader, whichever was looked at less: top-two sampling without chance.
    """
    affordable = [step for step in steps if step.cost <= budget]
    if not affordable:
        return None
    rates = [belief.value_of(step.looks) / max(step.cost, 1e-9) for step in affordable]
    top = int(np.argmax(rates))
    if rates[top] > 1e-9:
        chosen = affordable[top]
    else:
        best = belief.best_probabilities()[1:]
        chosen = min(affordable, key=lambda step: (-best[step.looks[-1].arm], step.cost))
    return min((step for step in affordable if step.begins(chosen)), key=lambda step: step.cost)


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
