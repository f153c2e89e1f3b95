"""The terms of the effect model over option, encoder, task, language and lab.

A *term* maps a case to a few weighted keys. Each key is one coefficient; the coefficients of a term (of
each ``group`` of it) share one prior variance, which the fit learns. A key that was never seen has its
prior mean 0 and its full prior variance, so that intervals widen by exactly what is unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from advisor.findings.evidence import COVERAGE, ENCODER_FACTS, FACTS, WRITING, Case, Key

Column = tuple[str, Key]
"""Name of a term, and a key of it: one coefficient."""


@dataclass(frozen=True, slots=True, eq=False)  # by identity, so that a case's keys are quickly looked up
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
    # a question comes from a lab of its own, which nobody has seen
    "lab": lambda case: case.lab or "?",
    "run": lambda case: case.run or "?",
}


def _term(
    name: str,
    scale: float,
    trust: float = 2.0,
    group: Callable[[Case], str] = lambda case: "",
    about_language: bool | None = None,
) -> Term:
    """A term from the names of its parts; facts and ``pairs`` have weighted keys."""
    parts = name.split("*")
    plain = [_PART[part] for part in parts if part in _PART]
    facts = COVERAGE if "coverage" in parts else WRITING if "writing" in parts else ()
    of_encoder = next((part for part in parts if part in ENCODER_FACTS), None)
    if about_language is None:
        about_language = not {"coverage", "writing", "language"}.isdisjoint(parts)

    def keys(case: Case) -> Sequence[tuple[Key, float]]:
        key = tuple(part(case) for part in plain)
        if facts:
            # What is not known could be anything, and something else for another family: each fact stands
            # at one spread, on a key of its own.
            unknown = f"?{case.family}:{case.target}"
            if not case.facts:
                return [((*key, unknown, fact), 1.0) for fact in facts]
            values = dict(zip(FACTS, case.facts, strict=True))
            known = [((*key, fact), value) for fact in facts if (value := values[fact])]
            return known + [((*key, unknown, fact), 1.0) for fact in facts if values[fact] is None]
        if of_encoder:
            value = case.encoder[ENCODER_FACTS.index(of_encoder)]
            # the same for an encoder of which the fact is not known: it is integrated out
            return [((*key, f"?{case.model}"), 1.0)] if value is None else [(key, value)] if value else []
        if "length" in parts:
            return [(key, case.length)] if case.length else []
        if "pairs" in parts:
            return [((*key, kind), weight) for kind, weight in case.pairs]
        return [(key, 1.0)]

    return Term(name, scale, trust, keys, group, about_language)


def _task_and_resource(case: Case) -> str:
    return f"{case.task}:{'unseen' if case.resource == 'unseen' else 'seen'}"


TERMS: tuple[Term, ...] = (
    # how much alignment does
    _term("all", 0.7),
    _term("level", 0.5),
    _term("task", 0.7),
    # to which encoder: so few were measured that their facts explain no more than the prior lets them
    _term("size", 0.4, 50),
    _term("parallel", 0.4, 50),
    _term("contrastive", 0.4, 50),
    _term("model", 0.7),
    _term("model*task", 0.7),
    # for how long it is fine-tuned: along own runs gains fell by .7 to 2 for tenfold the steps
    _term("length", 1.5, 50),
    _term("length*level", 0.4, 50),
    # by which option; within one lab, encoder and task objectives differ by .4 to .6 in every stratum
    _term("objective", 0.3, 50),
    _term("objective*level", 0.3, 50),
    _term("objective*model*task", 0.3, 200),
    _term("schedule", 0.3),
    _term("schedule*model", 0.3),
    _term("frozen", 0.3),
    _term("frozen*model", 0.3),
    _term("frozen*task", 0.3),
    _term("option*model*task", 0.3),
    _term("pairs", 0.3),
    # in which language
    # on the model's own scale: in units of the spread, what a language gained by tagging would be carried
    # over to a task whose scores merely scatter more as so much more
    _term("coverage", 0.7, 4, about_language=False),
    _term("coverage*task", 0.5, 4, about_language=False),
    _term("coverage*model*task", 0.3, about_language=False),
    # words are hard to find, and to pair, where nothing divides them
    _term("writing*task", 0.3),
    _term("language", 0.3),
    _term("language*task", 0.4),
    _term("language*model*task", 0.4),
    # which option suits a language best varies little beside how much any option does
    _term("language*frozen*task", 0.3, group=_task_and_resource, about_language=False),
    # in whose hands
    _term("lab", 0.0),
    _term("lab*task", 0.0),
    _term("lab*model", 0.0),
    # gains by language correlate at .5 to .9 between labs
    _term("lab*language", 0.5, 20),
    _term("lab*coverage", 0.4, 50),
    # what a rerun of the same alignment differs by; one checkpoint is aligned once, whoever measures it
    _term("run*model*task", 0.4, 4),
)

LAB_SHARES: Mapping[str, float] = {"lab": 0.6, "lab*task": 0.3, "lab*model": 0.1}
"""What of the variance between labs is theirs throughout, and what theirs for a task or an encoder: two labs
that both measured two tasks of one encoder (three times) differ by as much more on one as .3 of it makes
likely, and two that both measured two encoders on one task (twice) by less than .1 of it does. That is too
little to learn shares from, so only their sum is learnt (see ``_labs``)."""
