"""The effect model: what alignment does to a score, for every option, with an honest interval.

A Bayesian linear mixed model of the gain on the scale of ``scale`` over the terms of ``_features``:

    z_i = m + sum over terms t of <x_t(case_i), w_t> - b_c(i) + u_i + e_i,
    w_t ~ N(0, tau_t^2 I),  b_c ~ N(0, r_c^2),  u_i ~ N(0, sigma_g(i)^2),  e_i ~ N(0, s_i^2)

``m`` is the prior mean of all gains (see ``_labs``). The gains of one study, model, task and language are
all taken from one baseline score; ``r_c`` is that score's standard error and ``s_i`` the aligned score's
(both from the seeds). Sharing ``b_c`` corrects for regression to the mean: a baseline that came out low by
chance lifts all its gains together, and the model discounts that. ``sigma_g`` is what is left within a lab,
model and task, so that a lab that scatters has less say.

Labs have terms of their own, of which a question has none: whoever asks is a new lab, and the whole variance
between labs is in every interval. That variance, ``lambda^2``, hardly any data inform. It is integrated over
a grid with the prior and the shares of ``_labs``: one posterior of the coefficients for each grid point,
weighted by prior and marginal likelihood, so that a prediction is a mixture of normals.

The other variances are the mode of their posterior under inverse-gamma priors, found by MacKay's fixed-point
iteration (MacKay 1992, *Bayesian interpolation*; the prior adds ``trust`` coefficients of size ``scale``).
The prior keeps a variance that three levels cannot tell from collapsing to 0, so that a fourth level is not
predicted with false confidence.

Shapes: n observations, p coefficients, K grid points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import Case, Key, Observation
from advisor.findings.model import scale
from advisor.findings.model._design import Design, Integers, leave_out, solve
from advisor.findings.model._features import LAB_SHARES, TERMS, Column, Term
from advisor.findings.model._labs import GRID, PRIOR_MEAN, PRIOR_SCALE, log_prior
from advisor.findings.model._prediction import Prediction
from advisor.findings.model._spread import Spread
from advisor.findings.model._variances import BASELINE, Residuals, Variances

Array = NDArray[np.float64]

_ITERATIONS = 6
_OVERALL: Column = ("all", ())


@dataclass(frozen=True, slots=True)
class Posterior:
    """The coefficients, where labs differ by so much.

    Attributes:
        lab_spread: ``lambda``.
        weight: posterior probability of that grid point.
        mean: of the coefficients, shape (p,).
        covariance: of the coefficients, shape (p, p).
    """

    lab_spread: float
    weight: float
    mean: Array
    covariance: Array


@dataclass(frozen=True, slots=True)
class EffectModel:
    """A fitted effect model: plain arrays, numbers and names.

    Attributes:
        columns: (term, key) of each coefficient.
        posteriors: one a grid point of the spread between labs.
        variances: ``tau^2`` by (term, group); the blank group stands for the whole term.
        residuals: ``sigma_g^2`` by (lab, model, task); blank names stand for any.
        spread: how far languages scatter.
        terms: what it is made of.
    """

    columns: tuple[Column, ...]
    posteriors: tuple[Posterior, ...]
    variances: Mapping[tuple[str, str], float]
    residuals: Mapping[tuple[str, str, str], float]
    spread: Spread
    terms: tuple[Term, ...] = TERMS

    @classmethod
    def fit(
        cls,
        observations: Sequence[Observation],
        *,
        terms: tuple[Term, ...] = TERMS,
        grid: Sequence[float] = GRID,
        iterations: int = _ITERATIONS,
    ) -> "EffectModel":
        """Fit to measured gains; deterministic.

        Args:
            observations: at least one.
            terms: the terms of the model.
            grid: spreads between labs; of ``GRID``.
            iterations: of the fixed point that finds the other variances.
        """
        z, unit, noise2 = _on_scale(observations)
        spread = Spread.fit([observation.case for observation in observations], z)
        index: dict[Column, int] = {}
        design, variance_of = _design(observations, unit, terms, spread, index)
        tau2 = Variances(terms, variance_of)
        sigma2 = Residuals([observation.case for observation in observations])
        targets = np.unique([observation.case.target for observation in observations], return_inverse=True)[1]
        blocks = design.blocks(targets, len(index))
        middle = min(grid, key=lambda point: abs(point - PRIOR_SCALE))
        for _ in range(iterations):
            mean, covariance, _ = _solve(
                design, blocks, z, noise2 + sigma2.of_rows, tau2.of_columns(middle), whole=False
            )
            tau2.update(mean, np.diag(covariance))
            error2 = (z - design.times(mean)) ** 2 + design.quadratic(covariance)
            sigma2.update(error2, noise2)
        total2 = noise2 + sigma2.of_rows
        solved = [(point, *_solve(design, blocks, z, total2, tau2.of_columns(point))) for point in grid]
        weights = _normalised([log_prior(point) + evidence for point, _, _, evidence in solved])
        return cls(
            columns=tuple(index),
            posteriors=tuple(
                Posterior(point, weight, mean, covariance)
                for (point, mean, covariance, _), weight in zip(solved, weights.tolist(), strict=True)
            ),
            variances=tau2.named(),
            residuals=sigma2.named(),
            spread=spread,
            terms=terms,
        )

    @property
    def weights(self) -> Array:
        """Posterior probabilities of the grid points, shape (K,)."""
        return np.array([posterior.weight for posterior in self.posteriors])

    def predict(self, cases: Sequence[Case]) -> Prediction:
        """Predict the gains of cases that may hold anything unseen."""
        index = {column: i for i, column in enumerate(self.columns)}
        overall = np.einsum("k,kp->p", self.weights, [posterior.mean for posterior in self.posteriors])
        unseen, of_labs = np.zeros(len(cases)), np.zeros(len(cases))
        rows: list[list[tuple[int, float]]] = []
        parts: list[dict[Column, float]] = []
        for i, case in enumerate(cases):
            row: list[tuple[int, float]] = []
            part: dict[Column, float] = {_OVERALL: PRIOR_MEAN}
            for name, group, key, weight in _weighted_keys(case, self.terms, self.spread):
                column = index.get((name, key))
                if column is not None:
                    row.append((column, weight))
                    part[name, key] = part.get((name, key), 0.0) + weight * float(overall[column])
                elif name in LAB_SHARES:
                    of_labs[i] += LAB_SHARES[name]
                else:
                    variance = self.variances.get((name, group), self.variances[name, ""])
                    unseen[i] += weight**2 * variance
            rows.append(row)
            parts.append(part)
        design = Design.of(rows)
        residual = np.array([self._residual(case) for case in cases])
        centres, variances = [], []
        for posterior in self.posteriors:
            centres.append(PRIOR_MEAN + design.times(posterior.mean))
            seen = np.maximum(design.quadratic(posterior.covariance), 0)
            variances.append(seen + unseen + residual + of_labs * posterior.lab_spread**2)
        sds = np.sqrt(np.array(variances).T)
        return Prediction(np.array(centres).T, sds, self.weights, tuple(parts))

    def given(self, observations: Sequence[Observation], offsets: Array | None = None) -> "EffectModel":
        """The model once it has seen further gains too: the exact posterior, variances as they are.

        Args:
            observations: that the model was not fitted to.
            offsets: on the model's scale, what of each gain is explained otherwise, shape (n,).
        """
        z, unit, noise2 = _on_scale(observations)
        z = z - (0.0 if offsets is None else offsets)
        index = {column: i for i, column in enumerate(self.columns)}
        design, new = _design(observations, unit, self.terms, self.spread, index)
        total2 = noise2 + np.array([self._residual(observation.case) for observation in observations])
        x = design.dense(len(index))
        updated, logs = [], []
        for posterior in self.posteriors:
            prior = [self._prior(name, group, posterior.lab_spread) for name, group in new]
            mean, covariance, log = _updated(posterior, prior, x, z, total2)
            updated.append(replace(posterior, mean=mean, covariance=covariance))
            logs.append(float(np.log(max(posterior.weight, 1e-300))) + log)
        weights = _normalised(logs).tolist()
        return replace(
            self,
            columns=tuple(index),
            posteriors=tuple(replace(post, weight=w) for post, w in zip(updated, weights, strict=True)),
        )

    def kernel(self, case: Case, others: Sequence[Case]) -> Array:
        """How much a gain tells of others: prior correlation of one case with each of some, shape (n,)."""
        (spread,) = [post.lab_spread for post in self.posteriors if post.weight == self.weights.max()][:1]

        def signature(of: Case) -> dict[Column, tuple[float, float]]:
            return {
                (name, key): (weight, self._prior(name, group, spread))
                for name, group, key, weight in _weighted_keys(of, self.terms, self.spread)
            }

        mine = signature(case)
        own = sum(weight**2 * variance for weight, variance in mine.values())
        found = []
        for other in others:
            theirs = signature(other)
            total = sum(weight**2 * variance for weight, variance in theirs.values())
            shared = sum(
                mine[column][0] * weight * variance
                for column, (weight, variance) in theirs.items()
                if column in mine
            )
            found.append(shared / (own * total) ** 0.5)
        return np.array(found)

    def left_out(self, observations: Sequence[Observation]) -> tuple[Array, Array]:
        """Predict observations of the fit as a model would that had not seen any of them.

        The variances stay as all observations made them, and the spread between labs at its likeliest, so
        that nothing is fitted again.

        Args:
            observations: some of those that the model was fitted to, in this process: a model from a file
                has forgotten the baselines of its studies.

        Returns:
            Errors (measured less predicted) and their variances on the model's scale, shape (n,).

        Raises:
            KeyError: if an observation was not in the fit.
        """
        z, unit, noise2 = _on_scale(observations)
        index = {column: i for i, column in enumerate(self.columns)}
        design, unknown = _design(observations, unit, self.terms, self.spread, index)
        if unknown:
            raise KeyError(unknown[0])
        likeliest = max(self.posteriors, key=lambda posterior: posterior.weight)
        total2 = noise2 + np.array([self._residual(observation.case) for observation in observations])
        return leave_out(design, likeliest.covariance, z - design.times(likeliest.mean), total2)

    def _prior(self, name: str, group: str, lab_spread: float) -> float:
        """Prior variance of a coefficient; a baseline's is known."""
        if name in LAB_SHARES:
            return LAB_SHARES[name] * lab_spread**2
        return self.variances.get((name, group), self.variances.get((name, ""), 1.0))

    def _residual(self, case: Case) -> float:
        for key in ((case.lab, case.model, case.task), ("", case.model, case.task)):
            if key in self.residuals:
                return self.residuals[key]
        return self.residuals["", "", ""]


