"""Rounds end when the leading signals are resolved, and stopping does not spoil the intervals."""

import numpy as np
import pytest

from probes.gradients.stopping import LOOK_EVERY, MIN_ROUNDS, leading_task, settled
from tests.unit.core.simulation import BLOCK, World, moments_of


def test_target_text_leads() -> None:
    assert leading_task({"source": 1, "target-projected": 1, "target-labels": 1}) == "target-labels"
    assert leading_task({"source": 1, "target-projected": 1}) == "target-projected"
    assert leading_task({"source": 1}) == "source"


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (World(cosine=0.6, noise=0.3), True),  # clear of 0
        (World(cosine=0.0, noise=0.05), True),  # narrow
        (World(cosine=0.1, noise=1.5), False),
        (World(cosine=0.6, noise=20.0), False),  # not even the norms are resolved
    ],
)
def test_settled_means_clear_of_zero_or_narrow(world: World, expected: bool) -> None:
    draws = world.draw(40, 8, seed=0)
    share = np.mean([settled(moments_of(g), BLOCK, "a", ["b"]) for g in draws])
    assert share > 0.9 if expected else share < 0.1


def test_every_objective_must_be_settled() -> None:
    clear = World(cosine=0.6, noise=0.3).draw(1, 8, seed=0)[0]
    noise = np.random.default_rng(0).standard_normal((1, *clear.shape[1:]))
    moments = moments_of(np.concatenate([clear, noise]))
    assert settled(moments, BLOCK, "a", ["b"])
    assert not settled(moments, BLOCK, "a", ["b", "c"])


@pytest.mark.slow
@pytest.mark.parametrize("world", [World(cosine=0.0, noise=1.0), World(cosine=0.3, noise=1.0)])
def test_intervals_keep_their_coverage_when_rounds_stop_early(world: World) -> None:
    covered, stopped, misled = [], 0, 0
    for g in world.draw(800, 16, seed=5):
        for taken in range(MIN_ROUNDS, 17, LOOK_EVERY):
            moments = moments_of(g[:, :taken])
            if settled(moments, BLOCK, "a", ["b"]):
                break
        stopped += taken < 16
        cosine = moments.cosine(BLOCK, "a", "b")
        if cosine.low is not None and cosine.high is not None:
            covered.append(cosine.low <= world.cosine <= cosine.high)
            misled += cosine.sign != 0 and cosine.sign != np.sign(world.cosine)
    assert len(covered) > 750
    assert stopped > 10  # or the test would say nothing
    assert 0.90 <= np.mean(covered) <= 0.98
    assert misled / len(covered) < 0.06
