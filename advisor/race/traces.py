"""Runs that were looked at on the way, cell by cell, for the error model and for replays."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from advisor.options import Option
from advisor.race.errors import Look
from advisor.race.rungs import WHOLE, RungPlan

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """Everything that was seen in one cell.

    Attributes:
        group: the model and the task.
        level: of the task.
        plan: the length of its runs.
        options: the arms, fine-tuning alone not among them.
        gains: by look, in points.
        expected, expected_sd: of each arm, by findings that never saw the group; shape (arms,).
        signalled: ``expected`` moved by what a probe of the cell measured.
        probe_seconds: what that probe took.
        seconds: of a whole aligned run, usually.
    """

    group: tuple[str, str]
    target: str
    level: str
    plan: RungPlan
    options: tuple[Option, ...]
    gains: Mapping[Look, float]
    expected: Array | None = None
    expected_sd: Array | None = None
    signalled: Array | None = None
    probe_seconds: float | None = None
    seconds: float | None = None
    _looks: dict[tuple[int, int], list[Look]] = field(default_factory=dict, init=False, compare=False)

    def __post_init__(self) -> None:
        by_run: defaultdict[tuple[int, int], list[Look]] = defaultdict(list)
        for look in self.gains:
            by_run[look.arm, look.seed].append(look)
        self._looks.update(by_run)

    def looks(self, arm: int, seed: int) -> Sequence[Look]:
        """Where a run was looked at."""
        return self._looks.get((arm, seed), ())

    @property
    def seeds(self) -> list[int]:
        """Seeds with which every arm was run to its end."""
        seeds = sorted({look.seed for look in self.gains})
        whole = range(len(self.options))
        return [seed for seed in seeds if all(Look(arm, seed, WHOLE) in self.gains for arm in whole)]

    def final(self, seeds: Sequence[int]) -> Array:
        """Final gain of each arm, the mean over ``seeds``; shape (arms,)."""
        arms = range(len(self.options))
        return np.array([np.mean([self.gains[Look(arm, seed, WHOLE)] for seed in seeds]) for arm in arms])
