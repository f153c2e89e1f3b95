"""A label for a pair of texts, joined in one input."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from probes.batches import LabelledText, TokenizedPair, TokenizedText, Tokenizer
from probes.data import Example, PairExample
from probes.tasks._classification import TextClassification
from probes.tasks._level import Guess, Projection, register


@register
class PairLevel(TextClassification):
    """A class for every pair of texts."""

    name: ClassVar[str] = "pair"

    def tokenized(self, tokenizer: Tokenizer, example: Example) -> TokenizedText:
        """Both texts, with whatever the model puts between them."""
        assert isinstance(example, PairExample)
        return tokenizer.pair(example.first, example.second)

    def project(
        self,
        pairs: Sequence[TokenizedPair],
        tokenizer: Tokenizer,
        guess: Guess,
        labelled: Sequence[LabelledText],
    ) -> Projection:
        """Pair each sentence with the next one of the bitext; their translations inherit the label."""
        neighbours = list(pairwise(pairs))
        answers = guess(
            [
                LabelledText(tokenizer.pair(first.strings[0], second.strings[0]), (0,))
                for first, second in neighbours
            ]
        )
        items = tuple(
            LabelledText(tokenizer.pair(first.strings[1], second.strings[1]), tuple(labels))
            for (first, second), labels in zip(neighbours, answers, strict=True)
        )
        return Projection(items, 1.0)
