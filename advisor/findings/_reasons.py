"""The effect model's terms in words: which of them moved a prediction, and on what evidence."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from advisor.findings._features import Case, Key
from advisor.findings._tables import Effect, Tables

__all__ = ["Cause", "causes"]

_SOURCES_NAMED = 4


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing about a case that moved its prediction.

    Attributes:
        feature: stable name for programs.
        effect: points it added.
        text: in words.
        evidence: ids of the sources it rests on, the one with most effects first.
    """

    feature: str
    effect: float
    text: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A family of terms that a practitioner would call one thing."""

    feature: str
    phrase: Callable[[Case, str], str]
    """Subject of the sentence, from the case and the language's name."""
    concerns: Callable[[Case, Effect], bool]
    """Whether an effect speaks of it."""


def _frozen_words(case: Case) -> str:
    layers = {
        "none": "no layer frozen",
        "lower-half": "the lower half frozen",
        "upper-half": "the upper half frozen",
    }
    return f"Aligning with {layers[case.frozen_layers]}"


def _schedule_words(case: Case) -> str:
    return "Aligning before" if case.schedule == "sequential" else "Aligning jointly with"


_KINDS: Mapping[str, _Kind] = {
    kind.feature: kind
    for kind in (
        _Kind(
            "model and task",
            lambda case, _: f"{case.model} on {case.task}, over all languages,",
            lambda case, effect: (effect.model, effect.task) == (case.model, case.task),
        ),
        _Kind(
            "objective",
            lambda case, _: f"The objective {case.objective} on {case.level}-level tasks",
            lambda case, effect: effect.objective == case.objective,
        ),
        _Kind(
            "schedule",
            lambda case, _: f"{_schedule_words(case)} fine-tuning",
            lambda case, effect: effect.schedule == case.schedule,
        ),
        _Kind(
            "frozen layers",
            lambda case, _: _frozen_words(case),
            lambda case, effect: effect.frozen_layers == case.frozen_layers,
        ),
        _Kind(
            "word pairs",
            lambda case, _: f"Word pairs from {' or '.join(kind for kind, _ in case.pairs) or 'nowhere'}",
            lambda case, effect: effect.word_pairs in {kind for kind, _ in case.pairs},
        ),
        _Kind(
            "pretraining data",
            lambda case, name: f"How little or much {name} the encoder's pretraining corpus holds",
            lambda case, effect: effect.task == case.task,
        ),
        _Kind(
            "typology and script",
            lambda case, name: f"The script, family and typology of {name}",
            lambda case, effect: effect.task == case.task,
        ),
        _Kind(
            "this language",
            lambda case, name: f"{name} itself, in runs on it,",
            lambda case, effect: effect.target == case.target,
        ),
        _Kind(
            "general level",
            lambda case, _: "Alignment in general, over all models and tasks,",
            lambda case, effect: True,
        ),
    )
}


def _feature(term: str, key: Key) -> str | None:
    parts = set(term.split("*"))
    if parts & {"coverage"}:
        return "pretraining data"
    if parts & {"typology", "script", "family"}:
        return "typology and script"
    if "language" in parts:
        return "this language"
    if "pairs" in parts:
        return "word pairs"
    if "frozen" in parts or "option" in parts:
        return "frozen layers"
    if "schedule" in parts:
        return "schedule"
    if "objective" in parts:
        return "objective"
    if parts & {"model", "task", "level"}:
        return "model and task"
    if parts & {"all"}:
        return "general level"
    return None  # group and source: a question has none


def causes(
    case: Case, parts: Mapping[tuple[str, Key], float], tables: Tables, language: str
) -> tuple[Cause, ...]:
    """What moved the prediction of a case, the largest first.

    Args:
        case: the case.
        parts: what each coefficient added (``Prediction.parts``).
        language: the target's name, for the sentences.
    """
    effects: defaultdict[str, float] = defaultdict(float)
    for (term, key), points in parts.items():
        feature = _feature(term, key)
        if feature:
            effects[feature] += points
    found = []
    for feature, points in effects.items():
        kind = _KINDS[feature]
        counts = Counter(effect.source_id for effect in tables.pooled if kind.concerns(case, effect))
        total = sum(counts.values())
        if not total:
            continue
        verb = "raises" if points > 0 else "lowers"
        text = (
            f"{kind.phrase(case, language)} {verb} the expected gain by {abs(points):.1f} points "
            f"({total} effects)."
        )
        evidence = tuple(source for source, _ in counts.most_common(_SOURCES_NAMED))
        found.append(Cause(feature, points, text, evidence))
    return tuple(sorted(found, key=lambda cause: -abs(cause.effect)))
