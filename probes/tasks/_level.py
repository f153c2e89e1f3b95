"""What a level of tasks is, and the one place where levels are known by name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from probes.batches import LabelledBatch, LabelledText, TextBatch, TokenizedPair, Tokenizer
from probes.catalogue import LEVELS, Registry
from probes.data import Example
from probes.encoder import Encoder
from probes.metrics import score_counts
from probes.signals import Estimate

Answers = list[list[int]]
"""For each text the indices that a head answered with."""

Guess = Callable[[Sequence[LabelledText]], Answers]
"""Answers for texts whose labels are not looked at."""


@dataclass(frozen=True)
class Cases:
    """What a head is fitted on.

    Attributes:
        features: a row a case, (cases, hidden).
        classes: (cases,).
        rows: which text of the batch each case comes from, (cases,).
    """

    features: Tensor
    classes: Tensor
    rows: Tensor


@dataclass(frozen=True)
class Unlabelled:
    """Translations of text to carry labels over to.

    Attributes:
        pairs: linked bitext that no objective's gradient is taken on.
        tokenizer: for joining pairs.
        guess: what the model says of texts.
        labelled: source texts with labels, for where the model cannot be asked.
    """

    pairs: Sequence[TokenizedPair]
    tokenizer: Tokenizer
    guess: Guess
    labelled: Sequence[LabelledText] = ()


@dataclass(frozen=True)
class Projection:
    """Target texts with the labels a model gave their translations.

    Attributes:
        items: target texts; words that received no label carry ``IGNORED``.
        coverage: share of words or texts that received a label, 0-1.
        missing: why there are none, in a sentence; empty where there are some.
    """

    items: tuple[LabelledText, ...]
    coverage: float
    missing: str = ""


class TaskLevel(Protocol):
    """How tasks of one level are learned and scored: batches, head, loss, decoding, metric.

    Implementations have no state; one a file, registered with :func:`register` under a name that
    :data:`probes.catalogue.LEVELS` describes.

    Attributes:
        name: of the level.
    """

    name: ClassVar[str]

    def labelled(
        self, tokenizer: Tokenizer, examples: Iterable[Example], index: Mapping[str, int]
    ) -> list[LabelledText]:
        """Tokenise examples and look their labels up in ``index``."""

    def collate(self, items: Sequence[LabelledText], encoder: Encoder) -> LabelledBatch:
        """Pad labelled texts into one batch on the encoder's device."""

    def features(self, encoder: Encoder, hidden: Tensor, text: TextBatch) -> Tensor:
        """What the head's linear map is applied to: hidden states (batch, length, hidden) or less."""

    def cases(self, encoder: Encoder, hidden: Tensor, batch: LabelledBatch) -> Cases:
        """The labelled rows of a batch, for a fit on frozen features."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean loss over what is labelled in the batch, a scalar."""

    def text_losses(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss and number of labels of each text, each of shape (batch,)."""

    def decode(self, logits: Tensor, text: TextBatch) -> Answers:
        """The answer on each text of a batch."""

    def project(self, bitext: Unlabelled) -> Projection:
        """Carry what the model says of source sides over to the target sides; or, where the model cannot be
        asked, what ``labelled`` source texts say."""

    def score(
        self, items: Sequence[LabelledText], answers: Answers, labels: Sequence[str], metric: str
    ) -> Estimate:
        """Points of answers, with an interval over texts; what was not answered counts as wrong."""
        return score_counts(self.counts(items, answers, labels, metric))

    def counts(
        self, items: Sequence[LabelledText], answers: Answers, labels: Sequence[str], metric: str
    ) -> NDArray[np.float64]:
        """For each text the two numbers whose sums make the score, shape (texts, 2)."""

    def majority(self, fitted: Sequence[LabelledText], like: Sequence[LabelledText]) -> Answers:
        """The answers of one who always says what is most frequent in ``fitted``."""


IMPLEMENTED: Registry[TaskLevel] = Registry("task level", facts=LEVELS)
"""Every level by name."""

register = IMPLEMENTED.register


def level_called(name: str) -> TaskLevel:
    """The code of a level of the catalogue."""
    return IMPLEMENTED[name]
