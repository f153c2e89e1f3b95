"""Gradients of several losses, accumulated round by round in few copies of the encoder.

A round yields one gradient a loss. What is asked of them later are products with the gradients of a few
losses, the *references* (task gradients), across rounds. So the references' gradients are kept for the length
of a round, while every other one is never there as a whole: each parameter's gradient is walked over as soon
as the backward pass has made it, and dropped. The walk takes stretches that stay in a processor's cache and
does everything on each: products with the references, squared norm, addition to the loss's running sum, and
a small random sketch.

Memory is one copy for each running sum and one for each reference, whatever the number of rounds. Products of
a reference with any summed loss, within a round and between sums, are exact. Everything else comes from the
sketches: the products between single rounds that intervals need, and all there is of losses that are only
sketched (nulls). The sketch's own error goes into the intervals: it is small where the gradient noise lives
in fewer directions than the sketch has numbers, and makes them too wide, never too narrow, where it does not.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from probes.errors import NotFiniteError
from probes.gradients.estimators import Moments
from probes.gradients.stream import Receive
from probes.machine.processes import ALONE, Processes
from probes.machine.vectors import VectorPool

SKETCH_WIDTH = 16_384
"""Numbers a sketch keeps a block. The relative error of an inner product is 1/sqrt(width x blocks)."""
_STRETCH = 2**18
"""Numbers walked over at a time on a CPU: a MiB, so that they stay in a cache for all that is done to them.
With fewer the calls take longer than the memory."""
_SHORT_STRETCH = 16_384
"""The same where a stretch of every sum is needed at once."""
_LONG_STRETCH = 2**20
"""The same elsewhere, where few launches matter more than the cache."""


class GradientAccumulator:
    """Accumulates rounds of gradients into the moments the estimators work on.

    Args:
        sizes: block name -> number of numbers in each of its parameters.
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
        pool: where the vectors come from and go back to; one of its own if there is none.
    """

    def __init__(
        self,
        sizes: Mapping[str, Sequence[int]],
        losses: Sequence[str],
        *,
        references: Sequence[str] = (),
        sketched: Collection[str] = (),
        device: torch.device | str = "cpu",
        width: int = SKETCH_WIDTH,
        seed: int = 0,
        sum_dtype: torch.dtype = torch.float32,
        pool: VectorPool | None = None,
    ) -> None:
        self._pool = pool or VectorPool()
        self.losses = tuple(losses)
        self.sizes = {block: sum(parts) for block, parts in sizes.items()}
        self._begins = {block: (0, *accumulate(parts)) for block, parts in sizes.items()}
        self._references = tuple(references)
        self._sums = {
            loss: {block: self._pool.zeros(d, sum_dtype, device) for block, d in self.sizes.items()}
            for loss in losses
            if loss not in sketched
        }
        # Memory that is asked for anew each round would cost more in page faults than copying does.
        self._kept = {
            loss: {block: self._pool.zeros(d, torch.float32, device) for block, d in self.sizes.items()}
            for loss in references
        }
        self._device = device
        self._stretch = _STRETCH if torch.device(device).type == "cpu" else _LONG_STRETCH
        self._sketcher = Sketcher(width, self._stretch, seed, device)
        self._products: list[dict[tuple[str, str], Tensor]] = []
        self._sketches: list[dict[str, list[Tensor]]] = []

    @property
    def rounds(self) -> int:
        """Rounds accumulated so far."""
        return len(self._sketches)

    def add_round(self, gradients: Mapping[str, Callable[[Receive], None]]) -> None:
        """Take one round: the references first, then the others, one at a time.

        Args:
            gradients: loss name -> function that hands the loss's gradient over, a parameter at a time.

        Raises:
            KeyError: if a loss is missing; nothing is added then.
            NotFiniteError: if a gradient holds infinity or NaN; the sums are of no use then.
        """
        for loss in self.losses:
            gradients[loss]
        pieces: dict[str, _Pieces] = {}
        products: dict[tuple[str, str], Tensor] = {}
        sketches: dict[str, list[Tensor]] = {}
        for loss in sorted(self.losses, key=lambda name: name not in self._references):
            walk = _Walk(self, pieces if loss in self._sums else {}, self._sums.get(loss))
            if loss in self._references:
                walk.keep, pieces[loss] = self._kept[loss], walk.kept
            gradients[loss](walk.receive)
            sketches[loss] = walk.sketches
            if not bool(torch.stack([sketch.isfinite().all() for sketch in walk.sketches]).all()):
                raise NotFiniteError(f"The gradient of {loss} is not finite: check the model's weights.")
            if loss in self._sums:
                products[loss, loss] = walk.squared_norms
            for other, product in walk.products.items():
                products[loss, other] = products[other, loss] = product
        self._products.append(products)
        self._sketches.append(sketches)

    def release(self) -> None:
        """Give all vectors back to the pool: there will be no further round, and no mean to ask for."""
        for vectors in (*self._sums.values(), *self._kept.values()):
            self._pool.take_back(vectors.values())
        self._sums.clear()
        self._kept.clear()
        self._pool = VectorPool()  # what others left in the old one is not to live as long as this

    def mean(self, loss: str) -> dict[str, Tensor]:
        """Mean gradient of one summed loss over the rounds, a block at a time.

        Raises:
            KeyError: if the loss has no sum, or no longer one.
        """
        return {block: total.float() / max(1, self.rounds) for block, total in self._sums[loss].items()}

    def join(self, processes: Processes) -> None:
        """Take in the rounds of the other processes; all must call this once, after their last round."""
        if processes.count == 1:
            return
        self._sketches = _in_turn(self._sketches, processes)
        rounds = [{pair: product.cpu() for pair, product in products.items()} for products in self._products]
        self._products = processes.in_turn(rounds)
        for total in self._sums.values():
            for block in total.values():
                processes.add_up(block)

    def folded(self, block: str, losses: Sequence[str], width: int) -> np.ndarray:
        """Narrower sketches of one block, (losses, rounds, ``width`` or less); exact where sketches are."""
        number = list(self.sizes).index(block)
        rows = [[sketch[loss][number].cpu() for sketch in self._sketches] for loss in losses]
        products = torch.stack([torch.stack(row) for row in rows])
        if (
            self.sizes[block] > products.shape[-1] and products.shape[-1] % width == 0
        ):  # its numbers have random signs
            products = products.unflatten(-1, (-1, width)).sum(-2)
        return np.asarray(products.numpy())

    def sketched(self, processes: Processes = ALONE) -> Moments:
        """The moments by sketches alone: at once, where exact ones take a walk through all sums.

        Args:
            processes: whose rounds count as well, before :meth:`join`.
        """
        sketches = self._sketches if processes.count == 1 else _in_turn(self._sketches, processes)
        losses, rounds = len(self.losses), len(sketches)
        between = np.zeros((len(self.sizes), losses, rounds, losses, rounds))
        for b in range(len(self.sizes)):
            flat = torch.stack([sketch[loss][b] for loss in self.losses for sketch in sketches]).double()
            between[b] = (flat @ flat.T).cpu().numpy().reshape(losses, rounds, losses, rounds)
        return Moments.of_products(self.losses, self.sizes, between)

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
        products = torch.stack(grams, dim=2).cpu().numpy()
        return {(a, b): products[i, j] for i, a in enumerate(names) for j, b in enumerate(names)}


def _in_turn(
    sketches: Sequence[Mapping[str, Sequence[Tensor]]], processes: Processes
) -> list[dict[str, list[Tensor]]]:
    """The sketches of all processes, by round."""
    here = [{loss: [part.cpu() for part in parts] for loss, parts in sketch.items()} for sketch in sketches]
    return processes.in_turn(here)


_Pieces = dict[tuple[str, int], Tensor]
"""Gradients of parameters by block and place."""


class _Walk:
    """One pass over one gradient, in whatever order its parameters come.

    Args:
        accumulator: whose layout and sketches to use.
        others: gradients to multiply with, by loss.
        total: running sums to add to, by block; None for a loss that is only sketched.

    Attributes:
        squared_norms, products: inner products with itself and with ``others``, a number a block.
        sketches: a sketch a block.
        keep: where to copy the gradient, by block; None if it is not to be kept.
        kept: what has been copied.
    """

    def __init__(
        self,
        accumulator: GradientAccumulator,
        others: Mapping[str, _Pieces],
        total: Mapping[str, Tensor] | None,
    ) -> None:
        self._numbers = {block: number for number, block in enumerate(accumulator.sizes)}
        self._accumulator = accumulator
        self._others = dict(others)
        self._total = total
        zero = torch.zeros(len(self._numbers), dtype=torch.float64, device=accumulator._device)
        self.squared_norms = zero.clone()
        self.products = {loss: zero.clone() for loss in self._others}
        self.sketches = [accumulator._sketcher.empty(size) for size in accumulator.sizes.values()]
        self.keep: Mapping[str, Tensor] | None = None
        self.kept: _Pieces = {}

    @torch.no_grad()
    def receive(self, block: str, place: int, gradient: Tensor) -> None:
        """Walk over one parameter's gradient."""
        accumulator, number = self._accumulator, self._numbers[block]
        piece = gradient.flatten().float()  # of a model that trains in bf16
        stretches = piece.split(accumulator._stretch)
        begin = accumulator._begins[block][place]
        rows = {
            loss: pieces[block, place].split(accumulator._stretch)
            for loss, pieces in self._others.items()
            if (block, place) in pieces
        }
        sums = None
        if self._total is not None:
            sums = self._total[block][begin : begin + piece.numel()].split(accumulator._stretch)
        found: list[Tensor] = []
        for j, stretch in enumerate(stretches):
            if sums is not None:
                found += [torch.dot(stretch, stretch), *(torch.dot(row[j], stretch) for row in rows.values())]
                sums[j].add_(stretch)
            accumulator._sketcher.add(
                self.sketches[number],
                stretch,
                number,
                begin + j * accumulator._stretch,
                accumulator.sizes[block],
            )
        if found:
            own, *with_others = torch.stack(found).view(-1, 1 + len(rows)).double().sum(0)
            self.squared_norms[number] += own
            for loss, product in zip(rows, with_others, strict=True):
                self.products[loss][number] += product
        if self.keep is not None:
            copy = self.keep[block][begin : begin + piece.numel()]
            self.kept[block, place] = copy.copy_(piece)


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
