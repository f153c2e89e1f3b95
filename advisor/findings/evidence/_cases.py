"""A case: one option on one encoder, task and language, with the facts the tables hold about them."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from advisor.findings.evidence._effects import Effect, Tables, level_of
from advisor.findings.evidence._encoders import EncoderFacts, unknown_encoder
from advisor.findings.evidence._languages import LanguageFacts
from advisor.options import Option

Key = tuple[str, ...]

PAIR_MIXTURE: Mapping[str, tuple[tuple[str, float], ...]] = {
    # Mutual argmax on the encoder's own vectors is what AWESOME-align does; a file of links may come from
    # any aligner, statistical ones included.
    "mutual-argmax": (("awesome-align", 1.0),),
    "file": (("fast-align", 0.5), ("awesome-align", 0.5)),
}

FACTS = ("pretraining-size", "unseen-language", "syntactic", "genetic", "geographic", "non-latin", "unspaced")
COVERAGE, WRITING = FACTS[:2], FACTS[5:]
ENCODER_FACTS = ("size", "parallel", "contrastive")
"""Doublings of parameters over XLM-R base's 278 million; whether pretraining had parallel data; whether it
had a contrastive loss over sentences."""
_BASE = 278.0
_USUAL_STEPS = 3000
"""Fine-tuning steps of a task whose published runs do not say."""

_LITTLE = -0.9
"""Pretraining size (on the scale of ``FACTS``) below which a language counts as low-resource: 2 GiB of
CC-100."""


@dataclass(frozen=True, slots=True)
class Case:
    """One option on one model, task and language, as the effect model sees it.

    Attributes:
        pairs: where word pairs come from, as a mixture of the evidence's kinds; empty if none are used.
        facts: numbers that describe the language to the model, about 0 with spread 1 (see ``FACTS``);
            empty when the language is unknown, None for what is not known of the encoder's pretraining.
        encoder: numbers that describe the encoder (see ``ENCODER_FACTS``); None where one is not known.
        family: the encoder's; encoders of one family saw the same, known or not.
        length: tenfold of the fine-tuning steps that published runs of the task took; 0 for as many.
        source_id: the source of an effect; blank for a question, which stands for a new study.
        lab: who ran it; blank for a question, which stands for a lab not seen before.
        run: of alignment: what shares it was aligned once.
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
    facts: tuple[float | None, ...]
    encoder: tuple[float | None, ...] = (None, None, None)
    family: str = ""
    length: float = 0.0
    source_id: str = ""
    lab: str = ""
    run: str = ""

    @property
    def option(self) -> str:
        """The option's attributes without its word pairs, as one word."""
        return f"{self.objective}:{self.schedule}:{self.frozen_layers}"

    @property
    def resource(self) -> str:
        """How much pretraining saw of the language: ``high``, ``low``, or ``unseen``, unknown included."""
        size, unseen = self.facts[:2] if self.facts else (None, None)
        if unseen or size is None:
            return "unseen"
        return "low" if size < _LITTLE else "high"


def language_facts(language: LanguageFacts, encoder: EncoderFacts | None) -> tuple[float | None, ...]:
    """What the language is to this encoder: ``FACTS``, each about 0 with spread 1; None where not known.

    Pretraining size is log10 GiB of the corpus whose sizes stand for the encoder's pretraining, centred on
    the middle of the evidence's languages. Without an encoder it is the language's size on the web (CC-100).
    """
    size, unseen = _coverage(language, encoder)
    return (
        None if size is None else max(-2.5, min(2.0, size)),
        unseen,
        ((language.syntactic if language.syntactic is not None else 0.45) - 0.45) / 0.15,
        ((language.genetic if language.genetic is not None else 1.0) - 0.85) / 0.2,
        ((language.geographic if language.geographic is not None else 0.2) - 0.2) / 0.15,
        0.0 if language.script == "Latn" else 1.0,
        0.0 if language.spaced else 1.0,
    )


