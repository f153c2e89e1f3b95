"""Evidence rows as the effect model takes them, with what their seeds say about noise."""

import math
from collections.abc import Sequence

from advisor.findings._features import CaseMaker
from advisor.findings._tables import Effect
from advisor.findings.effects import Observation

__all__ = ["observations", "standard_error"]

_SEED_SD = 0.9
"""Standard deviation over seeds of a paired gain where none is published; about the median of the others."""
_LEAST = 0.05
"""Points; scores are rounded, and five seeds can agree by chance."""
_BASELINE_SHARE = 0.9
"""Most of a gain's standard error that its baseline may account for."""


def standard_error(effect: Effect) -> float:
    """Standard error of a gain, in points.

    From the paired gain's standard deviation over seeds; else from the aligned score's, taking the baseline's
    as equal and independent; else from the median of the evidence.
    """
    sd = effect.gain_sd
    if sd is None:
        sd = math.sqrt(2) * effect.aligned_sd if effect.aligned_sd is not None else _SEED_SD
    return max(sd / math.sqrt(effect.n_seeds or 1), _LEAST)


def observations(effects: Sequence[Effect], maker: CaseMaker) -> list[Observation]:
    """The effects as observations, the error of each split between its baseline and its aligned score."""
    found = []
    for effect in effects:
        total = standard_error(effect)
        if effect.baseline_sd is not None and effect.n_seeds:
            baseline_error = effect.baseline_sd / math.sqrt(effect.n_seeds)
        else:
            baseline_error = total / math.sqrt(2)
        # seeds are paired, so the two errors need not add up to the gain's: what is left is at least positive
        baseline_error = min(baseline_error, _BASELINE_SHARE * total)
        own = max(math.sqrt(total**2 - baseline_error**2), _LEAST)
        key = (
            *(effect.source_id, effect.model, effect.task, effect.benchmark, effect.target),
            "" if effect.baseline is None else f"{effect.baseline:.1f}",
        )
        found.append(Observation(maker.of_effect(effect), effect.gain, own, key, baseline_error))
    return found
