"""A whole run, from its recipe to its scores."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from advisor.training.config import Recipe
from advisor.training.encoders import ids_of
from advisor.training.outcome import Outcome, StepLog
from advisor.training.phases import Alignment, FineTuning
from advisor.training.setting import Setting, prepare, trainable
from advisor.training.shared import Shared
from probes.batches import TokenizedPair
from probes.encoder import Encoder
from probes.errors import InputError, RunError
from probes.heads import Head
from probes.progress import Progress, Stopwatch
from probes.signals import Estimate


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
        watch = Stopwatch(progress)
        setting = prepare(recipe, targets, shared, watch)
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
    if recipe.mixed_precision != "tf32" or device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
