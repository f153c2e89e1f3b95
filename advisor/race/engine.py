"""Runs of a race on the training loop: to a rung, with looks on the way, from wherever they were left."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from advisor.options import NO_ALIGNMENT, Option, Schedule
from advisor.race.rungs import Rung, RungPlan
from advisor.race.store import DivergedError, RaceStore, TimesOfSteps, align_state, tune_state
from advisor.training import Recipe, Shared
from advisor.training.encoders import ids_of, reading_all
from advisor.training.phase import Phase
from advisor.training.run import Alignment, FineTuning
from advisor.training.setting import Setting, prepare, trainable
from probes.errors import RunError
from probes.heads import predict
from probes.progress import Stopwatch

T = TypeVar("T")

_TARGET = "target"
_TIMED = 3
"""Steps that a timing run takes of each phase; the first is not counted."""


def is_out_of_memory(problem: BaseException) -> bool:
    """Whether an error says that memory, of a GPU or of the machine, was not enough."""
    if isinstance(problem, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(problem, RuntimeError) and "memory" in str(problem) and "alloc" in str(problem)


@dataclass(frozen=True)
class Engine:
    """Trains arms and scores them by sentence, on all target labels at every look."""

    recipe: Callable[[Option, int], Recipe]
    labels: str
    store: RaceStore
    watch: Stopwatch
    shared: Shared

    def setting(self, option: Option, seed: int) -> Setting:
        """What a run works with."""
        return prepare(self.recipe(option, seed), {_TARGET: self.labels}, self.shared, self.watch)

    def target_labels(self) -> list[tuple[int, ...]]:
        """The labels of every target text, as a look counts them."""
        texts = self.setting(NO_ALIGNMENT, 0).texts.scored[_TARGET]
        return [tuple(item.labels) for item in texts]

    def unknown_share(self) -> float:
        """Share (0-1) of the target texts' subwords that the tokenizer does not know."""
        setting = self.setting(NO_ALIGNMENT, 0)
        tokenizer = setting.given.tokenizer
        added = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}  # no part of a text
        ids = [i for item in setting.texts.scored[_TARGET] for i in item.text.ids if i not in added]
        return ids.count(tokenizer.unk_token_id) / max(1, len(ids))

    def run(
        self,
        name: str,
        option: Option,
        seed: int,
        plan: RungPlan,
        reached: Rung | None,
        rung: Rung,
        looks: Sequence[float],
    ) -> list[NDArray[np.float64]]:
        """Run an option from a rung, or its start, to another, and keep its state under a name.

        Args:
            looks: shares of fine-tuning to look at, ascending; the last is the rung's.

        Returns:
            Counts by text at each look, shape (texts, 2).

        Raises:
            DivergedError: if a loss or a weight is not finite any more.
            RunError: if the disk fails.
        """
        with torch.random.fork_rng():
            setting = self.setting(option, seed)
            tuning = self._brought(name, setting, plan, reached, rung)
            shown = []
            for share in looks:
                steps = plan.steps(Rung(rung.align, share))[1]
                with _diverging(), self.watch.phase("fine-tune", max(0, steps - tuning.phase.taken)):
                    tuning.phase.advance(steps, self.watch)
                shown.append(_counts(setting, tuning))
            self.store.save_weights(tune_state(name, plan, rung), tuning.phase.state())
            return shown

    def timed(self, options: Sequence[Option]) -> TimesOfSteps:
        """A short timing run of fine-tuning alone and of one option a schedule; nothing of it is kept."""
        by_schedule: dict[Schedule | None, float] = {}
        with torch.random.fork_rng():
            for option in (NO_ALIGNMENT, *options):
                if option.schedule in by_schedule:
                    continue
                setting = self.setting(option, 0)
                begun = Alignment(setting) if setting.sequential else _begun(setting)
                by_schedule[option.schedule] = _seconds_a_step(begun.phase, self.watch)
                if isinstance(begun, FineTuning) and option == NO_ALIGNMENT:
                    look, _ = _clocked(partial(_counts, setting, begun))
                    start, _ = _clocked(partial(setting.fit_head, setting.given))
        alone = by_schedule[None]
        joint, phased = (by_schedule.get(schedule, 0.0) for schedule in (Schedule.JOINT, Schedule.SEQUENTIAL))
        is_joint = [option.schedule is Schedule.JOINT for option in options]
        return TimesOfSteps(
            align=tuple(0.0 if one else phased for one in is_joint),
            tune=(*(joint if one else alone for one in is_joint), alone),
            look=look,
            start=start,
        )

    def _brought(
        self, name: str, setting: Setting, plan: RungPlan, reached: Rung | None, rung: Rung
    ) -> FineTuning:
        """Fine-tuning where the rung before left it or, on an encoder aligned further, at its start."""
        if setting.sequential:
            alignment = Alignment(setting)  # where fine-tuning goes on: only for the shape of things
            used = ids_of(setting.texts.train, alignment.pairs, setting.given)
            if reached is None or reached.align < rung.align:
                if reached is not None:
                    alignment.phase.load_state(self.store.load_weights(align_state(name, plan, reached)))
                with _diverging():
                    encoder = alignment.encoder(plan.steps(rung)[0], self.watch, used)
                self.store.save_weights(align_state(name, plan, rung), alignment.phase.state())
                return FineTuning(setting, encoder, setting.fit_head(encoder))
            tuning = FineTuning(setting, alignment.encoder(0, self.watch, used), None)
        else:
            tuning = _begun(setting)
        if reached is not None:
            tuning.phase.load_state(self.store.load_weights(tune_state(name, plan, reached)))
        return tuning


@contextmanager
def _diverging() -> Iterator[None]:
    """What the training loop says of losses and weights as an error of its own kind."""
    try:
        yield
    except RunError as problem:
        raise DivergedError(str(problem)) from problem


def _begun(setting: Setting) -> FineTuning:
    """Fine-tuning alone or joint training, at its start."""
    head, _ = setting.on_frozen_features({})
    pairs = setting.pairs()
    return FineTuning(setting, trainable(setting, pairs), head, pairs)


def _counts(setting: Setting, tuning: FineTuning) -> NDArray[np.float64]:
    """What the target texts' score is made of."""
    texts = setting.texts
    items = texts.scored[_TARGET]
    tuning.losses.eval()
    with reading_all(tuning.losses.encoder):
        answers = predict(tuning.losses.encoder, tuning.head, items)
    return tuning.head.level.counts(items, answers, texts.labels, texts.task.metric)


def _seconds_a_step(phase: Phase, watch: Stopwatch) -> float:
    phase.advance(1, watch)
    return _clocked(lambda: phase.advance(_TIMED, watch))[0] / (_TIMED - 1)


def _clocked(work: Callable[[], T]) -> tuple[float, T]:
    begin = time.perf_counter()
    done = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin, done
