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
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

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


def _option_fields(row: Row, baseline: bool = False) -> dict[str, str]:
    blank = ("",) if baseline else ()
    return {
        "objective": row.text("objective", (*OBJECTIVES, *OUTSIDE, *(("none",) if baseline else ()))),
        "schedule": row.text("schedule", (*SCHEDULES, *blank)),
        "frozen_layers": row.text("frozen_layers", FROZEN_LAYERS),
        "word_pairs": row.text("word_pairs", (*WORD_PAIRS, "")),
    }


class _Dose(TypedDict):
    """How much alignment and fine-tuning there was, as far as a source says."""

    pairs_per_language: int | None
    aligned_languages: int | None
    target_aligned: bool | None
    align_steps: int | None
    train_steps: int | None


def _dose(row: Row) -> _Dose:
    return {
        "pairs_per_language": row.maybe_count("pairs_per_language"),
        "aligned_languages": row.maybe_count("aligned_languages"),
        "target_aligned": row.maybe_flag("target_aligned"),
        "align_steps": row.maybe_count("align_steps"),
        "train_steps": row.maybe_count("train_steps"),
    }


def _read_effects(path: Path, lab: str) -> Iterator[Effect]:
    for row in read_rows(path):
        yield Effect(
            source_id=path.stem,
            lab=lab,
            model=row.text("model"),
            **_option_fields(row),
            setup=row.text("setup"),
            task=row.text("task", (*TASKS, *PUBLISHED_ONLY)),
            benchmark=row.text("benchmark"),
            metric=row.text("metric", ("accuracy", "f1", "em", "unstated")),
            source=row.text("source"),
            target=row.text("target"),
            baseline=row.maybe_number("baseline"),
            aligned=row.maybe_number("aligned"),
            gain=row.number("gain"),
            gain_sd=row.maybe_number("gain_sd"),
            baseline_sd=None,
            aligned_sd=row.maybe_number("aligned_sd"),
            n_seeds=row.maybe_count("n_seeds"),
            stratum=row.text("stratum", tuple(STRATA)),
            comparison=row.text("comparison", ("vs-unaligned", "marginal")),
            reliability=row.text("reliability", ("per-seed", "published", "unpublished", "secondary")),
            checkpoint=row.text("checkpoint"),
            **_dose(row),
            locator=row.text("locator"),
        )


def _read_scores(path: Path) -> Iterator[SeedScores]:
    for row in read_rows(path):
        seeds = [column for column in row.cells if column.startswith("seed_")]
        yield SeedScores(
            source_id=path.stem,
            model=row.text("model"),
            task=row.text("task", (*TASKS, *PUBLISHED_ONLY)),
            metric=row.text("metric", ("accuracy", "f1", "em")),
            **_option_fields(row, baseline=True),
            source=row.text("source"),
            target=row.text("target"),
            **_dose(row),
            scores=tuple(row.number(column) for column in seeds),
        )


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
            source_id=source.id,
            lab=source.lab,
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
            aligned=sum(row.scores) / n,
            gain=sum(gains) / n,
            gain_sd=sample_sd(gains),
            baseline_sd=sample_sd(baseline),
            aligned_sd=sample_sd(row.scores),
            n_seeds=n,
            stratum="light",
            comparison="vs-unaligned",
            reliability="per-seed",
            checkpoint="",
            pairs_per_language=row.pairs_per_language,
            aligned_languages=row.aligned_languages,
            target_aligned=row.target_aligned,
            align_steps=row.align_steps,
            train_steps=row.train_steps,
            locator=f"per-seed scores, scores/{source.id}.csv",
        )


def _effect_of_record(record: OwnRecord, lab: str) -> Effect:
    return Effect(
        source_id=OWN_RECORDS,
        lab=lab,
        model=record.model,
        objective=record.objective,
        schedule=record.schedule,
        frozen_layers=record.frozen_layers,
        word_pairs=record.word_pairs,
        setup="",
        task=record.task,
        benchmark="",
        metric=METRICS[TASKS[record.task].metric].published,
        source=record.source,
        target=record.target,
        baseline=record.baseline,
        aligned=None if record.baseline is None else record.baseline + record.outcome,
        gain=record.outcome,
        gain_sd=record.gain_sd,
        baseline_sd=sample_sd(record.baseline_scores),
        aligned_sd=sample_sd(record.aligned_scores),
        n_seeds=record.seeds,
        stratum="own-short",
        comparison="vs-unaligned",
        reliability="per-seed",
        checkpoint="",
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
    for row in read_rows(path):
        cosines: dict[str, tuple[float, float]] = {}
        for name, column in _COSINES.items():
            value = row.maybe_number(column)
            if value is not None:
                cosines[name] = (value, row.maybe_number(f"{column}_se") or 0.0)
        yield OwnRecord(
            id=row.text("id"),
            model=row.text("model"),
            source=row.text("source"),
            target=row.text("target"),
            task=row.text("task", (*TASKS, *PUBLISHED_ONLY)),
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
            late_scores=(row.numbers("late_baseline_scores"), row.numbers("late_aligned_scores")),
            run_seconds=next(iter(row.numbers("run_seconds")), None),
            probe_seconds=next(iter(row.numbers("probe_seconds")), None),
            signals=_signals(row),
            steps=row.maybe_count("steps") if "steps" in row.cells else None,
            align_steps=row.maybe_count("align_steps") if "align_steps" in row.cells else None,
            device=row.cells.get("device") or "",
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
    labs = {
        row.text("lab"): Lab(row.text("lab"), row.text("people"), row.text("code") or None)
        for row in read_rows(root / "labs.csv")
    }
    sources = {
        row.text("source_id"): Source(
            id=row.text("source_id"),
            citation=row.text("citation"),
            url=row.text("url") or None,
            lab=row.text("lab"),
        )
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
