"""How a run went: rounds, data used, time, memory and versions."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

from probes.bitext.embedding import EmbeddedBitext
from probes.budget import Budget
from probes.encoder import Encoder
from probes.gradients.points import MeasuredPoints
from probes.gradients.rounds import RoundBatches
from probes.machine.memory import peak_bytes
from probes.machine.processes import Processes
from probes.material import Material
from probes.progress import Stopwatch
from probes.request import ProbeRequest
from probes.signals import RunFacts

__all__ = ["run_facts"]


def run_facts(
    request: ProbeRequest,
    budget: Budget,
    material: Material,
    bitext: EmbeddedBitext,
    batches: RoundBatches,
    found: MeasuredPoints,
    encoder: Encoder,
    processes: Processes,
    watch: Stopwatch,
) -> RunFacts:
    """The facts of a run that is over.

    Args:
        request, budget: what was asked for.
        material, bitext: what there was to draw from.
        batches: of the gradient rounds, as planned and in the size that fitted.
        found: at both points.
        encoder: the model as given.
        processes: that shared out the rounds.
        watch: that ran along.
    """
    taken = found.theta_warm.rounds
    used = {
        "head": min(len(material.source.fit), budget.fit_sentences),
        "warm-up": len(material.source.fit),
        "held-out source": len(material.source.held_out),
        "target labels": len(material.target),
        "distances": bitext.source.shape[1],
        "word links": sum(len(pair.links) for pair in bitext.pairs),
        "bitext gradients": taken * batches.size,
    } | {
        f"gradients {name}": sum(len(batch) for batch in each)
        for name, each in batches.first(taken).tasks.items()
    }
    precisions = {found.theta0.precision, found.theta_warm.precision}
    return RunFacts(
        budget=budget.name,
        rounds=taken,
        stopped="resolved" if taken < budget.rounds else "budget",
        batch_size=batches.size,
        warm_up_steps=budget.warm_up_steps,
        seed=request.seed,
        device=str(encoder.device),
        dtype="bfloat16" if precisions == {"bf16"} else "float32",
        threads=torch.get_num_threads(),
        processes=processes.count,
        seconds=watch.total,
        phases=dict(watch.seconds),
        peak_memory_gib=peak_bytes(encoder.device) / 2**30,
        versions=_versions(),
        used=used,
    )


def _versions() -> dict[str, str]:
    versions = {"python": ".".join(map(str, sys.version_info[:3])), "os": os.uname().sysname}
    for package in ("alignment-advisor", "torch", "transformers", "scikit-learn", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
