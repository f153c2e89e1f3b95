"""From expected gains to a decision: the only place that decides.

Advice, probes, validation, page, report, HTTP, the findings card and races give what they expect of every
option and take the decision from here, so that what is validated is what is given.

The rule: the option of the highest expected gain, if that is above ``min_gain``, else fine-tuning alone. For
a task that nobody has measured, evidence cannot rank options; the one of best standing over other tasks is
then the default. How sure the decision is says its ``confidence``, in words whose worth on held-out cells
``advisor findings validate`` prints.
"""

from collections.abc import Sequence
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
LIKELY, LEANING = 0.8, 0.57
"""Probability of being right from which on a decision is *likely*, or *leaning*: of held-out decisions
that were likely at least 85 % were right in every split."""
_STANDING = 0.35
"""P(gain > 0) from which on the default over tasks is taken for a task that nobody has measured."""


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
    default: Option | None = None,
    trusted: bool = True,
) -> Decision:
    """The one decision.

    Args:
        expected: of every option that is offered, fine-tuning alone left out; may be empty.
        min_gain: smallest gain of interest, in points.
        default: of best standing over tasks, where nobody has measured this one: it is taken unless it
            is likelier to lose, or less is expected of it than somebody who asks for more than usual wants.
        trusted: whether what is expected may be believed at all; else the decision is *open*.

    Example:
        >>> decide([], min_gain=0.5).decision
        'do-not-align'
    """
    # of equal gains that goes first which was measured, and here rather than elsewhere
    ranked = sorted(expected, key=lambda row: (-row.mean, get_args(Basis).index(row.by)))
    candidates = [row for row in ranked if row.option == default] or ranked
    best = candidates[0] if candidates else None
    worth_it = best is not None and best.mean > min_gain
    if best is not None and best.option == default:
        worth_it = best.positive > _STANDING and (worth_it or min_gain <= DEFAULT_MIN_GAIN)
    if best is not None and worth_it:
        advised, verdict, probability = best.option, "align", best.positive
    else:
        advised, verdict = NO_ALIGNMENT, "do-not-align"
        probability = 1 - best.worthwhile if best is not None else 1.0
    rest = [row.option for row in ranked if row.mean > 0], [row.option for row in ranked if row.mean <= 0]
    order = dict.fromkeys((advised, *rest[0], NO_ALIGNMENT, *rest[1]))
    confidence = _confidence(probability, extrapolated=best is None or best.by == "extrapolated")
    return Decision(
        decision="align" if verdict == "align" else "do-not-align",
        confidence=confidence if trusted else "open",
        option=advised,
        probability=probability,
        order=tuple(order),
    )


def _confidence(probability: float, *, extrapolated: bool) -> Confidence:
    """The word for a probability of being right; nothing that is extrapolated is *likely*."""
    if probability < LEANING:
        return "open"
    return "leaning" if probability < LIKELY or extrapolated else "likely"
