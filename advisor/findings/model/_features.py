"""The terms of the effect model over option, model, task and language.

A *term* maps a case to a few weighted keys. Each key is one coefficient; the coefficients of a term (of
each ``group`` of it) share one prior variance, which the fit learns. A key that was never seen has its
prior mean 0 and its full prior variance, so that intervals widen by exactly what is unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from advisor.findings.evidence import COVERAGE, FACTS, TYPOLOGY, Case, Key

__all__ = ["TERMS", "Column", "Term"]

Column = tuple[str, Key]
"""Name of a term, and a key of it: one coefficient."""


@dataclass(frozen=True, slots=True)
class Term:
    """One group of coefficients.

    Attributes:
        name: parts joined by ``*``, for example ``model*task``.
        scale: what a coefficient may plausibly be before any evidence, on the model's scale (about points);
            for terms about languages, in units of the spread.
        trust: how many coefficients' worth of evidence the scale is: large where the evidence cannot tell
            (nearly all of it is on one objective).
        keys: the keys of a case with their weights.
        group: coefficients of one group share a variance, shrunk towards that of the whole term.
        about_language: whether it is measured in units of the spread of languages.
    """

    name: str
    scale: float
    trust: float
    keys: Callable[[Case], Sequence[tuple[Key, float]]]
    group: Callable[[Case], str]
    about_language: bool


_PART: Mapping[str, Callable[[Case], str]] = {
    "level": lambda case: case.level,
    "task": lambda case: case.task,
    "model": lambda case: case.model,
    "objective": lambda case: case.objective,
    "schedule": lambda case: case.schedule,
    "frozen": lambda case: case.frozen_layers,
    "option": lambda case: case.option,
    "language": lambda case: case.target,
    "script": lambda case: case.script or f"?{case.target}",
    "source": lambda case: case.source_id or "?",
}


def _term(
    name: str,
    scale: float,
    trust: float = 2.0,
    group: Callable[[Case], str] = lambda case: "",
    about_language: bool | None = None,
) -> Term:
    """A term from the names of its parts; ``coverage``, ``typology`` and ``pairs`` have weighted keys."""
    parts = name.split("*")
    plain = [_PART[part] for part in parts if part in _PART]
    facts = COVERAGE if "coverage" in parts else TYPOLOGY if "typology" in parts else ()
    pairs = "pairs" in parts
    if about_language is None:
        about_language = not {"coverage", "typology", "script", "language"}.isdisjoint(parts)

    def keys(case: Case) -> Sequence[tuple[Key, float]]:
        key = tuple(part(case) for part in plain)
        if facts:
            # What is not known could be anything: each fact stands at one spread, on a key of its own.
            if not case.facts:
                return [((*key, f"?{case.target}", fact), 1.0) for fact in facts]
            values = dict(zip(FACTS, case.facts, strict=True))
            known = [((*key, fact), value) for fact in facts if (value := values[fact])]
            return known + [((*key, f"?{case.target}", fact), 1.0) for fact in facts if values[fact] is None]
        if pairs:
            return [((*key, kind), weight) for kind, weight in case.pairs]
        return [(key, 1.0)]

    return Term(name, scale, trust, keys, group, about_language)


def _task_and_resource(case: Case) -> str:
    return f"{case.task}:{'unseen' if case.resource == 'unseen' else 'seen'}"


TERMS: tuple[Term, ...] = (
    _term("all", 0.7),
    _term("level", 0.7),
    _term("task", 0.7),
    _term("model", 1.0),
    _term("model*level", 0.5),
    _term("model*task", 0.7),
    _term("objective", 0.5, 50),
    _term("objective*level", 0.4, 50),
    _term("objective*model*task", 0.5, 200),
    _term("schedule", 0.3),
    _term("schedule*model", 0.3),
    _term("frozen", 0.3),
    _term("frozen*model", 0.3),
    _term("frozen*task", 0.3),
    _term("frozen*model*task", 0.3),
    _term("option*model*task", 0.3),
    _term("pairs", 0.3),
    _term("pairs*model", 0.2),
    _term("coverage", 0.6),
    _term("coverage*task", 0.3),
    _term("coverage*model", 0.3),
    _term("coverage*model*task", 0.25),
    _term("typology", 0.2),
    _term("typology*task", 0.2),
    _term("typology*model*task", 0.2),
    _term("script*task", 0.3),
    _term("language", 0.3),
    _term("language*task", 0.4),
    _term("language*model", 0.3),
    _term("language*model*task", 0.4),
    # which option suits a language best varies little beside how much any option does
    _term("language*frozen*task", 0.3, group=_task_and_resource, about_language=False),
    # what a rerun of the same configuration in other hands differs by
    _term("source*model*task", 0.4, 4),
    _term("source*model*task*option", 0.4, 4, group=lambda case: case.model),
)
