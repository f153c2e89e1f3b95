"""Timing single passes before a run, so that its cost can be told in advance."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from time import perf_counter

import torch
from torch import Tensor, nn

from probes.batches import LabelledText, TokenizedPair, collate_pairs
from probes.context import ModelAt
from probes.cost import PassTimes
from probes.encoder import Encoder
from probes.gradients import BlockGradients, GradientAccumulator, Receive, block_gradients
from probes.gradients.rounds import sum_dtype_for
from probes.machine.precision import PassPrecision
from probes.objectives import AlignmentLoss, PairView

Clock = Callable[[Callable[[], object]], float]
"""Seconds that an action takes."""


def subwords(items: Sequence[LabelledText] | Sequence[TokenizedPair]) -> int:
    """Subwords of labelled texts, or of both sides of translation pairs."""
    return sum(
        len(item.text.ids) if isinstance(item, LabelledText) else len(item.source.ids) + len(item.target.ids)
        for item in items
    )


def time_passes(
    model: ModelAt,
    losses: Mapping[str, AlignmentLoss],
    texts: Sequence[LabelledText],
    pairs: Sequence[TokenizedPair],
    *,
    references: int,
    precision: PassPrecision,
) -> PassTimes:
    """Time one batch of each kind of loss.

    Made-up word links stand in for what is not there yet; they cost the same. Both kinds of graph are built
    once before: the first also waits for libraries to set up, and for the system to find the memory that the
    passes of a run then use again and again.

    Args:
        model: a working copy, with any head.
        losses: those to be measured.
        texts, pairs: a round's batches.
        references: task gradients that every other gradient will be multiplied with.
        precision: of gradients and lookahead; other passes run in fp32.
    """
    encoder, head = model.encoder, model.head
    clock = partial(_seconds, encoder.device)
    batch, parameters = head.level.collate(texts, encoder), encoder.block_parameters()

    def task_gradient() -> BlockGradients:
        return block_gradients(head.loss(encoder, batch), parameters)

    with encoder.passes_in(precision):
        task_gradient()
        with _saved_bytes(encoder) as saved:
            first = clock(task_gradient)
        labelled_bytes = saved()
        again = clock(task_gradient)
        encode, each, pair_bytes = _time_objectives(model, losses, pairs, clock)
        fresh = task_gradient()
        with torch.no_grad():
            lookahead = clock(lambda: head.loss(encoder, batch))
    with torch.no_grad():
        forward = clock(lambda: head.loss(encoder, batch))
    walk, sketch = _time_walks(encoder, fresh, references, clock)
    count, both = subwords(texts), subwords(pairs)
    return PassTimes(
        forward=forward / count,
        lookahead=lookahead / count,
        labelled=min(first, again) / count,  # the least disturbed, since so much is counted in these
        encode_pairs=encode / both,
        objectives={name: seconds / both for name, seconds in each.items()},
        accumulate=walk,
        sketch=sketch,
        optimiser=2 * walk,  # reads and writes about twice as much
        labelled_bytes=labelled_bytes,
        pair_bytes=pair_bytes,
    )


def _time_objectives(
    model: ModelAt, losses: Mapping[str, AlignmentLoss], pairs: Sequence[TokenizedPair], clock: Clock
) -> tuple[float, dict[str, float], int]:
    """Seconds to encode the pairs, and of each loss on them; bytes held with the largest of them."""
    encoder, parameters = model.encoder, model.encoder.block_parameters()
    linked = collate_pairs(
        [replace(pair, links=_diagonal(pair)) for pair in pairs], model.tokenizer, encoder.device
    )
    _differentiate(next(iter(losses.values())), PairView(encoder, linked), parameters)
    view = PairView(encoder, linked)
    with _saved_bytes(encoder) as saved:
        encode = clock(lambda: (view.source, view.target))
    shared_bytes = saved()
    each: dict[str, float] = {}
    own_bytes = 0
    for name, loss in losses.items():
        with _saved_bytes(encoder) as saved:
            each[name] = clock(partial(_differentiate, loss, view, parameters))
        own_bytes = max(own_bytes, saved())
    return encode, each, shared_bytes + own_bytes


def _differentiate(
    objective: AlignmentLoss, view: PairView, parameters: Mapping[str, Sequence[nn.Parameter]]
) -> BlockGradients:
    return block_gradients(objective.loss(view), parameters, keep_graph=True)


def _diagonal(pair: TokenizedPair) -> tuple[tuple[int, int], ...]:
    words = min(len(pair.source.surface), len(pair.target.surface))
    return tuple((i, i) for i in range(words))


def _seconds(device: torch.device, action: Callable[[], object]) -> float:
    begin = perf_counter()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - begin


@contextmanager
def _saved_bytes(encoder: Encoder) -> Iterator[Callable[[], int]]:
    """Count the bytes that graphs built in the context keep for their backward pass, weights not included."""
    owned = (*encoder.owner.parameters(), *encoder.owner.buffers())
    weights = {t.untyped_storage().data_ptr() for t in owned}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield lambda: sum(found.values())


def _time_walks(
    encoder: Encoder,
    fresh: BlockGradients,
    references: int,
    clock: Clock,
) -> tuple[float, float]:
    """Seconds to accumulate one gradient, and to sketch one, from the last layer's."""
    block = list(encoder.blocks)[-1]
    sizes = [piece.numel() for piece in fresh[block]]
    scale = sum(p.numel() for p in encoder.parameters()) / sum(sizes)
    names = [*(f"reference {i}" for i in range(references)), "summed"]
    accumulator = GradientAccumulator(
        {block: sizes},
        [*names, "sketched"],
        references=names[:-1],
        sketched=["sketched"],
        device=encoder.device,
        sum_dtype=sum_dtype_for(encoder),
    )
    marks: list[float] = []

    def take(receive: Receive) -> None:
        marks.append(perf_counter())
        for place, piece in enumerate(fresh[block]):
            receive(block, place, piece)

    for _ in range(2):  # the first round touches the sums' memory for the first time
        marks.clear()
        total = clock(lambda: accumulator.add_round(dict.fromkeys([*names, "sketched"], take)))
    end = marks[0] + total
    return scale * (marks[-1] - marks[-2]), scale * (end - marks[-1])
