"""Embedding distances against direct implementations of their definitions."""

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics.pairwise import cosine_similarity
from statsmodels.stats.proportion import proportion_confint
from torch import Tensor

from probes.bitext.distances import cosines, debiased_cka, retrieval, sentence_rows, wilson, word_rows
from probes.signals import Estimate

Matrix = NDArray[np.float64]


def aligned(n: int = 40, d: int = 12, noise: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Vectors of translations: a shared part and a common offset, with noise of each side's own."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(n, d, generator=generator, dtype=torch.float64)
    side = [shared + noise * torch.randn(n, d, generator=generator, dtype=torch.float64) for _ in range(2)]
    return side[0] + 0.5, side[1] + 0.5


def numbers(estimate: Estimate) -> tuple[float, float, float]:
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.value, estimate.low, estimate.high


# --- Cosines ------------------------------------------------------------------------------------------


def naive_cosines(a: Matrix, b: Matrix) -> tuple[float, float, float]:
    table = cosine_similarity(a, b)
    n = len(a)
    matched = np.mean([table[i, i] for i in range(n)])
    random = np.mean([table[i, j] for i in range(n) for j in range(n) if i != j])
    return float(matched), float(random), float(matched - random)


@pytest.mark.parametrize("n", [3, 17, 60])
def test_cosines_and_their_jackknife(n: int) -> None:
    source, target = aligned(n)
    a, b = source.numpy(), target.numpy()
    groups = np.array_split(np.arange(n), min(n, 20))
    parts = [naive_cosines(np.delete(a, group, 0), np.delete(b, group, 0)) for group in groups]
    spread = np.var(parts, axis=0) * (len(parts) - 1)
    half = stats.t.ppf(0.975, len(parts) - 1) * np.sqrt(spread)
    for i, (value, estimate) in enumerate(zip(naive_cosines(a, b), cosines(source, target), strict=True)):
        assert numbers(estimate) == pytest.approx((value, value - half[i], value + half[i]), abs=1e-10)


def test_the_interval_of_the_matched_cosine_is_that_of_a_mean() -> None:
    source, target = aligned(20)
    each = torch.nn.functional.cosine_similarity(source, target).numpy()
    low, high = stats.t.interval(0.95, 19, loc=each.mean(), scale=stats.sem(each))
    assert numbers(cosines(source, target).matched)[1:] == pytest.approx((low, high))


def test_the_interval_of_the_gap_covers_the_truth() -> None:
    truth = numbers(cosines(*aligned(100_000, 6, seed=1)).gap)[0]
    intervals = [numbers(cosines(*aligned(50, 6, seed=seed)).gap) for seed in range(2, 402)]
    covered = np.mean([low <= truth <= high for _, low, high in intervals])
    assert 0.90 <= covered <= 0.98
    assert np.mean([value for value, _, _ in intervals]) == pytest.approx(truth, abs=0.01)


# --- Retrieval ----------------------------------------------------------------------------------------


def naive_retrieval(a: Matrix, b: Matrix, k: int) -> dict[str, float]:
    table = cosine_similarity(a, b)
    n = len(a)
    forward = [int(np.argmax(table[i])) == i for i in range(n)]
    backward = [int(np.argmax(table[:, j])) == j for j in range(n)]
    near_row = [np.sort(table[i])[-k:].mean() for i in range(n)]
    near_column = [np.sort(table[:, j])[-k:].mean() for j in range(n)]
    csls = [
        int(np.argmax([2 * table[i, j] - near_row[i] - near_column[j] for j in range(n)])) == i
        for i in range(n)
    ]
    return {
        "forward": sum(forward) / n,
        "backward": sum(backward) / n,
        "strict": sum(f and b for f, b in zip(forward, backward, strict=True)) / n,
        "csls": sum(csls) / n,
    }


@pytest.mark.parametrize(("n", "k"), [(60, 10), (60, 1), (5, 10)])
def test_retrieval(n: int, k: int) -> None:
    source, target = aligned(n, noise=1.5)
    found = retrieval(source, target, neighbours=k)
    expected = naive_retrieval(source.numpy(), target.numpy(), min(k, n))
    for name, value in expected.items():
        assert numbers(getattr(found, name))[0] == pytest.approx(value), name
    assert 0 < expected["strict"] < max(expected["forward"], expected["backward"])


def test_csls_finds_what_a_hub_hides() -> None:
    target = torch.eye(6, dtype=torch.float64)
    source = target + 0.6
    target[0] = 1  # now nearer to each source vector than its own translation is
    found = retrieval(source, target)
    assert numbers(found.forward)[0] == pytest.approx(1 / 6)
    assert numbers(found.csls)[0] == 1


def test_a_tie_is_a_miss() -> None:
    source, target = aligned(12, noise=0.01)
    target[3] = target[4]
    found = retrieval(source, target)
    assert numbers(found.forward)[0] == pytest.approx(10 / 12)
    assert numbers(found.backward)[0] == pytest.approx(11 / 12)


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (1, 3), (980, 1000)])
def test_wilson(hits: int, n: int) -> None:
    low, high = proportion_confint(hits, n, method="wilson")
    assert numbers(wilson(hits, n)) == pytest.approx((hits / n, low, high), abs=1e-12)


@pytest.mark.parametrize("n", range(1, 60))
def test_wilson_reaches_the_ends_exactly(n: int) -> None:
    assert numbers(wilson(0, n))[:2] == (0, 0)
    assert numbers(wilson(n, n))[::2] == (1, 1)


# --- Debiased CKA -------------------------------------------------------------------------------------


