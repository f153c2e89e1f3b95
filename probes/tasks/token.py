"""A label for every word: tagging, and spans as BIO tags."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from probes.batches import (
    IGNORED,
    LabelledBatch,
    LabelledText,
    TextBatch,
    TokenizedText,
    Tokenizer,
    collate_texts,
)
from probes.data import Example, TokenExample
from probes.encoder import Encoder
from probes.tasks._classification import Classification
from probes.tasks._level import Answers, Cases, Projection, Unlabelled, register


@register
class TokenLevel(Classification):
    """A class for every word, on the state of its first subword (the usual convention)."""

    name: ClassVar[str] = "token"

    def tokenized(self, tokenizer: Tokenizer, example: Example) -> TokenizedText:
        """The words, kept apart."""
        assert isinstance(example, TokenExample)
        return tokenizer.words(example.words)

    def collate(self, items: Sequence[LabelledText], encoder: Encoder) -> LabelledBatch:
        """Pad labelled texts; labels are (batch, length), ``IGNORED`` off each word's first subword."""
        text = collate_texts([item.text for item in items], encoder.tokenizer, encoder.device)
        labels = torch.full(text.words.shape, IGNORED)
        for row, item in enumerate(items):
            previous = -1
            for column, word in enumerate(item.text.words):
                if word >= 0 and word != previous:
                    labels[row, column] = item.labels[word]
                previous = word
        return LabelledBatch(text, labels.to(encoder.device))

    def features(self, encoder: Encoder, hidden: Tensor, text: TextBatch) -> Tensor:
        """The state of every subword, (batch, length, hidden)."""
        return hidden

    def cases(self, encoder: Encoder, hidden: Tensor, batch: LabelledBatch) -> Cases:
        """Every labelled word is a case."""
        rows, columns = (batch.labels != IGNORED).nonzero(as_tuple=True)
        return Cases(hidden[rows, columns], batch.labels[rows, columns], rows)

    def decode(self, logits: Tensor, text: TextBatch) -> Answers:
        """The likeliest class of every word.

        A word without a subword of its own gets ``IGNORED``; words beyond the longest input get nothing, so
        that the list is shorter than the words.
        """
        best = logits.argmax(-1).tolist()
        return [_by_word(row, words) for row, words in zip(best, text.words.tolist(), strict=True)]

    def project(self, bitext: Unlabelled) -> Projection:
        """Carry labels along the word links; sentences that receive none are left out."""
        answers = bitext.guess(
            [LabelledText(pair.source, (0,) * _words(pair.source)) for pair in bitext.pairs]
        )
        items, carried, words = [], 0, 0
        for pair, labels in zip(bitext.pairs, answers, strict=True):
            projected = [IGNORED] * _words(pair.target)
            for i, j in pair.links:
                if i < len(labels) and j < len(projected):
                    projected[j] = labels[i]
            words += len(projected)
            reached = sum(label != IGNORED for label in projected)
            carried += reached
            if reached:
                items.append(LabelledText(pair.target, tuple(projected)))
        return Projection(tuple(items), carried / max(1, words))


def _words(text: TokenizedText) -> int:
    return 1 + max(text.words)


def _by_word(guesses: Sequence[int], words: Sequence[int]) -> list[int]:
    """The guess on each word's first subword."""
    by_word = [IGNORED] * (1 + max(words))
    for guess, word in reversed(list(zip(guesses, words, strict=True))):
        if word >= 0:
            by_word[word] = guess  # the first subword is met last
    return by_word
