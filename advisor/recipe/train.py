"""Fine-tune a multilingual encoder; align two languages before that, meanwhile, or not at all.

    python train.py recipe.yaml [--max-steps N] [--output DIR]

Top to bottom: the two losses, a stretch of optimisation, the whole run, the command line. Readers, losses,
word links and metrics are the very ones the probe measures with.
"""

import argparse
import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, GradientAccumulationPlugin
from torch import Tensor, nn
from transformers import PreTrainedModel, get_linear_schedule_with_warmup
from transformers.utils.logging import disable_progress_bar

from advisor._console import ConsoleProgress, run
from advisor.options import FrozenLayers, Objective, Schedule
from advisor.recipe import Recipe, read_recipe
from advisor.recipe._shared import Shared
from advisor.recipe.data import LabelledTexts, batch_size, endless_batches, read_pairs, read_texts
from advisor.recipe.outcome import Outcome, StepLog, evaluate, evaluate_on, staged
from probes.batches import (
    LabelledBatch,
    PairBatch,
    TokenizedPair,
    Tokenizer,
    collate_labelled,
    collate_pairs,
)
from probes.encoder import Encoder, RowEmbedding, load_encoder
from probes.errors import InputError, RunError
from probes.heads import Head, fit_head
from probes.objectives import OBJECTIVES, PairView
from probes.precision import PassPrecision, has_fast_bf16
from probes.progress import Progress, Silent, Stopwatch
from probes.signals import Estimate

__all__ = ["PHASES", "Losses", "main", "optimise", "train"]

PHASES = {"embed": "aligning words", "align": "alignment", "fine-tune": "fine-tuning"}
"""The phases that :func:`train` reports to a progress display, in words."""

_FIT_TEXTS = 500
"""Texts that the classifier on frozen features is fitted on."""


class Losses(nn.Module):
    """Task and alignment loss in one forward pass, so that accelerate can wrap it for any machine.

    Layers that are frozen get no gradient from the alignment loss, which still passes through them to what
    lies below. The task loss reaches all layers, in joint training too. As in the published runs (Bakos et
    al. 2025), a half is a half of the layers: the embeddings are never frozen.

    Args:
        encoder: trained in place.
        classes: number of classes of the task.
        token_level: whether every word is classified.
        recipe: decides the objective and the frozen layers.
        start: the encoder as it was given, for losses that hold on to it; None: a copy of ``encoder``.

    Raises:
        InputError: if the objective needs an MLM head and the checkpoint has none.
    """

    def __init__(
        self,
        encoder: Encoder,
        classes: int,
        token_level: bool,
        recipe: Recipe,
        start: Encoder | None = None,
    ) -> None:
        super().__init__()
        option = recipe.option
        self.encoder = encoder
        self.model: nn.Module = encoder.base
        self.objective = None if option.objective is Objective.NONE else OBJECTIVES[option.objective]
        if option.objective.needs_mlm_head:
            if encoder.masked_lm is None:
                raise InputError(
                    f"'{option.objective}' cannot be run on '{recipe.model}', since {encoder.no_mlm_reason}: "
                    "choose another objective."
                )
            self.model = encoder.masked_lm
        self.anchor: Encoder | None = None
        if option.objective is Objective.TOKEN_L2:  # it holds on to the encoder as it was given
            self.anchor = start or replace(encoder, base=copy.deepcopy(encoder.base).eval(), masked_lm=None)
        layers = [f"layer.{i}" for i in range(encoder.layers)]
        half = encoder.layers // 2
        frozen = {
            FrozenLayers.NONE: [],
            FrozenLayers.LOWER_HALF: layers[:half],
            FrozenLayers.UPPER_HALF: layers[encoder.layers - half :],
        }
        self.out_of_reach = list(encoder.parameters(frozen[option.frozen_layers]))
        weight = torch.empty(classes, encoder.hidden_size).normal_(std=0.02)  # transformers' start of a head
        self.head = Head(weight, torch.zeros(classes), token_level).to(encoder.device)

    def forward(self, labelled: LabelledBatch | None, pairs: PairBatch | None) -> dict[str, Tensor]:
        """The losses of what is given: ``task`` of labelled texts, ``alignment`` of translation pairs."""
        losses = {}
        if labelled is not None:
            losses["task"] = self.head.loss(self.encoder, labelled)
        if pairs is not None and self.objective is not None:
            view = PairView(self.encoder, pairs, self.anchor, seed=int(torch.randint(2**31, ())))
            with without_gradient(self.out_of_reach):
                losses["alignment"] = self.objective.loss(view)
        return losses