def _solve(
    design: Design, blocks: Integers, z: Array, total2: Array, tau2: Array, *, whole: bool = True
) -> tuple[Array, Array, float]:
    """Posterior mean and covariance of the coefficients, and the log marginal likelihood.

    Args:
        design: n rows, p columns.
        blocks: the language that a column is of, -1 for none, shape (p,).
        z: gains on the model's scale less their prior mean, shape (n,).
        total2: their noise and residual variances, shape (n,).
        tau2: prior variances of the coefficients, shape (p,).
    """
    size = len(tau2)
    precision = design.gram(1 / total2, size)
    precision[np.diag_indices_from(precision)] += 1 / tau2
    projected = design.transposed_times(z / total2, size)
    mean, covariance, log_determinant = solve(precision, projected, blocks, whole=whole)
    log_variance = float(np.log(total2).sum() + np.log(tau2).sum()) + log_determinant
    misfit = float(z @ (z / total2) - mean @ projected)
    return mean, covariance, -0.5 * (log_variance + misfit + len(z) * float(np.log(2 * np.pi)))


def _updated(
    posterior: Posterior, prior: Sequence[float], x: Array, z: Array, total2: Array
) -> tuple[Array, Array, float]:
    """Mean and covariance once rows ``x`` are seen, and their log likelihood; ``prior``: of new columns."""
    old, size = len(posterior.mean), x.shape[1]
    mean = np.concatenate([posterior.mean, np.zeros(size - old)])
    covariance = np.zeros((size, size))
    covariance[:old, :old] = posterior.covariance
    covariance[np.arange(old, size), np.arange(old, size)] = prior
    seen = x @ covariance
    of_rows = seen @ x.T + np.diag(total2)
    gain = np.linalg.solve(of_rows, seen).T
    error = z - x @ mean
    log = -0.5 * float(error @ np.linalg.solve(of_rows, error) + np.linalg.slogdet(of_rows)[1])
    return mean + gain @ error, covariance - gain @ seen, log


