"""Time and memory of a probe before anything is loaded, from sizes alone.

Rough on purpose: once a run has timed its first batch, the same arithmetic knows better and says so.
"""

from functools import lru_cache
from time import monotonic, perf_counter
from typing import NamedTuple

import numpy as np

from advisor.findings import load_tables
from advisor.findings.evidence import find_encoder
from probes.budget import Budget, find_budget
from probes.catalogue import OBJECTIVES
from probes.cost import PassTimes, Workload, estimate_cost
from probes.material.sampling import batch_size_for
from probes.schema import Frozen

_RUNTIME_BYTES = 2**30
"""What Python, torch and transformers hold before any weight."""
_CHARACTERS_PER_SUBWORD = 3.5
_EFFICIENCY = 0.6
"""Share of a matrix product's speed in single precision that a probe reaches. With the offline encoder on one
thread of a busy machine it was 0.41 in fp32 and 0.9 (the sample) to 1.4 (long sentences) in bf16."""
_TIMED_SECONDS = 0.3
_START = 15.0
"""Seconds to start Python, import torch and load an encoder."""
_OBJECTIVES = tuple(name for name, facts in OBJECTIVES.items() if not facts.mlm_head)
"""Those that any encoder can be probed with."""
_NULLS = tuple(name for name in _OBJECTIVES if OBJECTIVES[name].parallel)


class Forecast(Frozen):
    """What a probe may cost on this machine's processor, as busy as it is now.

    Attributes:
        seconds: wall-clock time, in the middle of what is to be expected.
        fastest, slowest: half and twice as much, since sizes alone do not tell better.
        memory_gib: highest resident memory.
    """

    seconds: float
    fastest: float
    slowest: float
    memory_gib: float


class _Size(NamedTuple):
    """Parameters of an encoder: those of its layers, and all."""

    layers: float
    total: float


def forecast(
    model: str, budget: str, *, characters: float, sentences: int, pairs: int, target_labels: bool
) -> Forecast | None:
    """Estimate a probe from the sizes of model, data and budget.

    A pass of a sentence through the layers costs two operations a weight and subword, a gradient three
    times that (Kaplan et al. 2020, section 2.1). The machine's speed is that of a matrix product.

    Args:
        model: as for a probe.
        budget: its name.
        characters: mean length of the texts; 0 where they are not known.
        sentences: labelled source sentences there are; 0 where that is not known.
        pairs: translation pairs there are; 0 where that is not known.
        target_labels: whether there are any.

    Returns:
        None where nothing is known of the model's size before it is loaded.

    Raises:
        InputError: if there are too few sentences or pairs for the budget.
    """
    chosen = find_budget(budget)
    size = _size(model)
    work = _workload(chosen, size or _Size(0, 0), sentences, pairs, 2 + target_labels)
    if size is None:
        return None
    subwords = min((characters or 80) / _CHARACTERS_PER_SUBWORD + 2, chosen.max_length)
    forward = 2 * size.layers * subwords / (_EFFICIENCY * _operations_per_second(int(monotonic() / 60)))
    times = PassTimes(
        forward=forward,
        lookahead=forward,
        labelled=3 * forward,
        aligned=(1 + 2 * (len(_OBJECTIVES) + len(_NULLS))) * forward,
        walks=0.0,
        step=0.0,
        labelled_bytes=0,
        pair_bytes=0,
    )
    cost = estimate_cost(times, work)
    seconds = _START + cost.seconds
    return Forecast(seconds=seconds, fastest=seconds / 2, slowest=2 * seconds, memory_gib=cost.memory_gib)


def _workload(budget: Budget, size: _Size, sentences: int, pairs: int, tasks: int) -> Workload:
    """What there is to do, counted in sentences of the mean length."""
    rounds, batch, pair_batch = budget.rounds, budget.batch_size, budget.batch_size
    held_out, fit = budget.held_out_sentences, budget.fit_sentences
    if sentences:
        batch = batch_size_for(sentences // 4, budget, "labelled source sentences to take gradients on")
        held_out = min(held_out, sentences // 4)
        fit = min(fit, sentences - held_out - rounds * batch)
    if pairs:
        pair_batch = batch_size_for(pairs // 2, budget, "half of the translation pairs")
    embedded = max(2 * rounds * pair_batch, budget.pairs)
    gradient = int(4 * size.layers)
    return Workload(
        rounds=rounds,
        processes=1,
        tasks=tasks,
        task_subwords=tasks * batch,
        pair_subwords=2 * pair_batch,
        warm_up_steps=budget.warm_up_steps,
        warm_up_subwords=budget.warm_up_steps * budget.batch_size,
        forward_subwords=2 * min(pairs or embedded, embedded) + fit + held_out,
        lookahead_subwords=len(_OBJECTIVES) * tasks * held_out,  # a third of them, at three steps each
        resident_bytes=int(_RUNTIME_BYTES + 2 * 4 * size.total),
        peak_bytes=0,
        gradient_bytes=gradient,
        sum_bytes=(tasks + len(_OBJECTIVES)) * gradient,
    )


def _size(model: str) -> _Size | None:
    facts = find_encoder(model, load_tables().encoders)
    if facts.parameters_m is None or facts.layers is None or facts.width is None:
        return None
    return _Size(layers=12 * facts.layers * facts.width**2, total=1e6 * facts.parameters_m)


@lru_cache(maxsize=1)
def _operations_per_second(_minute: int) -> float:
    """Of matrix products in single precision, on the processor as busy as it is; measured once a minute."""
    matrix = np.ones((512, 512), np.float32)
    matrix @ matrix  # the first one starts the threads
    begin, products = perf_counter(), 0
    # Long enough to be interrupted as often as a run will be: the best of a few would miss the others' share.
    while (seconds := perf_counter() - begin) < _TIMED_SECONDS:
        matrix @ matrix
        products += 1
    return 2 * 512.0**3 * products / seconds
