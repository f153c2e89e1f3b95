"""A linter for the evidence tables: impossible rows, duplicates, unknown names, scores at a ceiling."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from advisor.findings.evidence._effects import MIXTURES, OWN_RECORDS, Effect, Tables
from advisor.findings.evidence._tables import TABLES, load_tables
from probes.catalogue import OBJECTIVES
from probes.errors import InputError
from probes.schema import Frozen

_ROUNDING = 0.011
"""Points by which published scores and gains may disagree: both are rounded to two decimals."""
_CEILING = 98.0
"""Points from which on a score leaves no room for a gain, and says little about it."""
_STEPS: dict[str, tuple[int, int]] = {
    "light": (1_000, 100_000),
    "own-short": (1, 10_000),
    "pretraining": (10_000, 10_000_000),
}
"""Fewest and most alignment steps of a stratum."""


class Issue(Frozen):
    """Something wrong (``error``) or doubtful (``warning``) in the tables."""

    severity: Literal["error", "warning"]
    where: str
    text: str


class CheckReport(Frozen):
    """What ``check`` found.

    Attributes:
        effects: rows read, of which ``pooled`` may be pooled in a fit.
        strata: rows by the kind of study.
        labs: rows by who ran them.
        kept_apart: why the others are not, with counts.
        issues: errors first.
    """

    effects: int = 0
    pooled: int = 0
    strata: dict[str, int] = Field(default_factory=dict)
    labs: dict[str, int] = Field(default_factory=dict)
    kept_apart: dict[str, int] = Field(default_factory=dict)
    sources: int = 0
    languages: int = 0
    records: int = 0
    issues: tuple[Issue, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not any(issue.severity == "error" for issue in self.issues)

    def markdown(self) -> str:
        """The report as Markdown."""
        lines = [
            f"{self.effects} effects of {self.sources} sources on {self.languages} languages, "
            f"{self.pooled} of them pooled; {self.records} own records.",
            "",
            f"- strata: {_counts(self.strata)}",
            f"- {len(self.labs)} labs: {_counts(self.labs)}",
            *(f"- kept apart: {count} ({reason})" for reason, count in self.kept_apart.items()),
            *(f"- **{issue.severity}** {issue.where}: {issue.text}" for issue in self.issues),
        ]
        return "\n".join(lines)


def _error(where: str, text: str) -> Issue:
    return Issue(severity="error", where=where, text=text)


def _warning(where: str, text: str) -> Issue:
    return Issue(severity="warning", where=where, text=text)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def check(root: Path = TABLES) -> CheckReport:
    """Check the tables under ``root``.

    A cell that cannot even be read ends the check with that one error.
    """
    try:
        tables = load_tables(root)
    except InputError as error:
        return CheckReport(issues=(_error(str(error).split(",")[0], str(error)),))
    apart = Counter(reason for effect in tables.effects if (reason := effect.kept_apart))
    issues = [
        *_effect_issues(tables),
        *_ceilings(tables),
        *_unit_scales(tables),
        *_duplicates(tables),
        *_repeats(tables),
        *_source_issues(tables),
        *_encoder_issues(tables),
    ]
    return CheckReport(
        effects=len(tables.effects),
        pooled=len(tables.pooled),
        strata=dict(Counter(effect.stratum for effect in tables.effects).most_common()),
        labs=dict(Counter(effect.lab for effect in tables.effects).most_common()),
        kept_apart=dict(apart.most_common()),
        sources=len({effect.source_id for effect in tables.effects}),
        languages=len({effect.target for effect in tables.effects} - {"avg"}),
        records=len(tables.records),
        issues=tuple(sorted(issues, key=lambda issue: issue.severity)),
    )


def _where(effect: Effect) -> str:
    return f"{effect.source_id}, {effect.model} {effect.task} {effect.target}"


def _effect_issues(tables: Tables) -> Iterator[Issue]:
    for effect in tables.effects:
        for wrong in _impossible(effect, tables):
            yield _error(_where(effect), wrong)
        objective = OBJECTIVES.get(effect.objective)
        if effect.unfit is None and objective and bool(effect.word_pairs) != objective.word_pairs:
            yield _warning(
                _where(effect),
                f"{effect.objective} {'without' if objective.word_pairs else 'with'} word pairs",
            )


def _impossible(effect: Effect, tables: Tables) -> Iterator[str]:
    if effect.baseline is not None:
        aligned = effect.baseline + effect.gain
        if not 0 <= effect.baseline <= 100:
            yield f"the baseline {effect.baseline:g} is no score between 0 and 100"
        elif not -_ROUNDING <= aligned <= 100 + _ROUNDING:
            yield f"the aligned score {aligned:g} is not between 0 and 100"
    elif not -100 <= effect.gain <= 100:
        yield f"no score can change by {effect.gain:g} points"
    if effect.aligned is not None and effect.baseline is not None:
        difference = effect.aligned - effect.baseline
        if abs(difference - effect.gain) > _ROUNDING:
            yield f"aligned minus baseline is {difference:g}, the gain is said to be {effect.gain:g}"
    yield from _impossible_spread(effect)
    yield from _impossible_conditions(effect)
    for name, code in (("source", effect.source), ("target", effect.target)):
        if code not in tables.languages and code not in MIXTURES:
            yield f"languages.csv has no {name} language '{code}'"
    if effect.model not in tables.encoders:
        yield f"encoders.csv has no model '{effect.model}'"


def _impossible_spread(effect: Effect) -> Iterator[str]:
    for name, sd in (("gain_sd", effect.gain_sd), ("aligned_sd", effect.aligned_sd)):
        if sd is not None and sd < 0:
            yield f"{name} {sd:g} is negative"
        if sd is not None and (effect.n_seeds or 1) < 2:
            yield f"{name} is given, but a standard deviation needs two seeds"
    if effect.n_seeds is not None and effect.n_seeds < 1:
        yield f"{effect.n_seeds} seeds"


def _impossible_conditions(effect: Effect) -> Iterator[str]:
    for name in ("aligned_languages", "align_steps", "train_steps"):
        count = getattr(effect, name)
        if count is not None and count < 1:
            yield f"{name} is {count}"
    if effect.pairs_per_language is not None and effect.pairs_per_language < 0:
        yield f"pairs_per_language is {effect.pairs_per_language}"
    fewest, most = _STEPS.get(effect.stratum, (1, 10_000_000))
    if effect.align_steps is not None and not fewest <= effect.align_steps <= most:
        yield f"{effect.align_steps:,} alignment steps do not belong to the stratum '{effect.stratum}'"
    if effect.stratum != "secondary" and effect.reliability == "secondary":
        yield "a secondary source outside the stratum 'secondary'"


def _ceilings(tables: Tables) -> Iterator[Issue]:
    """Scores without room: one warning a source."""
    near: Counter[str] = Counter()
    for effect in tables.effects:
        if effect.baseline is not None and max(effect.baseline, effect.baseline + effect.gain) >= _CEILING:
            near[effect.source_id] += 1
    for source_id, count in near.items():
        text = f"{count} scores of {_CEILING:g} or more: a ceiling hides what alignment does"
        yield _warning(source_id, text)


def _unit_scales(tables: Tables) -> Iterator[Issue]:
    """Scores between 0 and 1, as some papers print them, where points are due."""
    scores: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    for effect in tables.effects:
        if effect.baseline is not None:
            scores[effect.source_id, effect.task, effect.metric].append(effect.baseline)
    for (source_id, task, metric), baselines in scores.items():
        if max(baselines) <= 1:
            text = f"no {task} {metric} is above {max(baselines):g}: scores are in points, from 0 to 100"
            yield _error(source_id, text)


def _repeats(tables: Tables) -> Iterator[Issue]:
    """Comparisons that several sources report to the digit, and that are not said to be one checkpoint."""
    same: defaultdict[tuple[object, ...], list[Effect]] = defaultdict(list)
    for effect in tables.effects:
        if effect.baseline is not None and effect.kept_apart is None:
            key = (
                *(effect.model, effect.task, effect.metric, effect.source, effect.target, effect.objective),
                *(effect.schedule, effect.frozen_layers, effect.word_pairs),
                *(round(effect.baseline, 2), round(effect.gain, 2)),
            )
            same[key].append(effect)
    for effects in same.values():
        sources = sorted({effect.source_id for effect in effects})
        if len(sources) > 1 and not effects[0].checkpoint:
            text = f"the same scores stand in {' and '.join(sources)}: give them one checkpoint"
            yield _warning(_where(effects[0]), text)


def _duplicates(tables: Tables) -> Iterator[Issue]:
    seen = Counter(
        (
            *(effect.source_id, effect.model, effect.task, effect.benchmark, effect.metric, effect.source),
            *(effect.target, effect.objective, effect.schedule, effect.frozen_layers, effect.word_pairs),
            *(effect.setup, effect.stratum, effect.comparison),
            *(effect.pairs_per_language, effect.target_aligned),
            effect.locator if effect.source_id == OWN_RECORDS else "",
        )
        for effect in tables.effects
    )
    for key, count in seen.items():
        if count > 1:
            source_id, model, task, *_ = key
            told = ", ".join(map(str, filter(None, key[3:])))
            yield _error(
                f"{source_id}, {model} {task} {key[6]}", f"the same comparison stands in {count} rows: {told}"
            )


def _source_issues(tables: Tables) -> Iterator[Issue]:
    used = {effect.source_id for effect in tables.effects}
    for source in tables.sources.values():
        if source.id not in used and source.id != OWN_RECORDS:
            yield _warning("sources.csv", f"no effect cites '{source.id}'")
        if source.url is not None and not source.url.startswith("https://"):
            yield _error("sources.csv", f"'{source.url}' is no https address")
        if not source.citation:
            yield _error("sources.csv", f"'{source.id}' has no citation")
        if source.lab not in tables.labs:
            yield _error(source.id, f"labs.csv has no lab '{source.lab}'")


def _encoder_issues(tables: Tables) -> Iterator[Issue]:
    encoders = {encoder.name: encoder for encoder in tables.encoders.values()}
    for encoder in encoders.values():
        where = f"encoders.csv, {encoder.name}"
        if not encoder.citation:
            yield _error(where, "no citation")
        if encoder.parallel is False and {"tlm", "translation"} & set(encoder.objectives):
            yield _error(where, "trained on translations, but no parallel data")
    corpora = {corpus.name: corpus for encoder in encoders.values() for corpus in encoder.corpora}
    for corpus in corpora.values():
        named = len(corpus.languages or ())
        where = f"corpora.csv, {corpus.name}"
        if corpus.count is not None and named > corpus.count:
            yield _error(where, f"{named} languages, and {corpus.count} published")
        if corpus.languages and corpus.open & corpus.languages:
            yield _error(where, "languages that are both in it and open")
