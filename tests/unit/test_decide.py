"""The one decision."""

from advisor.decide import DEFAULT_MIN_GAIN, LEANING, LIKELY, Basis, Expected, decide
from advisor.options import NO_ALIGNMENT, Option

SEQUENTIAL, JOINT = Option.parse("token-contrastive:sequential"), Option.parse("token-contrastive:joint:0.1")


def _row(option: Option, mean: float, positive: float = 0.9, by: Basis = "measured-elsewhere") -> Expected:
    return Expected(option, mean, mean - 1, mean + 1, positive, positive - 0.1, 3, by)


def test_the_highest_gain_above_the_least_of_interest_is_advised() -> None:
    decision = decide([_row(JOINT, 0.8), _row(SEQUENTIAL, 1.2)], min_gain=0.5)
    assert (decision.decision, decision.option) == ("align", SEQUENTIAL)
    assert decision.order == (SEQUENTIAL, JOINT, NO_ALIGNMENT)
    assert decision.probability == 0.9


def test_a_gain_too_small_leaves_the_model_alone() -> None:
    decision = decide([_row(JOINT, -0.2, 0.2), _row(SEQUENTIAL, 0.4, 0.3)], min_gain=0.5)
    assert (decision.decision, decision.option) == ("do-not-align", NO_ALIGNMENT)
    assert decision.order == (NO_ALIGNMENT, SEQUENTIAL, JOINT)
    assert decision.probability == 1 - (0.3 - 0.1)


def test_there_is_always_a_decision() -> None:
    assert decide([], min_gain=0.0).order == (NO_ALIGNMENT,)


def test_a_task_that_nobody_measured_is_aligned_unless_that_is_likelier_to_lose() -> None:
    rows = [_row(JOINT, 0.1, 0.5), _row(SEQUENTIAL, 0.2, 0.5)]
    assert decide(rows, min_gain=DEFAULT_MIN_GAIN).option == NO_ALIGNMENT
    assert decide(rows, min_gain=DEFAULT_MIN_GAIN, measured=False).order[:2] == (SEQUENTIAL, JOINT)
    assert decide(rows, min_gain=1.0, measured=False).option == NO_ALIGNMENT
    assert decide([_row(JOINT, -1.0, 0.3)], min_gain=DEFAULT_MIN_GAIN, measured=False).option == NO_ALIGNMENT


def test_confidence_follows_the_probability_and_never_extrapolation() -> None:
    least = LEANING["align"]
    words = [decide([_row(JOINT, 1, p)], min_gain=0.5).confidence for p in (LIKELY, least, least - 0.01)]
    assert words == ["likely", "leaning", "open"]
    assert decide([_row(JOINT, 9, 0.99, "extrapolated")], min_gain=0.5).confidence == "leaning"
