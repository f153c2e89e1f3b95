"""The evidence as typed values: sources, published effects, per-seed scores and own records."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from advisor.findings.evidence._languages import LanguageFacts
from advisor.findings.evidence._models import ModelFacts

__all__ = [
    "EARLY",
    "FROZEN_LAYERS",
    "OBJECTIVES",
    "OWN_RECORDS",
    "SCHEDULES",
    "TASKS_SCORED_BY_F1",
    "TASK_LEVELS",
    "WORD_PAIRS",
    "Effect",
    "Record",
    "SeedScores",
    "Source",
    "Tables",
]

OBJECTIVES = (
    "token-contrastive",
    "token-l2",
    "sentence-contrastive",
    "tlm",
    "mlm",
    "other",  # a loss outside the option space (word-alignment attention, ELECTRA-like, ...)
)
SCHEDULES = ("sequential", "joint", "post-hoc")
FROZEN_LAYERS = ("none", "lower-half", "upper-half")
WORD_PAIRS = ("dictionary", "fast-align", "awesome-align", "mutual-argmax", "file")
TASK_LEVELS = {
    "pos": "token",
    "ner": "token",
    "slots": "token",
    "topic": "sentence",
    "intent": "sentence",
    "sentiment": "sentence",
    "nli": "pair",
    "paraphrase": "pair",
    "qa": "span",
    "retrieval": "none",  # measures alignment itself, no fine-tuning
}
"""Level of every task in the evidence; ``span`` and ``none`` cannot be asked for."""
TASKS_SCORED_BY_F1 = frozenset({"ner", "slots", "qa"})
OWN_RECORDS = "own-records"
"""Source id of own trials."""
EARLY: Mapping[str, float] = {"quarter": 0.25, "half": 0.5}
"""Shares of fine-tuning after which own runs are scored, too, by the names that their columns begin with."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where effects come from. Sources of one ``group`` are not independent opinions."""

    id: str
    citation: str
    url: str | None
    group: str


@dataclass(frozen=True, slots=True)
class Effect:
    """An aligned model against its unaligned baseline on one language.

    Attributes:
        setup: the alignment data, in the source's words.
        benchmark: the test set, where a source has several for one task.
        baseline: score of the unaligned model, in points (0-100).
        gain: aligned minus baseline, in points.
        gain_sd: sample standard deviation over seeds of the paired gain.
        baseline_sd: the same of the baseline's score.
        aligned_sd: the same of the aligned score, where only that is known.
        scale: ``light`` (10^3-10^5 alignment steps) or ``pretraining`` (10^5-10^6 and extra data).
        comparison: ``vs-unaligned``, or ``marginal`` when against another aligned model.
        reliability: ``per-seed``, ``published``, ``unpublished`` or ``secondary``.
        locator: where in the source the number stands.
    """

    source_id: str
    model: str
    objective: str
    schedule: str
    frozen_layers: str
    word_pairs: str
    setup: str
    task: str
    benchmark: str
    metric: str
    source: str
    target: str
    baseline: float | None
    gain: float
    gain_sd: float | None
    baseline_sd: float | None
    aligned_sd: float | None
    n_seeds: int | None
    scale: str
    comparison: str
    reliability: str
    locator: str

    @property
    def kept_apart(self) -> str | None:
        """Why the effect must not be pooled with the others, or None if it may be."""
        reasons = {
            "average of other rows": self.target == "avg",
            "measures alignment itself, not transfer": self.schedule == "post-hoc",
            "alignment at the scale of pretraining": self.scale != "light",
            "compared with another aligned model": self.comparison != "vs-unaligned",
            "measured on the source language": self.source == self.target,
            "a loss outside the option space": self.objective == "other",
            "second metric of the same runs": self.metric == "em",
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    @property
    def level(self) -> str:
        """Level of the task."""
        return TASK_LEVELS[self.task]


@dataclass(frozen=True, slots=True)
class Record:
    """One own trial, averaged over seeds, with the probe's signals at ``theta_warm``.

    ``cosines`` maps a task gradient (``source``, ``target-labels``, ``target-projected``) to the
    noise-corrected cosine with the objective's gradient and its standard error.

    Attributes:
        baseline_scores, aligned_scores: in points, a seed each and paired; empty where not known.
        early_scores: the same two after a ``quarter`` and a ``half`` of fine-tuning, where they were taken.
        run_seconds, probe_seconds: wall time of an aligned run, and of the probe.
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


@dataclass(frozen=True, slots=True)
class SeedScores:
    """Scores of one configuration on one language, a seed each, in points; ``none`` is the baseline."""

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
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables, read and checked."""

    sources: Mapping[str, Source]
    effects: tuple[Effect, ...]
    scores: tuple[SeedScores, ...]
    records: tuple[Record, ...]
    languages: Mapping[str, LanguageFacts]
    models: Mapping[str, ModelFacts]
    sha256: str

    @property
    def pooled(self) -> tuple[Effect, ...]:
        """The effects a fit may pool."""
        return tuple(effect for effect in self.effects if effect.kept_apart is None)
