"""A whole run: what it needs, its two phases, and its scores."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from accelerate import Accelerator
from torch import nn

from advisor.options import Schedule
from advisor.training.batches import Batches
from advisor.training.config import Experiment, Recipe
from advisor.training.data import LabelledTexts, read_pairs, read_texts
from advisor.training.encoders import extended_copy, ids_of, reading_all, trainable_copy
from advisor.training.losses import Losses
from advisor.training.outcome import Outcome, evaluate, evaluate_on
from advisor.training.phase import Feed, Phase, RandomState, make_accelerator
from advisor.training.shared import Shared
from probes.batches import LabelledBatch, PairBatch, TokenizedPair, Tokenizer, collate_pairs
from probes.encoder import Encoder, load_encoder
from probes.errors import InputError, RunError
from probes.heads import Head, fit_head
from probes.machine.precision import PassPrecision, has_fast_bf16
from probes.progress import Progress, Silent, Stopwatch
from probes.signals import Estimate
from probes.tasks import TaskLevel, level_called

__all__ = ["Alignment", "FineTuning", "Setting", "prepare", "train"]

_FIT_TEXTS = 500
"""Texts that the classifier on frozen features is fitted on."""
_ENCODERS_KEPT = 8


def precision_of(recipe: Recipe, device: torch.device) -> PassPrecision:
    """The precision that the recipe's ``mixed_precision`` means on ``device``.

    Raises:
        InputError: if the recipe asks for bf16 and the device does not have it.
    """
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
        recipe: what is run.
        accelerator: places the work.
        given: the encoder, which stays as it is.
        tokenizer: the encoder's, up to the longest input.
        texts: to train and score on.
        steps: optimiser steps of fine-tuning.
        align_steps: optimiser steps of sequential alignment.
        shared: keeps what several runs have in common.
        watch: told of the phases.
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

    def labelled(self) -> Batches[object, LabelledBatch]:
        """Batches of the task."""
        return _batches(
            self.texts.train,
            self.recipe.batch_size,
            lambda items: self.level.collate(items, self.given),
            self,
        )

    def pairs(self) -> list[TokenizedPair]:
        """The translation pairs that the run draws from; none for fine-tuning alone."""
        recipe = self.recipe
        if not recipe.option.aligns:
            return []
        per_step = recipe.align_batch_size * recipe.gradient_accumulation * self.accelerator.num_processes
        wanted = per_step * (self.align_steps if self.sequential else self.steps)
        pairs = read_pairs(recipe, self.given, self.tokenizer, wanted, self.watch, self.shared)
        return [_doubled(pair) for pair in pairs] if self.experiment.pairing == "same-text" else pairs

    def paired(self, pairs: Sequence[TokenizedPair]) -> Batches[object, PairBatch]:
        """Batches of translation pairs."""
        return _batches(
            pairs,
            self.recipe.align_batch_size,
            lambda items: collate_pairs(items, self.tokenizer, self.given.device),
            self,
        )

    def fresh_random_state(self) -> None:
        """Set torch's random state to the one that a phase of this run begins with."""
        torch.manual_seed(self.recipe.seed + self.accelerator.process_index)

    def fit_head(self, encoder: Encoder) -> Head:
        """A classifier on an encoder's frozen features.

        Raises:
            InputError: if the training data has a single label.
        """
        texts = self.texts
        fitted = fit_head(encoder, texts.train[:_FIT_TEXTS], len(texts.labels), self.level, self.recipe.seed)
        head = fitted.head
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
            *(
                given.sha256,
                given.precision,
                given.device,
                self.tokenizer.max_length,
                recipe.seed,
                recipe.task,
            ),
            *(recipe.train, recipe.source_labels, recipe.held_out_share, *recipe.columns.items()),
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


def _batches(items, wanted, collate, setting):  # type: ignore[no-untyped-def]
    accelerator = setting.accelerator
    return Batches(
        items,
        wanted,
        collate,
        setting.recipe.seed,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
    )


def _doubled(pair: TokenizedPair) -> TokenizedPair:
    """A source sentence with itself; its words are linked with themselves where they were linked before."""
    words = sorted({i for i, _ in pair.links})
    strings = (pair.strings[0], pair.strings[0])
    return TokenizedPair(strings, pair.source, pair.source, tuple((i, i) for i in words))


