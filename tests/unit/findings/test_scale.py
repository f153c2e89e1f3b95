"""The scale of gains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.findings.model import scale


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