def _coverage(language: LanguageFacts, encoder: EncoderFacts | None) -> tuple[float | None, float | None]:
    """Pretraining size, 0 for a language that was not seen, and whether it was not."""
    if encoder is None:
        return _web_size(language.cc100_gib), float(language.cc100_gib == 0)
    seen = encoder.saw(language.code)
    if seen.answer == "no":
        return 0.0, 1.0
    if seen.answer == "unknown" or seen.gib is None:
        return None, None if seen.answer == "unknown" else 0.0
    if encoder.amounts == "wikipedia":
        return (math.log10(seen.gib + 0.003) + 0.5) / 0.8, 0.0
    return _web_size(seen.gib), 0.0


def _web_size(gib: float) -> float:
    return (math.log10(gib + 0.03) - 1.0) / 0.8


def encoder_facts(encoder: EncoderFacts) -> tuple[float | None, ...]:
    """``ENCODER_FACTS`` of an encoder, None for what is not known."""
    size = encoder.parameters_m
    facts = (math.log2(size / _BASE) if size else None, encoder.parallel, encoder.contrastive)
    return tuple(None if fact is None else float(fact) for fact in facts)


class CaseMaker:
    """Makes cases from evidence rows and from questions, with the facts of the tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._made: dict[int, tuple[Effect, Case]] = {}
        self._described = {code: language_facts(facts, None) for code, facts in tables.languages.items()}
        steps: defaultdict[str, list[int]] = defaultdict(list)
        for effect in tables.pooled:
            if effect.train_steps and effect.stratum == "light":
                steps[effect.task].append(effect.train_steps)
        self._usual = {task: sorted(values)[len(values) // 2] for task, values in steps.items()}

    def case(
        self,
        option: Option | Effect,
        *,
        model: str,
        task: str,
        target: str,
        encoder: EncoderFacts | None = None,
        train_steps: int | None = None,
    ) -> Case:
        """A question's case, which belongs to no source.

        Args:
            option: what is done, or an effect of it.
            model: the encoder.
            task: its name.
            target: code of the language.
            encoder: where the tables do not have it.
            train_steps: of fine-tuning; as many as published runs took when None.
        """
        language = self._tables.languages.get(target)
        word_pairs = str(option.word_pairs or "")
        encoder = encoder or self._tables.encoders.get(model) or unknown_encoder(model)
        facts = language_facts(language, encoder) if language else ()
        return Case(
            objective=str(option.objective),
            schedule=str(option.schedule or ""),
            frozen_layers=str(option.frozen_layers),
            pairs=PAIR_MIXTURE.get(word_pairs, ((word_pairs, 1.0),)) if word_pairs else (),
            model=model,
            task=task,
            level=level_of(task),
            target=target,
            script=language.script if language else "",
            facts=facts,
            encoder=encoder_facts(encoder),
            family=encoder.family or model,
            length=math.log10(train_steps / self.usual_steps(task)) if train_steps else 0.0,
        )

    def usual_steps(self, task: str) -> int:
        """Fine-tuning steps that published runs of a task took."""
        return self._usual.get(task, _USUAL_STEPS)

    def of_effect(self, effect: Effect) -> Case:
        """The case an effect was measured on."""
        kept = self._made.get(id(effect))
        if kept is None or kept[0] is not effect:
            kept = self._made[id(effect)] = effect, self._of_effect(effect)
        return kept[1]

    def _of_effect(self, effect: Effect) -> Case:
        case = self.case(
            effect,
            model=effect.model,
            task=effect.task,
            target=effect.target,
            train_steps=effect.train_steps,
        )
        run = effect.checkpoint or f"{effect.source_id}:{case.option}:{effect.word_pairs}:{effect.setup}"
        return replace(case, source_id=effect.source_id, lab=effect.lab, run=run)

    def one_family(self, first: str, second: str) -> bool:
        """Whether two encoders are of one recipe, in any size."""
        return self._tables.family(first) == self._tables.family(second)

    def language_distance(self, first: str, second: str) -> float:
        """How unlike two languages are to an encoder: 0 the same, at least 0.1 for two, towards 1."""
        if first == second:
            return 0.0
        if first not in self._described or second not in self._described:
            return 1.0
        pairs = zip(self._described[first], self._described[second], strict=True)
        spread = sum(((a or 0.0) - (b or 0.0)) ** 2 for a, b in pairs) / len(FACTS)
        return 0.1 + 0.9 * (1 - math.exp(-spread))
