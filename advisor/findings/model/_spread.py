"""How far languages scatter around the mean of a model and task.

Languages scatter by four points where a small encoder tags and by half a point where a strong one infers; a
language the encoder hardly saw scatters more than one it knows well. Terms about languages are measured in
units of this spread, so that one variance fits them all.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import Case

Array = NDArray[np.float64]

_WORTH = 4.0
"""Languages' worth of evidence that the additive guess for a model and task is."""
_BEFORE = {"low": 0.5, "unseen": 1.0}
"""Log spread of a language with little or no pretraining data over a well-covered one's, before any
evidence."""
_FEWEST = 4
"""Languages below which a configuration says nothing about scatter."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Log spread: ``overall + models[m] + tasks[t]``, replaced for a model and task with evidence of its own
    by ``cells``, plus ``resources`` by how much pretraining saw the language."""

    overall: float
    models: Mapping[str, float]
    tasks: Mapping[str, float]
    cells: Mapping[tuple[str, str], float]
    resources: Mapping[str, float]

    @classmethod
    def fit(cls, cases: Sequence[Case], values: Array) -> "Spread":
        """Estimate from gains on the model's scale, ``values`` of shape (n,)."""
        by_language: defaultdict[Any, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        languages: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
        for case, value in zip(cases, values.tolist(), strict=True):
            group = case.model, case.task, case.resource
            by_language[group, (case.source_id, case.option, case.pairs)][case.target].append(value)
            languages[group].add(case.target)
        squares: defaultdict[tuple[str, str, str], list[tuple[int, float]]] = defaultdict(list)
        for (group, _), means in by_language.items():
            if len(means) >= _FEWEST:
                squares[group].append((len(means), _scatter(np.array([np.mean(v) for v in means.values()]))))
        logs = {
            group: 0.5 * float(np.log(np.average([s for _, s in found], weights=[n for n, _ in found])))
            for group, found in squares.items()
        }
        known = {(model, task): log for (model, task, resource), log in logs.items() if resource == "high"}
        if not known:
            return cls(0.0, {}, {}, {}, _BEFORE)
        counts = {cell: len(languages[*cell, "high"]) for cell in known}
        overall, models, tasks = _additive(known, counts)
        cells = {
            cell: (counts[cell] * log + _WORTH * (overall + models[cell[0]] + tasks[cell[1]]))
            / (counts[cell] + _WORTH)
            for cell, log in known.items()
        }
        resources = {}
        for resource, before in _BEFORE.items():
            found = [
                (len(languages[group]), log - cells.get(group[:2], overall))
                for group, log in logs.items()
                if group[2] == resource
            ]
            total = sum(count * log for count, log in found) + _WORTH * before
            resources[resource] = total / (sum(count for count, _ in found) + _WORTH)
        return cls(overall, models, tasks, cells, resources)

    def __call__(self, case: Case) -> float:
        """The spread of languages where this case lies.

        Of a model that the evidence lacks it is taken to be the least of any model's: what languages do to
        another encoder is carried over no larger than it was anywhere.
        """
        log = self.cells.get((case.model, case.task))
        if log is None:
            of_model = self.models.get(case.model, min(self.models.values(), default=0.0))
            log = self.overall + of_model + self.tasks.get(case.task, 0.0)
        return float(np.exp(log + self.resources.get(case.resource, 0.0)))


def _scatter(values: Array) -> float:
    """Squared scatter: half robust, so that one outlier does not make every language uncertain."""
    robust = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return (0.5 * robust + 0.5 * float(values.std(ddof=1))) ** 2


def _additive(
    logs: Mapping[tuple[str, str], float], counts: Mapping[tuple[str, str], int]
) -> tuple[float, dict[str, float], dict[str, float]]:
    """Ridge regression of log spreads on model and task, weighted by languages."""
    models, tasks = sorted({m for m, _ in logs}), sorted({t for _, t in logs})
    design = np.array([[float(m == k) for k in models] + [float(t == k) for k in tasks] for m, t in logs])
    y, weights = np.array(list(logs.values())), np.array([counts[cell] for cell in logs]) / 5.0
    overall = float(np.average(y, weights=weights))
    gram = design.T @ (design * weights[:, None]) + np.eye(design.shape[1])
    effects = np.linalg.solve(gram, design.T @ (weights * (y - overall))).tolist()
    return (
        overall,
        dict(zip(models, effects, strict=False)),
        dict(zip(tasks, effects[len(models) :], strict=True)),
    )
