"""Which evidence lies nearest to a question."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence._cases import Case, CaseMaker
from advisor.findings.evidence._effects import Effect

Kernel = Callable[[Case, Sequence[Case]], NDArray[np.float64]]
"""How much gains tell of each other: prior correlation of one case with each of others, shape (n,)."""

_SHORTLIST = 32
"""Effects on the same language, and half of those on others, that go to the kernel, which takes its time:
those that are found alike without it."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An effect near to a case.

    Attributes:
        distance: 1 less the correlation of the two by the fit: 0 where one gain tells all of the other, 1
            where it tells nothing. A question is asked in a lab of its own, so nothing is at 0.
        direct: whether it speaks of the case itself: directly, and of its loss.
    """

    effect: Effect
    distance: float
    direct: bool


def direct(case: Case, effect: Effect, maker: CaseMaker) -> bool:
    """Whether an effect speaks of a question, whatever the option: an encoder of one family, the same task,
    and the same language or one of its script of which pretraining saw about as much."""
    if effect.task != case.task or not maker.one_family(case.model, effect.model):
        return False
    if effect.target == case.target:
        return True
    measured = maker.of_effect(effect)
    return bool(case.script) and (measured.script, measured.resource) == (case.script, case.resource)


def nearest(
    case: Case, effects: Sequence[Effect], maker: CaseMaker, kernel: Kernel, count: int = 8
) -> tuple[Neighbour, ...]:
    """The effects nearest to a case: those that speak of it, on its language and on others, then the rest,
    each by the kernel."""

    def speaks(effect: Effect) -> bool:
        return effect.objective == case.objective and direct(case, effect, maker)

    def order(neighbour: Neighbour) -> tuple[bool, bool, float]:
        return not neighbour.direct, neighbour.effect.target != case.target, neighbour.distance

    # there are few encoders and languages beside the effects on them
    of_model = cache(lambda model: 0.5 if maker.one_family(case.model, model) else 1.0)
    of_target = cache(lambda target: maker.language_distance(case.target, target))
    unlike = {
        id(e): (
            not speaks(e),
            _unlike(case, e) + (e.model != case.model) * of_model(e.model) + of_target(e.target),
        )
        for e in effects
    }
    alike = sorted(effects, key=lambda effect: unlike[id(effect)])
    same = [effect for effect in alike if effect.target == case.target][:_SHORTLIST]
    short = same + [effect for effect in alike if effect.target != case.target][: 2 * _SHORTLIST]
    distances = (1 - kernel(case, [maker.of_effect(effect) for effect in short])).tolist()
    found = [
        Neighbour(effect, distance, speaks(effect)) for effect, distance in zip(short, distances, strict=True)
    ]
    return tuple(sorted(found, key=order)[:count])


def _unlike(case: Case, effect: Effect) -> float:
    """How much task and option differ: about 1 for a task of another level, less for what the option differs
    in; encoder and language come on top, each 0 to 1."""
    distance = 0.0
    if effect.task != case.task:
        distance += 0.5 if effect.level == case.level else 1.0
    distance += 0.5 * (effect.objective != case.objective)
    distance += 0.2 * (effect.schedule != case.schedule)
    distance += 0.1 * (effect.frozen_layers != case.frozen_layers)
    distance += 0.1 * (effect.word_pairs not in {kind for kind, _ in case.pairs} and bool(effect.word_pairs))
    return distance


def unseen(
    model: str, task: str, target: str, measured: Set[tuple[str, str, str]]
) -> tuple[tuple[str, ...], float]:
    """What of a question nobody has measured, and the question's distance from the evidence.

    Returns:
        The unseen among ``model``, ``task`` and ``language``; and 0 when all three were seen together, one
        for each unseen, a half when each was seen but never together.
    """
    asked = {"model": model, "task": task, "language": target}
    columns = zip(*measured, strict=True)
    missing = tuple(
        name for (name, value), seen in zip(asked.items(), columns, strict=True) if value not in seen
    )
    if missing:
        return missing, float(len(missing))
    return (), 0.0 if (model, task, target) in measured else 0.5
