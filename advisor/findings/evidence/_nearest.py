"""Which evidence lies nearest to a question."""

from dataclasses import dataclass

from advisor.findings.evidence._cases import Case, CaseMaker
from advisor.findings.evidence._effects import Effect, Tables

__all__ = ["Neighbour", "nearest", "unseen"]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An effect and how far it lies from the case: 0 the same case, about 1 for each of model, task and
    language that differs in everything, less for what the option differs in."""

    effect: Effect
    distance: float


def nearest(case: Case, tables: Tables, maker: CaseMaker, count: int = 8) -> tuple[Neighbour, ...]:
    """The effects nearest to a case, nearest first; ties in the order of the tables."""
    found = [Neighbour(effect, _distance(case, effect, maker)) for effect in tables.pooled]
    return tuple(sorted(found, key=lambda neighbour: neighbour.distance)[:count])


def _distance(case: Case, effect: Effect, maker: CaseMaker) -> float:
    distance = 0.0
    if effect.model != case.model:
        distance += 1.0
    if effect.task != case.task:
        distance += 0.5 if effect.level == case.level else 1.0
    if effect.target != case.target:
        distance += maker.language_distance(case.target, effect.target)
    distance += 0.5 * (effect.objective != case.objective)
    distance += 0.2 * (effect.schedule != case.schedule)
    distance += 0.1 * (effect.frozen_layers != case.frozen_layers)
    distance += 0.1 * (effect.word_pairs not in {kind for kind, _ in case.pairs} and bool(effect.word_pairs))
    return distance


def unseen(model: str, task: str, target: str, tables: Tables) -> tuple[tuple[str, ...], float]:
    """What of a question no pooled effect has, and the question's distance from the evidence.

    Returns:
        The unseen among ``model``, ``task`` and ``language``; and 0 when all three were seen together, one
        for each unseen, a half when each was seen but never together.
    """
    asked = {"model": model, "task": task, "language": target}
    together = False
    seen: dict[str, bool] = dict.fromkeys(asked, False)
    for effect in tables.pooled:
        has = {"model": effect.model, "task": effect.task, "language": effect.target}
        same = {name: has[name] == asked[name] for name in asked}
        together = together or all(same.values())
        seen = {name: seen[name] or same[name] for name in asked}
    missing = tuple(name for name, was in seen.items() if not was)
    if missing:
        return missing, float(len(missing))
    return (), 0.0 if together else 0.5
