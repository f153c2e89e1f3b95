"""The evidence as typed values: sources, published effects, per-seed scores and own records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import computed_field

from advisor.findings.evidence._encoders import EncoderFacts
from advisor.findings.evidence._languages import LanguageFacts
from advisor.findings.evidence._lookup import normalise_model
from probes.catalogue import TASKS

OUTSIDE = ("token-ot", "code-switching", "other")
"""Methods that the evidence has and the option space has not."""
SCHEDULES = ("sequential", "joint", "post-hoc")
FROZEN_LAYERS = ("none", "lower-half", "upper-half")
WORD_PAIRS = ("dictionary", "fast-align", "awesome-align", "mutual-argmax", "file")
PUBLISHED_ONLY = {
    "relevance": "pair",
    "wic": "pair",
    "retrieval": "none",  # measures alignment itself, no fine-tuning
}
"""Tasks of the evidence that no probe reads, and their level."""
MIXTURES = frozenset({"avg", "multi", "hi-en"})
"""What stands in place of a language: an average, several at once, code-switched Hindi and English."""
OWN_RECORDS = "own-records"
"""Source id of own trials."""
STRATA: Mapping[str, str] = {
    "light": "10^3 to 10^5 alignment steps on an encoder as released, then fine-tuning of the whole encoder",
    "own-short": "own runs, of a few hundred steps",
    "pretraining": "10^5 to 10^6 alignment steps and extra data",
    "frozen-probe": "a head on the frozen encoder instead of fine-tuning",
    "secondary": "figures that others report of a study",
}
"""Kinds of study. One informs another through a hyperparameter at most."""
LIGHT, OWN = "light", "own-short"
"""The strata that are fitted, each by itself."""
LONG = 300
"""Fine-tuning steps from which on own runs are of the registered test."""
EARLY: Mapping[str, float] = {"quarter": 0.25, "half": 0.5}
"""Shares of fine-tuning after which own runs are scored, too, by the names that their columns begin with."""


def level_of(task: str) -> str:
    """The level of a task; its own name where nothing is known of it."""
    return TASKS[task].level if task in TASKS else PUBLISHED_ONLY.get(task, task)


@dataclass(frozen=True, slots=True)
class Lab:
    """Who runs studies: people who share authors or a codebase.

    Attributes:
        people: names, as a reader would look for them.
        code: address of the codebase; None where none is public or known.
    """

    id: str
    people: str
    code: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """Where effects come from.

    Attributes:
        lab: id of the ``Lab`` that ran it. Sources of one lab are not independent opinions.
    """

    id: str
    citation: str
    url: str | None
    lab: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An aligned model against its unaligned baseline on one language.

    Attributes:
        lab: who ran the source.
        setup: the alignment data and method, in the source's words.
        benchmark: the test set, where a source has several for one task.
        baseline: score of the unaligned model, in points (0-100).
        aligned: score of the aligned model as printed; None where only the gain is.
        gain: aligned minus baseline, in points.
        gain_sd: sample standard deviation over seeds of the paired gain.
        baseline_sd: the same of the baseline's score.
        aligned_sd: the same of the aligned score, where only that is known.
        stratum: one of ``STRATA``.
        comparison: ``vs-unaligned``, or ``marginal`` when against another aligned model.
        reliability: ``per-seed``, ``published``, ``unpublished`` or ``secondary``.
        checkpoint: the released aligned encoder that was measured; blank for one of the source's own. What
            several sources measured of one checkpoint is one alignment, not several.
        pairs_per_language: distinct sentence pairs of each aligned language that alignment was trained on.
        aligned_languages: how many languages were aligned with the source language.
        target_aligned: whether the target was one of them.
        align_steps: optimiser steps of alignment.
        train_steps: optimiser steps of fine-tuning.
        locator: where in the source the number stands.

    None means that the source, as far as it was read, does not say.
    """

    source_id: str
    lab: str
    model: str
    objective: str
    schedule: str
    frozen_layers: str
    word_pairs: str
    setup: str = ""
    task: str
    benchmark: str = ""
    metric: str
    source: str
    target: str
    baseline: float | None
    aligned: float | None
    gain: float
    gain_sd: float | None
    baseline_sd: float | None
    aligned_sd: float | None
    n_seeds: int | None
    stratum: str
    comparison: str = "vs-unaligned"
    reliability: str
    checkpoint: str = ""
    pairs_per_language: int | None
    aligned_languages: int | None
    target_aligned: bool | None
    align_steps: int | None
    train_steps: int | None
    locator: str

    @property
    def unfit(self) -> str | None:
        """Why no fit may use the effect, not even one of its own stratum; None if one may."""
        reasons = {
            "average of other rows": self.target == "avg",
            "measures alignment itself, not transfer": self.schedule == "post-hoc",
            "compared with another aligned model": self.comparison != "vs-unaligned",
            "measured on the source language": self.source == self.target,
            "not zero-shot: trained on several languages": self.source == "multi",
            "other languages were aligned, not the target": self.target_aligned is False,
            "a method outside the option space": self.objective in OUTSIDE,
            "second metric of the same runs": self.metric == "em",
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def kept_apart(self) -> str | None:
        """Why no fit that answers questions may use the effect, or None if one may."""
        return self.unfit or (None if self.stratum in (LIGHT, OWN) else f"another stratum: {self.stratum}")

    @property
    def level(self) -> str:
        """Level of the task."""
        return level_of(self.task)


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """One own trial, averaged over seeds, with the probe's signals at ``theta_warm``.

    ``cosines`` maps a task gradient (``source``, ``target-labels``, ``target-projected``) to the
    noise-corrected cosine with the objective's gradient and its standard error.

    Attributes:
        baseline_scores, aligned_scores: in points, a seed each and paired; empty where not known.
        early_scores: the same two after a ``quarter`` and a ``half`` of fine-tuning, where they were taken.
        late_scores: the two as means over the last two looks at a run, where those were taken.
        run_seconds, probe_seconds: wall time of an aligned run, and of the probe.
        steps: of fine-tuning.
        align_steps: of alignment before it; None where the two are one.
        device: what the runs were made on; CPU and GPU are one lab with two kinds of hardware.
        signals: every other number of the probe, by its column: at ``theta_warm``, or at ``theta0`` where
            the name says so.
    """

    id: str
    model: str
    source: str
    target: str
    task: str
    objective: str
    schedule: str
    frozen_layers: str
    word_pairs: str
    weight: float | None
    seeds: int
    baseline: float | None
    gain: float
    gain_sd: float | None
    cosines: Mapping[str, tuple[float, float]]
    baseline_scores: tuple[float, ...] = ()
    aligned_scores: tuple[float, ...] = ()
    early_scores: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)
    run_seconds: float | None = None
    probe_seconds: float | None = None
    signals: Mapping[str, float] = field(default_factory=dict)
    late_scores: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    steps: int | None = None
    align_steps: int | None = None
    device: str = ""

    @property
    def outcome(self) -> float:
        """The gain that is modelled and tested, in points: over the last two looks of a run of 300 steps or
        more, since one look at one checkpoint swings by points; else at its end."""
        before, after = self.late_scores
        if (self.steps or 0) < LONG or not before:
            return self.gain
        return sum(after) / len(after) - sum(before) / len(before)


