"""The estimators: their formulas, their bias and the coverage of their intervals."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from scipy.stats import t as student

from probes.gradients.estimators import Moments
from probes.signals import Estimate
from tests.unit.core.simulation import BLOCK, Array, World, moments_of, naive_cosine, naive_inner

Statistic = Callable[[Array, Array], float]


def gradients(losses: int = 3, rounds: int = 6, parameters: int = 20, seed: int = 0) -> Array:
    generator = np.random.default_rng(seed)
    common = 2 * generator.standard_normal((losses, 1, parameters))
    return np.asarray(common + generator.standard_normal((losses, rounds, parameters)))


def assert_jackknife(found: Estimate, statistic: Statistic, a: Array, b: Array, log: bool = False) -> None:
    """Value and interval against the statistic computed again with each round left out."""
    rounds = len(a)
    scale: Callable[[float], float] = np.log if log else float
    value = statistic(a, b)
    without = np.array(
        [scale(statistic(np.delete(a, k, axis=0), np.delete(b, k, axis=0))) for k in range(rounds)]
    )
    error = np.sqrt((rounds - 1) / rounds * np.sum((without - without.mean()) ** 2))
    reach = student.ppf(0.975, rounds - 1) * error
    low, high = scale(value) - reach, scale(value) + reach
    if log:
        low, high = np.exp(low), np.exp(high)
    assert found.value == pytest.approx(value)
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    assert found.level == 0.95


@pytest.mark.parametrize("rounds", [3, 6, 9])
def test_squared_norm_follows_the_formula(rounds: int) -> None:
    g = gradients(rounds=rounds)
    moments = moments_of(g)
    for i, loss in enumerate("abc"):
        assert_jackknife(moments.squared_norm(BLOCK, loss), naive_inner, g[i], g[i])


@pytest.mark.parametrize("rounds", [4, 9])
def test_cosine_follows_the_formula(rounds: int) -> None:
    g = gradients(rounds=rounds, parameters=60)
    moments = moments_of(g)
    for i, j in product(range(3), repeat=2):
        found = moments.cosine(BLOCK, "abc"[i], "abc"[j])
        if i != j:
            assert_jackknife(found, naive_cosine, g[i], g[j])


@pytest.mark.parametrize("rounds", [4, 9])
def test_magnitude_ratio_follows_the_formula(rounds: int) -> None:
    g = gradients(rounds=rounds, parameters=60)

    def ratio(over: Array, under: Array) -> float:
        return float(np.sqrt(naive_inner(over, over) / naive_inner(under, under)))

    assert_jackknife(moments_of(g).magnitude_ratio(BLOCK, "b", "a"), ratio, g[1], g[0], log=True)


def test_ceiling_follows_the_formula() -> None:
    g = gradients()

    def ceiling(a: Array, _: Array) -> float:
        return naive_inner(a, a) / float((a**2).sum(axis=1).mean())

    assert_jackknife(moments_of(g).ceiling(BLOCK, "a"), ceiling, g[0], g[0])


def test_noise_scale_follows_the_formula() -> None:
    g = gradients(losses=1, rounds=8)
    moments = moments_of(g)
    found = moments.noise_scale(BLOCK, "a", batch_size=12)
    squared_norm = naive_inner(g[0], g[0])
    trace = 12 * (float((g[0] ** 2).sum(axis=1).mean()) - squared_norm)
    assert found.value == pytest.approx(trace / squared_norm)
    assert found.low is not None
    assert found.value is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high


def test_raw_cosine_is_the_mean_of_single_batches() -> None:
    g = gradients()
    single = [float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(g[0], g[1], strict=True)]
    found = moments_of(g).raw_cosine(BLOCK, "a", "b")
    reach = student.ppf(0.975, 5) * np.std(single, ddof=1) / np.sqrt(6)
    assert found.value == pytest.approx(np.mean(single))
    assert found.low == pytest.approx(np.mean(single) - reach)
    assert found.high == pytest.approx(np.mean(single) + reach)


def test_magnitude_similarity_follows_from_the_ratio() -> None:
    g = gradients(parameters=60)
    g[1] *= 3
    moments = moments_of(g)
    ratio = moments.magnitude_ratio(BLOCK, "b", "a")
    found = moments.magnitude_similarity(BLOCK, "b", "a")
    assert ratio.value is not None
    assert found.value == pytest.approx(2 * ratio.value / (1 + ratio.value**2))
    # A ratio below and one above 1 are equally dissimilar; around 1 the similarity reaches 1.
    other = moments.magnitude_similarity(BLOCK, "a", "b")
    assert found.value == pytest.approx(other.value)
    assert found.low == pytest.approx(other.low)
    g[1] /= ratio.value
    assert moments_of(g).magnitude_similarity(BLOCK, "b", "a").high == 1.0


def test_blocks_taken_together_are_one_long_vector() -> None:
    g = gradients(parameters=50)
    parts = [moments_of(g[..., :20]), moments_of(g[..., 20:])]
    both = Moments(
        losses=parts[0].losses,
        blocks=("x", "y"),
        sizes=np.array([20, 30]),
        sums=np.concatenate([part.sums for part in parts]),
        within=np.concatenate([part.within for part in parts]),
        between=np.concatenate([part.between for part in parts]),
    )
    whole = moments_of(g)
    together = both.total(("x", "y"), BLOCK)
    assert together.sizes.tolist() == [50]
    assert_same_estimate(together.cosine(BLOCK, "a", "b"), whole.cosine(BLOCK, "a", "b"))
    assert_same_estimate(together.squared_norm(BLOCK, "c"), whole.squared_norm(BLOCK, "c"))
    one = both.total(("y",), "y")
    assert_same_estimate(one.squared_norm("y", "a"), parts[1].squared_norm(BLOCK, "a"))


def assert_same_estimate(a: Estimate, b: Estimate) -> None:
    assert a.value == pytest.approx(b.value)
    assert a.low == pytest.approx(b.low)
    assert a.high == pytest.approx(b.high)


DRAWS = 1000


@pytest.mark.parametrize("rounds", [8, 16])
def test_squared_norm_and_inner_product_are_unbiased(rounds: int) -> None:
    # Inner products have no public estimate of their own: the cosine's numerator follows from it.
    world = World(cosine=0.3, noise=2.0)
    drawn = world.draw(DRAWS, rounds, seed=1)
    norms, inner = [], []
    for g in drawn:
        moments = moments_of(g)
        norms.append(moments.squared_norm(BLOCK, "a").value)
        inner.append(float(moments._inner[0, 0, 1]))
    for values, truth in ((norms, 1.0), (inner, 0.3 * world.ratio)):
        array = np.array(values, dtype=float)
        standard_error = array.std(ddof=1) / np.sqrt(DRAWS)
        assert abs(array.mean() - truth) < 3 * standard_error
        assert standard_error < 0.1 * truth  # else the line above could not fail


@pytest.mark.parametrize("rounds", [8, 16])
@pytest.mark.parametrize("cosine", [-0.4, 0.0, 0.5])
def test_the_corrected_cosine_finds_what_the_raw_one_misses(rounds: int, cosine: float) -> None:
    corrected, raw = [], []
    for g in World(cosine, noise=1.2, parameters=200, decay=0.3).draw(200, rounds, seed=2):
        moments = moments_of(g)
        corrected.append(moments.cosine(BLOCK, "a", "b").value)
        raw.append(moments.raw_cosine(BLOCK, "a", "b").value)
    assert None not in corrected
    assert np.mean(np.array(corrected, dtype=float)) == pytest.approx(cosine, abs=0.03)
    if cosine != 0.5:  # there the shared noise happens to have the same cosine
        assert abs(np.mean(np.array(raw, dtype=float)) - cosine) > 0.2


@pytest.mark.parametrize("rounds", [8, 16])
@pytest.mark.parametrize("cosine", [0.0, 0.3, 0.8])
def test_intervals_cover_as_often_as_they_say(rounds: int, cosine: float) -> None:
    world = World(cosine, noise=0.7)
    hits = coverage(world, rounds, DRAWS)
    assert hits["resolved"] > 0.99
    for name in ("squared norm", "cosine", "magnitude ratio"):
        assert 0.90 <= hits[name] <= 0.98, (name, hits[name])


@pytest.mark.parametrize("rounds", [8, 16])
@pytest.mark.parametrize("decay", [0.0, 0.7, 1.0])
def test_intervals_err_on_the_wide_side_when_noise_dominates(rounds: int, decay: float) -> None:
    # The jackknife overstates the variance of products of noise; it must never understate it.
    hits = coverage(World(0.3, noise=2.0, parameters=200, decay=decay), rounds, 400)
    for name in ("squared norm", "cosine", "magnitude ratio"):
        assert hits[name] >= 0.90, (name, hits[name])


def coverage(world: World, rounds: int, draws: int) -> dict[str, float]:
    """Share of draws whose interval holds the truth, among those that have one."""
    truths = {"squared norm": 1.0, "cosine": world.cosine, "magnitude ratio": world.ratio}
    hits: dict[str, list[bool]] = {name: [] for name in truths}
    for g in world.draw(draws, rounds, seed=3):
        moments = moments_of(g)
        found = {
            "squared norm": moments.squared_norm(BLOCK, "a"),
            "cosine": moments.cosine(BLOCK, "a", "b"),
            "magnitude ratio": moments.magnitude_ratio(BLOCK, "b", "a"),
        }
        for name, estimate in found.items():
            if estimate.value is not None and estimate.low is not None and estimate.high is not None:
                hits[name].append(estimate.low <= truths[name] <= estimate.high)
    return {name: float(np.mean(values)) for name, values in hits.items()} | {
        "resolved": len(hits["cosine"]) / draws
    }


@pytest.mark.parametrize("rounds", [8, 16])
def test_pure_noise_is_left_unresolved(rounds: int) -> None:
    generator = np.random.default_rng(4)
    drawn = generator.standard_normal((500, 2, rounds, 100))
    unresolved = 0
    for g in drawn:
        moments = moments_of(g)
        found = [
            moments.cosine(BLOCK, "a", "b"),
            moments.magnitude_ratio(BLOCK, "a", "b"),
            moments.magnitude_similarity(BLOCK, "a", "b"),
        ]
        assert len({estimate.resolved for estimate in found}) == 1
        unresolved += not found[0].resolved
        assert found[0].resolved or "not clearly above its noise" in str(found[0].note)
    assert unresolved / 500 >= 0.95


def test_one_loss_in_noise_leaves_the_cosine_unresolved_and_names_it() -> None:
    generator = np.random.default_rng(5)
    g = generator.standard_normal((2, 8, 100))
    g[0] += 1.0
    moments = moments_of(g)
    assert moments.resolved(BLOCK, "a")
    assert not moments.resolved(BLOCK, "b")
    found = moments.cosine(BLOCK, "a", "b")
    assert found.value is None
    assert "of b " in str(found.note)
    assert moments.noise_scale(BLOCK, "b", 4).value is None
    assert moments.noise_scale(BLOCK, "a", 4).value is not None


def test_a_gradient_of_zero_has_no_cosine_and_no_ceiling() -> None:
    g = gradients()
    g[1] = 0
    moments = moments_of(g)
    assert moments.squared_norm(BLOCK, "b").value == 0
    for found in (
        moments.cosine(BLOCK, "a", "b"),
        moments.raw_cosine(BLOCK, "a", "b"),
        moments.ceiling(BLOCK, "b"),
        moments.noise_scale(BLOCK, "b", 8),
        moments.magnitude_ratio(BLOCK, "a", "b"),
    ):
        assert found.value is None
        assert found.note


def test_the_same_gradient_in_every_round_leaves_no_doubt() -> None:
    g = np.repeat(np.array([[[3.0, 4.0]], [[0.0, 5.0]]]), 5, axis=1)
    moments = moments_of(g)
    cosine = moments.cosine(BLOCK, "a", "b")
    assert (cosine.value, cosine.low, cosine.high) == pytest.approx((0.8, 0.8, 0.8))
    assert moments.squared_norm(BLOCK, "a").value == pytest.approx(25)
    assert moments.ceiling(BLOCK, "a").value == pytest.approx(1)
    assert moments.noise_scale(BLOCK, "a", 8).value == pytest.approx(0, abs=1e-9)
