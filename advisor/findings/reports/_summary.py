"""What the evidence says, group by group: plain matched means with intervals and counts."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from advisor.findings.evidence import TABLES, CaseMaker, Effect, Tables, load_tables
from advisor.findings.reports._figures import render
from probes.schema import Frozen

_DRAWS = 2000


class GroupFinding(Frozen):
    """The effects of one group.

    Attributes:
        group: what the effects are grouped by.
        level: the group's value; ``A instead of B`` for matched differences.
        gain: mean gain in points, every language counting the same; for matched differences, how much
            more A gained than B in the same study, model, task and language.
        low, high: its 95 % interval; languages are drawn with all their effects.
        positive: share of effects above 0.
        effects, languages, sources: counts.
    """

    group: str
    level: str
    gain: float
    low: float
    high: float
    positive: float
    effects: int
    languages: int
    sources: int


class Summary(Frozen):
    """What ``show`` found."""

    findings_sha256: str
    effects: int
    pooled: int
    findings: tuple[GroupFinding, ...]

    def markdown(self) -> str:
        """The findings as Markdown tables, one a group."""
        groups = list(dict.fromkeys(finding.group for finding in self.findings))
        return render("summary", findings=self.findings, groups=groups)


def show(root: Path = TABLES) -> Summary:
    """Summarise the pooled effects by model, task, objective, language group and attribute of the option."""
    tables = load_tables(root)
    maker, languages = CaseMaker(tables), tables.languages
    latin = {code for code, facts in languages.items() if facts.script == "Latn"}
    groupings: Mapping[str, Callable[[Effect], str | None]] = {
        "model and task": lambda e: f"{e.model}, {e.task}",
        "task level": lambda e: e.level,
        "objective": lambda e: e.objective,
        "what pretraining saw of the language": lambda e: _RESOURCE[maker.of_effect(e).resource],
        "language family": lambda e: facts.family if (facts := languages.get(e.target)) else None,
        "script": lambda e: "Latin" if e.target in latin else "other",
    }
    findings = []
    for group, key in groupings.items():
        levels: defaultdict[str, list[tuple[Effect, float]]] = defaultdict(list)
        for effect in tables.pooled:
            if (level := key(effect)) is not None:
                levels[level].append((effect, effect.gain))
        findings += [_finding(group, level, rows) for level, rows in sorted(levels.items())]
    for group, attribute, base in _CONTRASTS:
        findings += _contrasts(tables, group, attribute, base)
    return Summary(
        findings_sha256=tables.sha256,
        effects=len(tables.effects),
        pooled=len(tables.pooled),
        findings=tuple(findings),
    )


_RESOURCE = {
    "high": "much of it (2 GiB or more)",
    "low": "little of it",
    "unseen": "nothing of it",
}
_CONTRASTS = (
    ("frozen layers, matched", "frozen_layers", "none"),
    ("schedule, matched", "schedule", "sequential"),
    ("word pairs, matched", "word_pairs", "dictionary"),
)


def _contrasts(tables: Tables, group: str, attribute: str, base: str) -> list[GroupFinding]:
    """Differences between effects that differ in one attribute only, by model."""
    options = ("objective", "schedule", "frozen_layers", "word_pairs")

    def rest(effect: Effect) -> tuple[object, ...]:
        others = [getattr(effect, name) for name in options if name != attribute]
        # studies name the alignment data after its word pairs, so only other attributes can match on it
        setup = effect.setup if attribute != "word_pairs" else ""
        where = (effect.source_id, effect.model, effect.task, effect.benchmark, effect.target, setup)
        return (*where, *others)

    bases = {rest(e): e.gain for e in tables.pooled if getattr(e, attribute) == base}
    levels: defaultdict[str, list[tuple[Effect, float]]] = defaultdict(list)
    for effect in tables.pooled:
        value = getattr(effect, attribute)
        if value and value != base and rest(effect) in bases:
            level = f"{value} instead of {base}: {effect.model}, {effect.level} level"
            levels[level].append((effect, effect.gain - bases[rest(effect)]))
    return [_finding(group, level, rows) for level, rows in sorted(levels.items())]


def _finding(group: str, level: str, rows: Sequence[tuple[Effect, float]]) -> GroupFinding:
    by_language: defaultdict[str, list[float]] = defaultdict(list)
    for effect, value in rows:
        by_language[effect.target].append(value)
    means = np.array([np.mean(values) for values in by_language.values()])
    generator = np.random.default_rng(0)
    drawn = means[generator.integers(len(means), size=(_DRAWS, len(means)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return GroupFinding(
        group=group,
        level=level,
        gain=float(means.mean()),
        low=low,
        high=high,
        positive=float(np.mean([value > 0 for _, value in rows])),
        effects=len(rows),
        languages=len(means),
        sources=len({effect.source_id for effect, _ in rows}),
    )
