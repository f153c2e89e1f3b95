"""From expected gains to a decision: the only place that decides.

Advice, probes, validation, page, report, HTTP, the findings card and races give what they expect of every
option and take the decision from here, so that what is validated is what is given.

The rule: the option of the highest expected gain, if that is above ``min_gain``, else fine-tuning alone. One
exception: for a task that none of the runs behind the answer measured the expectation is what options do over
other tasks, drawn towards 0 by all that is not known; whoever wants no more than the usual ``min_gain`` is
then advised the best of them if P(gain > 0) is above ``STANDING``, even where its expected gain is below
``min_gain``, or below 0. How sure the decision is says its ``confidence``, in words whose worth on held-out
cells ``advisor findings validate`` prints.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from advisor.options import NO_ALIGNMENT, Option

Verdict = Literal["align", "do-not-align"]
Confidence = Literal["likely", "leaning", "open"]
Basis = Literal["measured-here", "measured-elsewhere", "extrapolated"]
"""What an expectation rests on: own runs of this question; a direct row of evidence (same encoder family,
task, language group and loss); or neither."""

DEFAULT_MIN_GAIN = 0.25
"""Points below which aligning is not worth its trouble: of 0, 0.25, 0.5, 0.75, 1 and 1.25 that whose advice
lost least over the splits of the validation."""
LIKELY = 0.8
LEANING: Mapping[Verdict, float] = {"align": 0.57, "do-not-align": 0.5}
"""Probability of being right from which on a decision is *likely*, or *leaning*: of held-out decisions
that were likely at least 85 % were right in every split; of those to align below .57 five in nine were, and
of those to leave it that were as unsure eight in ten, since what promises most of many seldom keeps it."""
STANDING = 0.35
"""P(gain > 0) from which on the best option over tasks is taken for a task that nobody has measured."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of an option that aligns, in points over fine-tuning alone.

    Attributes:
        option: what would be done.
        mean: expected gain.
        low, high: its 80 % interval.
        positive: P(gain > 0).
        worthwhile: P(gain > ``min_gain``).
        direct: rows of evidence that speak of it directly.
        by: what the expectation rests on.
    """

    option: Option
    mean: float
    low: float
    high: float
    positive: float
    worthwhile: float
    direct: int
    by: Basis


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do.

    Attributes:
        decision: to align or not; never neither.
        confidence: how sure that is.
        option: the advised one, ``none`` where aligning is not.
        probability: of being right: that the advised option gains at all or, for ``do-not-align``, that the
            most promising option gains no more than is worth its trouble.
        order: every option, ``none`` among them: the advised one, then by expected gain.
    """

    decision: Verdict
    confidence: Confidence
    option: Option
    probability: float
    order: tuple[Option, ...]


def decide(
    expected: Sequence[Expected],
    *,
    min_gain: float,
    measured: bool = True,
    trusted: bool = True,
) -> Decision:
    """The one decision.

    Args:
        expected: of every option that is offered, fine-tuning alone left out; may be empty.
        min_gain: smallest gain of interest, in points.
        measured: whether anybody has measured the task: else the exception holds.
        trusted: whether what is expected may be believed at all; else the decision is *open*.

    Example:
        >>> decide([], min_gain=0.5).decision
        'do-not-align'
    """
    # of equal gains that goes first which was measured, and here rather than elsewhere
    ranked = sorted(expected, key=lambda row: (-row.mean, get_args(Basis).index(row.by)))
    best = ranked[0] if ranked else None
    worth_it = best is not None and best.mean > min_gain
    if best is not None and not measured and min_gain <= DEFAULT_MIN_GAIN:
        worth_it = best.positive > STANDING
    verdict: Verdict = "align" if worth_it else "do-not-align"
    advised = best.option if best is not None and worth_it else NO_ALIGNMENT
    probability = 1.0 if best is None else best.positive if worth_it else 1 - best.worthwhile
    rest = [row.option for row in ranked if row.mean > 0], [row.option for row in ranked if row.mean <= 0]
    confidence: Confidence = "open"
    if trusted and probability >= LEANING[verdict]:
        # nothing that is extrapolated is likely
        sure = probability >= LIKELY and best is not None and best.by != "extrapolated"
        confidence = "likely" if sure else "leaning"
    return Decision(
        decision=verdict,
        confidence=confidence,
        option=advised,
        probability=probability,
        order=tuple(dict.fromkeys((advised, *rest[0], NO_ALIGNMENT, *rest[1]))),
    )
