"""The evidence tables: published effects, per-seed scores, own records and facts about languages and models.

Layout under ``tables/``::

    labs.csv                  one line a lab: people and codebase
    sources.csv               one line a source: citation, URL, lab
    effects/<source_id>.csv   one line a comparison of an aligned model with its unaligned baseline
    scores/<source_id>.csv    one line a configuration and language, one column a seed
    records.csv               own trials: outcome and probe signals
    languages.csv             facts per language
    languages_uriel.csv       typological distances to English (CC BY-SA 4.0, see the licence beside it)
    encoders.csv              facts per encoder
    corpora.csv               the languages of each corpus that an encoder was pretrained on

Adding a paper's results takes one file under ``effects/`` and one line in ``sources.csv``.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

from advisor.findings.evidence._effects import (
    EARLY,
    FROZEN_LAYERS,
    OUTSIDE,
    OWN_RECORDS,
    PUBLISHED_ONLY,
    SCHEDULES,
    STRATA,
    WORD_PAIRS,
    Effect,
    Lab,
    OwnRecord,
    SeedScores,
    Source,
    Tables,
)
from advisor.findings.evidence._facts import read_corpora, read_encoders, read_languages
from advisor.findings.evidence._rows import Row, read_rows
from probes.catalogue import METRICS, OBJECTIVES, TASKS
from probes.errors import InputError

TABLES = Path(__file__).parent.parent / "tables"


_SHARED = {field.name for field in fields(Effect)} & {field.name for field in fields(SeedScores)}
"""What seed scores say of an effect."""
_OPTION = ("objective", "schedule", "frozen_layers", "word_pairs")


def _choices() -> dict[str, tuple[str, ...]]:
    """What columns may hold."""
    return {
        "objective": (*OBJECTIVES, *OUTSIDE),
        "schedule": SCHEDULES,
        "frozen_layers": FROZEN_LAYERS,
        "word_pairs": (*WORD_PAIRS, ""),
        "task": (*TASKS, *PUBLISHED_ONLY),
        "metric": ("accuracy", "f1", "em", "unstated"),
        "stratum": tuple(STRATA),
        "comparison": ("vs-unaligned", "marginal"),
        "reliability": ("per-seed", "published", "unpublished", "secondary"),
    }


def _read_effects(path: Path, lab: str) -> Iterator[Effect]:
    choices = _choices()
    for row in read_rows(path):
        yield row.read(Effect, choices, source_id=path.stem, lab=lab, baseline_sd=None)


def _read_scores(path: Path) -> Iterator[SeedScores]:
    choices = _choices()
    choices |= {"objective": (*choices["objective"], "none"), "schedule": (*SCHEDULES, "")}
    for row in read_rows(path):
        scores = tuple(row.number(column) for column in row.cells if column.startswith("seed_"))
        yield row.read(SeedScores, choices, source_id=path.stem, scores=scores)


def sample_sd(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None for fewer than two values."""
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _effects_of_scores(scores: list[SeedScores], source: Source) -> Iterator[Effect]:
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
            **{name: getattr(row, name) for name in _SHARED},
            lab=source.lab,
            baseline=sum(baseline) / n,
            aligned=sum(row.scores) / n,
            gain=sum(gains) / n,
            gain_sd=sample_sd(gains),
            baseline_sd=sample_sd(baseline),
            aligned_sd=sample_sd(row.scores),
            n_seeds=n,
            stratum="light",
            reliability="per-seed",
            locator=f"per-seed scores, scores/{source.id}.csv",
        )


_OF_RECORD = ("model", "task", "source", "target", "baseline", "gain_sd", *_OPTION)


def _effect_of_record(record: OwnRecord, lab: str) -> Effect:
    return Effect(
        **{name: getattr(record, name) for name in _OF_RECORD},
        source_id=OWN_RECORDS,
        lab=lab,
        metric=METRICS[TASKS[record.task].metric].published,
        aligned=None if record.baseline is None else record.baseline + record.outcome,
        gain=record.outcome,
        baseline_sd=sample_sd(record.baseline_scores),
        aligned_sd=sample_sd(record.aligned_scores),
        n_seeds=record.seeds,
        stratum="own-short",
        reliability="per-seed",
        pairs_per_language=None,
        aligned_languages=1,
        target_aligned=True,
        align_steps=record.align_steps or record.steps,
        train_steps=record.steps,
        locator=f"records.csv, {record.id}",
    )


_COSINES = {
    "source": "source_cosine",
    "target-labels": "target_labels_cosine",
    "target-projected": "target_projected_cosine",
}


def _read_records(path: Path) -> Iterator[OwnRecord]:
    choices = _choices()
    for row in read_rows(path):
        cosines: dict[str, tuple[float, float]] = {}
        for name, column in _COSINES.items():
            value = row.maybe_number(column)
            if value is not None:
                cosines[name] = (value, row.maybe_number(f"{column}_se") or 0.0)
        yield row.read(
            OwnRecord,
            choices,
            seeds=row.maybe_count("seeds") or 1,
            cosines=cosines,
            early_scores={
                share: (row.numbers(f"{share}_baseline_scores"), row.numbers(f"{share}_aligned_scores"))
                for share in EARLY
            },
            late_scores=(row.numbers("late_baseline_scores"), row.numbers("late_aligned_scores")),
            signals=_signals(row),
            run_seconds=next(iter(row.numbers("run_seconds")), None),
            probe_seconds=next(iter(row.numbers("probe_seconds")), None),
        )


def _signals(row: Row) -> dict[str, float]:
    """What the columns after ``probe_budget`` hold, but for those of several numbers."""
    columns = list(row.cells)
    first = columns.index("probe_budget") + 1 if "probe_budget" in columns else len(columns)
    names = [name for name in columns[first:] if not name.endswith("_by_layer")]
    return {name: value for name in names if (value := row.maybe_number(name)) is not None}


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.csv")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _source(sources: Mapping[str, Source], name: str) -> Source:
    if name not in sources:
        raise InputError(f"sources.csv has no line for '{name}': add its citation, URL and lab there.")
    return sources[name]


@lru_cache(maxsize=4)
def load_tables(root: Path = TABLES) -> Tables:
    """Read every table.

    Raises:
        InputError: if a cell does not fit its column's type, naming file, line and column; or if an
            effect's source is missing from ``sources.csv``.
    """
    languages = {facts.code: facts for facts in read_languages(root)}
    corpora = {corpus.name: corpus for corpus in read_corpora(root / "corpora.csv", languages)}
    labs = {row.text("lab"): row.read(Lab, {}, id=row.text("lab")) for row in read_rows(root / "labs.csv")}
    sources = {
        row.text("source_id"): row.read(Source, {}, id=row.text("source_id"))
        for row in read_rows(root / "sources.csv")
    }
    effects: list[Effect] = []
    scores: list[SeedScores] = []
    for path in sorted((root / "scores").glob("*.csv")):
        read = list(_read_scores(path))
        scores += read
        effects += _effects_of_scores(read, _source(sources, path.stem))
    for path in sorted((root / "effects").glob("*.csv")):
        effects += _read_effects(path, _source(sources, path.stem).lab)
    records = tuple(_read_records(root / "records.csv"))
    if records:
        lab = _source(sources, OWN_RECORDS).lab
        effects += (_effect_of_record(record, lab) for record in records)
    return Tables(
        labs=labs,
        sources=sources,
        effects=tuple(effects),
        scores=tuple(scores),
        records=records,
        languages=languages,
        encoders=dict(read_encoders(root / "encoders.csv", corpora)),
        sha256=_digest(root),
    )
