"""What must not change an estimate, and bounds that always hold."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from probes.gradients.estimators import Moments
from probes.signals import Estimate
from tests.examples import examples
from tests.unit.core.simulation import BLOCK, Array, moments_of

MEASURES_OF_TWO = ("cosine", "raw_cosine", "magnitude_ratio", "magnitude_similarity")
MEASURES_OF_ONE = ("squared_norm", "ceiling")

few = examples(50)
seeds = st.integers(0, 10_000)
rounds_of = st.integers(3, 12)
signals = st.sampled_from([0.0, 0.3, 1.0, 5.0])


def gradients(seed: int, rounds: int, signal: float) -> Array:
    generator = np.random.default_rng(seed)
    parameters = int(generator.integers(2, 40))
    common = signal * generator.standard_normal((2, 1, parameters))
    return np.asarray(common + generator.standard_normal((2, rounds, parameters)))


def measure(moments: Moments) -> dict[str, Estimate]:
    found = {name: getattr(moments, name)(BLOCK, "a", "b") for name in MEASURES_OF_TWO}
    found |= {name: getattr(moments, name)(BLOCK, "a") for name in MEASURES_OF_ONE}
    return found | {"noise_scale": moments.noise_scale(BLOCK, "a", 16)}


def assert_same(found: Estimate, expected: Estimate, factor: float = 1.0, name: str = "") -> None:
    assert found.resolved == expected.resolved, name
    for end in ("value", "low", "high"):
        ours, theirs = getattr(found, end), getattr(expected, end)
        if theirs is None:
            assert ours is None, name
        else:
            assert ours == pytest.approx(factor * theirs, rel=1e-6, abs=1e-7 * abs(factor)), (name, end)


@few
@given(seeds, rounds_of, signals)
def test_every_number_is_finite_and_within_its_bounds(seed: int, rounds: int, signal: float) -> None:
    found = measure(moments_of(gradients(seed, rounds, signal)))
    for name, estimate in found.items():
        for number in (estimate.value, estimate.low, estimate.high):
            assert number is None or math.isfinite(number), name
        if estimate.value is None:
            assert estimate.note, name
        elif estimate.low is not None and estimate.high is not None:
            assert estimate.low <= estimate.value <= estimate.high, name
    for name, low, high in (("cosine", -1, 1), ("magnitude_similarity", 0, 1)):
        for number in (found[name].value, found[name].low, found[name].high):
            assert number is None or low <= number <= high, name
    raw = found["raw_cosine"].value
    assert raw is None or -1 - 1e-9 <= raw <= 1 + 1e-9
    for name in ("magnitude_ratio", "noise_scale"):
        low_end = found[name].low
        assert low_end is None or low_end >= 0, name


@few
@given(
    st.lists(
        st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=3, max_size=3), min_size=8, max_size=8
    )
)
def test_no_gradient_whatever_makes_a_number_that_is_not_finite(values: list[list[float]]) -> None:
    # Estimate refuses NaN and infinity, so reaching the end is the assertion.
    g = np.array(values).reshape(2, 4, 3)
    assert len(measure(moments_of(g))) == len(MEASURES_OF_ONE) + len(MEASURES_OF_TWO) + 1


@few
@given(seeds, rounds_of, signals, st.floats(1e-4, 1e4))
def test_scaling_a_loss(seed: int, rounds: int, signal: float, factor: float) -> None:
    g = gradients(seed, rounds, signal)
    expected = measure(moments_of(g))
    g[0] *= factor
    found = measure(moments_of(g))
    for name in ("cosine", "raw_cosine", "ceiling", "noise_scale"):
        assert_same(found[name], expected[name], name=name)
    assert_same(found["magnitude_ratio"], expected["magnitude_ratio"], factor)
    assert_same(found["squared_norm"], expected["squared_norm"], factor**2)


@few
@given(seeds, rounds_of, signals)
def test_turning_a_loss_around(seed: int, rounds: int, signal: float) -> None:
    g = gradients(seed, rounds, signal)
    expected = measure(moments_of(g))
    g[1] *= -1
    found = measure(moments_of(g))
    for name in ("cosine", "raw_cosine"):
        mirrored = expected[name]
        if mirrored.value is not None and mirrored.low is not None and mirrored.high is not None:
            mirrored = Estimate(value=-mirrored.value, low=-mirrored.high, high=-mirrored.low)
        assert_same(found[name], mirrored, name=name)
    for name in ("magnitude_ratio", "magnitude_similarity", *MEASURES_OF_ONE):
        assert_same(found[name], expected[name], name=name)


@few
@given(seeds, rounds_of, signals)
def test_the_order_of_the_rounds(seed: int, rounds: int, signal: float) -> None:
    g = gradients(seed, rounds, signal)
    order = np.random.default_rng(seed).permutation(rounds)
    expected, found = measure(moments_of(g)), measure(moments_of(g[:, order]))
    for name, estimate in expected.items():
        assert_same(found[name], estimate, name=name)


@few
@given(seeds, rounds_of, signals)
def test_the_order_of_the_two_losses(seed: int, rounds: int, signal: float) -> None:
    moments = moments_of(gradients(seed, rounds, signal))
    for name in ("cosine", "raw_cosine", "magnitude_similarity"):
        measured = getattr(moments, name)
        assert_same(measured(BLOCK, "a", "b"), measured(BLOCK, "b", "a"), name=name)
    over, under = moments.magnitude_ratio(BLOCK, "a", "b"), moments.magnitude_ratio(BLOCK, "b", "a")
    assume(over.value is not None)
    assert over.value is not None
    assert under.value == pytest.approx(1 / over.value)


@few
@given(seeds, rounds_of, signals)
def test_turning_the_space_changes_nothing(seed: int, rounds: int, signal: float) -> None:
    g = gradients(seed, rounds, signal)
    size = g.shape[-1]
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]
    expected, found = measure(moments_of(g)), measure(moments_of(g @ rotation))
    for name, estimate in expected.items():
        assert_same(found[name], estimate, name=name)


@few
@given(seeds, rounds_of)
def test_a_loss_has_cosine_one_with_itself(seed: int, rounds: int) -> None:
    found = moments_of(gradients(seed, rounds, 5.0)).cosine(BLOCK, "a", "a")
    assume(found.value is not None)
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))
