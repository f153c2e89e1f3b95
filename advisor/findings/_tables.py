"""The evidence tables: published effects, per-seed scores, own records and facts about languages and models.

Layout under ``tables/``::

    sources.csv               one line a source: citation, URL, research group
    effects/<source_id>.csv   one line a comparison of an aligned model with its unaligned baseline
    scores/<source_id>.csv    one line a configuration and language, one column a seed
    records.csv               own trials: outcome and probe signals
    languages.csv             facts per language
    languages_uriel.csv       typological distances to English (CC BY-SA 4.0, see the licence beside it)
    models.csv                facts per encoder

Adding a paper's results takes one file under ``effects/`` and one line in ``sources.csv``.
"""

import csv
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from advisor.findings._languages import LanguageFacts
from advisor.findings._models import ModelFacts, normalise_model
from probes.errors import InputError

__all__ = ["OWN_RECORDS", "TABLES", "Effect", "Record", "SeedScores", "Source", "Tables", "load_tables"]

TABLES = Path(__file__).parent / "tables"

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
class Tables:
    """All tables, read and checked."""

    sources: Mapping[str, Source]
    effects: tuple[Effect, ...]
    scores: tuple["SeedScores", ...]
    records: tuple[Record, ...]
    languages: Mapping[str, LanguageFacts]
    models: Mapping[str, ModelFacts]
    sha256: str

    @property
    def pooled(self) -> tuple[Effect, ...]:
        """The effects a fit may pool."""
        return tuple(effect for effect in self.effects if effect.kept_apart is None)


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


_Number = TypeVar("_Number", int, float)


class _Row:
    """One CSV line with typed access; a bad cell is an InputError that names file, line and column."""

    def __init__(self, path: Path, line: int, cells: Mapping[str, str | None]) -> None:
        self._path, self.line, self.cells = path, line, cells

    def fail(self, column: str, reason: str) -> InputError:
        return InputError(f"{self._path.name} line {self.line}, column '{column}': {reason}.")

    def text(self, column: str, choices: tuple[str, ...] | None = None) -> str:
        value = self.cells.get(column)
        if value is None:
            raise self.fail(column, "the column is missing, so add it to the header and to every line")
        if choices is not None and value not in choices:
            raise self.fail(column, f"'{value}' is not one of {', '.join(c or '(blank)' for c in choices)}")
        return value

    def number(self, column: str) -> float:
        value = self.maybe_number(column)
        if value is None:
            raise self.fail(column, "a number is needed here")
        return value

    def maybe_number(self, column: str) -> float | None:
        return self._cast(column, float)

    def numbers(self, column: str) -> tuple[float, ...]:
        """Numbers separated by spaces; none where the column is missing."""
        try:
            return tuple(map(float, (self.cells.get(column) or "").split()))
        except ValueError:
            raise self.fail(column, "numbers separated by spaces are needed here") from None

    def maybe_count(self, column: str) -> int | None:
        return self._cast(column, int)

    def flag(self, column: str) -> bool:
        return self.text(column, ("true", "false")) == "true"

    def _cast(self, column: str, kind: Callable[[str], _Number]) -> _Number | None:
        text = self.text(column)
        if not text:
            return None
        try:
            value = kind(text)
        except ValueError:
            raise self.fail(column, f"'{text}' is not a number") from None
        if not math.isfinite(value):
            raise self.fail(column, "the number must be finite")
        return value


def _rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for cells in reader:
            yield _Row(path, reader.line_num, cells)


def _option_fields(row: _Row, baseline: bool = False) -> dict[str, str]:
    blank = ("",) if baseline else ()
    return {
        "objective": row.text("objective", (*OBJECTIVES, *(("none",) if baseline else ()))),
        "schedule": row.text("schedule", (*SCHEDULES, *blank)),
        "frozen_layers": row.text("frozen_layers", FROZEN_LAYERS),
        "word_pairs": row.text("word_pairs", (*WORD_PAIRS, "")),
    }


