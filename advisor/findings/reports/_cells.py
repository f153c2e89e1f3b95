"""What validation scores predictions on: cells with outcomes of several options, and folds without leaks."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal, get_args

import numpy as np

from advisor.findings.evidence import Effect, SeedScores, Tables, standard_error
from advisor.options import FrozenLayers, Option, Schedule, WordPairs
from probes.catalogue import OBJECTIVES

Split = Literal["language", "model", "task", "source", "lab", "single language"]
*SPLITS, SINGLE = get_args(Split)
"""What is left out in turn; languages in blocks, or one at a time, which takes four times as long."""


_OPTION = attrgetter("objective", "schedule", "frozen_layers", "word_pairs")
_PAIRS = {"awesome-align": WordPairs.MUTUAL_ARGMAX, "fast-align": WordPairs.FILE}


@dataclass(frozen=True, slots=True)
class StudiedCell:
    """Everything one study measured on a model, task and language.

    Attributes:
        effects: one an option, in a fixed order of options.
    """

    effects: tuple[Effect, ...]

    @property
    def target(self) -> str:
        """The target language."""
        return self.effects[0].target

    @property
    def gains(self) -> tuple[float, ...]:
        """Of each option, in points."""
        return tuple(effect.gain for effect in self.effects)

    @property
    def options(self) -> tuple[Option, ...]:
        """As the option space has them."""
        return tuple(
            Option(
                objective=effect.objective,
                schedule=Schedule(effect.schedule),
                frozen_layers=FrozenLayers(effect.frozen_layers),
                word_pairs=_PAIRS.get(effect.word_pairs, WordPairs.DICTIONARY)
                if OBJECTIVES[effect.objective].word_pairs
                else None,
            )
            for effect in self.effects
        )

    @property
    def errors(self) -> tuple[float, ...]:
        """Standard errors of the gains."""
        return tuple(standard_error(effect) for effect in self.effects)


@dataclass(frozen=True, slots=True)
class Fold:
    """What is left out together: every row of some languages, or of one model, task, source or lab."""

    split: Split
    held: str


def cells(tables: Tables, split: Split) -> list[StudiedCell]:
    """The cells a split is scored on.

    Leaving a source out scores every study on what it measured. The other splits compare the same options
    everywhere: sequential token-contrastive alignment with dictionary pairs, with no layers, the lower half
    or the upper half frozen, in the studies whose per-seed scores are on file.
    """
    grouped: defaultdict[tuple[str, ...], list[Effect]] = defaultdict(list)
    with_seeds = {row.source_id for row in tables.scores}
    for effect in tables.pooled:
        compared = effect.source_id in with_seeds and (
            effect.objective,
            effect.schedule,
            effect.word_pairs,
        ) == ("token-contrastive", "sequential", "dictionary")
        if split in ("source", "lab") or compared:
            key = (effect.source_id, effect.model, effect.task, effect.source, effect.target)
            grouped[*key, effect.benchmark, effect.setup if split in ("source", "lab") else ""].append(effect)
    found = [StudiedCell(tuple(sorted(group, key=_OPTION))) for _, group in sorted(grouped.items())]
    if split in ("source", "lab"):
        return found
    most = max(len(cell.effects) for cell in found)
    return [cell for cell in found if len(cell.effects) == most]


def folds(tables: Tables, split: Split) -> list[Fold]:
    """The folds of a split: every value that has a cell."""
    return [
        Fold(split, held)
        for held in sorted({_value(tables, split, cell.effects[0]) for cell in cells(tables, split)})
    ]


def in_fold(tables: Tables, fold: Fold, effects: Sequence[Effect]) -> Iterator[bool]:
    """Whether each effect is left out in a fold."""
    return (_value(tables, fold.split, effect) == fold.held for effect in effects)


def _value(tables: Tables, split: Split, effect: Effect) -> str:
    if split == SINGLE:
        return effect.target
    if split == "language":
        return _block(tables, effect.target)
    return {"model": effect.model, "task": effect.task, "source": effect.source_id, "lab": effect.lab}[split]


_BLOCKS = 9
"""Of languages left out together."""
_scored: dict[str, list[str]] = {}


def _scored_languages(tables: Tables) -> list[str]:
    """The languages of the compared cells, kept by the tables they are of."""
    if tables.sha256 not in _scored:
        _scored[tables.sha256] = sorted({cell.target for cell in cells(tables, "language")})
    return _scored[tables.sha256]


def _block(tables: Tables, language: str) -> str:
    """The languages that are left out together with one: every ninth of those that are scored."""
    scored = _scored_languages(tables)
    if language not in scored:
        return language
    return " ".join(scored[scored.index(language) % _BLOCKS :: _BLOCKS])


def seed_floors(tables: Tables, found: Sequence[StudiedCell]) -> list[float]:
    """Regret, in each cell, of a chooser who sees all seeds but one and is scored on that one."""

    def key(row: Effect | SeedScores) -> tuple[str, ...]:
        where = (row.source_id, row.model, row.task, row.target)
        return (*where, row.objective, row.schedule, row.frozen_layers, row.word_pairs)

    seeds = {key(row): np.array(row.scores) for row in tables.scores}
    floors = []
    for cell in found:
        baseline = seeds[*key(cell.effects[0])[:4], "none", "", "none", ""]
        gains = np.stack([np.zeros_like(baseline), *(seeds[key(e)] - baseline for e in cell.effects)])
        others = gains.sum(axis=1, keepdims=True) - gains
        kept = gains[others.argmax(axis=0), np.arange(len(baseline))]
        floors.append(max(0.0, *cell.gains) - float(kept.mean()))
    return floors
