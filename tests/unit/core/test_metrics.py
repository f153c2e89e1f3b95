"""Accuracy and span F1, against hand cases and another way of counting."""

import re

import numpy as np
import pytest

from probes.data.spans import spans
from probes.metrics import counts, score_counts
from probes.signals import Estimate


def score(gold: list[list[str]], guess: list[list[str]], metric: str, seed: int = 0) -> Estimate:
    return score_counts(counts(gold, guess, metric), seed)


TAGS = ("O", "B-x", "I-x", "B-y", "I-y")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-x", [(0, 1, "x")]),
        ("B-x I-x O", [(0, 2, "x")]),
        ("B-x B-x", [(0, 1, "x"), (1, 2, "x")]),
        ("B-x I-y", [(0, 1, "x"), (1, 2, "y")]),
        ("O I-x I-x", [(1, 3, "x")]),
        ("I-x B-x I-x", [(0, 1, "x"), (1, 3, "x")]),
        ("B-x O I-x", [(0, 1, "x"), (2, 3, "x")]),
        ("B-date-time I-date-time", [(0, 2, "date-time")]),
    ],
)
def test_spans_by_hand(tags: str, expected: list[tuple[int, int, str]]) -> None:
    assert list(spans(tags.split())) == expected


def searched(tags: list[str]) -> set[tuple[int, int, str]]:
    """Spans by regular expression over one letter a tag, one type at a time."""
    found = set()
    for kind in {tag[2:] for tag in tags if tag != "O"}:
        letters = "".join(tag[0] if tag[2:] == kind else "O" for tag in tags)
        found |= {(m.start(), m.end(), kind) for m in re.finditer("BI*|I+", letters)}
    return found


def random_tags(generator: np.random.Generator, length: int) -> list[str]:
    return [TAGS[i] for i in generator.integers(len(TAGS), size=length)]


def test_spans_agree_with_a_search() -> None:
    generator = np.random.default_rng(0)
    for _ in range(300):
        tags = random_tags(generator, int(generator.integers(0, 9)))
        assert set(spans(tags)) == searched(tags)


def test_span_f1_agrees_with_precision_and_recall() -> None:
    generator = np.random.default_rng(1)
    lengths = generator.integers(1, 9, size=40)
    gold = [random_tags(generator, n) for n in lengths]
    guess = [
        [t if generator.random() < 0.7 else TAGS[generator.integers(len(TAGS))] for t in row] for row in gold
    ]
    hits = sum(len(searched(g) & searched(p)) for g, p in zip(gold, guess, strict=True))
    precision = hits / sum(len(searched(p)) for p in guess)
    recall = hits / sum(len(searched(g)) for g in gold)
    expected = 100 * 2 * precision * recall / (precision + recall)
    found = score(gold, guess, "span-f1")
    assert found.value == pytest.approx(expected)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < expected < found.high <= 100


def test_accuracy_counts_labels_over_all_sentences() -> None:
    gold, guess = [["A", "B", "B"], ["A"]], [["A", "B", "A"], [""]]
    assert score(gold, guess, "accuracy").value == 50
    assert score([["A"], ["B"]], [["A"], ["B"]], "accuracy").value == 100


def test_exact_spans_only() -> None:
    gold = [["B-x", "I-x", "O"]]
    assert score(gold, [["B-x", "O", "O"]], "span-f1").value == 0
    assert score(gold, [["I-x", "I-x", "O"]], "span-f1").value == 100
    assert score(gold, [["B-y", "I-y", "O"]], "span-f1").value == 0


def test_nothing_to_find_and_nothing_found_is_right() -> None:
    found = score([["O", "O"]], [["O", "O"]], "span-f1")
    assert (found.value, found.low, found.high) == (100, 100, 100)


def test_the_interval_narrows_with_data_and_depends_on_the_seed_alone() -> None:
    generator = np.random.default_rng(2)
    gold = [["A"] for _ in range(400)]
    guess = [["A" if generator.random() < 0.7 else "B"] for _ in gold]
    few, many = score(gold[:40], guess[:40], "accuracy"), score(gold, guess, "accuracy")
    assert few.low is not None
    assert few.high is not None
    assert many.low is not None
    assert many.high is not None
    assert many.high - many.low < (few.high - few.low) / 2
    assert many.low < 70 < many.high
    assert score(gold, guess, "accuracy", seed=0) == many != score(gold, guess, "accuracy", seed=1)


def test_sentences_must_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        score([["A"]], [], "accuracy")
    with pytest.raises(ValueError, match="zip"):
        score([["A", "B"]], [["A"]], "accuracy")
