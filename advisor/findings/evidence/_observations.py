"""Evidence rows as the effect model takes them, with what their seeds say about noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.findings.evidence._cases import Case, CaseMaker, Key
from advisor.findings.evidence._effects import Effect


@dataclass(frozen=True, slots=True)
class Observation:
    """A measured gain.

    Attributes:
        case: what was measured.
        gain: in points.
        standard_error: of the aligned score, in points.
        baseline: which baseline score it was taken from.
        baseline_error: standard error of that score, in points.
    """

    case: Case
    gain: float
    standard_error: float
    baseline: Key
    baseline_error: float


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


_SEED_TRUST = 2
"""Seeds' worth of evidence that ``_SEED_SD`` is for a trial: two or three seeds can agree by chance."""
_TRIAL = ("own-trial",)


def of_trial(case: Case, gains: Sequence[float]) -> Observation:
    """What the user's own trial of an option measured.

    Args:
        case: the option on the question's model, task and language.
        gains: paired gains in points, one a seed, at least one.
    """
    mean = sum(gains) / len(gains)
    squares = sum((gain - mean) ** 2 for gain in gains)
    sd = math.sqrt((squares + _SEED_TRUST * _SEED_SD**2) / (len(gains) - 1 + _SEED_TRUST))
    total = sd / math.sqrt(len(gains))
    # the runs of fine-tuning alone are the same for every option
    return Observation(case, mean, total / math.sqrt(2), _TRIAL, total / math.sqrt(2))


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
            *(effect.lab, effect.model, effect.task, effect.benchmark, effect.target),
            "" if effect.baseline is None else f"{effect.baseline:.1f}",
        )
        found.append(Observation(maker.of_effect(effect), effect.gain, own, key, baseline_error))
    return found
