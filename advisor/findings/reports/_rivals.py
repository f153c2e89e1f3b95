"""Other ways to predict gains, to be compared with the effect model on the same folds.

All are trained on the compared options of the cells that are not held out, and know the same facts about
model, task, option and language. Heavy libraries are imported on use.
"""

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import CaseMaker
from advisor.findings.reports._cells import Cell

__all__ = ["RIVALS", "Forecast"]

Array = NDArray[np.float64]

_Z80 = 1.2815515655446004


@dataclass(frozen=True, slots=True)
class Forecast:
    """Expected gains in points and, from methods that have one, 80 % intervals; shape (cells, options)."""

    mean: Array
    low: Array | None = None
    high: Array | None = None


@dataclass(frozen=True, slots=True)
class _Rows:
    """One row an option of a cell."""

    features: Array
    categories: list[tuple[str, str, str]]
    languages: list[str]
    gains: Array
    errors: Array


def _rows(cells: Sequence[Cell], maker: CaseMaker, names: Sequence[tuple[str, str]], baseline: bool) -> _Rows:
    """``names``: (kind, name) of the one-hot columns, so that training and test rows agree."""
    features, categories, languages = [], [], []
    for cell in cells:
        for effect in cell.effects:
            case = maker.of_effect(effect)
            has = {("model", effect.model), ("task", effect.task), ("option", effect.frozen_layers)}
            has |= {("cell", f"{effect.model}:{effect.task}:{effect.frozen_layers}")}
            known = [(effect.baseline or 0.0) / 20] if baseline else []
            features.append(
                [*(fact or 0.0 for fact in case.facts), *known, *[float(name in has) for name in names]]
            )
            categories.append((effect.model, effect.task, effect.frozen_layers))
            languages.append(effect.target)
    return _Rows(
        np.array(features),
        categories,
        languages,
        np.array([gain for cell in cells for gain in cell.gains]),
        np.array([error for cell in cells for error in cell.errors]),
    )


def _prepared(
    train: Sequence[Cell],
    test: Sequence[Cell],
    maker: CaseMaker,
    *,
    baseline: bool = False,
    interactions: bool = False,
) -> tuple[_Rows, _Rows]:
    kinds = {
        "model": {e.model for cell in train for e in cell.effects},
        "task": {e.task for cell in train for e in cell.effects},
        "option": {e.frozen_layers for cell in train for e in cell.effects},
    }
    if interactions:
        kinds["cell"] = {f"{e.model}:{e.task}:{e.frozen_layers}" for cell in train for e in cell.effects}
    names = [(kind, name) for kind, found in kinds.items() for name in sorted(found)]
    first, second = _rows(train, maker, names, baseline), _rows(test, maker, names, baseline)
    centre, width = first.features.mean(axis=0), first.features.std(axis=0) + 1e-9
    return (
        _Rows(
            (first.features - centre) / width, first.categories, first.languages, first.gains, first.errors
        ),
        _Rows(
            (second.features - centre) / width,
            second.categories,
            second.languages,
            second.gains,
            second.errors,
        ),
    )


def _averages(train: Sequence[Cell], test: Sequence[Cell], maker: CaseMaker) -> Forecast:
    """Mean gain of the option for the model and task; where that is new, for the task, the model, overall."""
    sums: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    for cell in train:
        for effect in cell.effects:
            model, task, option = effect.model, effect.task, effect.frozen_layers
            for key in ((model, task, option), ("", task, option), (model, "", option), ("", "", option)):
                sums[key].append(effect.gain)

    def mean(model: str, task: str, option: str) -> float:
        keys = ((model, task, option), ("", task, option), (model, "", option), ("", "", option))
        return float(np.mean(next(sums[key] for key in keys if key in sums)))

    return Forecast(
        np.array([[mean(e.model, e.task, e.frozen_layers) for e in cell.effects] for cell in test])
    )


