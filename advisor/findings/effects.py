"""The effect model: what alignment does to a score, for every option, with an honest interval.

A Bayesian linear mixed model over the terms of ``_features``:

    gain_i = sum over terms t of <x_t(case_i), w_t> + u_i + e_i,
    w_t ~ N(0, tau_t^2 I),   u_i ~ N(0, sigma_g(i)^2),   e_i ~ N(0, s_i^2)

``s_i`` is the standard error of the published gain (from its seeds), ``sigma_g`` what is left within a
source, model and task (a source that scatters more than the others has less say). The variances are found by expectation-maximisation of their posterior mode under inverse-gamma
priors (Gelman et al. 2013, *Bayesian Data Analysis*, section 13.6); the prior keeps a variance that three levels
cannot tell from collapsing to 0, so that a fourth level is not predicted with false confidence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.findings._features import TERMS, Case, Key, Term

__all__ = ["EffectModel", "Prediction", "standard_error"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Column = tuple[str, Key]

_TRUST = 2.0
"""How many observations' worth of evidence the prior of a residual variance is."""
_RESIDUAL_SCALE = 0.4
"""What may plausibly be left within a model and task before any evidence, in points."""
_DEFAULT_SEED_SD = 0.9
"""Standard deviation over seeds of a paired gain where none is published: about the median of those that are."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Gains of n cases, in points.

    Attributes:
        mean: shape (n,).
        sd: of the true gain in a new run of the case, shape (n,); seed noise of a test is not in it.
        parts: what each coefficient adds to the mean, one mapping a case.
    """

    mean: Array
    sd: Array
    parts: tuple[Mapping[Column, float], ...]


@dataclass(frozen=True, slots=True)
class _Design:
    """A sparse design matrix: every row has its few columns, padded with weight 0 on column 0."""

    columns: Integers
    weights: Array

    @classmethod
    def of(cls, rows: Sequence[Sequence[tuple[int, float]]]) -> "_Design":
        width = max((len(row) for row in rows), default=0)
        columns = np.zeros((len(rows), width), dtype=np.int64)
        weights = np.zeros((len(rows), width))
        for i, row in enumerate(rows):
            for j, (column, weight) in enumerate(row):
                columns[i, j], weights[i, j] = column, weight
        return cls(columns, weights)

    def times(self, coefficients: Array) -> Array:
        return np.einsum("nk,nk->n", self.weights, coefficients[self.columns])

    def transposed_times(self, values: Array, size: int) -> Array:
        return np.bincount(self.columns.ravel(), (self.weights * values[:, None]).ravel(), size)

    def gram(self, precision: Array, size: int) -> Array:
        """X' diag(precision) X, shape (size, size)."""
        products = self.weights[:, :, None] * (self.weights * precision[:, None])[:, None, :]
        cells = self.columns[:, :, None] * size + self.columns[:, None, :]
        return np.bincount(cells.ravel(), products.ravel(), size * size).reshape(size, size)

    def quadratic(self, matrix: Array) -> Array:
        """x' M x of every row x, shape (n,)."""
        out = np.empty(len(self.columns))
        for i, (columns, weights) in enumerate(zip(self.columns, self.weights, strict=True)):
            out[i] = weights @ matrix[columns[:, None], columns] @ weights
        return out


