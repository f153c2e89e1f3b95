"""A label for a text."""

from typing import ClassVar

from probes.batches import LabelledText, TokenizedText, Tokenizer
from probes.data import Example, SentenceExample
from probes.tasks._classification import TextClassification
from probes.tasks._level import Projection, Unlabelled, register


@register
class SentenceLevel(TextClassification):
    """A class for every text."""

    name: ClassVar[str] = "sentence"

    def tokenized(self, tokenizer: Tokenizer, example: Example) -> TokenizedText:
        """The running text."""
        assert isinstance(example, SentenceExample)
        return tokenizer.text(example.text)

    def project(self, bitext: Unlabelled) -> Projection:
        """The translation inherits the label."""
        answers = bitext.guess([LabelledText(pair.source, (0,)) for pair in bitext.pairs])
        items = tuple(
            LabelledText(pair.target, tuple(labels))
            for pair, labels in zip(bitext.pairs, answers, strict=True)
        )
        return Projection(items, 1.0)
