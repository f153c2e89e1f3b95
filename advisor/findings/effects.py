"""The effect model: what alignment does to a score, for every option, with an honest interval.

A Bayesian linear mixed model of the gain on the scale of ``_scale`` over the terms of ``_features``:

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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.findings import _scale
from advisor.findings._features import TERMS, Case, Key, Term
from advisor.findings._spread import Spread

__all__ = ["EffectModel", "Observation", "Prediction"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Column = tuple[str, Key]

_BASELINE = "baseline"
"""Name of the coefficients ``b_c``; their variance is known, so it is not learnt."""
_ITERATIONS = 8
_GROUP_TRUST = 4.0
"""Coefficients' worth of evidence that a term's variance is for each of its groups."""
_RESIDUAL_TRUST = 4.0
"""Observations' worth of evidence that the pooled residual is for each source, model and task."""
_RESIDUAL = 0.4
"""What may plausibly be left within a model and task before any evidence."""
_CALIBRATION = (0.7, 1.5)
"""Bounds of the calibration factor: beyond them it would hide a model that does not fit."""
_COVERAGE = 0.8
_PROBABILITIES = np.linspace(0.1, 0.9, 81)
_QUANTILES = np.array([NormalDist().inv_cdf(p) for p in _PROBABILITIES.tolist()])


@dataclass(frozen=True, slots=True)
class Observation:
    """A measured gain.

    Attributes:
        case: what was measured.
        gain: in points.
        standard_error: of the aligned score, in points.
        baseline: which baseline score it was taken from.
        baseline_error: standard error of that score, in points.
    """

    case: Case
    gain: float
    standard_error: float
    baseline: Key
    baseline_error: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Gains of n cases in a new run: normal on the model's scale.

    Attributes:
        centre: mean on the model's scale, shape (n,).
        sd: standard deviation on the model's scale, shape (n,); seed noise of a test is not in it.
        parts: what each coefficient adds to the centre, one mapping a case.
    """

    centre: Array
    sd: Array
    parts: tuple[Mapping[Column, float], ...]

    def moved(self, shift: Array, sd: Array) -> "Prediction":
        """The prediction with its centre moved by a shift that has a standard deviation of its own."""
        return Prediction(self.centre + shift, np.hypot(self.sd, sd), self.parts)

    @property
    def mean(self) -> Array:
        """Expected gains in points, shape (n,).

        The mean of the central 80 %: on this scale the far tail of a vague prediction is an exponential, and
        a plain mean of it can lie outside its own interval.
        """
        z = self.centre[:, None] + self.sd[:, None] * _QUANTILES
        return np.asarray(_scale.to_points(z).mean(axis=1))

    def quantile(self, probability: float) -> Array:
        """Quantiles of the gains in points, shape (n,)."""
        return _scale.to_points(self.centre + self.sd * NormalDist().inv_cdf(probability))

    def probability_above(self, points: float) -> Array:
        """P(gain > points), shape (n,)."""
        threshold = float(_scale.to_scale(np.array(points)))
        normal = NormalDist()
        return np.array([normal.cdf(z) for z in ((self.centre - threshold) / self.sd).tolist()])


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

    def dense(self, size: int) -> Array:
        """The matrix itself, shape (n, size)."""
        x = np.zeros((len(self.columns), size))
        for i, (columns, weights) in enumerate(zip(self.columns, self.weights, strict=True)):
            np.add.at(x[i], columns, weights)
        return x

    def rows(self, places: Integers) -> "_Design":
        return _Design(self.columns[places], self.weights[places])

    def times(self, coefficients: Array) -> Array:
        return np.asarray(np.einsum("nk,nk->n", self.weights, coefficients[self.columns]))

    def transposed_times(self, values: Array, size: int) -> Array:
        return _sums(self.columns.ravel(), (self.weights * values[:, None]).ravel(), size)

    def gram(self, precision: Array, size: int) -> Array:
        """X' diag(precision) X, shape (size, size)."""
        products = self.weights[:, :, None] * (self.weights * precision[:, None])[:, None, :]
        cells = self.columns[:, :, None] * size + self.columns[:, None, :]
        return _sums(cells.ravel(), products.ravel(), size * size).reshape(size, size)

    def quadratic(self, matrix: Array) -> Array:
        """x' M x of every row x, shape (n,)."""
        out = np.empty(len(self.columns))
        for i, (columns, weights) in enumerate(zip(self.columns, self.weights, strict=True)):
            out[i] = weights @ matrix[columns[:, None], columns] @ weights
        return out


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
        tau2 = _Variances(terms, variance_of)
        sigma2 = _Residuals([observation.case for observation in observations])

        for iteration in range(iterations + 1):
            total2 = noise2 + sigma2.of_rows
            precision = design.gram(1 / total2, size)
            precision[np.diag_indices_from(precision)] += 1 / tau2.of_columns
            covariance = _inverse(precision)
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
        design = _Design.of(rows)
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
        return _left_out(design, self.covariance, z - design.times(self.mean), total2)

    def _residual(self, case: Case) -> float:
        for key in ((case.source_id, case.model, case.task), ("", case.model, case.task)):
            if key in self.residuals:
                return self.residuals[key]
        return self.residuals["", "", ""]