@contextmanager
def without_gradient(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """What is computed inside will send no gradient to ``parameters``."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def make_accelerator(recipe: Recipe) -> Accelerator:
    """What places the run on this machine's devices and processes.

    Precision is left to the encoder's passes: accelerate would have the losses in bf16 too, whose eight bits
    cannot tell a contrastive loss's best partners apart.
    """
    return Accelerator(
        mixed_precision="no",
        # Without the second setting the end of an epoch would end an optimiser step before it is full.
        gradient_accumulation_plugin=GradientAccumulationPlugin(
            num_steps=recipe.gradient_accumulation, sync_with_dataloader=False
        ),
        # The embedding table is a buffer that never changes: copying it to every process at every step would
        # take longer than the step.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)],
    )


def precision_of(recipe: Recipe, device: torch.device) -> PassPrecision:
    """The precision that the recipe's ``mixed_precision`` means on ``device``.

    Raises:
        InputError: if the recipe asks for bf16 and the device does not have it.
    """
    if recipe.mixed_precision == "no":
        return "fp32"
    if has_fast_bf16(device):
        return "bf16"
    if recipe.mixed_precision == "bf16":
        raise InputError(f"This machine's {device.type} has no bf16: set mixed_precision to auto or no.")
    return "fp32"


def optimise(
    accelerator: Accelerator,
    losses: nn.Module,
    batches: Iterator[tuple[LabelledBatch | None, PairBatch | None]],
    weights: Mapping[str, float],
    recipe: Recipe,
    *,
    phase: str,
    steps: int,
    learning_rate: float,
    watch: Stopwatch,
    look: Callable[[int], None] = lambda steps: None,
) -> list[StepLog]:
    """Take ``steps`` AdamW steps on the weighted sum of the losses.

    Warm-up and decay count optimiser steps, however many batches (``gradient_accumulation``) go into one.
    ``look`` is told after each how many there have been.

    Raises:
        RunError: if a loss is not finite.
    """
    # A parameter that no loss reaches has no gradient, and AdamW leaves it exactly as it is.
    matrices = [p for p in losses.parameters() if p.ndim >= 2]
    vectors = [p for p in losses.parameters() if p.ndim < 2]
    adam = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=learning_rate,
        fused=True,  # one pass over the memory instead of several
    )
    schedule = get_linear_schedule_with_warmup(adam, round(recipe.warmup_share * steps), steps)
    optimiser = accelerator.prepare_optimizer(adam)
    losses.train()
    log = []
    for step in watch.each(range(steps)):
        sums: dict[str, float] = {}
        for _ in range(recipe.gradient_accumulation):
            with accelerator.accumulate(losses):
                found: dict[str, Tensor] = losses(*next(batches))
                for name, loss in found.items():
                    if not torch.isfinite(loss):
                        raise RunError(
                            f"The {name} loss is not finite at step {step} of {PHASES[phase]}: lower the "
                            "learning rate, or set mixed_precision to no."
                        )
                    sums[name] = sums.get(name, 0.0) + loss.item() / recipe.gradient_accumulation
                accelerator.backward(sum(weights[name] * loss for name, loss in found.items()))
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(losses.parameters(), recipe.max_gradient_norm)
                optimiser.step()  # accelerate lets these two pass only at the step's last batch
                optimiser.zero_grad()
        log.append(StepLog(phase, step, schedule.get_last_lr()[0], sums))
        schedule.step()
        look(step + 1)
    losses.eval()
    if not all(parameter.isfinite().all() for parameter in losses.parameters()):
        raise RunError(
            f"The weights are not finite after {PHASES[phase]}: lower the learning rate, or set "
            "mixed_precision to no."
        )
    return log


def fit_on_frozen(encoder: Encoder, texts: LabelledTexts, seed: int) -> Head:
    """A classifier on the encoder's frozen features.

    Raises:
        InputError: if the training data has a single label.
    """
    token_level = texts.task.level == "token"
    head = fit_head(encoder, texts.train[:_FIT_TEXTS], len(texts.labels), token_level, seed).head
    # A class that none of these texts shows is ruled out. Training must still be able to learn it.
    seen = head.weight.detach().abs().sum(1) > 0
    with torch.no_grad():
        head.bias[~seen] = head.bias[seen].min()
    return head


def train(
    recipe: Recipe,
    progress: Progress | None = None,
    *,
    targets: Mapping[str, str] | None = None,
    shared: Shared | None = None,
    early: Sequence[float] = (),
) -> Outcome:
    """Run a recipe. On a CPU the same recipe gives the same weights; the caller's random state is kept.

    Args:
        recipe: what to run.
        progress: told of the phases of :data:`PHASES` and their steps.
        targets: labelled data to score on, by name; by default the recipe's target labels as ``target``.
        shared: keeps what several runs have in common; the outcome does not depend on it.
        early: shares of fine-tuning (0-1) after which ``targets`` are scored as well; the run goes on as if
            they were not.

    Raises:
        InputError: if something the recipe names cannot be used.
        RunError: if a loss stops being finite.
    """
    if targets is None:
        targets = {} if recipe.target_labels is None else {"target": recipe.target_labels}
    with torch.random.fork_rng():
        return _train(recipe, targets, Stopwatch(progress or Silent()), shared or Shared(), early)


def _train(
    recipe: Recipe, targets: Mapping[str, str], watch: Stopwatch, shared: Shared, early: Sequence[float]
) -> Outcome:
    accelerator = make_accelerator(recipe)
    precision = precision_of(recipe, accelerator.device)
    given = shared.get(
        "encoder", (recipe.model, accelerator.device), lambda: load_encoder(recipe.model, accelerator.device)
    )
    given = replace(given, precision=precision)
    tokenizer = Tokenizer(given.tokenizer, min(recipe.max_length, given.max_length))
    texts = read_texts(recipe, tokenizer, targets, shared)
    token_level = texts.task.level == "token"

    size = batch_size(recipe.batch_size, len(texts.train), accelerator)
    epoch = max(1, len(texts.train) // (size * accelerator.num_processes))
    steps = math.ceil(recipe.epochs * epoch / recipe.gradient_accumulation)
    steps = min(steps, recipe.max_steps or steps)
    labelled = endless_batches(
        accelerator,
        texts.train,
        size,
        lambda items: collate_labelled(items, token_level, given.tokenizer, accelerator.device),
        recipe.seed,
    )
    sequential = recipe.option.schedule is Schedule.SEQUENTIAL
    align_steps = recipe.align_steps or steps
    pairs: list[TokenizedPair] = []
    paired: Iterator[PairBatch | None] = repeat(None)
    if recipe.option.objective is not Objective.NONE:
        per_step = recipe.align_batch_size * recipe.gradient_accumulation * accelerator.num_processes
        wanted = per_step * (align_steps if sequential else steps)
        pairs = read_pairs(recipe, given, tokenizer, wanted, watch, shared)
        paired = endless_batches(
            accelerator,
            pairs,
            batch_size(recipe.align_batch_size, len(pairs), accelerator),
            lambda items: collate_pairs(items, tokenizer, accelerator.device),
            recipe.seed,
        )

    # Of the training texts no more than the seed decides which these are.
    start = (
        *(given.sha256, precision, accelerator.device, tokenizer.max_length, recipe.seed, recipe.task),
        *(recipe.train, recipe.source_labels, recipe.held_out_share, *recipe.columns.items()),
    )
    head = shared.get("head", start, lambda: fit_on_frozen(given, texts, recipe.seed), most=32)
    before = {
        name: shared.get(
            "before",
            (*start, recipe.most_scored, name, targets.get(name)),
            partial(evaluate_on, given, head, items, texts),
            most=256,
        )
        for name, items in texts.scored.items()
    }
    torch.manual_seed(recipe.seed + accelerator.process_index)
    encoder = trainable_copy(given, texts, pairs, recipe)
    losses = Losses(encoder, len(texts.labels), token_level, recipe, given)
    model = accelerator.prepare_model(losses)
    log: list[StepLog] = []
    if sequential:
        with watch.phase("align", align_steps):
            log += optimise(
                accelerator,
                model,
                zip(repeat(None), paired, strict=False),
                {"alignment": 1.0},
                recipe,
                phase="align",
                steps=align_steps,
                learning_rate=recipe.align_learning_rate,
                watch=watch,
            )
        if recipe.head == "fitted":  # the features are not what they were
            head = fit_on_frozen(encoder, texts, recipe.seed)
    if recipe.head == "fitted":
        losses.head.load_state_dict(head.state_dict())
    looks = {max(1, round(share * steps)) for share in early}
    found: dict[int, dict[str, Estimate]] = {}

    def look(taken: int) -> None:
        if taken in looks:
            with evaluating(losses), in_full(encoder, given) as whole:
                points = evaluate(whole, losses.head, texts, targets)
            found[taken] = points

    with watch.phase("fine-tune", steps):
        log += optimise(
            accelerator,
            model,
            zip(labelled, repeat(None) if sequential else paired, strict=False),
            {"task": 1.0, "alignment": recipe.option.weight or 0.0},
            recipe,
            phase="fine-tune",
            steps=steps,
            learning_rate=recipe.learning_rate,
            watch=watch,
            look=look,
        )
    trained = with_full_table(encoder, given)
    after = evaluate(trained, losses.head, texts)
    return Outcome(recipe, trained, losses.head, texts, before, after, found, tuple(log), watch.total)


def trainable_copy(
    given: Encoder, texts: LabelledTexts, pairs: Sequence[TokenizedPair], recipe: Recipe
) -> Encoder:
    """A copy to train. Of the embeddings it holds the rows that the run uses, which get the same gradients.

    A multilingual vocabulary is four fifths of a small encoder, and a run uses a tenth of it. The losses that
    predict words reach every row, so for them all are there.
    """
    if recipe.option.objective.needs_mlm_head and given.masked_lm is not None:
        masked_lm = copy.deepcopy(given.masked_lm)
        return replace(given, base=cast(PreTrainedModel, masked_lm.base_model), masked_lm=masked_lm)
    used = {i for item in texts.train for i in item.text.ids} | set(given.tokenizer.all_special_ids)
    for pair in pairs:
        used.update(pair.source.ids, pair.target.ids)
    return given.working_copy(sorted(used))


def with_full_table(trained: Encoder, given: Encoder) -> Encoder:
    """The trained encoder with the whole vocabulary; rows that no text used are as they were given."""
    rows = trained.base.get_input_embeddings()
    if not isinstance(rows, RowEmbedding):
        return trained
    embedding = given.base.get_input_embeddings()
    # put in the place of the weight, which is not copied for nothing
    whole = copy.deepcopy(embedding, {id(embedding.weight): nn.Parameter(rows.full_table())})
    trained.base.set_input_embeddings(whole)
    reason = "training left its MLM head behind"
    return replace(trained, masked_lm=None, no_mlm_reason=reason, blocks=given.blocks)


@contextmanager
def in_full(encoder: Encoder, given: Encoder) -> Iterator[Encoder]:
    """An encoder in training as one with the whole vocabulary; afterwards it trains on as it was."""
    rows = encoder.base.get_input_embeddings()
    try:
        yield with_full_table(encoder, given)
    finally:
        encoder.base.set_input_embeddings(rows)


@contextmanager
def evaluating(losses: nn.Module) -> Iterator[None]:
    """Without dropout."""
    losses.eval()
    try:
        yield
    finally:
        losses.train()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a recipe from the command line.

    Returns:
        0 when it was run, 2 for bad input, 1 if the run failed, 130 when interrupted.
    """
    parser = argparse.ArgumentParser(description="Align (if the recipe says so) and fine-tune an encoder.")
    parser.add_argument("recipe", type=Path, help="a recipe.yaml")
    parser.add_argument("--max-steps", type=int, metavar="N", help="at most N optimiser steps in each phase")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder to create instead of the recipe's")
    parser.add_argument("--debug", action="store_true", help="show where in the program an error arose")
    chosen = parser.parse_args(arguments)
    if chosen.max_steps is not None and chosen.max_steps < 1:
        parser.error("--max-steps takes a whole number from 1")
    return run(lambda: _run_recipe(chosen.recipe, chosen.max_steps, chosen.output))


def _run_recipe(path: Path, max_steps: int | None, output: Path | None) -> None:
    recipe = read_recipe(path)
    recipe = recipe.at_most(max_steps) if max_steps else recipe
    output = Path(output or recipe.output).absolute()
    disable_progress_bar()  # transformers' own, in the way of ours
    if not make_accelerator(recipe).is_main_process:  # one of several, under accelerate launch
        train(recipe)
        return
    print(f"{recipe.model}, {recipe.source} to {recipe.target}, {recipe.task}: {recipe.option}.")
    with staged(output) as folder:
        with ConsoleProgress(PHASES).shown() as progress:
            outcome = train(recipe, progress)
        outcome.save(folder)
    if outcome.texts.cut:
        print(f"{outcome.texts.cut} texts were longer than the longest input (max_length) and were cut.")
    for name, points in outcome.after.items():
        what = "held-out source" if name == "source" else "target labels"
        print(
            f"{outcome.texts.task.metric} on {what}: {points.value:.1f} "
            f"[{points.low:.1f}, {points.high:.1f}], on frozen features {outcome.before[name].value:.1f}"
        )
    print(f"Written to {output}")


if __name__ == "__main__":
    raise SystemExit(main())
