"""Gradients of several losses, accumulated round by round in few copies of the encoder.

A round yields one gradient a loss. What is asked of them later are products with the gradients of a few
losses, the *references* (task gradients), across rounds. So the references' gradients are kept for the length
of a round, as autograd returned them, while every other one is walked over once while it is fresh and then
dropped. The walk takes stretches that stay in a processor's cache and does everything on each: products with
the references, squared norm, addition to the loss's running sum, and a small random sketch.

Memory is one copy for each running sum, one for each reference and one for the fresh gradient, whatever the
number of rounds. Products of a reference with any summed loss, within a round and between sums, are exact.
Everything else comes from the sketches: the products between single rounds that intervals need, and all there
is of losses that are only sketched (nulls). The sketch's own error goes into the intervals: it is small where
the gradient noise lives in fewer directions than the sketch has numbers, and makes them too wide, never too
narrow, where it does not.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from probes.errors import NotFiniteError
from probes.estimators import Moments

__all__ = ["SKETCH_WIDTH", "BlockGradients", "GradientAccumulator", "block_gradients"]

BlockGradients = Mapping[str, Sequence[Tensor]]
"""Block name -> flat pieces of one gradient, in the order of the block's parameters."""

SKETCH_WIDTH = 16_384
"""Numbers a sketch keeps a block. The relative error of an inner product is 1/sqrt(width x blocks)."""
_STRETCH = 131_072
"""Numbers walked over at a time on a CPU: half a MiB, so that they are read from memory once."""
_SHORT_STRETCH = 16_384
"""The same where a stretch of every sum is needed at once."""
_LONG_STRETCH = 2**20
"""The same elsewhere, where few launches matter more than the cache."""
_SHIFTS = 2**16
"""Places in the pool of random signs where a stretch may begin."""


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
        references: those of them whose products with the others are exact; their gradients are kept for the
            length of a round.
        sketched: those of them of which only sketches are kept: no running sum, no exact product.
        device: where the gradients are.
        width: sketch width; a block no larger than this is sketched without error.
        seed: of the sketch's signs.
        sum_dtype: of the running sums. In bfloat16 they take half the memory. Each addition then rounds
            every number by at most 0.2 %, independently of the others, which over d numbers adds about
            2 %/sqrt(d) of the norms to an inner product.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        losses: Sequence[str],
        *,
        references: Sequence[str] = (),
        sketched: Collection[str] = (),
        device: torch.device | str = "cpu",
        width: int = SKETCH_WIDTH,
        seed: int = 0,
        sum_dtype: torch.dtype = torch.float32,
    ) -> None:
        self.losses = tuple(losses)
        self.sizes = dict(sizes)
        self._references = tuple(references)
        self._sums = {
            loss: {block: torch.zeros(d, device=device, dtype=sum_dtype) for block, d in sizes.items()}
            for loss in losses
            if loss not in sketched
        }
        self._device = device
        self._stretch = _STRETCH if torch.device(device).type == "cpu" else _LONG_STRETCH
        self._sketcher = _Sketcher(width, self._stretch, seed, device)
        self._products: list[dict[tuple[str, str], Tensor]] = []
        self._sketches: list[dict[str, list[Tensor]]] = []

    @property
    def rounds(self) -> int:
        """Rounds accumulated so far."""
        return len(self._sketches)

    @torch.no_grad()
    def add_round(self, gradients: Mapping[str, Callable[[], BlockGradients]]) -> None:
        """Take one round: the references first, then the others, one at a time.

        Beside those of the references no more than one fresh gradient is alive.

        Args:
            gradients: loss name -> function that returns its gradient a block.

        Raises:
            KeyError: if a loss is missing; nothing is added then.
            NotFiniteError: if a gradient holds infinity or NaN; the sums are of no use then.
        """
        for loss in self.losses:
            gradients[loss]
        kept: dict[str, BlockGradients] = {}
        products: dict[tuple[str, str], Tensor] = {}
        sketches: dict[str, list[Tensor]] = {}
        for loss in sorted(self.losses, key=lambda name: name not in self._references):
            with torch.enable_grad():
                fresh = gradients[loss]()
            others = {} if loss not in self._sums else kept | {loss: fresh}
            found, sketches[loss] = self._walk(fresh, list(others.values()), self._sums.get(loss))
            if not bool(torch.stack([sketch.isfinite().all() for sketch in sketches[loss]]).all()):
                raise NotFiniteError(f"The gradient of {loss} is not finite: check the model's weights.")
            for other, product in zip(others, found.unbind(1), strict=True):
                products[loss, other] = products[other, loss] = product
            if loss in self._references:
                kept[loss] = fresh
            del fresh, others
        self._products.append(products)
        self._sketches.append(sketches)

    def _walk(
        self, fresh: BlockGradients, others: Sequence[BlockGradients], total: Mapping[str, Tensor] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Go through one gradient once: multiply, add to its sum, sketch.

        Returns:
            Inner products with ``others``, (blocks, others), and a sketch a block.
        """
        products, sketches = [], []
        for number, (block, size) in enumerate(self.sizes.items()):
            sketch = self._sketcher.empty(size)
            here: list[Tensor] = []
            position = 0
            for i, piece in enumerate(fresh[block]):
                stretches = piece.split(self._stretch)
                rows = [other[block][i].split(self._stretch) for other in others]
                sums = None
                if total is not None:
                    sums = total[block][position : position + piece.numel()].split(self._stretch)
                for j, stretch in enumerate(stretches):
                    here += [torch.dot(row[j], stretch) for row in rows]
                    if sums is not None:
                        sums[j].add_(stretch)
                    self._sketcher.add(sketch, stretch, number, position + j * self._stretch, size)
                position += piece.numel()
            flat = torch.stack(here).double() if here else sketch.new_zeros(0, dtype=torch.float64)
            products.append(flat.view(-1, len(others)).sum(0) if others else flat)
            sketches.append(sketch)
        return torch.stack(products), sketches

    def mean(self, loss: str) -> dict[str, Tensor]:
        """Mean gradient of one summed loss over the rounds, a block at a time."""
        return {block: total.float() / max(1, self.rounds) for block, total in self._sums[loss].items()}

    def sketched(self) -> Moments:
        """The moments by sketches alone: at once, where exact ones take a walk through all sums."""
        losses, rounds = len(self.losses), self.rounds
        between = np.zeros((len(self.sizes), losses, rounds, losses, rounds))
        for b in range(len(self.sizes)):
            flat = torch.stack(
                [sketch[loss][b] for loss in self.losses for sketch in self._sketches]
            ).double()
            between[b] = (flat @ flat.T).cpu().numpy().reshape(losses, rounds, losses, rounds)
        return Moments(
            losses=self.losses,
            blocks=tuple(self.sizes),
            sizes=np.array(list(self.sizes.values())),
            sums=between.sum(axis=(2, 4)),
            within=np.einsum("bikjk->bijk", between).copy(),
            between=between,
        )

    def moments(self) -> Moments:
        """Everything the estimators need, as small numpy arrays; exact wherever it can be."""
        found = self.sketched()
        exact = {pair for products in self._products for pair in products}
        sums = self._sum_products()
        for first, second in exact:
            i, j = self.losses.index(first), self.losses.index(second)
            found.sums[:, i, j] = sums[first, second]
            for k, products in enumerate(self._products):
                found.within[:, i, j, k] = products[first, second].cpu().numpy()
        return found

    @torch.no_grad()
    def _sum_products(self) -> dict[tuple[str, str], np.ndarray]:
        """Inner products of all sums, (blocks,) for each pair, in one walk through them."""
        names = list(self._sums)
        grams = []
        for block in self.sizes:
            gram = torch.zeros(len(names), len(names), dtype=torch.float64, device=self._device)
            for pieces in zip(
                *(self._sums[name][block].split(_SHORT_STRETCH) for name in names), strict=True
            ):
                rows = torch.stack(pieces).float()
                gram += rows @ rows.T
            grams.append(gram)
        found = torch.stack(grams, dim=2).cpu().numpy()
        return {(a, b): found[i, j] for i, a in enumerate(names) for j, b in enumerate(names)}


class _Sketcher:
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
