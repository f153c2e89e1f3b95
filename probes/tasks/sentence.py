"""A label for a text."""

from collections.abc import Sequence
from typing import ClassVar

from probes.batches import LabelledText, TokenizedPair, TokenizedText, Tokenizer
from probes.data import Example, SentenceExample
from probes.tasks._classification import TextClassification
from probes.tasks._level import Guess, Projection, register


@register
class SentenceLevel(TextClassification):
    """A class for every text."""

    name: ClassVar[str] = "sentence"

    def tokenized(self, tokenizer: Tokenizer, example: Example) -> TokenizedText:
        """The running text."""
        assert isinstance(example, SentenceExample)
        return tokenizer.text(example.text)

    def project(
        self,
        pairs: Sequence[TokenizedPair],
        tokenizer: Tokenizer,
        guess: Guess,
        labelled: Sequence[LabelledText],
    ) -> Projection:
        """The translation inherits the label."""
        answers = guess([LabelledText(pair.source, (0,)) for pair in pairs])
        items = tuple(
            LabelledText(pair.target, tuple(labels)) for pair, labels in zip(pairs, answers, strict=True)
        )
        return Projection(items, 1.0)
