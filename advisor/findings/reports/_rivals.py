"""Simpler ways to predict gains, compared with the effect model on the same folds."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import CaseMaker, Effect
from advisor.findings.model import scale

Array = NDArray[np.float64]

Rival = Callable[[Sequence[Effect], Sequence[Effect], CaseMaker], Array]

_RIDGE = 5.0
"""Rows' worth of evidence that a coefficient is 0."""


def _mean_of(*by: str) -> Rival:
    """Mean gain in points of an option where some things are the same; of the option where none are."""

    def key(effect: Effect, names: Sequence[str]) -> tuple[str, ...]:
        option = effect.objective, effect.schedule, effect.frozen_layers, effect.word_pairs
        return (*option, *(getattr(effect, name) for name in names))

    def predict(train: Sequence[Effect], test: Sequence[Effect], _: CaseMaker) -> Array:
        gains: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
        for effect in train:
            for names in {by, ()}:
                gains[key(effect, names)].append(effect.gain)
        means = {name: float(np.mean(values)) for name, values in gains.items()}
        found = [means.get(key(effect, by), means.get(key(effect, ()), 0.0)) for effect in test]
        return scale.to_scale(np.array(found))

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


RIVALS: Mapping[str, Rival] = {
    "option's mean by encoder and task": _mean_of("model", "task"),
    "option's mean by task": _mean_of("task"),
    "option's mean by encoder": _mean_of("model"),
    "option's mean": _mean_of(),
    "ridge": _ridge,
}
"""Name -> gains of test effects on the model's scale, from training effects."""
