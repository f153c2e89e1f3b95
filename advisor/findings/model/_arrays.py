"""A fitted effect model as plain arrays and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.findings.model._effect_model import EffectModel, Posterior
from advisor.findings.model._spread import Spread
from advisor.findings.model._variances import BASELINE

Array = NDArray[np.float64]

_SEPARATOR = "\x1f"
_FORGOTTEN = (BASELINE, "lab", "lab*task", "lab*model", "lab*language", "lab*coverage", "run*model*task")
"""A prediction for a question never uses what was particular to one study."""
_LEAST_WEIGHT = 0.002
"""Grid points that matter less are left out of the file."""


def to_arrays(model: EffectModel) -> dict[str, NDArray[Any]]:
    """The model as plain arrays of numbers and words, for ``numpy.savez``."""

    def words(names: Sequence[tuple[str, ...]]) -> NDArray[np.str_]:
        return np.array([_SEPARATOR.join(name) for name in names])

    def numbers(values: Mapping[Any, float]) -> Array:
        return np.array(list(values.values()), dtype=np.float64)

    spread = model.spread
    used = [i for i, (name, _) in enumerate(model.columns) if name not in _FORGOTTEN]
    posteriors = [posterior for posterior in model.posteriors if posterior.weight > _LEAST_WEIGHT]
    total = sum(posterior.weight for posterior in posteriors)
    return {
        "columns": words([(model.columns[i][0], *model.columns[i][1]) for i in used]),
        "lab_spreads": np.array([posterior.lab_spread for posterior in posteriors]),
        "weights": np.array([posterior.weight / total for posterior in posteriors]),
        "means": np.array([posterior.mean[used] for posterior in posteriors]),
        "covariances": np.array(
            [posterior.covariance[np.ix_(used, used)] for posterior in posteriors], dtype=np.float32
        ),
        "variance_names": words(list(model.variances)),
        "variances": numbers(model.variances),
        "residual_names": words(list(model.residuals)),
        "residuals": numbers(model.residuals),
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
    """The model that ``to_arrays`` took apart, without what was particular to single studies."""

    def names(key: str) -> list[list[str]]:
        return [name.split(_SEPARATOR) for name in arrays[key].tolist()]

    def single(key: str, values: str) -> dict[str, float]:
        return dict(zip([name for (name,) in names(key)], arrays[values].tolist(), strict=True))

    def double(key: str, values: str) -> dict[tuple[str, str], float]:
        return dict(zip([(a, b) for a, b in names(key)], arrays[values].tolist(), strict=True))

    grid = zip(
        arrays["lab_spreads"].tolist(),
        arrays["weights"].tolist(),
        arrays["means"],
        arrays["covariances"],
        strict=True,
    )
    return EffectModel(
        columns=tuple((name, tuple(key)) for name, *key in names("columns")),
        posteriors=tuple(Posterior(*point) for point in grid),
        variances=double("variance_names", "variances"),
        residuals=dict(
            zip([(a, b, c) for a, b, c in names("residual_names")], arrays["residuals"].tolist(), strict=True)
        ),
        spread=Spread(
            overall=float(arrays["spread_overall"]),
            models=single("spread_model_names", "spread_models"),
            tasks=single("spread_task_names", "spread_tasks"),
            cells=double("spread_cell_names", "spread_cells"),
            resources=single("spread_resource_names", "spread_resources"),
        ),
    )
