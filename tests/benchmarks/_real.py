"""A real model, warmed up on real data, with the batches of its gradient rounds."""

import argparse
from dataclasses import dataclass

from advisor.sample import sample_path
from probes.bitext.embedding import Linker, embed_bitext
from probes.budget import Budget
from probes.context import Context, ModelAt
from probes.encoder import load_encoder
from probes.gradients.points import warmed
from probes.gradients.rounds import GradientRounds, RoundBatches, measure_gradients
from probes.gradients.warm_up import AdamScale
from probes.heads import fit_head, project_labels
from probes.machine.precision import choose_precision
from probes.material.inputs import read_inputs
from probes.material.parts import prepare, prepare_source, task_batches
from probes.material.sampling import deal
from probes.objectives import available
from probes.progress import Stopwatch
from probes.request import ProbeRequest
from probes.tasks import level_called
from tests.benchmarks._shapes import Case

__all__ = ["WarmCase", "add_data_options", "measure", "request_from", "warm_case"]


@dataclass(frozen=True)
class WarmCase:
    """A case at ``theta_warm``, with the warm-up's scale."""

    case: Case
    adam: AdamScale


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """The options that say what is measured; by default the repository's sample."""
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="tr")
    parser.add_argument("--task", default="pos")
    parser.add_argument("--train", default=str(sample_path("en.conllu")))
    parser.add_argument("--bitext", default=str(sample_path("bitext.en-tr.tsv")))
    parser.add_argument("--target-labels", default=str(sample_path("tr.conllu")))


def request_from(
    arguments: argparse.Namespace, budget: str = "standard", precision: str = "auto"
) -> ProbeRequest:
    """What the data options ask for."""
    return ProbeRequest(
        model=arguments.model,
        source=arguments.source,
        target=arguments.target,
        task=arguments.task,
        train=arguments.train,
        bitext=arguments.bitext,
        target_labels=arguments.target_labels,
        budget=budget,
        device="cpu",
        precision=precision,
    )


def warm_case(request: ProbeRequest, budget: Budget) -> WarmCase:
    """Everything up to the gradient rounds at ``theta_warm``, as a probe does it."""
    watch = Stopwatch()
    inputs = read_inputs(request)
    encoder = load_encoder(request.model)
    precision = choose_precision("auto", encoder.device)
    texts = prepare_source(inputs, encoder, budget, request.seed)
    material = prepare(inputs, encoder, budget, request.seed, texts)
    used = {i for part in (texts, material) for ids in part.ids for i in ids} | set(
        encoder.tokenizer.all_special_ids
    )
    start = encoder.working_copy(sorted(used))
    linker = Linker(start.layers)
    bitext = embed_bitext(start, material.tokenizer, material.pairs, linker, 1, watch)
    level = level_called(inputs.task.level)
    fitted = fit_head(
        start, material.source.fit[: budget.fit_sentences], len(material.labels), level, request.seed
    )
    size = min(budget.batch_size, len(material.source.fit))
    model = ModelAt("theta0", start, fitted.head, material.tokenizer)
    context = Context(seed=request.seed, precision=precision)
    points = warmed(model, material.source.fit, budget, size, context)
    warm = points.theta_warm
    drawn = budget.rounds * material.pair_batch
    reserved = bitext.pairs[drawn : 2 * drawn]
    projection = project_labels(warm.encoder, warm.head, reserved, material.tokenizer)
    tasks, _ = task_batches(material, projection, budget)
    batches = RoundBatches(tasks, deal(bitext.pairs, budget.rounds, material.pair_batch))
    objectives, _ = available(warm.encoder, has_links=True)
    return WarmCase(Case(warm, objectives, batches), points.adam)


def measure(warm: WarmCase, precision: str) -> GradientRounds:
    """All rounds in one precision, whatever they show on the way."""
    case = warm.case
    context = Context(precision=choose_precision(precision, case.encoder.device))
    return measure_gradients(case.model, case.objectives, case.batches, context)