def prepare(
    recipe: Recipe, targets: Mapping[str, str], shared: Shared | None = None, watch: Stopwatch | None = None
) -> Setting:
    """Load and read what a run needs.

    Args:
        recipe: what to run.
        targets: labelled data to score on, by name.
        shared: keeps what several runs have in common.
        watch: told of the phases.

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
    setting = Setting(
        recipe, accelerator, given, tokenizer, texts, 1, 1, shared, watch or Stopwatch(Silent())
    )
    epoch = setting.labelled().an_epoch
    steps = math.ceil(recipe.epochs * epoch / recipe.gradient_accumulation)
    steps = min(steps, recipe.max_steps or steps)
    return replace(setting, steps=steps, align_steps=recipe.align_steps or steps)


class Alignment:
    """The alignment phase of a sequential run. It depends on no task: runs on several tasks share it.

    Args:
        setting: of one of the runs.
    """

    def __init__(self, setting: Setting) -> None:
        self._given = setting.given
        self.pairs = setting.pairs()
        option = setting.recipe.option
        encoder = trainable_copy(
            setting.given,
            ids_of([], self.pairs, setting.given),
            all_rows=option.needs_mlm_head,
        )
        shuffled = setting.experiment.pairing == "shuffled"
        losses = Losses(encoder, option, None, setting.given, shuffled=shuffled)
        with torch.random.fork_rng():
            setting.fresh_random_state()
            random = RandomState.now(encoder.device)
        self.phase = Phase(
            "align",
            losses,
            Feed(pairs=setting.paired(self.pairs)),
            {"alignment": 1.0},
            setting.recipe,
            accelerator=setting.accelerator,
            steps=setting.align_steps,
            learning_rate=setting.recipe.align_learning_rate,
            random=random,
        )

    def encoder(self, steps: int, watch: Stopwatch, used: Sequence[int]) -> Encoder:
        """A copy of the encoder after so many steps, with embeddings of its own for ``used`` as well.

        Steps that were taken already are not taken again; it must not have gone further.

        Raises:
            RunError: if a loss or a weight is not finite.
        """
        assert steps >= self.phase.taken
        if steps > self.phase.taken:
            with watch.phase("align", steps - self.phase.taken):
                self.phase.advance(steps, watch)
        return extended_copy(self.phase.losses.encoder, used)

    @classmethod
    def of(cls, setting: Setting, steps: int) -> "Alignment":
        """The alignment of a run, kept for others; anew where the one that is kept has gone too far."""
        recipe, given = setting.recipe, setting.given
        key = (
            *(given.sha256, given.precision, given.device, setting.tokenizer.max_length, recipe.source),
            *(recipe.target, recipe.bitext, recipe.dictionary, recipe.word_links, recipe.option, recipe.seed),
            *(setting.align_steps, recipe.align_batch_size, recipe.align_learning_rate, recipe.warmup_share),
            *(recipe.weight_decay, recipe.max_gradient_norm, recipe.gradient_accumulation),
            *(recipe.mixed_precision, setting.experiment.pairing),
        )
        kept = setting.shared.get("alignment", key, lambda: cls(setting), most=1)
        if kept.phase.taken > steps:
            setting.shared.forget("alignment")
            kept = setting.shared.get("alignment", key, lambda: cls(setting), most=1)
        return kept


class FineTuning:
    """Fine-tuning, with the alignment loss beside it in joint training.

    Args:
        setting: of the run.
        encoder: trained in place.
        head: a fitted classifier; None for a random one.
        pairs: that joint training aligns with.
        name: of the phase.
        steps, learning_rate: of its schedule; by default the recipe's.
    """

    def __init__(
        self,
        setting: Setting,
        encoder: Encoder,
        head: Head | None,
        pairs: Sequence[TokenizedPair] = (),
        *,
        name: str = "fine-tune",
        steps: int | None = None,
        learning_rate: float | None = None,
    ) -> None:
        self._setting = setting
        recipe = setting.recipe
        with torch.random.fork_rng():
            setting.fresh_random_state()
            self.head = _random_head(encoder, len(setting.texts.labels), setting.level)
            random = RandomState.now(encoder.device)
        if head is not None:
            self.head.load_state_dict(head.state_dict())
        shuffled = setting.experiment.pairing == "shuffled"
        self.losses = Losses(encoder, recipe.option, self.head, setting.given, shuffled=shuffled)
        self.phase = Phase(
            name,
            self.losses,
            Feed(setting.labelled(), setting.paired(pairs) if pairs else None),
            {"task": 1.0, "alignment": recipe.option.weight or 0.0},
            recipe,
            accelerator=setting.accelerator,
            steps=steps or setting.steps,
            learning_rate=learning_rate or recipe.learning_rate,
            random=random,
        )

    def scores(self, sets: Sequence[str] | None = None) -> dict[str, Estimate]:
        """Points on sets of scored texts (None: all) as the weights are now."""
        self.losses.eval()
        with reading_all(self.losses.encoder):
            return evaluate(self.losses.encoder, self.head, self._setting.texts, sets)


def _random_head(encoder: Encoder, classes: int, level: TaskLevel) -> Head:
    weight = torch.empty(classes, encoder.hidden_size).normal_(std=0.02)  # transformers' start of a head
    head: nn.Module = Head(weight, torch.zeros(classes), level)
    return head.to(encoder.device)


def train(
    recipe: Recipe,
    progress: Progress | None = None,
    *,
    targets: Mapping[str, str] | None = None,
    shared: Shared | None = None,
    looks: Sequence[float] = (),
) -> Outcome:
    """Run a recipe. On a CPU the same recipe gives the same weights; the caller's random state is kept.

    Args:
        recipe: what to run.
        progress: told of the phases of :data:`PHASES` and their steps.
        targets: labelled data to score on, by name; by default the recipe's target labels as ``target``.
        shared: keeps what several runs have in common; the outcome does not depend on it.
        looks: shares of fine-tuning (0-1) after which ``targets`` are scored as well; the run goes on as if
            they were not.

    Raises:
        InputError: if something the recipe names cannot be used.
        RunError: if a loss stops being finite.
    """
    if targets is None:
        targets = {} if recipe.target_labels is None else {"target": recipe.target_labels}
    with torch.random.fork_rng():
        watch = Stopwatch(progress or Silent())
        setting = prepare(recipe, targets, shared, watch)
        with _matrix_products(recipe, setting.given.device):
            return _train(setting, targets, looks)


def _train(setting: Setting, targets: Mapping[str, str], looks: Sequence[float]) -> Outcome:
    recipe, watch, experiment = setting.recipe, setting.watch, setting.experiment
    head, before = setting.on_frozen_features(targets)
    fitted = head if recipe.head == "fitted" else None
    pairs: list[TokenizedPair] = []
    log = []
    if setting.sequential:
        stop = min(experiment.align_stop or setting.align_steps, setting.align_steps)
        alignment = Alignment.of(setting, stop)
        used = ids_of(setting.texts.train, alignment.pairs, setting.given)
        try:
            encoder = alignment.encoder(stop, watch, used)
        except RunError:
            setting.shared.forget("alignment")
            raise
        log += alignment.phase.log
        if fitted is not None and experiment.refit_head:
            fitted = _refitted(setting, encoder)  # the features are not what they were
    else:
        pairs = setting.pairs()
        used = ids_of(setting.texts.train, pairs, setting.given)
        encoder = trainable_copy(setting.given, used, all_rows=recipe.option.needs_mlm_head)
        if experiment.warm_steps:
            log += _warmed(setting, encoder, fitted, experiment.warm_steps)
            fitted = fitted and _refitted(setting, encoder)
    tuning = FineTuning(setting, encoder, fitted, pairs)
    end = min(experiment.stop or setting.steps, setting.steps)
    scored: dict[int, dict[str, Estimate]] = {}
    with watch.phase("fine-tune", end):
        for steps in sorted({max(1, round(share * setting.steps)) for share in looks}):
            if steps <= end:
                tuning.phase.advance(steps, watch)
                scored[steps] = tuning.scores(list(targets))
        tuning.phase.advance(end, watch)
    after = tuning.scores()
    log += tuning.phase.log
    return Outcome(
        recipe,
        encoder,
        setting.given,
        tuning.head,
        setting.texts,
        before,
        after,
        scored,
        tuple(log),
        watch.total,
    )


def _warmed(setting: Setting, encoder: Encoder, head: Head | None, steps: int):  # type: ignore[no-untyped-def]
    """Fine-tune in the place of alignment."""
    warm = FineTuning(
        setting,
        encoder,
        head,
        name="warm",
        steps=steps,
        learning_rate=setting.recipe.align_learning_rate,
    )
    with setting.watch.phase("warm", steps):
        warm.phase.advance(steps, setting.watch)
    return warm.phase.log


def _refitted(setting: Setting, encoder: Encoder) -> Head:
    with reading_all(encoder):
        return setting.fit_head(encoder)


@contextmanager
def _matrix_products(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Let a GPU take matrix products of fp32 in TF32 if the recipe says so."""
    if recipe.mixed_precision != "tf32" or device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
