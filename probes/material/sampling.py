"""Splitting the user's data into parts that do not overlap."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from probes.budget import Budget
from probes.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class SourceSplit(Generic[T]):
    """Labelled source sentences by what they are for.

    Attributes:
        fit: the head is fitted and the warm-up drawn from these.
        rounds: K batches for task gradients.
        held_out: scored on; nothing in ``fit`` is of the same whole.
    """

    fit: list[T]
    rounds: list[list[T]]
    held_out: list[T]


def shuffled(items: Sequence[T], seed: int) -> list[T]:
    """The items in a random order that depends on the seed alone; those of one whole follow one another."""
    order = np.random.default_rng(seed).permutation(len(items)).tolist()
    turn: dict[Hashable, int] = {}
    for i in order:
        turn.setdefault(_whole(items[i], i), len(turn))
    return [items[i] for i in sorted(order, key=lambda i: turn[_whole(items[i], i)])]


def _whole(item: object, itself: Hashable) -> Hashable:
    """What an item is a part of that no split may divide (:attr:`probes.batches.LabelledText.whole`)."""
    return getattr(item, "whole", itself)


def batch_size_for(available: int, budget: Budget, what: str) -> int:
    """The largest batch, up to the budget's, that gives every round sentences of its own.

    Raises:
        InputError: if there are not even two for each round.
    """
    size = min(budget.batch_size, available // budget.rounds)
    if size < 2:
        raise InputError(
            f"There are {available} {what}, and {budget.rounds} gradient rounds need at least "
            f"{2 * budget.rounds}: bring more, or use a smaller --budget."
        )
    return size


def deal(items: Sequence[T], rounds: int, size: int) -> list[list[T]]:
    """The first ``rounds * size`` items in batches of ``size``."""
    return [list(items[k * size : (k + 1) * size]) for k in range(rounds)]


def split_source(items: Sequence[T], budget: Budget) -> SourceSplit[T]:
    """Deal shuffled source sentences: at most a quarter each to gradients and scoring, the rest to fitting.

    Raises:
        InputError: if there are too few.
    """
    quarter = len(items) // 4
    size = batch_size_for(quarter, budget, "labelled source sentences to take gradients on")
    used = budget.rounds * size
    rest = items[used:]
    sizes = Counter(_whole(item, i) for i, item in enumerate(rest))
    held_out: set[Hashable] = set()
    total = 0
    for whole, count in sizes.items():
        if total >= min(budget.held_out_sentences, quarter):
            break
        held_out.add(whole)
        total += count
    apart = [_whole(item, i) in held_out for i, item in enumerate(rest)]
    return SourceSplit(
        fit=[item for item, is_held in zip(rest, apart, strict=True) if not is_held],
        rounds=deal(items, budget.rounds, size),
        held_out=[item for item, is_held in zip(rest, apart, strict=True) if is_held],
    )
