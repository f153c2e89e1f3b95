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
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    def row(effect: Effect) -> dict[str, str | float]:
        case = maker.of_effect(effect)
        names = {"task": case.task, "model": case.model, "option": case.option}
        facts = {f"{i}": float(value) for i, value in enumerate((*case.facts, *case.encoder)) if value}
        return {"one": 1.0, "cell": f"{case.model}:{case.task}", **names, **facts}

    y = scale.to_scale(np.array([effect.gain for effect in train]))
    ridge = make_pipeline(DictVectorizer(sparse=False), Ridge(_RIDGE, fit_intercept=False)).fit(
        [*map(row, train)], y
    )
    return np.asarray(ridge.predict([*map(row, test)]))


RIVALS: Mapping[str, Rival] = {
    "option's mean by encoder and task": _mean_of("model", "task"),
    "option's mean by task": _mean_of("task"),
    "option's mean by encoder": _mean_of("model"),
    "option's mean": _mean_of(),
    "ridge": _ridge,
}
"""Name -> gains of test effects on the model's scale, from training effects."""