def _read_effects(path: Path) -> Iterator[Effect]:
    for row in _rows(path):
        yield Effect(
            source_id=path.stem,
            model=row.text("model"),
            **_option_fields(row),
            setup=row.text("setup"),
            task=row.text("task", tuple(TASK_LEVELS)),
            benchmark=row.text("benchmark"),
            metric=row.text("metric", ("accuracy", "f1", "em", "unstated")),
            source=row.text("source"),
            target=row.text("target"),
            baseline=row.maybe_number("baseline"),
            gain=row.number("gain"),
            gain_sd=row.maybe_number("gain_sd"),
            baseline_sd=None,
            aligned_sd=row.maybe_number("aligned_sd"),
            n_seeds=row.maybe_count("n_seeds"),
            scale=row.text("scale", ("light", "pretraining")),
            comparison=row.text("comparison", ("vs-unaligned", "marginal")),
            reliability=row.text("reliability", ("per-seed", "published", "unpublished", "secondary")),
            locator=row.text("locator"),
        )


def _read_scores(path: Path) -> Iterator[SeedScores]:
    for row in _rows(path):
        seeds = [column for column in row.cells if column.startswith("seed_")]
        yield SeedScores(
            source_id=path.stem,
            model=row.text("model"),
            task=row.text("task", tuple(TASK_LEVELS)),
            metric=row.text("metric", ("accuracy", "f1", "em")),
            **_option_fields(row, baseline=True),
            source=row.text("source"),
            target=row.text("target"),
            scores=tuple(row.number(column) for column in seeds),
        )


