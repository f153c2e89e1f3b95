"""A label for a pair of texts, joined in one input."""

from itertools import pairwise
from typing import ClassVar

from probes.batches import LabelledText, TokenizedText, Tokenizer
from probes.data import Example, PairExample
from probes.tasks._classification import TextClassification
from probes.tasks._level import Projection, Unlabelled, register


@register
class PairLevel(TextClassification):
    """A class for every pair of texts."""

    name: ClassVar[str] = "pair"

    def tokenized(self, tokenizer: Tokenizer, example: Example) -> TokenizedText:
        """Both texts, with whatever the model puts between them."""
        assert isinstance(example, PairExample)
        return tokenizer.pair(example.first, example.second)

    def project(self, bitext: Unlabelled) -> Projection:
        """Pair each sentence with the next one of the bitext; their translations inherit the label."""
        neighbours = list(pairwise(bitext.pairs))
        answers = bitext.guess(
            [
                LabelledText(bitext.tokenizer.pair(first.strings[0], second.strings[0]), (0,))
                for first, second in neighbours
            ]
        )
        items = tuple(
            LabelledText(bitext.tokenizer.pair(first.strings[1], second.strings[1]), tuple(labels))
            for (first, second), labels in zip(neighbours, answers, strict=True)
        )
        return Projection(items, 1.0)
