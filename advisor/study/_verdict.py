"""The answer of a trial in one sentence."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from advisor.options import NO_ALIGNMENT
from advisor.report.words import signed
from probes.signals import Estimate

if TYPE_CHECKING:
    from advisor.study._result import OptionResult

_PRECISE = 1.0
"""Half-width, in points, from which on more seeds are not worth their time."""


def gain_words(gain: Estimate) -> str:
    """A gain with its interval, as in ``+3.9 [+1.2, +6.6]``."""
    if gain.value is None:
        return "unresolved"
    if gain.low is None or gain.high is None or gain.low == gain.high == 0:  # of none, by definition
        return signed(gain.value)
    return f"{signed(gain.value)} [{signed(gain.low)}, {signed(gain.high)}]"


def verdict(options: Sequence["OptionResult"], target: str, task: str, *, failed: bool = False) -> str:
    """Which option gained beyond its noise, that none did, or how many seeds would tell.

    Args:
        options: of one trial, ``none`` among them.
        target: language the gains are measured on.
        task: that was fine-tuned on.
        failed: whether some run failed.
    """
    aligned = sorted(
        (row for row in options if row.option != NO_ALIGNMENT and row.target_gain.value is not None),
        key=lambda row: -(row.target_gain.value or 0.0),
    )
    where = f"on {target} {task}"
    if not aligned:
        cure = "run at least 2 seeds" + (" and look into those that failed" if failed else "")
        return (
            f"Cannot tell {where}: no option has two finished runs beside finished runs of none with the "
            f"same seeds, so {cure}."
        )
    gained = [row for row in aligned if row.target_gain.sign > 0]
    if gained:
        best = gained[0]
        others = len(gained) - 1
        also = f", and so did {others} other option{'s' if others > 1 else ''}" if others else ""
        return (
            f"{best.option} gained beyond the noise of {best.pairs} seeds {where}: "
            f"{gain_words(best.target_gain)} points{also}."
        )
    open_ = [row for row in aligned if row.target_gain.sign == 0 and (row.seeds_needed or 0) > row.pairs]
    if open_:
        best = open_[0]
        return (
            f"No option gained beyond its noise {where} so far, and more seeds are needed: about "
            f"{best.seeds_needed} instead of {best.pairs} would give the gain of {best.option}, now "
            f"{gain_words(best.target_gain)} points, to within {_PRECISE:g} point."
        )
    best = aligned[0]
    return (
        f"No option gained beyond its noise {where}: the best, {best.option}, changed it by "
        f"{gain_words(best.target_gain)} points."
    )
