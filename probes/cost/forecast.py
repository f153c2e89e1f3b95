"""What a run will take, told before it: the work there is, times what single passes take."""

from probes.budget import Budget
from probes.catalogue import Task
from probes.cost import CostEstimate, Workload, estimate_cost
from probes.cost.timing import subwords, time_passes
from probes.encoder import Encoder
from probes.gradients import SKETCH_WIDTH
from probes.gradients.rounds import nulls_of, sum_dtype_for
from probes.machine.memory import peak_bytes, resident_bytes
from probes.machine.precision import PassPrecision
from probes.machine.processes import Processes
from probes.material import Material
from probes.objectives import available
from probes.sampling import deal
from probes.tasks import level_called

__all__ = ["forecast_cost"]


def forecast_cost(
    encoder: Encoder,
    material: Material,
    task: Task,
    budget: Budget,
    precision: PassPrecision,
    processes: Processes,
) -> CostEstimate:
    """What a run will take, from the sizes of its parts and one timed batch of each kind."""
    objectives, _ = available(encoder, has_links=True)
    # The longest batches, since memory is that of the largest graph.
    texts = max(material.source.rounds, key=subwords)
    pairs = max(deal(material.pairs, budget.rounds, material.pair_batch), key=subwords)
    tasks = 2 + bool(material.target)
    times = time_passes(
        encoder,
        objectives,
        texts,
        pairs,
        material.tokenizer,
        classes=len(material.labels),
        level=level_called(task.level),
        references=tasks,
        precision=precision,
    )
    in_pairs = subwords(material.pairs) / len(material.pairs)  # of a pair's two sides
    in_text = subwords(material.source.fit) / len(material.source.fit)
    in_target = subwords(material.target) / max(1, len(material.target)) or in_pairs / 2
    projected = in_pairs / 2
    batch = len(texts)
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
    work = Workload(
        rounds=budget.rounds,
        processes=processes.count,
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
    return estimate_cost(times, work)
