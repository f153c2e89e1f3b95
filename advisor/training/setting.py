"""What the phases of a run work with: encoder, texts, pairs, batches."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch
from accelerate import Accelerator

from advisor.options import Schedule
from advisor.training.config import Experiment, Recipe
from advisor.training.data import LabelledTexts, read_pairs, read_texts
from advisor.training.encoders import ids_of, reading_all, trainable_copy
from advisor.training.outcome import evaluate_on
from advisor.training.phase import Batches, make_accelerator
from advisor.training.shared import Shared
from probes.batches import LabelledBatch, LabelledText, PairBatch, TokenizedPair, Tokenizer, collate_pairs
from probes.encoder import Encoder, load_encoder
from probes.errors import InputError
from probes.heads import Head, fit_head
from probes.machine.precision import PassPrecision, has_fast_bf16
from probes.progress import Stopwatch
from probes.signals import Estimate
from probes.tasks import TaskLevel, level_called

_FIT_TEXTS = 500
"""Texts that the classifier on frozen features is fitted on."""
_ENCODERS_KEPT = 4

T = TypeVar("T")
B = TypeVar("B")


def precision_of(recipe: Recipe, device: torch.device) -> PassPrecision:
    """The precision that the recipe's ``mixed_precision`` means on ``device``, if that has it."""
    if recipe.mixed_precision in ("no", "tf32"):
        return "fp32"
    if has_fast_bf16(device):
        return "bf16"
    if recipe.mixed_precision == "bf16":
        raise InputError(f"This machine's {device.type} has no bf16: set mixed_precision to auto or no.")
    return "fp32"


@dataclass(frozen=True)
class Setting:
    """What the phases of a run work with.

    Attributes:
        given: the encoder, which stays as it is.
        tokenizer: the encoder's, up to the longest input.
        steps, align_steps: optimiser steps of fine-tuning and of sequential alignment.
        shared: keeps what several runs have in common.
    """

    recipe: Recipe
    accelerator: Accelerator
    given: Encoder
    tokenizer: Tokenizer
    texts: LabelledTexts
    steps: int
    align_steps: int
    shared: Shared
    watch: Stopwatch

    @property
    def sequential(self) -> bool:
        """Whether alignment is a phase of its own."""
        return self.recipe.option.schedule is Schedule.SEQUENTIAL

    @property
    def experiment(self) -> Experiment:
        """What is done otherwise."""
        return self.recipe.experiment or Experiment()

    @property
    def level(self) -> TaskLevel:
        """The task's."""
        return level_called(self.texts.task.level)

    def labelled(self) -> Batches[LabelledText, LabelledBatch]:
        """Batches of the task."""
        collate = partial(self.level.collate, encoder=self.given)
        return self._batches(self.texts.train, self.recipe.batch_size, collate)

    def pairs(self) -> list[TokenizedPair]:
        """The translation pairs that the run draws from; none for fine-tuning alone."""
        recipe = self.recipe
        if not recipe.option.aligns:
            return []
        per_step = recipe.align_batch_size * recipe.gradient_accumulation * self.accelerator.num_processes
        wanted = per_step * (self.align_steps if self.sequential else self.steps)
        pairs = read_pairs(recipe, self.given, self.tokenizer, wanted, self.watch, self.shared)
        return [_doubled(pair) for pair in pairs] if self.experiment.pairing == "same-text" else pairs

    def paired(self, pairs: Sequence[TokenizedPair]) -> Batches[TokenizedPair, PairBatch]:
        """Batches of translation pairs."""
        collate = partial(collate_pairs, tokenizer=self.tokenizer, device=self.given.device)
        return self._batches(pairs, self.recipe.align_batch_size, collate)

    def _batches(self, items: Sequence[T], size: int, collate: Callable[[list[T]], B]) -> Batches[T, B]:
        place = {"rank": self.accelerator.process_index, "processes": self.accelerator.num_processes}
        return Batches(items, size, collate, self.recipe.seed, **place)

    def fresh_random_state(self) -> None:
        """Set torch's random state to the one that a phase of this run begins with."""
        torch.manual_seed(self.recipe.seed + self.accelerator.process_index)

    def fit_head(self, encoder: Encoder) -> Head:
        """A classifier on an encoder's frozen features.

        Raises:
            InputError: if the training data has a single label.
        """
        texts, seed = self.texts, self.recipe.seed
        with reading_all(encoder):
            head = fit_head(encoder, texts.train[:_FIT_TEXTS], len(texts.labels), self.level, seed).head
        # A class that none of these texts shows is ruled out. Training must still be able to learn it.
        seen = head.weight.detach().abs().sum(1) > 0
        with torch.no_grad():
            head.bias[~seen] = head.bias[seen].min()
        return head

    def on_frozen_features(self, targets: Mapping[str, str]) -> tuple[Head, dict[str, Estimate]]:
        """The classifier on the given encoder's features, and its scores."""
        recipe, given = self.recipe, self.given
        # Of the training texts no more than the seed decides which these are.
        start = (
            *(given.sha256, given.precision, given.device, self.tokenizer.max_length, recipe.seed),
            *(
                recipe.task,
                recipe.train,
                recipe.source_labels,
                recipe.held_out_share,
                *recipe.columns.items(),
            ),
        )
        head = self.shared.get("head", start, lambda: self.fit_head(given), most=32)
        before = {
            name: self.shared.get(
                "before",
                (*start, recipe.most_scored, name, targets.get(name)),
                partial(evaluate_on, given, head, items, self.texts),
                most=256,
            )
            for name, items in self.texts.scored.items()
        }
        return head, before


def trainable(
    setting: Setting, pairs: Sequence[TokenizedPair], texts: Sequence[LabelledText] | None = None
) -> Encoder:
    """A copy of the encoder to train on translation pairs and texts, by default those of the run."""
    used = ids_of(setting.texts.train if texts is None else texts, pairs, setting.given)
    return trainable_copy(setting.given, used, all_rows=setting.recipe.option.needs_mlm_head)


def _doubled(pair: TokenizedPair) -> TokenizedPair:
    """A source sentence with itself; its words are linked with themselves where they were linked before."""
    words = sorted({i for i, _ in pair.links})
    strings = (pair.strings[0], pair.strings[0])
    return TokenizedPair(strings, pair.source, pair.source, tuple((i, i) for i in words))


def prepare(
    recipe: Recipe, targets: Mapping[str, str], shared: Shared | None = None, watch: Stopwatch | None = None
) -> Setting:
    """Load and read what a run needs; ``targets`` is labelled data to score on, by name.

    Raises:
        InputError: if something the recipe names cannot be used.
    """
    shared = shared or Shared()
    accelerator = make_accelerator(recipe)
    device = accelerator.device
    precision = precision_of(recipe, device)
    given = shared.get(
        "encoder", (recipe.model, device), lambda: load_encoder(recipe.model, device), most=_ENCODERS_KEPT
    )
    given = replace(given, precision=precision)
    tokenizer = Tokenizer(given.tokenizer, min(recipe.max_length, given.max_length))
    texts = read_texts(recipe, tokenizer, targets, shared)
    setting = Setting(recipe, accelerator, given, tokenizer, texts, 1, 1, shared, watch or Stopwatch())
    epoch = setting.labelled().an_epoch
    steps = math.ceil(recipe.epochs * epoch / recipe.gradient_accumulation)
    steps = min(steps, recipe.max_steps or steps)
    return replace(setting, steps=steps, align_steps=recipe.align_steps or steps)
