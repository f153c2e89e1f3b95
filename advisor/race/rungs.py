"""How far a run has got, and what it costs to get there.

A *rung* is a share of either phase of a run. Fine-tuning alone and joint training have no alignment phase of
their own: for them the share of alignment is 1. Shares are of the whole run, whose learning-rate schedules
they are cut from: what is run at a rung is the beginning of the whole run, so nothing is lost by going on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.options import NO_ALIGNMENT, Option, Schedule

SHARES = (0.125, 0.25, 0.5, 1.0)
"""Shares of a phase after which a race may look."""
_ALIGNMENT_PASSES = 2
"""Passes over a batch that a step of an alignment loss takes, one a language."""


@dataclass(frozen=True, slots=True, order=True)
class Rung:
    """Shares (0-1) of the alignment phase and of fine-tuning."""

    align: float
    tune: float

    @property
    def halvings(self) -> tuple[float, float]:
        """How often either phase would have to double to be whole."""
        return -math.log2(self.align), -math.log2(self.tune)


WHOLE = Rung(1.0, 1.0)


@dataclass(frozen=True, slots=True)
class RungPlan:
    """The length of a whole run, in optimiser steps."""

    align_steps: int
    tune_steps: int

    def steps(self, rung: Rung) -> tuple[int, int]:
        """Optimiser steps of alignment and of fine-tuning at a rung."""
        return (
            max(1, round(rung.align * self.align_steps)),
            max(1, round(rung.tune * self.tune_steps)),
        )

    def passes(self, option: Option, rung: Rung, reached: Rung | None = None) -> float:
        """Forward and backward passes over a batch from one rung of an option (None: the start) to the next.

        Alignment goes on from where it stopped. Fine-tuning does so only on an encoder that was not aligned
        further meanwhile; otherwise it starts anew.
        """
        tune = rung.tune * self.tune_steps
        before = 0.0 if reached is None or reached.align < rung.align else reached.tune * self.tune_steps
        if option == NO_ALIGNMENT:
            return tune - before
        if option.schedule is Schedule.JOINT:
            return (1 + _ALIGNMENT_PASSES) * (tune - before)
        aligned = 0.0 if reached is None else reached.align
        return _ALIGNMENT_PASSES * (rung.align - aligned) * self.align_steps + tune - before


def rungs_of(option: Option, shares: Sequence[float] = SHARES) -> list[Rung]:
    """Every rung of an option, the whole run last."""
    phased = option.schedule is Schedule.SEQUENTIAL
    return [Rung(align, tune) for align in (shares if phased else (1.0,)) for tune in shares]
