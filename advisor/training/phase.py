"""A stretch of optimisation that can be left at any step and gone on with, and the batches it draws."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, GradientAccumulationPlugin
from torch import Tensor
from torch.utils.data import RandomSampler
from transformers import get_linear_schedule_with_warmup

from advisor.training.config import Recipe
from advisor.training.losses import Losses
from advisor.training.outcome import StepLog
from probes.batches import LabelledBatch, PairBatch
from probes.errors import RunError
from probes.progress import Stopwatch

T = TypeVar("T")
B = TypeVar("B")

PHASES = {
    "embed": "aligning words",
    "align": "alignment",
    "warm": "fine-tuning in its place",
    "fine-tune": "fine-tuning",
}
"""The phases that a run reports to a progress display, in words."""

_CHECK_EVERY = 50
"""Steps after which losses are looked at: every look waits for the device."""


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


class Batches(Generic[T, B]):
    """Full batches without end, in a new order each time round; several processes share them out.

    Short ones are left out: contrastive losses are not comparable over batches of different sizes. The order
    is the one in which torch's ``DataLoader`` would shuffle with a generator of that seed.

    Args:
        wanted: items in a batch; fewer where not every process could fill one.
        rank, processes: which share of the batches is drawn here.

    Attributes:
        taken: how many batches have been drawn here; set it to go on from there.
    """

    def __init__(
        self,
        items: Sequence[T],
        wanted: int,
        collate: Callable[[list[T]], B],
        seed: int,
        *,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.size = max(1, min(wanted, len(items) // processes))
        self.taken = 0
        self._items = items
        self._collate = collate
        self._seed = seed
        self._rank, self._processes = rank, processes
        self._epoch = -1
        self._order: list[int] = []
        self._generator = torch.Generator()

    @property
    def an_epoch(self) -> int:
        """Batches that each process draws before the order changes."""
        return max(1, len(self._items) // (self.size * self._processes))

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        epoch, place = divmod(self.taken, self.an_epoch)
        self._shuffle(epoch)
        start = (place * self._processes + self._rank) * self.size
        self.taken += 1
        return self._collate([self._items[i] for i in self._order[start : start + self.size]])

    def _shuffle(self, epoch: int) -> None:
        """Bring about the order of an epoch: it follows from the ones before."""
        if epoch < self._epoch or self._epoch < 0:
            self._generator.manual_seed(self._seed)
            self._epoch = -1
        while self._epoch < epoch:
            # a loader draws a seed for its workers first
            torch.empty((), dtype=torch.int64).random_(generator=self._generator)
            self._order = list(RandomSampler(self._items, generator=self._generator))
            self._epoch += 1


@dataclass
class Feed:
    """Where the batches of a phase come from; a source that is None gives none."""

    labelled: Batches[Any, LabelledBatch] | None = None
    pairs: Batches[Any, PairBatch] | None = None

    def draw(self) -> tuple[LabelledBatch | None, PairBatch | None]:
        """The next batches."""
        return (
            None if self.labelled is None else next(self.labelled),
            None if self.pairs is None else next(self.pairs),
        )

    def go_to(self, taken: int) -> None:
        """Go on as if ``taken`` batches had been drawn."""
        for batches in (self.labelled, self.pairs):
            if batches is not None:
                batches.taken = taken


@dataclass
class RandomState:
    """torch's random state on the CPU and, where there is one, on the GPU that is trained on."""

    cpu: Tensor
    cuda: Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> "RandomState":
        """The state as it is."""
        on_gpu = device.type == "cuda"
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state(device) if on_gpu else None)

    def restore(self, device: torch.device) -> None:
        """Make it the state."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None and device.type == "cuda":
            torch.cuda.set_rng_state(self.cuda, device)


class Phase:
    """AdamW steps on the weighted sum of the losses, with warm-up and linear decay.

    A phase keeps all that decides its next step: weights, optimiser, schedule, random state and place in the
    data. It can be advanced bit by bit, with anything in between, and :meth:`state` can be saved and loaded
    into a phase that was made alike: on a CPU the result is bit-identical to an unbroken run.

    Warm-up and decay count optimiser steps, however many batches (``gradient_accumulation``) go into one.

    Args:
        name: of :data:`PHASES`.
        losses: what is trained, in place, with ``weights`` by their names.
        steps: of the whole schedule; ``learning_rate`` is at its peak.
        random: the random state to begin with.
    """

    def __init__(
        self,
        name: str,
        losses: Losses,
        feed: Feed,
        weights: Mapping[str, float],
        recipe: Recipe,
        *,
        accelerator: Accelerator,
        steps: int,
        learning_rate: float,
        random: RandomState,
    ) -> None:
        self.name = name
        self.losses = losses
        self.steps = steps
        self.taken = 0
        self._feed = feed
        self._weights = weights
        self._recipe = recipe
        self._accelerator = accelerator
        self._random = random
        self._model = accelerator.prepare_model(losses)
        # A parameter that no loss reaches has no gradient, and AdamW leaves it exactly as it is.
        matrices = [p for p in losses.parameters() if p.ndim >= 2]
        vectors = [p for p in losses.parameters() if p.ndim < 2]
        self._adam = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": recipe.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=learning_rate,
            fused=True,  # one pass over the memory instead of several
        )
        self._schedule = get_linear_schedule_with_warmup(
            self._adam, round(recipe.warmup_share * steps), steps
        )
        self._optimiser = accelerator.prepare_optimizer(self._adam)
        self._log: list[StepLog] = []
        self._pending: list[tuple[float, dict[str, Tensor]]] = []

    @property
    def log(self) -> tuple[StepLog, ...]:
        """One entry for every step taken."""
        return tuple(self._log)

    def advance(self, until: int, watch: Stopwatch) -> None:
        """Go on until ``until`` steps have been taken.

        Raises:
            RunError: if a loss or a weight is not finite.
        """
        if until <= self.taken:
            return
        with self._own_random_state():
            self.losses.train()
            on_cpu = self.losses.encoder.device.type == "cpu"  # where looking at a loss costs nothing
            for _ in watch.each(range(until - self.taken)):
                self._step()
                if on_cpu or self.taken % _CHECK_EVERY == 0:
                    self._settle()
            self._settle()
            self.losses.eval()
        if not _all_finite(self.losses):
            raise RunError(
                f"The weights are not finite after {PHASES[self.name]}: lower the learning rate, or set "
                "mixed_precision to no."
            )

    def state(self) -> dict[str, Any]:
        """All that decides the next step, as tensors and plain values that ``torch.save`` takes."""
        return {
            "taken": self.taken,
            "weights": {name: value.detach().clone() for name, value in self.losses.named_parameters()},
            "optimiser": copy.deepcopy(self._adam.state_dict()),
            "schedule": self._schedule.state_dict(),
            "random": (self._random.cpu, self._random.cuda),
            "log": [(entry.learning_rate, entry.losses) for entry in self._log],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state` of a phase that was made alike."""
        with torch.no_grad():
            for name, value in self.losses.named_parameters():
                value.copy_(state["weights"][name])
        self._adam.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        self._random = RandomState(*state["random"])
        self._log = [StepLog(self.name, i, rate, losses) for i, (rate, losses) in enumerate(state["log"])]
        self.taken = int(state["taken"])
        self._feed.go_to(self.taken * self._recipe.gradient_accumulation)

    def _step(self) -> None:
        sums: dict[str, Tensor] = {}
        for _ in range(self._recipe.gradient_accumulation):
            with self._accelerator.accumulate(self._model):
                losses: dict[str, Tensor] = self._model(*self._feed.draw())
                for name, loss in losses.items():
                    share = loss.detach() / self._recipe.gradient_accumulation
                    sums[name] = sums[name] + share if name in sums else share
                self._accelerator.backward(sum(self._weights[name] * loss for name, loss in losses.items()))
                if self._accelerator.sync_gradients:
                    self._accelerator.clip_grad_norm_(
                        self.losses.parameters(), self._recipe.max_gradient_norm
                    )
                self._optimiser.step()  # accelerate lets these two pass only at the step's last batch
                self._optimiser.zero_grad()
        self._pending.append((self._schedule.get_last_lr()[0], sums))
        self._schedule.step()
        self.taken += 1

    def _settle(self) -> None:
        """Fetch the losses of the last steps from the device at once, and see whether they are finite."""
        if not self._pending:
            return
        names = tuple(self._pending[0][1])
        fetched = torch.stack([sums[name] for _, sums in self._pending for name in names]).tolist()
        rows = [fetched[i : i + len(names)] for i in range(0, len(fetched), len(names))]
        for (rate, _), row in zip(self._pending, rows, strict=True):
            step = len(self._log)
            for name, value in zip(names, row, strict=True):
                if not -torch.inf < value < torch.inf:
                    raise RunError(
                        f"The {name} loss is not finite at step {step} of {PHASES[self.name]}: lower the "
                        "learning rate, or set mixed_precision to no."
                    )
            self._log.append(StepLog(self.name, step, rate, dict(zip(names, row, strict=True))))
        self._pending.clear()

    @contextmanager
    def _own_random_state(self) -> Iterator[None]:
        device = self.losses.encoder.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            self._random.restore(device)
            try:
                yield
            finally:
                self._random = RandomState.now(device)


@torch.no_grad()
def _all_finite(losses: Losses) -> bool:
    return bool(torch.stack([parameter.isfinite().all() for parameter in losses.parameters()]).all())
