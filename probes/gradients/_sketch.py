"""Random sketches of vectors."""

import torch
from torch import Tensor

_SHIFTS = 2**16
"""Places in the pool of random signs where a stretch may begin."""


class Sketcher:
    """Count sketches (Charikar et al. 2002) whose buckets follow the positions, modulo their width.

    With random signs the inner product of two sketches is an unbiased estimate of that of the vectors. A
    sign for each of a hundred million numbers would take memory and time to read; here each stretch
    takes its signs from one small pool, from a place that depends on the stretch.

    Args:
        width: numbers in a sketch; a vector no longer is its own sketch.
        stretch: most numbers that are added at once.
        seed: of the pool.
        device: where the vectors are.
    """

    def __init__(self, width: int, stretch: int, seed: int, device: torch.device | str) -> None:
        generator = torch.Generator().manual_seed(seed)
        signs = torch.randint(0, 2, (stretch + _SHIFTS,), generator=generator) * 2 - 1
        self._pool = signs.to(device, torch.float32)
        self._width = width
        self._device = device

    def empty(self, size: int) -> Tensor:
        """The sketch of a zero vector of ``size`` numbers."""
        return torch.zeros(min(size, self._width), device=self._device)

    def add(self, sketch: Tensor, stretch: Tensor, block: int, begin: int, size: int) -> None:
        """Add a stretch to a sketch.

        Args:
            sketch: changed in place.
            stretch: consecutive numbers of a vector.
            block: which vector, so that blocks do not share signs.
            begin: where in the vector the stretch begins.
            size: of the whole vector.
        """
        length = stretch.numel()
        if size <= self._width:
            sketch[begin : begin + length] += stretch
            return
        shift = ((begin + 8191 * block) * 2_654_435_761 % 2**32) >> 16  # Knuth's multiplicative hash
        signed = stretch * self._pool[shift : shift + length]
        whole = length - length % self._width
        if whole:
            sketch += signed[:whole].view(-1, self._width).sum(0)
        # What is left goes on from where its position says, so that short parameters do not share buckets.
        start, rest = begin % self._width, signed[whole:]
        before = rest[: self._width - start]
        sketch[start : start + before.numel()] += before
        sketch[: rest.numel() - before.numel()] += rest[before.numel() :]
