"""The effect model: what alignment does to a score, for every option, with an honest interval.

A Bayesian linear mixed model of the gain on the scale of ``scale`` over the terms of ``_features``:

    z_i = sum over terms t of <x_t(case_i), w_t> - b_c(i) + u_i + e_i,
    w_t ~ N(0, tau_t^2 I),  b_c ~ N(0, r_c^2),  u_i ~ N(0, sigma_g(i)^2),  e_i ~ N(0, s_i^2)

The gains of one study, model, task and language are all taken from one baseline score; ``r_c`` is that
score's standard error and ``s_i`` the aligned score's (both from the seeds). Sharing ``b_c`` corrects for
regression to the mean: a baseline that came out low by chance lifts all its gains together, and the model
discounts that. ``sigma_g`` is what is left within a source, model and task, so that a source that scatters
has less say.

Variances are the mode of their posterior under inverse-gamma priors, found by MacKay's fixed-point
iteration (MacKay 1992, *Bayesian interpolation*; the prior adds ``trust`` coefficients of
size ``scale``). The prior keeps a variance that three levels cannot tell from collapsing to 0, so that a
fourth level is not predicted with false confidence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import Case, Key, Observation
from advisor.findings.model import scale
from advisor.findings.model._design import Design, inverse, leave_out
from advisor.findings.model._features import TERMS, Column, Term
from advisor.findings.model._prediction import Prediction
from advisor.findings.model._spread import Spread
from advisor.findings.model._variances import BASELINE, Residuals, Variances

__all__ = ["EffectModel"]

Array = NDArray[np.float64]

_ITERATIONS = 8
_CALIBRATION = (0.7, 1.5)
"""Bounds of the calibration factor: beyond them it would hide a model that does not fit."""
_COVERAGE = 0.8


@dataclass(frozen=True, slots=True)
class EffectModel:
    """A fitted effect model: plain arrays, numbers and names.

    Attributes:
        columns: (term, key) of each coefficient.
        mean: posterior mean of the coefficients, shape (p,).
        covariance: their posterior covariance, shape (p, p).
        variances: ``tau^2`` by (term, group); the blank group stands for the whole term.
        residuals: ``sigma_g^2`` by (source, model, task); blank names stand for any.
        spread: how far languages scatter.
        calibration: factor on the standard deviation of a new language's prediction, where model and task
            are known, that gives 80 % intervals their coverage on the evidence's own languages.
    """

    columns: tuple[Column, ...]
    mean: Array
    covariance: Array
    variances: Mapping[tuple[str, str], float]
    residuals: Mapping[tuple[str, str, str], float]
    spread: Spread
    calibration: float

    @classmethod
    def fit(
        cls,
        observations: Sequence[Observation],
        *,
        terms: Sequence[Term] = TERMS,
        iterations: int = _ITERATIONS,
    ) -> "EffectModel":
        """Fit to measured gains; deterministic.

        Args:
            observations: at least one.
            terms: the terms of the model.
            iterations: of the fixed point that finds the variances.
        """
        z, unit, noise2 = _on_scale(observations)
        spread = Spread.fit([observation.case for observation in observations], z)
        index: dict[Column, int] = {}
        design, variance_of = _design(observations, unit, terms, spread, index)
        size = len(index)
        tau2 = Variances(terms, variance_of)
        sigma2 = Residuals([observation.case for observation in observations])

        for iteration in range(iterations + 1):
            total2 = noise2 + sigma2.of_rows
            precision = design.gram(1 / total2, size)
            precision[np.diag_indices_from(precision)] += 1 / tau2.of_columns
            covariance = inverse(precision)
            mean = covariance @ design.transposed_times(z / total2, size)
            if iteration < iterations:
                tau2.update(mean, np.diag(covariance))
                error2 = (z - design.times(mean)) ** 2 + design.quadratic(covariance)
                sigma2.update(error2, noise2)
        return cls(
            columns=tuple(index),
            mean=mean,
            covariance=covariance,
            variances=tau2.named(),
            residuals=sigma2.named(),
            spread=spread,
            calibration=_calibration(
                design,
                covariance,
                residual=z - design.times(mean),
                total2=noise2 + sigma2.of_rows,
                languages=[observation.case.target for observation in observations],
            ),
        )

    def predict(self, cases: Sequence[Case], *, terms: Sequence[Term] = TERMS) -> Prediction:
        """Predict the gains of cases that may hold anything unseen."""
        index = {column: i for i, column in enumerate(self.columns)}
        unseen = np.zeros(len(cases))
        about_language = {term.name for term in terms if term.about_language}
        rows: list[list[tuple[int, float]]] = []
        parts: list[dict[Column, float]] = []
        for i, case in enumerate(cases):
            row: list[tuple[int, float]] = []
            part: dict[Column, float] = {}
            for name, group, key, weight in _weighted_keys(case, terms, self.spread):
                column = index.get((name, key))
                if column is None:
                    variance = self.variances.get((name, group), self.variances[name, ""])
                    unseen[i] += weight**2 * variance
                else:
                    row.append((column, weight))
                    part[name, key] = weight * float(self.mean[column])
            # What is known of the language is in units of a spread that may itself be off.
            of_language = sum(value for (name, _), value in part.items() if name in about_language)
            unseen[i] += (of_language * self.spread.relative_error(case)) ** 2
            rows.append(row)
            parts.append(part)
        design = Design.of(rows)
        residual = np.array([self._residual(case) for case in cases])
        known = np.maximum(design.quadratic(self.covariance), 0)
        factor = np.array(
            [
                self.calibration
                if ("model*task", (case.model, case.task)) in index
                and ("language*model*task", (case.target, case.model, case.task)) not in index
                else 1.0
                for case in cases
            ]
        )
        return Prediction(design.times(self.mean), factor * np.sqrt(known + unseen + residual), tuple(parts))

    def given(
        self,
        observations: Sequence[Observation],
        offsets: Array | None = None,
        *,
        terms: Sequence[Term] = TERMS,
    ) -> "EffectModel":
        """The model once it has seen further gains too: the exact Gaussian posterior, variances as they are.

        Args:
            observations: that the model was not fitted to.
            offsets: on the model's scale, what of each gain is explained otherwise, shape (n,).
            terms: the terms of the model.
        """
        z, unit, noise2 = _on_scale(observations)
        index = {column: i for i, column in enumerate(self.columns)}
        design, new = _design(observations, unit, terms, self.spread, index)
        old = len(self.columns)
        mean = np.concatenate([self.mean, np.zeros(len(new))])
        covariance = np.zeros((len(index), len(index)))
        covariance[:old, :old] = self.covariance
        covariance[np.arange(old, len(index)), np.arange(old, len(index))] = [
            # a baseline's is known, and so not kept
            self.variances.get((name, group), self.variances.get((name, ""), 1.0))
            for name, group in new
        ]
        total2 = noise2 + np.array([self._residual(observation.case) for observation in observations])
        x = design.dense(len(index))
        seen = x @ covariance
        gain = np.linalg.solve(seen @ x.T + np.diag(total2), seen).T
        error = z - (0.0 if offsets is None else offsets) - x @ mean
        return replace(
            self,
            columns=tuple(index),
            mean=mean + gain @ error,
            covariance=covariance - gain @ seen,
        )

    def left_out(
        self, observations: Sequence[Observation], *, terms: Sequence[Term] = TERMS
    ) -> tuple[Array, Array]:
        """Predict observations of the fit as a model would that had not seen any of them.

        The variances stay as all observations made them, so that nothing is fitted again.

        Args:
            observations: some of those that the model was fitted to, in this process: a model from a file
                has forgotten the baselines of its studies.
            terms: the terms of the model.

        Returns:
            Errors (measured less predicted) and their variances on the model's scale, shape (n,).

        Raises:
            KeyError: if an observation was not in the fit.
        """
        z, unit, noise2 = _on_scale(observations)
        index = {column: i for i, column in enumerate(self.columns)}
        design, unknown = _design(observations, unit, terms, self.spread, index)
        if unknown:
            raise KeyError(unknown[0])
        total2 = noise2 + np.array([self._residual(observation.case) for observation in observations])
        return leave_out(design, self.covariance, z - design.times(self.mean), total2)

    def _residual(self, case: Case) -> float:
        for key in ((case.source_id, case.model, case.task), ("", case.model, case.task)):
            if key in self.residuals:
                return self.residuals[key]
        return self.residuals["", "", ""]


def _calibration(
    design: Design, covariance: Array, *, residual: Array, total2: Array, languages: Sequence[str]
) -> float:
    """Factor that gives 80 % intervals their coverage when one language is left out."""
    standardised = []
    names = np.array(languages)
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        error, variance = leave_out(design.rows(rows), covariance, residual[rows], total2[rows])
        # a language counts once, however many rows it has
        standardised.append(np.sort(np.abs(error) / np.sqrt(variance)))
    steps = np.linspace(0, 1, 101)
    pooled = np.sort(np.concatenate([np.quantile(values, steps) for values in standardised]))
    factor = float(np.quantile(pooled, _COVERAGE)) / NormalDist().inv_cdf((1 + _COVERAGE) / 2)
    return min(max(factor, _CALIBRATION[0]), _CALIBRATION[1])


def _on_scale(observations: Sequence[Observation]) -> tuple[Array, Array, Array]:
    """Gains on the model's scale, what a point is worth there, and their noise's variances, each (n,)."""
    gains = np.array([observation.gain for observation in observations])
    unit = scale.unit(gains)
    noise = unit * np.array([observation.standard_error for observation in observations])
    return scale.to_scale(gains), unit, noise**2


def _design(
    observations: Sequence[Observation],
    unit: Array,
    terms: Sequence[Term],
    spread: Spread,
    index: dict[Column, int],
) -> tuple[Design, list[tuple[str, str]]]:
    """Rows of observations; columns that ``index`` lacks are added to it, and their (term, group) told."""
    added: list[tuple[str, str]] = []
    rows = []
    for observation, per_point in zip(observations, unit.tolist(), strict=True):
        row = []
        for name, group, key, weight in _columns_of(observation, per_point, terms, spread):
            if (name, key) not in index:
                index[name, key] = len(index)
                added.append((name, group))
            row.append((index[name, key], weight))
        rows.append(row)
    return Design.of(rows), added


def _columns_of(
    observation: Observation, unit: float, terms: Sequence[Term], spread: Spread
) -> Iterator[tuple[str, str, Key, float]]:
    """(term, group, key, weight) of an observation, its study's baseline included.

    ``unit`` is what a point is on the model's scale.
    """
    yield from _weighted_keys(observation.case, terms, spread)
    yield BASELINE, "", observation.baseline, -unit * observation.baseline_error


def _weighted_keys(case: Case, terms: Sequence[Term], spread: Spread) -> list[tuple[str, str, Key, float]]:
    """(term, group, key, weight) of a case; terms about languages in units of the spread."""
    width = spread(case)
    return [
        (term.name, term.group(case), key, weight * width if term.about_language else weight)
        for term in terms
        for key, weight in term.keys(case)
    ]