@dataclass(frozen=True, slots=True)
class EffectModel:
    """A fitted effect model: plain arrays and names.

    Attributes:
        columns: (term, key) of each coefficient.
        variances: ``tau_t^2`` of each term.
        residuals: ``sigma_g^2`` by (source, model, task); blank names stand for any.
        mean: posterior mean of the coefficients, shape (p,).
        covariance: their posterior covariance, shape (p, p).
    """

    columns: tuple[Column, ...]
    variances: Mapping[str, float]
    residuals: Mapping[tuple[str, str, str], float]
    mean: Array
    covariance: Array

    @classmethod
    def fit(
        cls,
        cases: Sequence[Case],
        gains: Array,
        standard_errors: Array,
        *,
        terms: Sequence[Term] = TERMS,
        iterations: int = 30,
        start: "EffectModel | None" = None,
    ) -> "EffectModel":
        """Fit to effects.

        Args:
            cases: what was measured, n of them.
            gains: in points, shape (n,).
            standard_errors: of the gains, shape (n,).
            terms: the terms of the model.
            iterations: of expectation-maximisation; 0 keeps the variances of ``start``.
            start: a fitted model to take the first variances from.
        """
        index: dict[Column, int] = {}
        design = _Design.of(
            [
                [
                    (index.setdefault((term.name, key), len(index)), weight)
                    for term in terms
                    for key, weight in term.keys(case)
                ]
                for case in cases
            ]
        )
        size = len(index)
        names = [term.name for term in terms]
        term_of = np.array([names.index(name) for name, _ in index])
        groups = sorted({(case.source_id, case.model, case.task) for case in cases})
        group_of = np.array([groups.index((case.source_id, case.model, case.task)) for case in cases])
        scales = np.array([term.scale for term in terms])
        trust = np.array([term.trust for term in terms])

        tau2 = scales**2
        sigma2 = np.full(len(groups), _RESIDUAL_SCALE**2)
        if start is not None:
            tau2 = np.array([start.variances[name] for name in names])
            sigma2 = np.array([start.residual(*group) for group in groups])
        tau_counts = np.bincount(term_of, minlength=len(terms))
        sigma_counts = np.bincount(group_of, minlength=len(groups))
        noise2 = standard_errors**2
        for iteration in range(iterations + 1):
            total2 = noise2 + sigma2[group_of]
            precision = design.gram(1 / total2, size)
            precision[np.diag_indices_from(precision)] += 1 / tau2[term_of]
            covariance = np.linalg.inv(precision)
            mean = covariance @ design.transposed_times(gains / total2, size)
            if iteration == iterations:
                break
            second = np.bincount(term_of, mean**2 + np.diag(covariance), len(terms))
            tau2 = (second + trust * scales**2) / (tau_counts + trust)
            shrink = sigma2[group_of] / total2
            error2 = (gains - design.times(mean)) ** 2 + design.quadratic(covariance)
            second = np.bincount(group_of, shrink**2 * error2 + shrink * noise2, len(groups))
            sigma2 = (second + _TRUST * _RESIDUAL_SCALE**2) / (sigma_counts + _TRUST)
        residuals = {group: float(value) for group, value in zip(groups, sigma2, strict=True)}
        for model, task in {group[1:] for group in groups} | {("", "")}:
            # what a new source of this model and task is taken to have
            of = [i for i, group in enumerate(groups) if not model or group[1:] == (model, task)]
            residuals["", model, task] = float(np.average(sigma2[of], weights=sigma_counts[of]))
        return cls(
            columns=tuple(index),
            variances=dict(zip(names, map(float, tau2), strict=True)),
            residuals=residuals,
            mean=mean,
            covariance=covariance,
        )

    def predict(self, cases: Sequence[Case], *, terms: Sequence[Term] = TERMS) -> Prediction:
        """Predict the gains of cases that may hold anything unseen."""
        index = {column: i for i, column in enumerate(self.columns)}
        unseen = np.zeros(len(cases))
        rows: list[list[tuple[int, float]]] = []
        parts: list[dict[Column, float]] = []
        for i, case in enumerate(cases):
            row, part = [], {}
            for term in terms:
                for key, weight in term.keys(case):
                    column = index.get((term.name, key))
                    if column is None:
                        unseen[i] += weight**2 * self.variances[term.name]
                    else:
                        row.append((column, weight))
                        part[term.name, key] = weight * float(self.mean[column])
            rows.append(row)
            parts.append(part)
        design = _Design.of(rows)
        residual = np.array([self.residual(case.source_id, case.model, case.task) for case in cases])
        return Prediction(
            mean=design.times(self.mean),
            sd=np.sqrt(np.maximum(design.quadratic(self.covariance), 0) + unseen + residual),
            parts=tuple(parts),
        )

    def residual(self, source_id: str, model: str, task: str) -> float:
        """``sigma_g^2`` of a source, model and task; of the nearest wider group where they were not seen."""
        for key in ((source_id, model, task), ("", model, task)):
            if key in self.residuals:
                return self.residuals[key]
        return self.residuals["", "", ""]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Plain arrays (numbers and words, no objects) for ``numpy.savez``."""
        return {
            "columns": np.array([_join(name, *key) for name, key in self.columns]),
            "terms": np.array(list(self.variances)),
            "variances": np.array(list(self.variances.values())),
            "groups": np.array([_join(*group) for group in self.residuals]),
            "residuals": np.array(list(self.residuals.values())),
            "mean": self.mean,
            "covariance": self.covariance.astype(np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "EffectModel":
        """The model that ``arrays`` was made of."""
        groups = [group.split(_SEPARATOR) for group in arrays["groups"].tolist()]
        columns = [column.split(_SEPARATOR) for column in arrays["columns"].tolist()]
        return cls(
            columns=tuple((name, tuple(key)) for name, *key in columns),
            variances=dict(zip(arrays["terms"].tolist(), arrays["variances"].tolist(), strict=True)),
            residuals={
                (source, model, task): value
                for (source, model, task), value in zip(groups, arrays["residuals"].tolist(), strict=True)
            },
            mean=arrays["mean"],
            covariance=arrays["covariance"],
        )


_SEPARATOR = "\x1f"


def _join(*words: str) -> str:
    return _SEPARATOR.join(words)


def standard_error(gain_sd: float | None, aligned_sd: float | None, n_seeds: int | None) -> float:
    """Standard error of a published gain, in points.

    From the paired gain's standard deviation; else from the aligned score's, taking the baseline's as
    equal and independent; else from the median of the evidence. At least 0.05: scores are rounded, and
    five seeds can agree by chance.
    """
    if gain_sd is None:
        gain_sd = 2**0.5 * aligned_sd if aligned_sd is not None else _DEFAULT_SEED_SD
    return max(gain_sd / (n_seeds or 1) ** 0.5, 0.05)
