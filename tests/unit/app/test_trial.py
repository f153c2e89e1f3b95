"""What a trial is held against is found in the advice."""

from advisor.app._trial import expected_gain
from tests.factories import make_advice


def test_an_expectation_is_found_whatever_the_weight() -> None:
    advice = make_advice()
    row = next(row for row in advice.alternatives if row.option.schedule == "joint")
    heavier = row.option.model_copy(update={"weight": 0.77})
    assert expected_gain(advice, heavier) == row.gain
    advice = advice.model_copy(update={"alternatives": ()})
    assert expected_gain(advice, heavier) is None
