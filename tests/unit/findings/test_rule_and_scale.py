"""The decision rule and the scale of gains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.findings._rule import decide
from advisor.findings.model import scale


def _decide(*options: tuple[float, float, float, float]) -> tuple[int, str]:
    mean, low, positive, worthwhile = (list(column) for column in zip(*options, strict=True))
    return decide(mean=mean, low=low, positive=positive, worthwhile=worthwhile, min_gain=0.5)


def test_a_sure_and_worthwhile_option_is_advised() -> None:
    assert _decide((0.1, -1, 0.6, 0.3), (1.0, 0.2, 0.9, 0.7)) == (1, "align")


def test_of_two_sure_options_the_one_to_count_on_is_advised() -> None:
    assert _decide((3.0, 0.1, 0.81, 0.8), (1.5, 1.0, 0.99, 0.95)) == (1, "align")


def test_a_sure_but_small_gain_is_not_worth_it() -> None:
    assert _decide((0.3, 0.2, 0.99, 0.1)) == (0, "do-not-align")


def test_one_option_that_might_be_worthwhile_forbids_a_no() -> None:
    assert _decide((-1, -2, 0.1, 0.05), (0.2, -3, 0.5, 0.4))[1] == "cannot-tell"


@given(st.floats(-39, 39))
def test_the_scale_keeps_sign_and_is_undone(points: float) -> None:
    z = float(scale.to_scale(np.array(points)))
    assert np.sign(z) == np.sign(points) or abs(points) < 1e-300
    assert float(scale.to_points(np.array(z))) == pytest.approx(points, rel=1e-9, abs=1e-12)


@given(st.floats(-39, 39))
def test_the_unit_is_the_slope_of_the_scale(points: float) -> None:
    step = 1e-5
    ends = scale.to_scale(np.array([points - step, points + step]))
    assert float(scale.unit(np.array(points))) == pytest.approx((ends[1] - ends[0]) / (2 * step), rel=1e-4)
