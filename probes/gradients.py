"""Gradients of several losses, accumulated round by round without keeping them.

A round yields one gradient a loss. Of each the accumulator keeps a running sum, so that memory is two copies
a loss whatever the number of rounds; inner products within a round and between the sums are exact. What
intervals need beyond that - inner products between single rounds - comes from a small random sketch of every
gradient. The sketch's own error goes into the intervals: it is small where the gradient noise lives in fewer
directions than the sketch has numbers, and makes them too wide, never too narrow, where it does not.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from probes.estimators import Moments

__all__ = ["BlockGradients", "GradientAccumulator", "block_gradients"]

BlockGradients = Mapping[str, Sequence[Tensor]]
"""Block name -> flat pieces of one gradient, in the order of the block's parameters."""

SKETCH_WIDTH = 16_384
"""Numbers a sketch keeps a block. The relative error of an inner product is 1/sqrt(width x blocks)."""


def block_gradients(
    loss: Tensor, parameters: Mapping[str, Sequence[nn.Parameter]], keep_graph: bool = False
) -> BlockGradients:
    """The gradient of a scalar loss, block by block.

    ``.grad`` of the parameters is neither read nor written. Parameters the loss does not reach count as zero.

    Args:
        loss: scalar with a graph.
        parameters: block name -> its parameters.
        keep_graph: whether another loss will be differentiated through the same forward pass.

    Returns:
        Block name -> flat pieces, one a parameter, which together are the block's gradient.
    """
    flat = [p for group in parameters.values() for p in group]
    gradients = iter(torch.autograd.grad(loss, flat, retain_graph=keep_graph, allow_unused=True))
    return {
        block: [p.new_zeros(p.numel()) if (g := next(gradients)) is None else g.flatten() for p in group]
        for block, group in parameters.items()
    }


class GradientAccumulator:
    """Accumulates rounds of gradients into the moments the estimators work on.

    Args:
        sizes: block name -> number of parameters.
        losses: names of the losses; every round must bring all of them.
        device: where the gradients are.
        width: sketch width; a block no larger than this is kept exactly.
        seed: of the sketch's signs.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        losses: Sequence[str],
        device: torch.device | str = "cpu",
        width: int = SKETCH_WIDTH,
        seed: int = 0,
    ) -> None:
        self.losses = tuple(losses)
        self.sizes = dict(sizes)
        self._sums = {block: torch.zeros(len(losses), d, device=device) for block, d in sizes.items()}
        self._now = {block: torch.zeros(len(losses), d, device=device) for block, d in sizes.items()}
        self._signs = {
            block: _signs(d, width, seed + i, device) for i, (block, d) in enumerate(sizes.items())
        }
        self._width = width
        self._within: list[np.ndarray] = []
        self._sketches: list[dict[str, Tensor]] = []

    @property
    def rounds(self) -> int:
        """Rounds accumulated so far."""
        return len(self._within)

    def add_round(self, gradients: Mapping[str, Callable[[], BlockGradients]]) -> None:
        """Take one round, one loss at a time so that no more than one fresh gradient is alive.

        Args:
            gradients: loss name -> function that returns its gradient a block.

        Raises:
            KeyError: if a loss is missing.
        """
        for row, loss in enumerate(self.losses):
            for block, pieces in gradients[loss]().items():
                torch.cat(list(pieces), out=self._now[block][row])
        found = [self._absorb(block) for block in self.sizes]
        self._within.append(np.stack([within for within, _ in found]))
        self._sketches.append({block: sketch for block, (_, sketch) in zip(self.sizes, found, strict=True)})

    def _absorb(self, block: str) -> tuple[np.ndarray, Tensor]:
        """Inner products and sketches of the current round, which is added to the sums on the way.

        One walk over the columns in stretches that stay in cache serves all three.

        The sketch is a count sketch (Charikar et al. 2002) whose buckets are the positions modulo its width:
        with random signs the inner product of two sketches is an unbiased estimate of that of the vectors.
        """
        now, total, signs, width = self._now[block], self._sums[block], self._signs[block], self._width
        size = now.shape[1]
        within = now.new_zeros(len(self.losses), len(self.losses), dtype=torch.float64)
        sketch = now.new_zeros(len(self.losses), min(width, size))
        for start in range(0, size, width):
            piece = now[:, start : start + width]
            within += piece @ piece.T
            total[:, start : start + width] += piece
            if signs is None:
                sketch += piece
            else:
                sketch[:, : piece.shape[1]].addcmul_(piece, signs[start : start + piece.shape[1]])
        return within.cpu().numpy(), sketch

    def mean(self, loss: str) -> dict[str, Tensor]:
        """Mean gradient of one loss over the rounds, a block at a time."""
        row = self.losses.index(loss)
        return {block: total[row] / max(1, self.rounds) for block, total in self._sums.items()}

    def moments(self) -> Moments:
        """Everything the estimators need, as small numpy arrays."""
        between = []
        for block in self.sizes:
            rounds = torch.stack([sketch[block] for sketch in self._sketches], dim=1)
            flat = rounds.reshape(len(self.losses) * self.rounds, -1).double()
            gram = (flat @ flat.T).cpu().numpy()
            between.append(gram.reshape(len(self.losses), self.rounds, len(self.losses), self.rounds))
        return Moments(
            losses=self.losses,
            blocks=tuple(self.sizes),
            sizes=np.array(list(self.sizes.values())),
            sums=np.stack([(s @ s.T).double().cpu().numpy() for s in self._sums.values()]),
            within=np.stack(self._within, axis=-1),
            between=np.stack(between),
        )


def _signs(size: int, width: int, seed: int, device: torch.device | str) -> Tensor | None:
    if size <= width:
        return None
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (size,), generator=generator, dtype=torch.int8) * 2 - 1
    return signs.to(device)
