"""What a run will take, told before it: the work there is, times what single passes take."""

import torch

from probes.budget import Budget
from probes.context import Context, ModelAt
from probes.cost import CostEstimate, PassTimes, Workload, estimate_cost
from probes.cost.timing import subwords, time_passes
from probes.encoder import Encoder
from probes.gradients import SKETCH_WIDTH
from probes.gradients.rounds import nulls_of, sum_dtype_for
from probes.heads import Head
from probes.machine.memory import peak_bytes, resident_bytes
from probes.material.parts import Material
from probes.material.sampling import deal
from probes.objectives import available
from probes.tasks import level_called


def forecast_cost(encoder: Encoder, material: Material, budget: Budget, context: Context) -> CostEstimate:
    """What a run will take, from the sizes of its parts and one timed batch of each kind."""
    losses, _ = available(encoder, has_links=True)
    # The longest batches, since memory is that of the largest graph.
    texts = max(material.source.rounds, key=subwords)
    pairs = max(deal(material.pairs, budget.rounds, material.pair_batch), key=subwords)
    tasks = 2 + bool(material.target)
    model = ModelAt("theta0", encoder, _any_head(encoder, material), material.tokenizer)
    times = time_passes(model, losses, texts, pairs, references=tasks, precision=context.precision)
    return estimate_cost(times, _workload(encoder, material, budget, context, times, len(texts)))


def _any_head(encoder: Encoder, material: Material) -> Head:
    """A head of random weights: it costs what a fitted one does."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(len(material.labels), encoder.hidden_size, generator=generator)
    bias = torch.zeros(len(material.labels), device=encoder.device)
    level = level_called(material.level)
    return Head(weight.to(encoder.device) / encoder.hidden_size, bias, level)


def _workload(
    encoder: Encoder,
    material: Material,
    budget: Budget,
    context: Context,
    times: PassTimes,
    batch: int,
) -> Workload:
    """The work there is; ``batch`` source sentences are in a round."""
    objectives, tasks = times.objectives, 2 + bool(material.target)
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
    nulls = nulls_of(objectives)
    losses = tasks + len(objectives) + len(nulls)
    return Workload(
        rounds=budget.rounds,
        processes=context.processes.count,
        tasks=tasks,
        nulls=nulls,
        task_subwords=batch * in_text
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
        lookahead_subwords=(2 + 3 * len(objectives)) * sum(sets),
        resident_bytes=resident_bytes(encoder.device),
        peak_bytes=peak_bytes(encoder.device),
        gradient_bytes=size,
        sum_bytes=size * sum_dtype_for(encoder).itemsize // 4,
        sketch_bytes=4 * SKETCH_WIDTH * len(encoder.blocks) * budget.rounds * losses,
    )
