"""What all parts of a probe share, and the model they work on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from probes.batches import LabelledText, Tokenizer
from probes.encoder import Encoder
from probes.heads import Head
from probes.machine.precision import PassPrecision
from probes.machine.processes import ALONE, Processes
from probes.machine.vectors import VectorPool
from probes.progress import Stopwatch
from probes.signals import Point

if TYPE_CHECKING:
    from probes.gradients.kept import KeptGradients


@dataclass(frozen=True)
class Context:
    """How a probe runs.

    Attributes:
        seed: of masks, shuffles, order and dropout.
        precision: of the passes of warm-up, gradients and lookahead; all else runs in fp32.
        watch: told of phases and steps.
        processes: share out the gradient rounds; all of them get all of the outcome.
        pool: where running sums come from, and go back to.
        kept: source gradients that several targets share; None takes them anew.
    """

    seed: int = 0
    precision: PassPrecision = "fp32"
    watch: Stopwatch = field(default_factory=Stopwatch)
    processes: Processes = ALONE
    pool: VectorPool = field(default_factory=VectorPool)
    kept: "KeptGradients | None" = None


class Measurable(Protocol):
    """What gradient rounds ask of a model, whoever trains it; attributes as of :class:`ModelAt`."""

    @property
    def point(self) -> Point: ...  # noqa: D102
    @property
    def encoder(self) -> Encoder: ...  # noqa: D102
    @property
    def tokenizer(self) -> Tokenizer: ...  # noqa: D102
    @property
    def anchor(self) -> Encoder | None: ...  # noqa: D102

    def task_loss(self, items: Sequence[Any]) -> Tensor:
        """Mean task loss of labelled items, a scalar with a graph to the encoder's parameters."""


@dataclass(frozen=True)
class ModelAt:
    """The model at one of the points where gradients are taken.

    Attributes:
        point: name of the point.
        encoder, head: as they are there.
        tokenizer: of the encoder.
        anchor: the encoder as it was given, where ``encoder`` no longer is.
    """

    point: Point
    encoder: Encoder
    head: Head
    tokenizer: Tokenizer
    anchor: Encoder | None = None

    def task_loss(self, items: Sequence[LabelledText]) -> Tensor:
        """Mean loss of labelled texts under the head."""
        return self.head.loss(self.encoder, self.head.level.collate(items, self.encoder))
