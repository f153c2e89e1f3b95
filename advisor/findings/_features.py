"""How a case is described to the effect model: terms over option, model, task and language.

A *term* maps a case to a few weighted keys. Each key is one coefficient; the coefficients of a term (of
each ``group`` of it) share one prior variance, which the fit learns. A key that was never seen has its
prior mean 0 and its full prior variance, so that intervals widen by exactly what is unknown.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from advisor.findings._evidence import TASK_LEVELS, Effect, Tables
from advisor.findings._languages import LanguageFacts
from advisor.findings._models import ModelFacts

__all__ = ["FACTS", "TERMS", "Case", "CaseMaker", "Column", "Key", "Term"]

Key = tuple[str, ...]
Column = tuple[str, Key]
"""Name of a term, and a key of it: one coefficient."""

PAIR_MIXTURE: Mapping[str, tuple[tuple[str, float], ...]] = {
    # Mutual argmax on the encoder's own vectors is what AWESOME-align does; a file of links may come from
    # any aligner, statistical ones included.
    "mutual-argmax": (("awesome-align", 1.0),),
    "file": (("fast-align", 0.5), ("awesome-align", 0.5)),
}

FACTS = ("pretraining-size", "unseen-language", "syntactic", "genetic", "geographic", "non-latin", "unspaced")
COVERAGE, TYPOLOGY = FACTS[:2], FACTS[2:]

_LITTLE = -0.9
"""Pretraining size (on the scale of ``FACTS``) below which a language counts as low-resource: 2 GiB of
CC-100."""


@dataclass(frozen=True, slots=True)
class Case:
    """One option on one model, task and language, as the effect model sees it.

    Attributes:
        pairs: where word pairs come from, as a mixture of the evidence's kinds; empty if none are used.
        facts: numbers that describe the language to the model, about 0 with spread 1 (see ``FACTS``);
            empty when the language is unknown.
        source_id: the source of an effect; blank for a question, which stands for a new study.
    """

    objective: str
    schedule: str
    frozen_layers: str
    pairs: tuple[tuple[str, float], ...]
    model: str
    task: str
    level: str
    target: str
    script: str
    facts: tuple[float, ...]
    source_id: str = ""

    @property
    def option(self) -> str:
        """The option's attributes without its word pairs, as one word."""
        return f"{self.objective}:{self.schedule}:{self.frozen_layers}"

    @property
    def resource(self) -> str:
        """How much pretraining saw of the language: ``high``, ``low`` or ``unseen``."""
        if not self.facts or self.facts[1]:
            return "unseen"
        return "low" if self.facts[0] < _LITTLE else "high"


def language_facts(language: LanguageFacts, model: ModelFacts | None) -> tuple[float, ...]:
    """What the language is to this model: ``FACTS``, each about 0 with spread 1.

    Pretraining size is log10 GiB of the corpus the model was trained on (CC-100 where that is unknown),
    centred on the middle of the evidence's languages.
    """
    if model is not None and model.corpus == "wikipedia":
        size = (math.log10(language.wikipedia_gib + 0.003) + 0.5) / 0.8
        unseen = not language.in_wikipedia
    else:
        size = (math.log10(language.cc100_gib + 0.03) - 1.0) / 0.8
        unseen = language.cc100_gib == 0
    return (
        0.0 if unseen else max(-2.5, min(2.0, size)),
        1.0 if unseen else 0.0,
        ((language.syntactic if language.syntactic is not None else 0.45) - 0.45) / 0.15,
        ((language.genetic if language.genetic is not None else 1.0) - 0.85) / 0.2,
        ((language.geographic if language.geographic is not None else 0.2) - 0.2) / 0.15,
        0.0 if language.script == "Latn" else 1.0,
        0.0 if language.spaced else 1.0,
    )


class CaseMaker:
    """Makes cases from evidence rows and from questions, with the facts of the tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def case(
        self,
        *,
        model: str,
        task: str,
        target: str,
        objective: str,
        schedule: str,
        frozen_layers: str,
        word_pairs: str,
    ) -> Case:
        """A question's case, which belongs to no source."""
        language = self._tables.languages.get(target)
        facts = language_facts(language, self._tables.models.get(model)) if language else ()
        return Case(
            objective=objective,
            schedule=schedule,
            frozen_layers=frozen_layers,
            pairs=PAIR_MIXTURE.get(word_pairs, ((word_pairs, 1.0),)) if word_pairs else (),
            model=model,
            task=task,
            level=TASK_LEVELS.get(task, task),
            target=target,
            script=language.script if language else "",
            facts=facts,
        )

    def of_effect(self, effect: Effect) -> Case:
        """The case an effect was measured on."""
        case = self.case(
            model=effect.model,
            task=effect.task,
            target=effect.target,
            objective=effect.objective,
            schedule=effect.schedule,
            frozen_layers=effect.frozen_layers,
            word_pairs=effect.word_pairs,
        )
        return replace(case, source_id=effect.source_id)

    def language_distance(self, first: str, second: str) -> float:
        """How unlike two languages are to an encoder: 0 the same, at least 0.1 for two, towards 1."""
        if first == second:
            return 0.0
        languages = self._tables.languages
        if first not in languages or second not in languages:
            return 1.0
        pairs = zip(
            language_facts(languages[first], None), language_facts(languages[second], None), strict=True
        )
        spread = sum((a - b) ** 2 for a, b in pairs) / len(FACTS)
        return 0.1 + 0.9 * (1 - math.exp(-spread))


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
            # A language without facts could have any: each stands at one spread, on a key of its own.
            if not case.facts:
                return [((*key, f"?{case.target}", fact), 1.0) for fact in facts]
            values = dict(zip(FACTS, case.facts, strict=True))
            return [((*key, fact), values[fact]) for fact in facts if values[fact]]
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
