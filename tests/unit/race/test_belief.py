from dataclasses import replace

import numpy as np
import pytest

from advisor.findings.model import scale
from advisor.race.belief import Belief
from advisor.race.errors import ErrorModel, Look
from advisor.race.replay.fit import fit_errors, shift_of
from advisor.race.rungs import WHOLE, Rung
from advisor.race.start import prior_of
from tests.unit.race.simulation import OPTIONS, TRUTH, cell, covariance_of

EARLY = Rung(0.25, 0.25)


def belief(arms: int = 2, errors: ErrorModel = TRUTH) -> Belief:
    return Belief(np.zeros(arms), 9 * np.eye(arms), errors, "token")


def test_a_look_at_the_end_tells_more_than_one_on_the_way() -> None:
    spread = [belief().after([Look(0, 0, rung)], [3.0]).posterior.covariance[0, 0] for rung in (EARLY, WHOLE)]
    assert spread[1] < spread[0] < 9


def test_the_winners_curse_is_taken_off() -> None:
    mean = belief().after([Look(0, 0, WHOLE)], [5.0]).expected
    assert 0 < mean[0] < 5


def test_looks_of_another_arm_tell_of_the_noise_they_share() -> None:
    """Both up at once may be the baseline's bad luck: where one is known to gain nothing, it is."""
    alone = belief().after([Look(0, 0, WHOLE)], [4.0]).expected[0]
    certain = Belief(np.zeros(2), np.diag([9.0, 1e-6]), TRUTH, "token")
    both = certain.after([Look(0, 0, WHOLE), Look(1, 0, WHOLE)], [4.0, 4.0]).expected[0]
    assert both < alone


def test_sampling_error_widens() -> None:
    looks = [Look(0, 0, WHOLE)]
    sharp = belief().after(looks, [4.0])
    blurred = belief().after(looks, [4.0], sampling=np.array([[9.0]]))
    assert blurred.expected[0] < sharp.expected[0]
    assert blurred.posterior.covariance[0, 0] > sharp.posterior.covariance[0, 0]


def test_surprise_makes_less_sure() -> None:
    calm, wild = (
        belief().after([Look(0, 0, WHOLE)], [value]).posterior.covariance[1, 1] for value in (1.0, 30.0)
    )
    assert wild > calm


def test_the_order_of_looks_does_not_matter() -> None:
    looks, values = [Look(0, 0, EARLY), Look(1, 0, EARLY), Look(0, 0, WHOLE)], [2.0, -1.0, 1.0]
    once = belief().after(looks, values).posterior
    step_by_step = belief()
    for look, value in reversed(list(zip(looks, values, strict=True))):
        step_by_step = step_by_step.after([look], [value])
    np.testing.assert_allclose(once.mean, step_by_step.posterior.mean, atol=1e-6)
    np.testing.assert_allclose(once.covariance, step_by_step.posterior.covariance, atol=1e-6)


def test_two_looks_are_worth_more_than_one() -> None:
    looks = [Look(arm, 0, WHOLE) for arm in range(2)]
    before = belief()
    one, both = before.value_of(looks[:1]), before.value_of(looks)
    assert 0 < one < both


def test_what_was_seen_at_the_end_has_won_for_certain() -> None:
    ends = [Look(arm, 0, WHOLE) for arm in range(2)]
    np.testing.assert_allclose(belief().after(ends, [1.0, 3.0]).winning_probabilities(ends), [0, 0, 1])


def test_gains_are_skewed_before_anything_is_seen() -> None:
    """As in the findings: a tail of large gains, and the middle where they say."""
    gains = Belief(np.array([1.0]), np.array([[9.0]]), TRUTH, "token").draws()[:, 1]
    low, middle, high = np.quantile(gains, [0.1, 0.5, 0.9])
    assert middle == pytest.approx(scale.to_points(np.array(1.0)), abs=0.1)
    assert high - middle > 1.5 * (middle - low)


@pytest.mark.slow
def test_the_fit_finds_the_truth_again() -> None:
    generator = np.random.default_rng(3)
    traces = [cell(generator, np.zeros(len(OPTIONS)))[0] for _ in range(30)]
    fitted = fit_errors(traces)
    for name in ("tune_drift", "align_drift", "seed", "look"):
        assert getattr(fitted, name) == pytest.approx(getattr(TRUTH, name), rel=0.35), name
    assert fitted.align_slope == pytest.approx(TRUTH.align_slope, abs=0.1)
    assert fitted.tune_slope == pytest.approx(TRUTH.tune_slope, abs=0.1)


def test_what_others_gained_more_than_expected_is_expected_of_the_next() -> None:
    generator = np.random.default_rng(3)
    traces = [cell(generator, np.zeros(len(OPTIONS)))[0] for _ in range(6)]
    expected = [
        replace(
            trace, group=(f"m{i}", "pos"), expected=scale.to_points(scale.to_scale(trace.final((0, 1))) - 1.5)
        )
        for i, trace in enumerate(traces)
        for gained in [scale.to_scale(trace.final((0, 1)))]
    ]
    assert shift_of(expected) == pytest.approx(1.5, abs=1e-6)
    assert shift_of(traces) == 0.0
    shifted = prior_of(OPTIONS, np.zeros(5), np.ones(5), ErrorModel(shift=1.5))[0]
    np.testing.assert_allclose(shifted, 1.5)


def test_without_runs_the_fit_is_the_prior() -> None:
    assert fit_errors([]) == ErrorModel()


def test_gains_lie_in_their_intervals_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        trace, truth = cell(generator, np.zeros(len(OPTIONS)))
        looks = [Look(arm, 0, EARLY if arm < 3 else Rung(1.0, 0.25)) for arm in range(len(OPTIONS))]
        seen = Belief(np.zeros(len(OPTIONS)), covariance_of(), TRUTH, "token").after(
            looks, [trace.gains[look] for look in looks]
        )
        low, high = np.quantile(seen.draws()[:, 1:], [0.1, 0.9], axis=0)
        inside.extend((low < truth) & (truth < high))
    assert np.mean(inside) == pytest.approx(0.8, abs=0.04)