def _normalised(logs: Sequence[float]) -> Array:
    """Probabilities from their logs."""
    shifted = np.exp(np.array(logs) - max(logs))
    return np.asarray(shifted / shifted.sum())


def _on_scale(observations: Sequence[Observation]) -> tuple[Array, Array, Array]:
    """Gains on the model's scale less their prior mean, what a point is worth there, and their noise's
    variances, each (n,)."""
    gains = np.array([observation.gain for observation in observations])
    unit = scale.unit(gains)
    noise = unit * np.array([observation.standard_error for observation in observations])
    return scale.to_scale(gains) - PRIOR_MEAN, unit, noise**2


def _design(
    observations: Sequence[Observation],
    unit: Array,
    terms: tuple[Term, ...],
    spread: Spread,
    index: dict[Column, int],
) -> tuple[Design, list[tuple[str, str]]]:
    """Rows of observations; columns that ``index`` lacks are added to it, and their (term, group) told."""
    added: list[tuple[str, str]] = []
    rows = []
    for observation, per_point in zip(observations, unit.tolist(), strict=True):
        row = []
        keys = _weighted_keys(observation.case, terms, spread)
        # the study's baseline lowers all gains that are taken from it
        keys.append((BASELINE, "", observation.baseline, -per_point * observation.baseline_error))
        for name, group, key, weight in keys:
            if (name, key) not in index:
                index[name, key] = len(index)
                added.append((name, group))
            row.append((index[name, key], weight))
        rows.append(row)
    return Design.of(rows), added


def _weighted_keys(case: Case, terms: tuple[Term, ...], spread: Spread) -> list[tuple[str, str, Key, float]]:
    """(term, group, key, weight) of a case; terms about languages in units of the spread."""
    width = spread(case)
    return [
        (name, group, key, weight * width if scaled else weight)
        for name, group, key, weight, scaled in _keys(case, terms)
    ]


@lru_cache(maxsize=16_384)
def _keys(case: Case, terms: tuple[Term, ...]) -> tuple[tuple[str, str, Key, float, bool], ...]:
    """The same, and whether a term is in units of the spread; the evidence's cases are asked for often."""
    return tuple(
        (term.name, term.group(case), key, weight, term.about_language)
        for term in terms
        for key, weight in term.keys(case)
    )
