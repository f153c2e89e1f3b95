"""A whole run, from its recipe to its scores, and the two phases that it is made of."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from advisor.training.config import Recipe
from advisor.training.encoders import extended_copy, ids_of, reading_all
from advisor.training.losses import Losses
from advisor.training.outcome import Outcome, StepLog, evaluate_on
from advisor.training.phase import Feed, Phase, RandomState
from advisor.training.setting import Setting, prepare, trainable
from advisor.training.shared import Shared
from probes.batches import TokenizedPair
from probes.encoder import Encoder
from probes.errors import InputError, RunError
from probes.heads import Head
from probes.progress import Progress, Stopwatch
from probes.signals import Estimate


class Alignment:
    """The alignment phase of a sequential run. It depends on no task: runs on several tasks share it."""

    def __init__(self, setting: Setting) -> None:
        self.pairs = setting.pairs()
        encoder = trainable(setting, self.pairs, [])
        shuffled = setting.experiment.pairing == "shuffled"
        losses = Losses(encoder, setting.recipe.option, None, setting.given, shuffled=shuffled)
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
            *(tuple(recipe.also.items()), recipe.temperature),
        )
        alignment = setting.shared.get("alignment", key, lambda: cls(setting), most=1)
        if alignment.phase.taken > steps:
            setting.shared.forget("alignment")
            alignment = setting.shared.get("alignment", key, lambda: cls(setting), most=1)
        return alignment


class FineTuning:
    """Fine-tuning, with the alignment loss on ``pairs`` beside it in joint training.

    The encoder is trained in place, with a fitted classifier or a random one. Steps and learning rate are of
    the phase's schedule; by default the recipe's.
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
            weight = torch.empty(len(setting.texts.labels), encoder.hidden_size)
            weight.normal_(std=0.02)  # transformers' start of a head
            self.head = Head(weight, torch.zeros(len(weight)), setting.level).to(encoder.device)
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

    def scores(self, sets: Collection[str] | None = None) -> dict[str, Estimate]:
        """Points on sets of scored texts (None: all) as the weights are now."""
        return scores(self._setting, self.losses, sets)


def scores(setting: Setting, losses: Losses, sets: Collection[str] | None = None) -> dict[str, Estimate]:
    """Points on held-out source text and on every target language (None), or some, as the weights are now."""
    losses.eval()
    assert losses.head is not None
    texts = setting.texts
    with reading_all(losses.encoder):
        return {
            name: evaluate_on(losses.encoder, losses.head, texts.scored[name], texts)
            for name in (texts.scored if sets is None else sets)
        }


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
        own = {} if recipe.target_labels is None else {"target": recipe.target_labels}
        targets = own | recipe.also_labels
    with torch.random.fork_rng():
        setting = prepare(recipe, targets, shared, Stopwatch(progress))
        with _matrix_products(recipe, setting.given.device):
            return _train(setting, targets, looks)


def _train(setting: Setting, targets: Mapping[str, str], looks: Sequence[float]) -> Outcome:
    recipe, watch, experiment = setting.recipe, setting.watch, setting.experiment
    head, before = setting.on_frozen_features(targets)
    fitted = head if recipe.head == "fitted" else None
    pairs: list[TokenizedPair] = []
    log: list[StepLog] = []
    left = _left(recipe)
    if setting.sequential:
        stop = min(experiment.align_stop or setting.align_steps, setting.align_steps)
        alignment = Alignment.of(setting, stop)
        used = ids_of(setting.texts.train, alignment.pairs, setting.given)
        if left.get("align"):
            alignment.phase.load_state(left["align"])
        further = alignment.phase.taken < stop
        try:
            encoder = alignment.encoder(stop, watch, used)
        except RunError:
            setting.shared.forget("alignment")
            raise
        log += alignment.phase.log
        if fitted is not None and experiment.refit_head:
            fitted = setting.fit_head(encoder)  # the features are not what they were
    else:
        pairs = setting.pairs()
        encoder = trainable(setting, pairs)
        if experiment.warm_steps:
            log += _warmed(setting, encoder, fitted, experiment.warm_steps)
            fitted = fitted and setting.fit_head(encoder)
    tuning = FineTuning(setting, encoder, fitted, pairs)
    if left and not (setting.sequential and further):
        tuning.phase.load_state(left["tune"])
    end = min(experiment.stop or setting.steps, setting.steps)
    scored: dict[int, dict[str, Estimate]] = {}
    with watch.phase("fine-tune", end):
        for steps in sorted({max(1, round(share * setting.steps)) for share in looks}):
            if steps <= end:
                tuning.phase.advance(steps, watch)
                scored[steps] = tuning.scores(list(targets))
        tuning.phase.advance(end, watch)
    return Outcome(
        recipe=recipe,
        trained=encoder,
        given=setting.given,
        head=tuning.head,
        texts=setting.texts,
        before=before,
        after=tuning.scores(),
        looks=scored,
        log=(*log, *tuning.phase.log),
        seconds=watch.total,
    )


def _left(recipe: Recipe) -> dict[str, Any]:
    """States of the phases where a race left them; empty where the run begins at its start."""
    if recipe.goes_on_from is None:
        return {}
    try:
        states: dict[str, Any] = torch.load(recipe.goes_on_from, weights_only=True)
    except (OSError, EOFError, RuntimeError) as error:
        raise InputError(
            f"{recipe.goes_on_from} cannot be read as the state of a run: set goes_on_from to null to begin "
            "at the start."
        ) from error
    return states


def _warmed(setting: Setting, encoder: Encoder, head: Head | None, steps: int) -> tuple[StepLog, ...]:
    """Fine-tune in the place of alignment."""
    rate = setting.recipe.align_learning_rate
    warm = FineTuning(setting, encoder, head, name="warm", steps=steps, learning_rate=rate)
    with setting.watch.phase("warm", steps):
        warm.phase.advance(steps, setting.watch)
    return warm.phase.log


@contextmanager
def _matrix_products(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Let a GPU take matrix products of fp32 in TF32 if the recipe says so."""
    before = torch.get_float32_matmul_precision()
    if recipe.mixed_precision == "tf32" and device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
