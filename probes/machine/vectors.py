"""Long vectors that are used again: memory asked for anew costs more than the arithmetic done in it."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


class VectorPool:
    """Hands out vectors of zeros, and takes them back for whoever asks next.

    The two points of a probe need running sums of the same sizes, gigabytes of them for a large encoder. The
    second takes those of the first, which are in memory already. A pool holds on to what it was given back
    for as long as it lives.
    """

    def __init__(self) -> None:
        self._free: defaultdict[tuple[int, torch.dtype, torch.device], list[Tensor]] = defaultdict(list)

    def zeros(self, size: int, dtype: torch.dtype, device: torch.device | str) -> Tensor:
        """A vector of ``size`` zeros that nobody else has.

        On a CPU a new one lies in memory of numpy, which asks the system for huge pages: with small ones,
        touching gigabytes for the first time takes longer than all walks of a few rounds.
        """
        place = torch.device(device)
        free = self._free[size, dtype, place]
        if free:
            return free.pop().zero_()
        if place.type != "cpu":
            return torch.zeros(size, dtype=dtype, device=place)
        return torch.from_numpy(np.zeros(size * dtype.itemsize, np.uint8)).view(dtype)

    def take_back(self, vectors: Iterable[Tensor]) -> None:
        """Keep vectors that their holder will not read again."""
        for vector in vectors:
            self._free[vector.numel(), vector.dtype, vector.device].append(vector)
