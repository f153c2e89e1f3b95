"""The effect model's terms in words: which of them moved a prediction, and on what evidence."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from advisor.advice import Reason
from advisor.findings.evidence import Case, Effect, Key
from advisor.findings.model import scale

_SOURCES_NAMED = 4


_COVERAGE = {
    "high": "That the encoder's pretraining saw much",
    "low": "That the encoder's pretraining saw little",
    "unseen": "That the encoder's pretraining saw no",
}
_PAIRS = {
    "dictionary": "in a dictionary",
    "awesome-align": "by the encoder's own vectors",
    "fast-align": "with a statistical aligner",
}


_LAYERS = {
    "none": "no layer frozen",
    "lower-half": "the lower half frozen",
    "upper-half": "the upper half frozen",
}
_SCHEDULES = {"sequential": "Aligning before", "joint": "Aligning jointly with"}

_FAMILIES: Mapping[str, tuple[Callable[[Case, str], str], Callable[[Case, Effect], bool]]] = {
    "model and task": (
        lambda case, _: f"{case.model} on {case.task}, over all languages,",
        lambda case, effect: (effect.model, effect.task) == (case.model, case.task),
    ),
    "objective": (
        lambda case, _: f"The objective {case.objective} on {case.level}-level tasks",
        lambda case, effect: effect.objective == case.objective,
    ),
    "schedule": (
        lambda case, _: f"{_SCHEDULES[case.schedule]} fine-tuning",
        lambda case, effect: effect.schedule == case.schedule,
    ),
    "frozen layers": (
        lambda case, _: f"Aligning with {_LAYERS[case.frozen_layers]}",
        lambda case, effect: effect.frozen_layers == case.frozen_layers,
    ),
    "word pairs": (
        lambda case, _: f"Finding word pairs {' or '.join(_PAIRS.get(kind, kind) for kind, _ in case.pairs)}",
        lambda case, effect: effect.word_pairs in {kind for kind, _ in case.pairs},
    ),
    "pretraining data": (
        lambda case, name: f"{_COVERAGE[case.resource]} {name}",
        lambda case, effect: effect.task == case.task,
    ),
    "writing": (
        lambda _, name: f"How {name} is written",
        lambda case, effect: effect.task == case.task,
    ),
    "the encoder": (lambda case, _: f"The size and pretraining of {case.model}", lambda *_: True),
    "training length": (
        lambda case, _: f"Fine-tuning {'longer' if case.length > 0 else 'shorter'} than published runs",
        lambda *_: True,
    ),
    "this language": (
        lambda _, name: f"{name} itself, in runs on it,",
        lambda case, effect: effect.target == case.target,
    ),
    "general level": (lambda *_: "Alignment in general, over all models and tasks,", lambda *_: True),
}
"""Families of terms that a practitioner would call one thing: the subject of the sentence about one, from the
case and the language's name, and whether an effect speaks of it."""
_FEATURE_OF_PART = (
    # the first part that a term has decides what it is called
    ("coverage", "pretraining data"),
    ("writing", "writing"),
    ("size", "the encoder"),
    ("parallel", "the encoder"),
    ("contrastive", "the encoder"),
    ("length", "training length"),
    ("language", "this language"),
    ("pairs", "word pairs"),
    ("frozen", "frozen layers"),
    ("option", "frozen layers"),
    ("schedule", "schedule"),
    ("objective", "objective"),
    ("model", "model and task"),
    ("task", "model and task"),
    ("level", "model and task"),
    ("all", "general level"),
)


def _feature(term: str, key: Key) -> str:
    # what pretraining saw is not known, so nothing is said of it
    if any(part.startswith("?") for part in key):
        return "this language"
    parts = term.split("*")
    return next(feature for part, feature in _FEATURE_OF_PART if part in parts)


def causes(
    case: Case, parts: Mapping[tuple[str, Key], float], centre: float, rows: Sequence[Effect], language: str
) -> Iterator[Reason]:
    """What moved the prediction of a case, the largest first.

    An effect is how far the median gain would move, in points, if the terms behind it were 0.

    Args:
        case: the case.
        parts: what each coefficient added on the model's scale (``Prediction.parts``).
        centre: of the prediction, on the model's scale.
        rows: the effects that the prediction rests on.
        language: the target's name, for the sentences.
    """
    effects: defaultdict[str, float] = defaultdict(float)
    for (term, key), added in parts.items():
        effects[_feature(term, key)] += added
    with_all = scale.to_points(np.array([centre])).item()
    without = scale.to_points(centre - np.array(list(effects.values()))).tolist()
    by_size = sorted(zip(effects, without, strict=True), key=lambda one: -abs(with_all - one[1]))
    for feature, rest in by_size:
        points = with_all - rest
        phrase, concerns = _FAMILIES[feature]
        counts = Counter(effect.source_id for effect in rows if concerns(case, effect))
        total = sum(counts.values())
        if not total:
            continue
        verb = "raises" if points > 0 else "lowers"
        text = (
            f"{phrase(case, language)} {verb} the expected gain by {abs(points):.1f} points "
            f"({total} effects)."
        )
        evidence = tuple(source for source, _ in counts.most_common(_SOURCES_NAMED))
        yield Reason(text=text, feature=feature, effect=points, evidence=evidence)
