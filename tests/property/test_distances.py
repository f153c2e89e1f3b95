"""What must not change the distances: how the space is turned, its scale, the order of the pairs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from probes.bitext.distances import sentence_rows
from probes.signals import Estimate
from tests.examples import examples


def pair(n: int, d: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    source = torch.randn(n, d, generator=generator, dtype=torch.float64)
    target = source + torch.randn(n, d, generator=generator, dtype=torch.float64)
    return source, target


def measure(source: Tensor, target: Tensor) -> dict[str, Estimate]:
    return {row.measure: row.value for row in sentence_rows(source[None], target[None])}


def assert_same(found: dict[str, Estimate], expected: dict[str, Estimate], bounds: bool = True) -> None:
    assert found.keys() == expected.keys()
    for name, estimate in expected.items():
        assert found[name].value == pytest.approx(estimate.value, abs=1e-8), name
        if bounds:
            assert found[name].low == pytest.approx(estimate.low, abs=1e-8), name
            assert found[name].high == pytest.approx(estimate.high, abs=1e-8), name


sizes = st.integers(6, 30), st.integers(2, 12), st.integers(0, 10_000)


@examples(40)
@given(*sizes)
def test_turning_both_spaces_alike_changes_nothing(n: int, d: int, seed: int) -> None:
    source, target = pair(n, d, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    assert_same(measure(source @ rotation, target @ rotation), measure(source, target))


@examples(40)
@given(*sizes, st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_scaling_a_space_changes_nothing(n: int, d: int, seed: int, first: float, second: float) -> None:
    source, target = pair(n, d, seed)
    assert_same(measure(first * source, second * target), measure(source, target))


@examples(40)
@given(*sizes)
def test_the_order_of_the_pairs_changes_no_value(n: int, d: int, seed: int) -> None:
    source, target = pair(n, d, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    # The intervals may change: they rest on groups of neighbours.
    assert_same(measure(source[order], target[order]), measure(source, target), bounds=n <= 20)


@examples(40)
@given(*sizes)
def test_swapping_the_sides_swaps_the_directions(n: int, d: int, seed: int) -> None:
    source, target = pair(n, d, seed)
    found, swapped = measure(source, target), measure(target, source)
    swapped["retrieval-forward"], swapped["retrieval-backward"] = (
        swapped["retrieval-backward"],
        swapped["retrieval-forward"],
    )
    del found["retrieval-csls"], swapped["retrieval-csls"]  # taken forward only
    assert_same(swapped, found)


@examples(60)
@given(*sizes)
def test_values_and_bounds_are_ordered_and_in_range(n: int, d: int, seed: int) -> None:
    for name, estimate in measure(*pair(n, d, seed)).items():
        if estimate.value is None:
            assert name == "cka"
            continue
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high
        lowest = 0 if name.startswith("retrieval") else -2 if name == "cosine-gap" else -1
        assert lowest <= estimate.value <= (2 if name == "cosine-gap" else 1) + 1e-9