@dataclass(frozen=True, slots=True)
class SeedScores:
    """Scores of one configuration on one language, a seed each, in points; ``none`` is the baseline.

    The other facts are those of ``Effect``.
    """

    source_id: str
    model: str
    task: str
    metric: str
    objective: str
    schedule: str
    frozen_layers: str
    word_pairs: str
    source: str
    target: str
    pairs_per_language: int | None
    aligned_languages: int | None
    target_aligned: bool | None
    align_steps: int | None
    train_steps: int | None
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Tables:
    """All tables, read and checked; encoders by every name they go by."""

    labs: Mapping[str, Lab]
    sources: Mapping[str, Source]
    effects: tuple[Effect, ...]
    scores: tuple[SeedScores, ...]
    records: tuple[OwnRecord, ...]
    languages: Mapping[str, LanguageFacts]
    encoders: Mapping[str, EncoderFacts]
    sha256: str

    @cached_property
    def pooled(self) -> tuple[Effect, ...]:
        """The effects of the strata that are fitted."""
        return tuple(effect for effect in self.effects if effect.kept_apart is None)

    @cached_property
    def strata(self) -> Mapping[str, tuple[Effect, ...]]:
        """The effects that a fit of each of ``STRATA`` may use."""
        fit = [effect for effect in self.effects if effect.unfit is None]
        return {name: tuple(effect for effect in fit if effect.stratum == name) for name in STRATA}

    @cached_property
    def measured(self) -> Mapping[str, frozenset[tuple[str, str, str]]]:
        """Encoder, task and target language of every effect that a fit may use, by stratum."""
        return {
            name: frozenset((effect.model, effect.task, effect.target) for effect in rows)
            for name, rows in self.strata.items()
        }

    @cached_property
    def _only_here(self) -> frozenset[str]:
        """Families of encoders of which there are own runs and nothing else."""
        own, light = ({self.family(e.model) for e in self.strata[name]} for name in (OWN, LIGHT))
        return frozenset(own - light)

    @cached_property
    def _only_elsewhere(self) -> frozenset[str]:
        """Tasks of which there are published runs and no own ones."""
        own, light = ({effect.task for effect in self.strata[name]} for name in (OWN, LIGHT))
        return frozenset(light - own)

    def stratum_of(self, model: str, task: str) -> str:
        """The stratum that speaks of an encoder on a task: own runs of its family where nobody else measured
        it, but for a task that only others did: that it is harmed, say, is known from nothing else."""
        own = self.family(model) in self._only_here and task not in self._only_elsewhere
        return OWN if own else LIGHT

    def name_of(self, model: str) -> str:
        """The name that the tables have an encoder under, from what a user calls it."""
        name = normalise_model(model)
        return self.encoders[name].name if name in self.encoders else name

    def family(self, model: str) -> str:
        """The recipe that an encoder is of, in any size; its own name where nothing is known of it."""
        return self.encoders[model].family if model in self.encoders else model
