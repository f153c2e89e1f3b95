"""A fitted effect model as plain arrays and back."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.findings.model._effect_model import EffectModel, Posterior
from advisor.findings.model._spread import Spread
from advisor.findings.model._variances import BASELINE

_FORGOTTEN = (BASELINE, "lab", "lab*task", "lab*model", "lab*language", "lab*coverage", "run*model*task")
"""A prediction for a question never uses what was particular to one study."""
_LEAST_WEIGHT = 0.002
"""Grid points that matter less are left out of the file."""


def to_arrays(model: EffectModel) -> dict[str, NDArray[Any]]:
    """The model as plain arrays of numbers and one JSON text, for ``numpy.savez``."""

    def pairs(values: Mapping[Any, float]) -> list[tuple[Any, float]]:
        return list(values.items())

    used = [i for i, (name, _) in enumerate(model.columns) if name not in _FORGOTTEN]
    posteriors = [posterior for posterior in model.posteriors if posterior.weight > _LEAST_WEIGHT]
    total = sum(posterior.weight for posterior in posteriors)
    facts = {
        "columns": [model.columns[i] for i in used],
        "lab_spreads": [posterior.lab_spread for posterior in posteriors],
        "weights": [posterior.weight / total for posterior in posteriors],
        "variances": pairs(model.variances),
        "residuals": pairs(model.residuals),
        "spread": {**asdict(model.spread), "cells": pairs(model.spread.cells)},
    }
    return {
        "facts": np.array(json.dumps(facts)),
        "means": np.array([posterior.mean[used] for posterior in posteriors]),
        "covariances": np.array(
            [posterior.covariance[np.ix_(used, used)] for posterior in posteriors], dtype=np.float32
        ),
    }


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> EffectModel:
    """The model that ``to_arrays`` took apart, without what was particular to single studies."""

    def keyed(pairs: Iterable[tuple[list[str], float]]) -> dict[Any, float]:
        return {tuple(key): value for key, value in pairs}

    facts = json.loads(str(arrays["facts"]))
    grid = zip(facts["lab_spreads"], facts["weights"], arrays["means"], arrays["covariances"], strict=True)
    return EffectModel(
        columns=tuple((name, tuple(key)) for name, key in facts["columns"]),
        posteriors=tuple(Posterior(*point) for point in grid),
        variances=keyed(facts["variances"]),
        residuals=keyed(facts["residuals"]),
        spread=Spread(**{**facts["spread"], "cells": keyed(facts["spread"]["cells"])}),
    )
