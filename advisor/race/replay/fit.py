"""The error model fitted to the runs of the studies: the mode of its posterior under wide priors."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import gammaln

from advisor.options import Option
from advisor.race.errors import ErrorModel, Looks
from advisor.race.replay.traces import Trace, shipped_traces

Array = NDArray[np.float64]

_LOGARITHMIC = (
    *("tune_drift", "align_drift", "seed", "look", "cell_sd", "objective_sd", "schedule_sd", "own_sd"),
)
"""Parameters above 0: their priors are log-normal about :class:`ErrorModel`'s defaults."""
_SHARES = ("drift_shared", "baseline_share")
"""Parameters between 0 and 1: fitted as log-odds, about the defaults."""
_SLOPES = ("tune_slope", "align_slope")
_WIDTHS = {"log": 1.0, "odds": 1.5, "slope": 0.5, "tails": 0.5, "level": 0.5}
"""Standard deviations of the priors, on the scale of the fit."""
_FEWEST_TAILS = 2.5


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells of one level with the same options and looks; gains have the shape (looks, cells)."""

    looks: Looks
    gains: Array
    level: str
    options: tuple[Option, ...]


def fit_errors(traces: Sequence[Trace], start: ErrorModel | None = None, steps: int = 60) -> ErrorModel:
    """Fit to what traces show; without any, the priors' centres come back.

    Args:
        traces: of whole cells.
        start: where the search begins, such as the fit to nearly the same traces.
        steps: at most so many, of the search.
    """
    cells = list(_alike(traces))
    levels = sorted({cell.level for cell in cells})
    if not cells:
        return ErrorModel()
    prior = _pack(ErrorModel(by_level=dict.fromkeys(levels, 1.0)), levels)
    widths = _widths(levels)

    def loss(vector: Array) -> float:
        errors = _unpack(vector, levels)
        fits = sum(_log_density(cell, errors) for cell in cells)
        return float(-fits + 0.5 * np.sum(((vector - prior) / widths) ** 2))

    first = prior if start is None else _pack(start, levels)
    fitted = minimize(loss, first, method="L-BFGS-B", options={"maxiter": steps})
    return _unpack(fitted.x, levels)


@lru_cache(maxsize=1)
def shipped_errors() -> ErrorModel:
    """What looks tell, as the studies that the findings rest on have it; a few seconds at first use."""
    return fit_errors(shipped_traces())


def _alike(traces: Sequence[Trace]) -> Iterator[_Cells]:
    """Cells whose gains have one covariance, which is then factorised once for all of them."""
    groups: defaultdict[tuple[object, ...], list[Trace]] = defaultdict(list)
    for trace in traces:
        if trace.gains:
            groups[trace.level, trace.options, tuple(sorted(trace.gains))].append(trace)
    for group in groups.values():
        looks = sorted(group[0].gains)
        gains = np.array([[trace.gains[look] for trace in group] for look in looks])
        yield _Cells(Looks.of(looks), gains, group[0].level, group[0].options)


def _log_density(cells: _Cells, errors: ErrorModel) -> float:
    """Of the multivariate Student-t with covariance K and ``tails`` degrees of freedom, over all cells."""
    looks = cells.looks
    slope = errors.slope(looks)
    names = [option.objective for option in cells.options]
    schedules = [str(option.schedule) for option in cells.options]
    prior = errors.spread() ** 2 * errors.correlation(names, schedules)
    total = slope[:, None] * prior[np.ix_(looks.arm, looks.arm)] * slope
    total += errors.covariance(looks, looks, cells.level)
    total[np.diag_indices_from(total)] += 1e-6
    root = np.linalg.cholesky(total)
    scaled = solve_triangular(root, cells.gains, lower=True)
    n, tails = len(cells.gains), errors.tails
    common = (
        gammaln((tails + n) / 2)
        - gammaln(tails / 2)
        - n / 2 * np.log((tails - 2) * np.pi)
        - np.log(np.diag(root)).sum()
    )
    return float(np.sum(common - (tails + n) / 2 * np.log1p((scaled**2).sum(axis=0) / (tails - 2))))


def _pack(errors: ErrorModel, levels: Sequence[str]) -> Array:
    logs = [np.log(getattr(errors, name)) for name in _LOGARITHMIC]
    odds = [np.log(getattr(errors, name) / (1 - getattr(errors, name))) for name in _SHARES]
    slopes = [getattr(errors, name) for name in _SLOPES]
    factors = [np.log(errors.by_level.get(level, 1.0)) for level in levels]
    return np.array([*logs, *odds, *slopes, np.log(errors.tails - _FEWEST_TAILS), *factors])


def _unpack(vector: Array, levels: Sequence[str]) -> ErrorModel:
    values = iter(vector.tolist())
    fields = {name: float(np.exp(next(values))) for name in _LOGARITHMIC}
    fields |= {name: float(1 / (1 + np.exp(-next(values)))) for name in _SHARES}
    fields |= {name: next(values) for name in _SLOPES}
    tails = _FEWEST_TAILS + float(np.exp(next(values)))
    by_level = {level: float(np.exp(next(values))) for level in levels}
    return replace(ErrorModel(), **fields, tails=tails, by_level=by_level)


def _widths(levels: Sequence[str]) -> Array:
    kinds = ["log"] * len(_LOGARITHMIC) + ["odds"] * len(_SHARES) + ["slope"] * len(_SLOPES)
    return np.array([_WIDTHS[kind] for kind in (*kinds, "tails", *["level"] * len(levels))])