class _Variances:
    """The variances ``tau^2`` while they are being learnt."""

    def __init__(self, terms: Sequence[Term], variance_of: Sequence[tuple[str, str]]) -> None:
        self._terms = {term.name: term for term in terms}
        self._groups = sorted(set(variance_of))
        place = {group: i for i, group in enumerate(self._groups)}
        self._of = np.array([place[group] for group in variance_of])
        self._count = _sums(self._of, np.ones(len(self._of)), len(self._groups))
        self._tau2 = np.array(
            [1.0 if name == _BASELINE else self._terms[name].scale ** 2 for name, _ in self._groups]
        )
        self._whole = {name: term.scale**2 for name, term in self._terms.items()}

    @property
    def of_columns(self) -> Array:
        """The variance of each coefficient, shape (p,)."""
        return np.asarray(self._tau2[self._of])

    def update(self, mean: Array, variance: Array) -> None:
        """One step of MacKay's fixed point: sum of squares over the number of well-determined ones."""
        squares = _sums(self._of, mean**2, len(self._groups))
        determined = self._count - _sums(self._of, variance, len(self._groups)) / self._tau2
        for name, term in self._terms.items():
            places = [i for i, group in enumerate(self._groups) if group[0] == name]
            whole = (squares[places].sum() + term.trust * term.scale**2) / (
                determined[places].sum() + term.trust
            )
            self._whole[name] = float(whole)
            self._tau2[places] = whole
            if len(places) > 1:
                self._tau2[places] = (squares[places] + _GROUP_TRUST * whole) / (
                    determined[places] + _GROUP_TRUST
                )

    def named(self) -> dict[tuple[str, str], float]:
        """By (term, group), and by (term, blank) for groups that were not seen."""
        whole = {(name, ""): value for name, value in self._whole.items()}
        groups = dict(zip(self._groups, self._tau2.tolist(), strict=True))
        return whole | {group: value for group, value in groups.items() if group[0] != _BASELINE}