def _sd(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None for fewer than two values."""
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _effects_of_scores(scores: list[SeedScores], source_id: str) -> Iterator[Effect]:
    """Paired gains: every configuration against the baseline of the same seeds."""
    baselines = {
        (row.model, row.task, row.source, row.target): row.scores for row in scores if row.objective == "none"
    }
    for row in scores:
        if row.objective == "none":
            continue
        baseline = baselines[row.model, row.task, row.source, row.target]
        gains = [after - before for after, before in zip(row.scores, baseline, strict=True)]
        n = len(gains)
        yield Effect(
            source_id=source_id,
            model=row.model,
            objective=row.objective,
            schedule=row.schedule,
            frozen_layers=row.frozen_layers,
            word_pairs=row.word_pairs,
            setup="",
            task=row.task,
            benchmark="",
            metric=row.metric,
            source=row.source,
            target=row.target,
            baseline=sum(baseline) / n,
            gain=sum(gains) / n,
            gain_sd=_sd(gains),
            baseline_sd=_sd(baseline),
            aligned_sd=_sd(row.scores),
            n_seeds=n,
            scale="light",
            comparison="vs-unaligned",
            reliability="per-seed",
            locator=f"per-seed scores, scores/{source_id}.csv",
        )


def _effect_of_record(record: Record) -> Effect:
    return Effect(
        source_id=OWN_RECORDS,
        model=record.model,
        objective=record.objective,
        schedule=record.schedule,
        frozen_layers=record.frozen_layers,
        word_pairs=record.word_pairs,
        setup="",
        task=record.task,
        benchmark="",
        metric="f1" if TASKS_SCORED_BY_F1 & {record.task} else "accuracy",
        source=record.source,
        target=record.target,
        baseline=record.baseline,
        gain=record.gain,
        gain_sd=record.gain_sd,
        baseline_sd=_sd(record.baseline_scores),
        aligned_sd=_sd(record.aligned_scores),
        n_seeds=record.seeds,
        scale="light",
        comparison="vs-unaligned",
        reliability="per-seed",
        locator=f"records.csv, {record.id}",
    )


_COSINES = {
    "source": "source_cosine",
    "target-labels": "target_labels_cosine",
    "target-projected": "target_projected_cosine",
}


def _read_records(path: Path) -> Iterator[Record]:
    for row in _rows(path):
        cosines: dict[str, tuple[float, float]] = {}
        for name, column in _COSINES.items():
            value = row.maybe_number(column)
            if value is not None:
                cosines[name] = (value, row.maybe_number(f"{column}_se") or 0.0)
        yield Record(
            id=row.text("id"),
            model=row.text("model"),
            source=row.text("source"),
            target=row.text("target"),
            task=row.text("task", tuple(TASK_LEVELS)),
            **_option_fields(row),
            weight=row.maybe_number("weight"),
            seeds=row.maybe_count("seeds") or 1,
            baseline=row.maybe_number("baseline"),
            gain=row.number("gain"),
            gain_sd=row.maybe_number("gain_sd"),
            cosines=cosines,
            baseline_scores=row.numbers("baseline_scores"),
            aligned_scores=row.numbers("aligned_scores"),
            early_scores={
                share: (row.numbers(f"{share}_baseline_scores"), row.numbers(f"{share}_aligned_scores"))
                for share in EARLY
            },
            run_seconds=next(iter(row.numbers("run_seconds")), None),
            probe_seconds=next(iter(row.numbers("probe_seconds")), None),
            signals=_signals(row),
        )


def _signals(row: _Row) -> dict[str, float]:
    """What the columns after ``probe_budget`` hold, but for those of several numbers."""
    columns = list(row.cells)
    first = columns.index("probe_budget") + 1 if "probe_budget" in columns else len(columns)
    names = [name for name in columns[first:] if not name.endswith("_by_layer")]
    return {name: value for name in names if (value := row.maybe_number(name)) is not None}


def _read_languages(root: Path) -> Iterator[LanguageFacts]:
    distances = {row.text("code"): row for row in _rows(root / "languages_uriel.csv")}
    for row in _rows(root / "languages.csv"):
        code = row.text("code")
        uriel = distances.get(code)
        yield LanguageFacts(
            code=code,
            name=row.text("name"),
            script=row.text("script"),
            family=row.text("family"),
            genus=row.text("genus"),
            spaced=row.flag("space_delimited"),
            cc100_gib=row.number("cc100_gib"),
            wikipedia_gib=row.maybe_number("wiki2020_gib") or 0.0,
            in_cc100=row.flag("in_cc100_release"),
            in_wikipedia=row.flag("in_mbert"),
            syntactic=uriel.maybe_number("knn_syntactic") if uriel else None,
            genetic=uriel.maybe_number("genetic") if uriel else None,
            geographic=uriel.maybe_number("geographic") if uriel else None,
        )


def _read_models(path: Path) -> Iterator[tuple[str, ModelFacts]]:
    for row in _rows(path):
        name = row.text("name")
        facts = ModelFacts(
            name=name,
            parameters_m=row.maybe_number("parameters_m"),
            layers=row.maybe_count("layers"),
            corpus=row.text("corpus", ("cc100", "wikipedia", "other")),
        )
        yield name, facts
        for alias in row.text("aliases").split():
            yield normalise_model(alias), facts


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.csv")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@lru_cache(maxsize=4)
def load_tables(root: Path = TABLES) -> Tables:
    """Read every table.

    Raises:
        InputError: if a cell does not fit its column's type, naming file, line and column; or if an
            effect's source is missing from ``sources.csv``.
    """
    sources = {
        row.text("source_id"): Source(
            id=row.text("source_id"),
            citation=row.text("citation"),
            url=row.text("url") or None,
            group=row.text("group"),
        )
        for row in _rows(root / "sources.csv")
    }
    effects: list[Effect] = []
    scores: list[SeedScores] = []
    for path in sorted((root / "scores").glob("*.csv")):
        read = list(_read_scores(path))
        scores += read
        effects += _effects_of_scores(read, path.stem)
    for path in sorted((root / "effects").glob("*.csv")):
        effects += _read_effects(path)
    records = tuple(_read_records(root / "records.csv"))
    effects += map(_effect_of_record, records)
    for name in {effect.source_id for effect in effects} - set(sources):
        raise InputError(f"sources.csv has no line for '{name}': add its citation and URL there.")
    return Tables(
        sources=sources,
        effects=tuple(effects),
        scores=tuple(scores),
        records=records,
        languages={facts.code: facts for facts in _read_languages(root)},
        models=dict(_read_models(root / "models.csv")),
        sha256=_digest(root),
    )
