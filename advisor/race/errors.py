"""What a score on the way tells about the gain at the end: the error model of the race.

The gain of arm k at a look, paired by seed with fine-tuning alone at the same look, is taken to be

    y = slope(rung) * theta_k + drift + seed + look

where ``theta_k`` is the gain of the whole run, expected over seeds. With ``a`` and ``t`` for how often the
alignment phase and fine-tuning would have to double to be whole:

- ``slope = 2 ** (tune_slope * t - align_slope * a)``: short fine-tuning exaggerates gains (head starts),
  short alignment understates them;
- *drift* is what the end will be off from that, whatever the seed: a random walk in ``t`` and in ``a`` that
  ends in 0, with variance ``tune_drift**2`` and ``align_drift**2`` a doubling. ``drift_shared`` of the first
  is common to all arms, since fine-tuning alone, which they are all compared with, drifts as well;
- *seed* stays the same along a run, *look* is new at each; ``baseline_share`` of either is fine-tuning
  alone's, and so common to the arms.

Everything is normal given the cell's scale, which has an inverse-gamma distribution with ``tails`` degrees of
freedom: some cells are wilder than others, and what they show first tells it (a Student-t process; Shah,
Wilson and Ghahramani 2014).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from advisor.race.rungs import Rung

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, order=True)
class Look:
    """A look at a run: which arm (its place, fine-tuning alone not counted), which seed, how far."""

    arm: int
    seed: int
    rung: Rung


@dataclass(frozen=True, slots=True)
class Looks:
    """Looks as columns, shape (n,) each; ``align`` and ``tune`` in doublings that are missing."""

    arm: NDArray[np.intp]
    seed: NDArray[np.intp]
    align: Array
    tune: Array

    @classmethod
    def of(cls, looks: Sequence[Look]) -> "Looks":
        """The columns of ``looks``."""
        halvings = np.array([look.rung.halvings for look in looks], dtype=np.float64).reshape(-1, 2)
        return cls(
            np.array([look.arm for look in looks], dtype=np.intp),
            np.array([look.seed for look in looks], dtype=np.intp),
            halvings[:, 0],
            halvings[:, 1],
        )


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """The parameters; standard deviations in points.

    Attributes:
        by_level: factor on all errors for tasks of a level (1 for levels that were not seen).
        cell_sd, objective_sd, schedule_sd, own_sd: of the gains before anything is known, by what arms have
            in common: the cell, the objective, the schedule, nothing.
        shift: how much more runs of this code gain than findings expect of a lab that they have not seen, on
            the findings' scale.
    """

    tune_slope: float = 0.1
    align_slope: float = 0.3
    tune_drift: float = 1.0
    align_drift: float = 1.5
    drift_shared: float = 0.5
    seed: float = 0.8
    look: float = 0.8
    baseline_share: float = 0.5
    tails: float = 5.0
    by_level: Mapping[str, float] = field(default_factory=dict)
    cell_sd: float = 3.0
    objective_sd: float = 1.0
    schedule_sd: float = 2.0
    own_sd: float = 1.0
    shift: float = 0.0

    def slope(self, looks: Looks) -> Array:
        """What a look shows of the final gain, shape (n,)."""
        return np.asarray(2.0 ** (self.tune_slope * looks.tune - self.align_slope * looks.align))

    def covariance(self, rows: Looks, columns: Looks, level: str) -> Array:
        """Covariance of the errors of two sets of looks at one cell, shape (rows, columns)."""
        own = rows.arm[:, None] == columns.arm[None, :]
        same_seed = rows.seed[:, None] == columns.seed[None, :]
        same_tune = rows.tune[:, None] == columns.tune[None, :]
        same_align = rows.align[:, None] == columns.align[None, :]
        of_tune = np.where(own, 1.0, self.drift_shared) * np.minimum.outer(rows.tune, columns.tune)
        of_align = own * np.minimum.outer(rows.align, columns.align)
        of_run = np.where(own, 1.0, self.baseline_share)
        of_look = np.where(own & same_align, 1.0, self.baseline_share)
        total = self.tune_drift**2 * of_tune + self.align_drift**2 * of_align
        total += same_seed * (self.seed**2 * of_run + self.look**2 * same_tune * of_look)
        return np.asarray(self.by_level.get(level, 1.0) ** 2 * total)

    def correlation(self, objectives: Sequence[str], schedules: Sequence[str]) -> Array:
        """How the final gains of arms go together before anything is known, shape (arms, arms)."""
        shared = np.full((len(objectives),) * 2, self.cell_sd**2)
        shared += self.objective_sd**2 * _same(objectives) + self.schedule_sd**2 * _same(schedules)
        shared += self.own_sd**2 * np.eye(len(objectives))
        return np.asarray(shared / shared[0, 0]) if len(objectives) else shared

    def spread(self) -> float:
        """Standard deviation of an arm's gain before anything is known."""
        parts = (self.cell_sd, self.objective_sd, self.schedule_sd, self.own_sd)
        return float(np.sqrt(np.sum(np.square(parts))))


def _same(names: Sequence[str]) -> Array:
    columns = np.array(names, dtype=object)
    return np.asarray(columns[:, None] == columns[None, :], dtype=np.float64)
