"""Simpler ways to predict gains, compared with the effect model on the same folds."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import CaseMaker, Effect
from advisor.findings.model import scale

__all__ = ["RIVALS"]

Array = NDArray[np.float64]

_RIDGE = 5.0
"""Rows' worth of evidence that a coefficient is 0."""


def _mean_by(attribute: str) -> Callable[[Sequence[Effect], Sequence[Effect], CaseMaker], Array]:
    """Mean gain of rows that share something, every lab counted once; of all rows where none do."""

    def predict(train: Sequence[Effect], test: Sequence[Effect], _: CaseMaker) -> Array:
        gains: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for effect in train:
            for key in (getattr(effect, attribute), ""):
                gains[key][effect.lab].append(effect.gain)
        means = {
            key: float(np.mean([np.mean(scale.to_scale(np.array(values))) for values in labs.values()]))
            for key, labs in gains.items()
        }
        return np.array([means.get(getattr(effect, attribute), means[""]) for effect in test])

    return predict


def _ridge(train: Sequence[Effect], test: Sequence[Effect], maker: CaseMaker) -> Array:
    """Ridge regression on encoder, task, both, option and the language's facts."""
    index: dict[str, int] = {}

    def row(effect: Effect, grow: bool) -> dict[int, float]:
        case = maker.of_effect(effect)
        values = {
            "one": 1.0,
            **{
                f"{name}={value}": 1.0
                for name, value in (
                    ("task", case.task),
                    ("model", case.model),
                    ("cell", f"{case.model}:{case.task}"),
                    ("option", case.option),
                )
            },
            **{f"fact {i}": value for i, value in enumerate(case.facts) if value},
            **{f"encoder {i}": value for i, value in enumerate(case.encoder) if value},
        }
        if grow:
            for name in values:
                index.setdefault(name, len(index))
        return {index[name]: value for name, value in values.items() if name in index}

    rows = [row(effect, grow=True) for effect in train]
    x = _dense(rows, len(index))
    y = scale.to_scale(np.array([effect.gain for effect in train]))
    coefficients = np.linalg.solve(x.T @ x + _RIDGE * np.eye(len(index)), x.T @ y)
    return np.asarray(_dense([row(effect, grow=False) for effect in test], len(index)) @ coefficients)


def _dense(rows: Sequence[Mapping[int, float]], width: int) -> Array:
    x = np.zeros((len(rows), width))
    for i, row in enumerate(rows):
        for column, value in row.items():
            x[i, column] = value
    return x


RIVALS: Mapping[str, Callable[[Sequence[Effect], Sequence[Effect], CaseMaker], Array]] = {
    "mean by task": _mean_by("task"),
    "mean by objective": _mean_by("objective"),
    "ridge": _ridge,
}
"""Name -> gains of test effects on the model's scale, from training effects."""