class _Residuals:
    """The residual variances ``sigma_g^2`` while they are being learnt (by expectation-maximisation)."""

    def __init__(self, cases: Sequence[Case]) -> None:
        names = [(case.source_id, case.model, case.task) for case in cases]
        self._groups = sorted(set(names))
        place = {group: i for i, group in enumerate(self._groups)}
        self._of = np.array([place[name] for name in names])
        self._count = _sums(self._of, np.ones(len(names)), len(self._groups))
        self._sigma2 = np.full(len(self._groups), _RESIDUAL**2)

    @property
    def of_rows(self) -> Array:
        """The variance of each observation, shape (n,)."""
        return np.asarray(self._sigma2[self._of])

    def update(self, error2: Array, noise2: Array) -> None:
        """``error2``: expected squared errors; the expected square of ``u_i`` given its error and noise."""
        sigma2 = self.of_rows
        share = sigma2 / (sigma2 + noise2)
        squares = _sums(self._of, share**2 * error2 + share * noise2, len(self._groups))
        pooled = (squares.sum() + _RESIDUAL_TRUST * _RESIDUAL**2) / (self._count.sum() + _RESIDUAL_TRUST)
        self._sigma2 = (squares + _RESIDUAL_TRUST * pooled) / (self._count + _RESIDUAL_TRUST)

    def named(self) -> dict[tuple[str, str, str], float]:
        """By (source, model, task); blanks for a new source of a model and task, and for anything new."""
        found = dict(zip(self._groups, self._sigma2.tolist(), strict=True))
        for model, task in sorted({group[1:] for group in self._groups}):
            places = [i for i, group in enumerate(self._groups) if group[1:] == (model, task)]
            found["", model, task] = float(np.average(self._sigma2[places], weights=self._count[places]))
        found["", "", ""] = float(np.average(self._sigma2, weights=self._count))
        return found


def _calibration(
    design: _Design, covariance: Array, *, residual: Array, total2: Array, languages: Sequence[str]
) -> float:
    """Factor that gives 80 % intervals their coverage when one language is left out."""
    standardised = []
    names = np.array(languages)
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        error, variance = _left_out(design.rows(rows), covariance, residual[rows], total2[rows])
        # a language counts once, however many rows it has
        standardised.append(np.sort(np.abs(error) / np.sqrt(variance)))
    steps = np.linspace(0, 1, 101)
    pooled = np.sort(np.concatenate([np.quantile(values, steps) for values in standardised]))
    factor = float(np.quantile(pooled, _COVERAGE)) / NormalDist().inv_cdf((1 + _COVERAGE) / 2)
    return min(max(factor, _CALIBRATION[0]), _CALIBRATION[1])


def _left_out(design: _Design, covariance: Array, residual: Array, total2: Array) -> tuple[Array, Array]:
    """Errors, and their variances, of rows L of a linear model when all of them are left out.

    That needs no refit: with H = X C X' and W = diag(1 / total2), the errors are (I - H_L W_L)^-1 r_L and
    their covariance is (W_L - W_L H_L W_L)^-1.

    Args:
        design: the rows.
        covariance: of the coefficients, with the rows in the fit.
        residual: of the rows in the fit, shape (n,).
        total2: their noise and residual variance, shape (n,).
    """
    x = design.dense(len(covariance))
    rest = np.eye(len(residual)) - x @ covariance @ x.T / total2
    variance = np.diag(np.linalg.solve(rest, np.diag(total2)))
    return np.asarray(np.linalg.solve(rest, residual)), np.asarray(np.maximum(variance, 1e-9))


def _on_scale(observations: Sequence[Observation]) -> tuple[Array, Array, Array]:
    """Gains on the model's scale, what a point is worth there, and their noise's variances, each (n,)."""
    gains = np.array([observation.gain for observation in observations])
    unit = _scale.unit(gains)
    noise = unit * np.array([observation.standard_error for observation in observations])
    return _scale.to_scale(gains), unit, noise**2


def _design(
    observations: Sequence[Observation],
    unit: Array,
    terms: Sequence[Term],
    spread: Spread,
    index: dict[Column, int],
) -> tuple[_Design, list[tuple[str, str]]]:
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
    return _Design.of(rows), added


def _columns_of(
    observation: Observation, unit: float, terms: Sequence[Term], spread: Spread
) -> Iterator[tuple[str, str, Key, float]]:
    """(term, group, key, weight) of an observation, its study's baseline included.

    ``unit`` is what a point is on the model's scale.
    """
    yield from _weighted_keys(observation.case, terms, spread)
    yield _BASELINE, "", observation.baseline, -unit * observation.baseline_error


