"""Batches in an order that depends on the seed alone, and that can be taken up anywhere."""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import torch
from torch.utils.data import RandomSampler

T = TypeVar("T")
B = TypeVar("B")


class Batches(Generic[T, B]):
    """Full batches without end, in a new order each time round; several processes share them out.

    Short ones are left out: contrastive losses are not comparable over batches of different sizes. The order
    is the one in which torch's ``DataLoader`` would shuffle with a generator of that seed.

    Args:
        wanted: items in a batch; fewer where not every process could fill one.
        rank, processes: which share of the batches is drawn here.

    Attributes:
        taken: how many batches have been drawn here; set it to go on from there.
    """

    def __init__(
        self,
        items: Sequence[T],
        wanted: int,
        collate: Callable[[list[T]], B],
        seed: int,
        *,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.size = max(1, min(wanted, len(items) // processes))
        self.taken = 0
        self._items = items
        self._collate = collate
        self._seed = seed
        self._rank, self._processes = rank, processes
        self._epoch = -1
        self._order: list[int] = []
        self._generator = torch.Generator()

    @property
    def an_epoch(self) -> int:
        """Batches that each process draws before the order changes."""
        return max(1, len(self._items) // (self.size * self._processes))

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        epoch, place = divmod(self.taken, self.an_epoch)
        self._shuffle(epoch)
        start = (place * self._processes + self._rank) * self.size
        self.taken += 1
        return self._collate([self._items[i] for i in self._order[start : start + self.size]])

    def _shuffle(self, epoch: int) -> None:
        """Bring about the order of an epoch: it follows from the ones before."""
        if epoch < self._epoch or self._epoch < 0:
            self._generator.manual_seed(self._seed)
            self._epoch = -1
        while self._epoch < epoch:
            # a loader draws a seed for its workers first
            torch.empty((), dtype=torch.int64).random_(generator=self._generator)
            self._order = list(RandomSampler(self._items, generator=self._generator))
            self._epoch += 1
