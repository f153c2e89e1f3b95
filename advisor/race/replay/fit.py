"""The error model fitted to the runs of the studies: the mode of its posterior under wide priors."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import gammaln

from advisor.findings.model import scale
from advisor.findings.reports import load_figures
from advisor.options import Option
from advisor.race.errors import ErrorModel, Looks
from advisor.race.replay.traces import Trace, shipped_traces

Array = NDArray[np.float64]

_FEWEST_TAILS = 2.5
_Scale = tuple[Callable[[float], float], Callable[[float], float], float]
_LOG: _Scale = (math.log, math.exp, 1.0)
_ODDS: _Scale = (lambda share: math.log(share / (1 - share)), lambda odds: 1 / (1 + math.exp(-odds)), 1.5)
_SLOPE: _Scale = (float, float, 0.5)
_TAILS: _Scale = (lambda tails: math.log(tails - _FEWEST_TAILS), lambda x: _FEWEST_TAILS + math.exp(x), 0.5)
_SCALES: Mapping[str, _Scale] = {
    **dict.fromkeys(("tune_drift", "align_drift", "seed", "look"), _LOG),
    **dict.fromkeys(("cell_sd", "objective_sd", "schedule_sd", "own_sd"), _LOG),
    **dict.fromkeys(("drift_shared", "baseline_share"), _ODDS),
    **dict.fromkeys(("tune_slope", "align_slope"), _SLOPE),
    "tails": _TAILS,
}
"""On what scale a parameter is fitted: there, back, and the standard deviation there of its prior, whose
centre are :class:`ErrorModel`'s defaults."""
_SHIFT_SD = 1.0
"""Of the shift's prior."""
_LEVEL_WIDTH = 0.5
"""The same of a level's factor, whose scale is the logarithm."""


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells of one level with the same options and looks; gains have the shape (looks, cells)."""

    looks: Looks
    gains: Array
    level: str
    options: tuple[Option, ...]


def fit_errors(traces: Sequence[Trace], start: ErrorModel | None = None, steps: int = 60) -> ErrorModel:
    """Fit to traces of whole cells, from ``start``; without any, the priors' centres come back."""
    cells = list(_alike(traces))
    levels = sorted({cell.level for cell in cells})
    if not cells:
        return ErrorModel()
    prior = _pack(ErrorModel(by_level=dict.fromkeys(levels, 1.0)), levels)
    widths = np.array([width for *_, width in _SCALES.values()] + [_LEVEL_WIDTH] * len(levels))

    def loss(vector: Array) -> float:
        errors = _unpack(vector, levels)
        fits = sum(_log_density(cell, errors) for cell in cells)
        return float(-fits + 0.5 * np.sum(((vector - prior) / widths) ** 2))

    first = prior if start is None else _pack(start, levels)
    fitted = minimize(loss, first, method="L-BFGS-B", options={"maxiter": steps})
    return replace(_unpack(fitted.x, levels), shift=shift_of(traces))


def shift_of(traces: Sequence[Trace]) -> float:
    """How much more was gained than expected, on the findings' scale: the mean over groups, drawn to 0."""
    off: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for trace in traces:
        if trace.expected is not None and trace.seeds:
            gained = scale.to_scale(trace.final(trace.seeds)) - scale.to_scale(trace.expected)
            off[trace.group].append(float(gained.mean()))
    if len(off) < 2:
        return 0.0
    means = np.array([np.mean(values) for values in off.values()])
    return float(means.sum() / (len(means) + means.var(ddof=1) / _SHIFT_SD**2))


@lru_cache(maxsize=1)
def shipped_errors() -> ErrorModel:
    """What looks tell, as the studies that the findings rest on have it; a few seconds at first use.

    The shift, for which findings are refitted group by group, is the one that the card was written with.
    """
    return replace(fit_errors(shipped_traces()), shift=load_figures().shift)


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
    own = [there(getattr(errors, name)) for name, (there, *_) in _SCALES.items()]
    return np.array([*own, *(math.log(errors.by_level.get(level, 1.0)) for level in levels)])


def _unpack(vector: Array, levels: Sequence[str]) -> ErrorModel:
    values = iter(vector.tolist())
    own = {name: back(next(values)) for name, (_, back, _) in _SCALES.items()}
    return ErrorModel(**own, by_level={level: math.exp(next(values)) for level in levels})
