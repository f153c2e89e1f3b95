"""Look at a model in training now and then, and leave no trace in it."""

import copy
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from probes.batches import TokenizedPair, Tokenizer
from probes.bitext.distances import retrieval
from probes.bitext.embedding import EmbeddedBitext, Linker, embed_bitext
from probes.catalogue import OBJECTIVES
from probes.context import Context
from probes.encoder import Encoder, encoder_within
from probes.errors import InputError, NotFiniteError
from probes.gradients.rounds import GradientRounds, RoundBatches, measure_gradients
from probes.gradients.stopping import leading_task
from probes.machine.precision import PassPrecision
from probes.machine.processes import ALONE, Processes
from probes.material.sampling import deal, shuffled
from probes.objectives import LOSSES
from probes.progress import Progress, Stopwatch
from probes.schema import Frozen
from probes.signals import TOTAL, Estimate, Point, TaskGradient

_LOG = logging.getLogger(__name__)
_LONGEST = 128
"""Subwords of a sentence of the bitext that are read."""

Pairs = Sequence[tuple[str, str]]


class Watching(Frozen):
    """What is measured, and how often.

    Attributes:
        objectives: alignment losses whose gradients are compared with the task's.
        every: steps between looks; None: as often as ``share`` of the time allows.
        share: of the whole time that looking may take, where ``every`` is None.
        rounds: independent batches that a gradient is estimated from.
        batch_size: texts, and translation pairs, in each of them.
        retrieved: further pairs among which translations are looked for.
        seed: of which texts and pairs are taken; all looks take the same.
    """

    objectives: tuple[str, ...] = ("sentence-contrastive", "token-contrastive")
    every: Annotated[int, Field(ge=1)] | None = None
    share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    rounds: Annotated[int, Field(ge=3)] = 6
    batch_size: Annotated[int, Field(ge=2)] = 8
    retrieved: Annotated[int, Field(ge=8)] = 64
    seed: int = 0


@dataclass(frozen=True)
class WatchedStep:
    """What was measured after a step.

    Attributes:
        step: optimiser steps taken by then.
        cosines: by objective: noise-corrected cosine of its gradient with the leading task gradient.
        logs: every number, by the name it is logged under.
    """

    step: int
    cosines: Mapping[str, Estimate]
    logs: Mapping[str, float]


def remarks(looks: Sequence[WatchedStep]) -> list[str]:
    """What the last look says for the first time, in sentences.

    An objective is in conflict when the interval of its cosine lies below 0 twice in a row. It has stopped
    helping when the interval was above 0 twice in a row once, and has not been at three looks since.
    """
    before, now = _standing(looks[:-1]), _standing(looks)
    step = looks[-1].step
    said = {
        "conflict": "Step {step}: {name} and the task pull the encoder apart (cosine {cosine}): where you "
        "align with it, drop its weight, or stop aligning.",
        "stopped": "Step {step}: {name} no longer pulls the encoder where the task does (cosine {cosine}): "
        "where you align with it, stop, or drop its weight.",
    }
    return [
        said[kind].format(step=step, name=name, cosine=looks[-1].cosines[name])
        for name, kind in now.items()
        if kind in said and before.get(name) != kind
    ]


def _standing(looks: Sequence[WatchedStep]) -> dict[str, str]:
    """How each objective stands: helping, stopped, conflict, or nothing that can be told."""
    standing: dict[str, str] = {}
    for name in looks[-1].cosines if looks else ():
        signs = [look.cosines[name].sign for look in looks]
        helped = any(pair == (1, 1) for pair in pairwise(signs))
        if signs[-2:] == [-1, -1]:
            standing[name] = "conflict"
        elif helped:
            standing[name] = "helping" if 1 in signs[-3:] else "stopped"
    return standing


class _TooLongError(Exception):
    """A look takes longer than it may."""