def hsic_over_quadruples(k: Matrix, other: Matrix) -> float:
    """The U-statistic of HSIC: its kernel averaged over all quadruples of different indices."""
    terms = [
        k[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q])
        for i, j, q, r in itertools.permutations(range(len(k)), 4)
    ]
    return float(np.mean(terms))


def naive_cka(a: Matrix, b: Matrix) -> float:
    k, other = a @ a.T, b @ b.T
    own = hsic_over_quadruples(k, k) * hsic_over_quadruples(other, other)
    return hsic_over_quadruples(k, other) / float(np.sqrt(own))


def test_cka_and_its_jackknife() -> None:
    source, target = aligned(8, 5)
    target = target[:, :3] * 40 - 7
    a, b = source.numpy(), target.numpy()
    value, low, high = numbers(debiased_cka(source, target))
    assert value == pytest.approx(naive_cka(a, b), rel=1e-9)
    parts = [naive_cka(np.delete(a, i, 0), np.delete(b, i, 0)) for i in range(8)]
    half = stats.t.ppf(0.975, 7) * np.sqrt(np.var(parts) * 7)
    assert (low, high) == pytest.approx((value - half, value + half), rel=1e-6)


def test_cka_of_equal_spaces_is_one() -> None:
    source, _ = aligned(30)
    rotation = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64)).Q
    assert numbers(debiased_cka(source, 3 * source @ rotation + 5))[0] == pytest.approx(1)


@pytest.mark.slow
def test_cka_of_unrelated_spaces_is_zero_on_average() -> None:
    generator = torch.Generator().manual_seed(0)
    values = [
        numbers(debiased_cka(*torch.randn(2, 20, 60, generator=generator, dtype=torch.float64)))[0]
        for _ in range(200)
    ]
    # The usual, biased estimator gives about 0.75 with 20 sentences in 60 dimensions.
    assert np.mean(values) == pytest.approx(0, abs=0.02)
    assert min(values) < 0


# --- What is undefined --------------------------------------------------------------------------------

GOOD, _ = aligned(10)
ZERO = GOOD.clone()
ZERO[3] = 0
NAN = GOOD.clone()
NAN[3, 2] = float("nan")
SAME = torch.ones(10, 12, dtype=torch.float64) + 1e-9 * GOOD


@pytest.mark.parametrize(
    ("bad", "good", "note"),
    [
        (SAME, GOOD, "the same"),
        (ZERO, GOOD, "zero"),
        (NAN, GOOD, "no number"),
        (GOOD[:2], GOOD[:2], "too few"),
        (GOOD[:0], GOOD[:0], "too few"),
    ],
)
def test_what_is_undefined_is_unresolved(bad: Tensor, good: Tensor, note: str) -> None:
    for source, target in ((bad, good), (good, bad)):
        for row in sentence_rows(source[None], target[None]):
            assert row.value.value is None, row.measure
            assert note in (row.value.note or "")


def test_cka_needs_more_pairs_than_the_rest() -> None:
    values = {row.measure: row.value for row in sentence_rows(GOOD[None, :4], (GOOD + 1)[None, :4])}
    assert not values.pop("cka").resolved
    assert all(value.resolved for value in values.values())


def test_pairs_of_different_number_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="row a pair"):
        cosines(GOOD, GOOD[:-1])


# --- Rows ---------------------------------------------------------------------------------------------


def test_sentence_rows_cover_every_layer_with_its_own_numbers() -> None:
    layers = [aligned(25, noise=noise) for noise in (0.1, 1.0, 4.0)]
    source, target = (torch.stack([layer[i] for layer in layers]) for i in range(2))
    rows = sentence_rows(source, target)
    by_place = {(row.layer, row.measure): row for row in rows}
    assert len(by_place) == len(rows) == 3 * 8
    assert {row.unit for row in rows} == {"sentence"}
    for layer, (a, b) in enumerate(layers):
        assert by_place[layer, "cosine-gap"].value == cosines(a, b).gap
        assert by_place[layer, "retrieval-backward"].value == retrieval(a, b).backward
        assert by_place[layer, "cka"].value == debiased_cka(a, b)
        matched = by_place[layer, "matched-cosine"]
        assert matched.chance == by_place[layer, "random-cosine"].value.value
    gaps = [numbers(by_place[layer, "cosine-gap"].value)[0] for layer in range(3)]
    assert gaps == sorted(gaps, reverse=True)


def test_chance_levels_of_retrieval() -> None:
    generator = torch.Generator().manual_seed(0)
    rounds = torch.randn(600, 2, 5, 300, generator=generator)  # 600 times 5 pairs of unrelated vectors
    rows = sentence_rows(rounds[0, :1], rounds[0, 1:])
    chance = [row.chance for row in rows if row.measure.startswith("retrieval")]
    found = [[numbers(share)[0] for share in retrieval(source, target)] for source, target in rounds]
    assert np.mean(found, axis=0) == pytest.approx(chance, abs=0.025)


def test_word_rows() -> None:
    source, target = (side[None].float() for side in aligned(30))
    rows = word_rows(source, target)
    assert [row.measure for row in rows] == ["matched-cosine", "random-cosine", "cosine-gap"]
    assert {(row.unit, row.layer) for row in rows} == {("word", 0)}
    assert rows[2].value == cosines(source[0], target[0]).gap
    assert rows[2].chance == 0


def test_half_precision_and_gradients_are_accepted() -> None:
    source, target = (side.to(torch.bfloat16).requires_grad_() for side in aligned(30))
    assert all(row.value.resolved for row in sentence_rows(source[None], target[None]))