def _weighted_keys(case: Case, terms: Sequence[Term], spread: Spread) -> list[tuple[str, str, Key, float]]:
    """(term, group, key, weight) of a case; terms about languages in units of the spread."""
    width = spread(case)
    return [
        (term.name, term.group(case), key, weight * width if term.about_language else weight)
        for term in terms
        for key, weight in term.keys(case)
    ]


def _sums(places: Integers, values: Array, size: int) -> Array:
    return np.asarray(np.bincount(places, values, size), dtype=np.float64)


def _inverse(matrix: Array) -> Array:
    """Inverse of a symmetric positive-definite matrix by its Cholesky factor."""
    from scipy.linalg import lapack

    factor, failed = lapack.dpotrf(matrix, lower=1)
    if failed:
        raise np.linalg.LinAlgError("the precision matrix is not positive definite")
    lower, _ = lapack.dpotri(factor, lower=1)
    lower = np.tril(lower)
    return np.asarray(lower + np.tril(lower, -1).T)


_SEPARATOR = "\x1f"


def to_arrays(model: EffectModel) -> dict[str, NDArray[Any]]:
    """The model as plain arrays of numbers and words, for ``numpy.savez``."""

    def words(names: Sequence[tuple[str, ...]]) -> NDArray[np.str_]:
        return np.array([_SEPARATOR.join(name) for name in names])

    def numbers(values: Mapping[Any, float]) -> Array:
        return np.array(list(values.values()), dtype=np.float64)

    spread = model.spread
    kept = [i for i, (name, _) in enumerate(model.columns) if name != _BASELINE]
    return {
        # a prediction never uses a study's own baseline error, so its coefficients need not be kept
        "columns": words([(model.columns[i][0], *model.columns[i][1]) for i in kept]),
        "mean": model.mean[kept],
        "covariance": model.covariance[np.ix_(kept, kept)].astype(np.float32),
        "variance_names": words(list(model.variances)),
        "variances": numbers(model.variances),
        "residual_names": words(list(model.residuals)),
        "residuals": numbers(model.residuals),
        "calibration": np.array(model.calibration),
        "spread_overall": np.array(spread.overall),
        "spread_model_names": words([(name,) for name in spread.models]),
        "spread_models": numbers(spread.models),
        "spread_task_names": words([(name,) for name in spread.tasks]),
        "spread_tasks": numbers(spread.tasks),
        "spread_cell_names": words(list(spread.cells)),
        "spread_cells": numbers(spread.cells),
        "spread_resource_names": words([(name,) for name in spread.resources]),
        "spread_resources": numbers(spread.resources),
    }


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> EffectModel:
    """The model that ``to_arrays`` took apart, without the coefficients of single studies' baselines."""

    def names(key: str) -> list[list[str]]:
        return [name.split(_SEPARATOR) for name in arrays[key].tolist()]

    def single(key: str, values: str) -> dict[str, float]:
        return dict(zip([name for (name,) in names(key)], arrays[values].tolist(), strict=True))

    def double(key: str, values: str) -> dict[tuple[str, str], float]:
        return dict(zip([(a, b) for a, b in names(key)], arrays[values].tolist(), strict=True))

    return EffectModel(
        columns=tuple((name, tuple(key)) for name, *key in names("columns")),
        mean=arrays["mean"],
        covariance=arrays["covariance"],
        variances=double("variance_names", "variances"),
        residuals=dict(
            zip([(a, b, c) for a, b, c in names("residual_names")], arrays["residuals"].tolist(), strict=True)
        ),
        calibration=float(arrays["calibration"]),
        spread=Spread(
            overall=float(arrays["spread_overall"]),
            models=single("spread_model_names", "spread_models"),
            tasks=single("spread_task_names", "spread_tasks"),
            cells=double("spread_cell_names", "spread_cells"),
            resources=single("spread_resource_names", "spread_resources"),
        ),
    )
