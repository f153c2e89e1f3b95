"""What a run will take, told before it: the work there is, times what single passes take."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from time import perf_counter

import torch
from torch import Tensor, nn

from probes.batches import LabelledText, TokenizedPair, collate_pairs
from probes.budget import Budget
from probes.context import Context, ModelAt
from probes.cost import CostEstimate, PassTimes, Workload, estimate_cost
from probes.encoder import Encoder
from probes.gradients import SKETCH_WIDTH, GradientAccumulator, Receive, stream_gradients
from probes.gradients.rounds import nulls_of, sum_dtype_for
from probes.heads import Head
from probes.machine.memory import peak_bytes, resident_bytes
from probes.machine.precision import PassPrecision
from probes.material.parts import Material
from probes.material.sampling import deal
from probes.objectives import AlignmentLoss, PairView, available
from probes.tasks import level_called

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

    def task_gradient() -> None:
        stream_gradients(head.loss(encoder, batch), parameters, _ignore)

    with encoder.passes_in(precision):
        task_gradient()
        with _saved_bytes(encoder) as saved:
            first = clock(task_gradient)
        labelled_bytes = saved()
        again = clock(task_gradient)
        aligned, pair_bytes = _time_objectives(model, losses, pairs, clock)
        with torch.no_grad():
            lookahead = clock(lambda: head.loss(encoder, batch))
    with torch.no_grad():
        forward = clock(lambda: head.loss(encoder, batch))
    walk, sketch = _time_walks(encoder, references, clock)
    count = subwords(texts)
    return PassTimes(
        forward=forward / count,
        lookahead=lookahead / count,
        labelled=min(first, again) / count,  # the least disturbed, since so much is counted in these
        aligned=aligned / subwords(pairs),
        walks=(references + len(losses)) * walk + len(nulls_of(losses)) * sketch,
        step=2 * walk,  # reads and writes about twice as much
        labelled_bytes=labelled_bytes,
        pair_bytes=pair_bytes,
    )


def _time_objectives(
    model: ModelAt, losses: Mapping[str, AlignmentLoss], pairs: Sequence[TokenizedPair], clock: Clock
) -> tuple[float, int]:
    """Seconds to encode the pairs and of all losses and nulls on them; bytes held with the largest."""
    encoder, parameters = model.encoder, model.encoder.block_parameters()
    linked = collate_pairs(
        [replace(pair, links=_diagonal(pair)) for pair in pairs], model.tokenizer, encoder.device
    )
    _differentiate(next(iter(losses.values())), PairView(encoder, linked), parameters)
    view = PairView(encoder, linked)
    with _saved_bytes(encoder) as saved:
        total = clock(lambda: (view.source, view.target))
    shared_bytes, own_bytes, nulls = saved(), 0, nulls_of(losses)
    for name, loss in losses.items():
        with _saved_bytes(encoder) as saved:
            total += (1 + (name in nulls)) * clock(partial(_differentiate, loss, view, parameters))
        own_bytes = max(own_bytes, saved())
    return total, shared_bytes + own_bytes


def _ignore(_block: str, _place: int, _gradient: Tensor) -> None:
    pass


def _differentiate(
    objective: AlignmentLoss, view: PairView, parameters: Mapping[str, Sequence[nn.Parameter]]
) -> None:
    stream_gradients(objective.loss(view), parameters, _ignore, keep_graph=True)


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


def _time_walks(encoder: Encoder, references: int, clock: Clock) -> tuple[float, float]:
    """Seconds to accumulate one gradient, and to sketch one; the last layer's weights stand in for it."""
    block = list(encoder.blocks)[-1]
    pieces = [p.detach() for p in encoder.parameters([block])]
    sizes = [piece.numel() for piece in pieces]
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
        for place, piece in enumerate(pieces):
            receive(block, place, piece)

    for _ in range(2):  # the first round touches the sums' memory for the first time
        marks.clear()
        total = clock(lambda: accumulator.add_round(dict.fromkeys([*names, "sketched"], take)))
    end = marks[0] + total
    return scale * (marks[-1] - marks[-2]), scale * (end - marks[-1])


def forecast_cost(encoder: Encoder, material: Material, budget: Budget, context: Context) -> CostEstimate:
    """What a run will take, from the sizes of its parts and one timed batch of each kind."""
    losses, _ = available(encoder, has_links=True)
    # The longest batches, since memory is that of the largest graph.
    texts = max(material.source.rounds, key=subwords)
    pairs = max(deal(material.pairs, budget.rounds, material.pair_batch), key=subwords)
    tasks = 2 + bool(material.target)
    weight = torch.zeros(len(material.labels), encoder.hidden_size, device=encoder.device)
    head = Head(weight, weight[:, 0].clone(), level_called(material.level))  # costs what a fitted one does
    model = ModelAt("theta0", encoder, head, material.tokenizer)
    times = time_passes(model, losses, texts, pairs, references=tasks, precision=context.precision)
    return estimate_cost(times, _workload(encoder, material, budget, context, tuple(losses)))


def _workload(
    encoder: Encoder,
    material: Material,
    budget: Budget,
    context: Context,
    losses: Sequence[str],
) -> Workload:
    tasks = 2 + bool(material.target)
    in_pairs = subwords(material.pairs) / len(material.pairs)  # of a pair's two sides
    in_text = subwords(material.source.fit) / len(material.source.fit)
    in_target = subwords(material.target) / max(1, len(material.target)) or in_pairs / 2
    projected = in_pairs / 2
    most = budget.held_out_sentences // 3
    sets = [
        min(most, len(material.source.held_out)) * in_text,
        min(most, len(material.target)) * in_target,
        min(most, budget.rounds * material.pair_batch) * projected,
    ]
    reserved = len(
        material.pairs[budget.rounds * material.pair_batch :][: budget.rounds * material.pair_batch]
    )
    size = 4 * sum(p.numel() for p in encoder.parameters())
    sums = tasks + len(losses)
    sketches = len(encoder.blocks) * budget.rounds * (sums + len(nulls_of(losses)))
    return Workload(
        rounds=budget.rounds,
        processes=context.processes.count,
        tasks=tasks,
        task_subwords=len(material.source.rounds[0]) * in_text
        + min(budget.batch_size, len(material.target) // budget.rounds) * in_target
        + min(budget.batch_size, reserved // budget.rounds) * projected,
        pair_subwords=material.pair_batch * in_pairs,
        warm_up_steps=budget.warm_up_steps,
        warm_up_subwords=budget.warm_up_steps * min(budget.batch_size, len(material.source.fit)) * in_text,
        forward_subwords=subwords(material.pairs)
        + min(len(material.source.fit), budget.fit_sentences) * in_text
        + subwords(material.source.held_out)
        + subwords(material.target)
        + reserved * projected,
        lookahead_subwords=(2 + 3 * len(losses)) * sum(sets),
        resident_bytes=resident_bytes(encoder.device),
        peak_bytes=peak_bytes(encoder.device),
        gradient_bytes=size,
        sum_bytes=sums * size * sum_dtype_for(encoder).itemsize // 4 + 4 * SKETCH_WIDTH * sketches,
    )
