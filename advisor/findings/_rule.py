"""The decision rule, on predicted gains."""

from collections.abc import Sequence
from typing import Literal

__all__ = ["ALIGN_PROBABILITY", "WORTHWHILE_PROBABILITY", "decide"]

ALIGN_PROBABILITY = 0.8
"""P(gain > 0) from which on alignment is advised."""
WORTHWHILE_PROBABILITY = 0.2
"""P(gain > min_gain) up to which an option counts as not worth a try."""


def decide(
    *,
    mean: Sequence[float],
    low: Sequence[float],
    positive: Sequence[float],
    worthwhile: Sequence[float],
    min_gain: float,
) -> tuple[int, Literal["align", "do-not-align", "cannot-tell"]]:
    """The option to speak of, and the decision.

    ``align`` when an option has P(gain > 0) of at least 0.8 and a mean of at least ``min_gain``;
    ``do-not-align`` when no option has P(gain > min_gain) above 0.2; ``cannot-tell`` otherwise. The option is
    the one that can be counted on most: the highest lower end of the interval (of those that may be
    advised, where there are any), since a high mean of a wide interval is often a winner by chance.

    Args:
        mean: expected gain of each option, in points; at least one option.
        low: lower ends of their intervals.
        positive: P(gain > 0).
        worthwhile: P(gain > ``min_gain``).
        min_gain: smallest gain of interest, in points.
    """
    order = sorted(range(len(mean)), key=lambda option: -low[option])
    for option in order:
        if positive[option] >= ALIGN_PROBABILITY and mean[option] >= min_gain:
            return option, "align"
    if max(worthwhile) <= WORTHWHILE_PROBABILITY:
        return order[0], "do-not-align"
    return order[0], "cannot-tell"
