"""What all levels share that choose one of a set of classes."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from probes.batches import (
    IGNORED,
    LabelledBatch,
    LabelledText,
    TextBatch,
    TokenizedText,
    Tokenizer,
    collate_texts,
)
from probes.data import Example
from probes.encoder import Encoder
from probes.metrics import counts
from probes.tasks._level import Answers, Cases, TaskLevel


class Classification(TaskLevel):
    """One class for each labelled position, by cross-entropy.

    Labels are of shape (batch, length) or (batch,), with ``IGNORED`` where nothing is labelled; logits have
    the classes as a further dimension.
    """

    @abstractmethod
    def tokenized(self, tokenizer: Tokenizer, example: Example) -> TokenizedText:
        """What an example says, as subwords."""

    def labelled(
        self, tokenizer: Tokenizer, examples: Iterable[Example], index: Mapping[str, int]
    ) -> list[LabelledText]:
        """Tokenise examples and look their labels up in ``index``."""
        return [
            LabelledText(self.tokenized(tokenizer, example), tuple(index[label] for label in example.labels))
            for example in examples
        ]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy over the labelled positions of the batch."""
        return cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED)

    def text_losses(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Summed cross-entropy and number of labelled positions of each text, each of shape (batch,)."""
        each = cross_entropy(
            logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="none"
        ).view(len(labels), -1)
        counted = (labels != IGNORED).to(each.dtype).view(len(labels), -1)
        return each.sum(1), counted.sum(1)

    def counts(
        self, items: Sequence[LabelledText], answers: Answers, labels: Sequence[str], metric: str
    ) -> NDArray[np.float64]:
        """What the score is made of, text by text."""
        gold = [[labels[i] for i in item.labels] for item in items]
        named = [
            [labels[i] if i >= 0 else "" for i in row] + [""] * (len(truth) - len(row))
            for row, truth in zip(answers, gold, strict=True)
        ]
        return counts(gold, named, metric)

    def majority(self, fitted: Sequence[LabelledText], like: Sequence[LabelledText]) -> Answers:
        """The most frequent class of ``fitted``, on every position of ``like``."""
        counts = np.bincount(np.concatenate([item.labels for item in fitted]))
        return [[int(counts.argmax())] * len(item.labels) for item in like]


class TextClassification(Classification):
    """One class for a text, from its pooled state."""

    def collate(self, items: Sequence[LabelledText], encoder: Encoder) -> LabelledBatch:
        """Pad labelled texts; labels are of shape (batch,)."""
        text = collate_texts([item.text for item in items], encoder.tokenizer, encoder.device)
        return LabelledBatch(text, torch.tensor([item.labels[0] for item in items], device=encoder.device))

    def features(self, encoder: Encoder, hidden: Tensor, text: TextBatch) -> Tensor:
        """The pooled state of each text, (batch, hidden)."""
        return encoder.pool(hidden, text)

    def cases(self, encoder: Encoder, hidden: Tensor, batch: LabelledBatch) -> Cases:
        """Every text is a case."""
        rows = torch.arange(len(batch.text), device=hidden.device)
        return Cases(encoder.pool(hidden, batch.text), batch.labels, rows)

    def decode(self, logits: Tensor, text: TextBatch) -> Answers:
        """The likeliest class of each text."""
        return [[best] for best in logits.argmax(-1).tolist()]