def _meta_regression(train: Sequence[Cell], test: Sequence[Cell], maker: CaseMaker) -> Forecast:
    """Random-effects meta-regression on model x task x option and language facts: weighted least squares
    with the between-effects variance of DerSimonian and Laird (1986)."""
    import statsmodels.api as sm

    rows, new = _prepared(train, test, maker, interactions=True)
    x = sm.add_constant(rows.features, has_constant="add")
    weights = rows.errors**-2.0
    fixed = _weighted(rows.gains, x, weights)
    excess = float(np.sum(weights * fixed.resid**2)) - fixed.df_resid
    inner = np.linalg.pinv(x.T @ (x * weights[:, None])) @ (x.T @ (x * weights[:, None] ** 2))
    between = max(0.0, excess / float(weights.sum() - np.trace(inner)))
    fit = _weighted(rows.gains, x, 1 / (rows.errors**2 + between))
    x_new = sm.add_constant(new.features, has_constant="add")
    variance = np.einsum("ij,jk,ik->i", x_new, fit.cov_params(), x_new)
    return _shaped(x_new @ fit.params, np.sqrt(variance + between), test)


def _weighted(y: Array, x: Array, weights: Array) -> Any:
    import statsmodels.api as sm

    with warnings.catch_warnings():
        # one-hot columns are collinear by design; the pseudo-inverse picks the shortest solution
        warnings.simplefilter("ignore")
        return sm.WLS(y, x, weights=weights).fit(method="pinv")


def _gaussian_process(
    train: Sequence[Cell], test: Sequence[Cell], maker: CaseMaker, baseline: bool = False
) -> Forecast:
    """Gaussian process: a squared-exponential kernel over all features times one over model, task and option,
    plus noise; hyperparameters fixed, as in the project's first comparison."""
    from sklearn.gaussian_process import GaussianProcessRegressor, kernels

    rows, new = _prepared(train, test, maker, baseline=baseline)
    kernel = kernels.ConstantKernel(4.0) * kernels.RBF(np.full(rows.features.shape[1], 3.0))
    process = GaussianProcessRegressor(
        kernel + kernels.WhiteKernel(1.0), normalize_y=True, optimizer=None
    ).fit(rows.features, rows.gains)
    mean, sd = process.predict(new.features, return_std=True)
    return _shaped(mean, sd, test)


def _gaussian_process_with_baseline(
    train: Sequence[Cell], test: Sequence[Cell], maker: CaseMaker
) -> Forecast:
    """The Gaussian process, told the unaligned score that the gain is measured from."""
    return _gaussian_process(train, test, maker, baseline=True)


def _boosting(train: Sequence[Cell], test: Sequence[Cell], maker: CaseMaker) -> Forecast:
    """Gradient boosting; intervals by split conformal prediction, a quarter of the languages held back."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    rows, new = _prepared(train, test, maker)
    names = sorted(set(rows.languages))
    back = {name for i, name in enumerate(names) if i % 4 == 0}
    held = np.array([language in back for language in rows.languages])

    def fit(use: NDArray[np.bool_]) -> HistGradientBoostingRegressor:
        model = HistGradientBoostingRegressor(
            max_iter=120, learning_rate=0.06, min_samples_leaf=12, random_state=0
        )
        return model.fit(rows.features[use], rows.gains[use])

    scores = np.sort(np.abs(rows.gains[held] - fit(~held).predict(rows.features[held])))
    width = scores[min(len(scores) - 1, int(np.ceil(0.8 * (len(scores) + 1))) - 1)]
    mean = fit(np.ones(len(rows.gains), dtype=bool)).predict(new.features)
    return _shaped(mean, np.full(len(mean), width / _Z80), test)


def _shaped(mean: Array, sd: Array, test: Sequence[Cell]) -> Forecast:
    shape = (len(test), len(test[0].effects))
    mean, sd = np.asarray(mean).reshape(shape), np.asarray(sd).reshape(shape)
    return Forecast(mean, mean - _Z80 * sd, mean + _Z80 * sd)


RIVALS: Mapping[str, Callable[[Sequence[Cell], Sequence[Cell], CaseMaker], Forecast]] = {
    "best on average": _averages,
    "meta-regression": _meta_regression,
    "gaussian process": _gaussian_process,
    "gaussian process, baseline known": _gaussian_process_with_baseline,
    "boosting, conformal": _boosting,
}
"""Name -> forecast of test cells from training cells."""