class _Pace(Progress):
    """Counts rounds, and ends a look that takes more than so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._end = perf_counter() + seconds
        self.taken = 0

    def advance(self) -> None:
        self.taken += 1
        if perf_counter() > self._end:
            raise _TooLongError


@dataclass(frozen=True)
class _Trained:
    """The model in training, as gradient rounds see it."""

    encoder: Encoder
    tokenizer: Tokenizer
    loss: Callable[[Sequence[Any]], Tensor]
    anchor: Encoder | None
    point: Point = "theta_warm"

    def task_loss(self, items: Sequence[Any]) -> Tensor:
        return self.loss(items)


class AlignmentWatch:
    """Looks at a model in training now and then, and leaves no trace in it.

    Args:
        model: what is trained; holds one transformers encoder.
        tokenizer: of the encoder, a fast one.
        loss: mean task loss of some items, a scalar with a graph, as training computes it.
        texts: labelled items to take task gradients on: of ``source``, of ``target-labels``, or of both.
        pairs: translations, source language first.
        watching: what is measured, and how often.
        precision: of passes through the encoder.
        processes: that train together; all of them must call :meth:`after` after every step.

    Attributes:
        looks: all so far.
        notes: what they said, in sentences.
        seconds: that looking has taken, preparation included.

    Raises:
        InputError: if there is too little of something, or the model cannot be measured.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        loss: Callable[[Sequence[Any]], Tensor],
        texts: Mapping[TaskGradient, Sequence[Any]],
        pairs: Pairs,
        watching: Watching | None = None,
        *,
        precision: PassPrecision = "fp32",
        processes: Processes = ALONE,
    ) -> None:
        self._started = perf_counter()
        self.looks: list[WatchedStep] = []
        self.notes: list[str] = []
        self._model, self._watching = model, watching or Watching()
        self._context = Context(self._watching.seed, precision, processes=processes)
        with _undisturbed(model):
            encoder = encoder_within(model, tokenizer)
            self._losses = {name: LOSSES[name] for name in _known(self._watching.objectives)}
            anchored = any(OBJECTIVES[name].anchored for name in self._losses)
            self._trained = _Trained(
                encoder,
                Tokenizer(encoder.tokenizer, min(encoder.max_length, _LONGEST)),
                loss,
                replace(encoder, base=copy.deepcopy(encoder.base).eval()) if anchored else None,
            )
            begin = perf_counter()
            self._batches, self._kept = self._prepared(texts, pairs)
            embedding = perf_counter() - begin
        self.seconds = perf_counter() - self._started
        # In passes of a text: a pass back takes two, and every loss goes back once; a pair is two texts.
        taken, kept = self._batches.rounds * self._batches.size, len(self._kept)
        look = taken * (3 * len(texts) + 2 + 4 * len(self._losses)) + 2 * kept
        self._expected = embedding * look / (2 * (taken + kept))

    @property
    def share(self) -> float:
        """Of the time since the beginning that looking has taken."""
        return self.seconds / (perf_counter() - self._started)

    def after(self, step: int) -> dict[str, float]:
        """What is measured after an optimiser step, by name; empty where it is not yet time to look."""
        if not self._context.processes.gather(self._due(step))[0]:
            return {}
        alone = self._context.processes.count == 1  # others would wait for the one that gave up
        return self._look(step, self._allowed if alone and self._watching.every is None else inf)

    def look(self, step: int) -> dict[str, float]:
        """Measure now. Numbers that cannot be told from noise are left out."""
        return self._look(step, inf)

    def _look(self, step: int, seconds: float) -> dict[str, float]:
        """Measure, unless the rounds turn out to take longer than so many seconds."""
        begin, pace = perf_counter(), _Pace(seconds)
        context = replace(self._context, watch=Stopwatch(pace))
        try:
            with _undisturbed(self._model):
                found = measure_gradients(self._trained, self._losses, self._batches, context, nulls=False)
                found.release()
                logs = _numbers(found) | self._retrieval()
        except NotFiniteError as error:
            _LOG.warning("Step %d: nothing was measured: %s", step, error)
            return {}
        except _TooLongError:  # dearer than it was expected to be: later, then
            return {}
        finally:
            spent = perf_counter() - begin
            self.seconds += spent
            self._expected = spent * self._batches.rounds / max(1, pace.taken)
        leading = leading_task(self._batches.tasks)
        cosines = {
            row.objective: row.cosine
            for row in found.cosines
            if row.block == TOTAL and row.task_gradient == leading
        }
        self.looks.append(WatchedStep(step, cosines, logs | {"watch/share": self.share}))
        for note in remarks(self.looks):
            self.notes.append(note)
            _LOG.warning(note)
        return dict(self.looks[-1].logs)

    @property
    def _allowed(self) -> float:
        """Seconds that a look may take now."""
        share = self._watching.share
        return (share * (perf_counter() - self._started) - self.seconds) / (1 - share)

    def _due(self, step: int) -> bool:
        if self.looks and self.looks[-1].step == step:  # a further batch of the same step
            return False
        if self._watching.every is not None:
            return step % self._watching.every == 0
        return self._expected <= self._allowed

    def _prepared(
        self, texts: Mapping[TaskGradient, Sequence[Any]], pairs: Pairs
    ) -> tuple[RoundBatches, tuple[TokenizedPair, ...]]:
        """Batches for the rounds, and pairs to look for translations among."""
        watching, encoder, tokenizer = self._watching, self._trained.encoder, self._trained.tokenizer
        rounds, size = watching.rounds, watching.batch_size
        needed = {**{str(name): len(items) for name, items in texts.items()}, "bitext": len(pairs) // 2}
        for name, there in needed.items():
            size = min(size, there // rounds)
            if size < 2:
                raise InputError(
                    f"{rounds} rounds of gradients need {2 * rounds} texts ({name}) and {4 * rounds} "
                    f"translation pairs: bring more, or set rounds lower."
                )
        tasks = {}
        for name, items in texts.items():
            chosen = shuffled(range(len(items)), watching.seed)[: rounds * size]
            tasks[name] = deal([items[i] for i in chosen], rounds, size)
        drawn = shuffled(pairs, watching.seed)[: rounds * size + watching.retrieved]
        tokenized = [tokenizer.translation(*pair) for pair in drawn]
        with encoder.passes_in(self._context.precision):
            linked = self._embedded(tokenized).pairs
        return RoundBatches(tasks, deal(linked, rounds, size)), linked[rounds * size :]

    def _embedded(self, pairs: Sequence[TokenizedPair]) -> EmbeddedBitext:
        encoder = self._trained.encoder
        depth = int(encoder.base.config.num_hidden_layers)
        return embed_bitext(
            encoder, self._trained.tokenizer, pairs, Linker(depth), len(pairs), self._context.watch
        )

    def _retrieval(self) -> dict[str, float]:
        """Share of sentences that find their translation and are found by it, half way up and at the top."""
        with self._trained.encoder.passes_in(self._context.precision):
            embedded = self._embedded(self._kept)
        top = len(embedded.source) - 1
        strict = {
            layer: retrieval(embedded.source[layer], embedded.target[layer]).strict.value
            for layer in (top // 2, top)
        }
        return {f"retrieval/layer.{layer}": value for layer, value in strict.items() if value is not None}


def _known(objectives: Sequence[str]) -> Sequence[str]:
    usable = [name for name, facts in OBJECTIVES.items() if not facts.mlm_head]
    for name in objectives:
        if name not in usable:
            raise InputError(f"'{name}' cannot be watched in training: choose of {', '.join(usable)}.")
    return objectives


def _numbers(found: GradientRounds) -> dict[str, float]:
    """Cosines with their intervals, and norms of expected gradients, of all layers together."""
    logs: dict[str, float] = {}
    for row in found.cosines:
        if row.block == TOTAL:
            name = f"cosine/{row.task_gradient}/{row.objective}"
            ends = {name: row.cosine.value, f"{name}-low": row.cosine.low, f"{name}-high": row.cosine.high}
            logs |= {end: value for end, value in ends.items() if value is not None}
    for loss in found.losses:
        square = loss.squared_norm
        if loss.block == TOTAL and square.value is not None and square.sign > 0:
            logs[f"gradient-norm/{loss.loss}"] = square.value**0.5
    for conflict in found.conflicts:
        logs[f"layers-in-conflict/{conflict.task_gradient}/{conflict.objective}"] = conflict.share
    return logs


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Eval mode for a stretch of code that leaves modes and all random states as they were."""
    modes = [(module, module.training) for module in model.modules()]
    states = random.getstate(), np.random.get_state()  # collators draw from them
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
    with torch.random.fork_rng(devices), torch.enable_grad():
        try:
            model.eval()
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            random.setstate(states[0])
            np.random.set_state(states[1])
