"""Word links for translation pairs, from whichever source the user has."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from probes.batches import TextBatch, TokenizedPair
from probes.words import dictionary_links, drop_identical, mutual_argmax

__all__ = ["Linker", "word_vectors"]


@dataclass(frozen=True)
class Linker:
    """Finds aligned words; identical strings are dropped, as they are aligned already.

    Attributes:
        layers: N of the encoder.
        entries: a bilingual dictionary (casefolded source word -> target words), or None.
        given: links of each pair of the bitext from a file, or None.
    """

    layers: int
    entries: Mapping[str, Collection[str]] | None = None
    given: bool = False

    @property
    def kind(self) -> Literal["dictionary", "mutual-argmax", "file"]:
        """Where the links come from, in the words of the option space."""
        return "file" if self.given else "mutual-argmax" if self.entries is None else "dictionary"

    @property
    def layer(self) -> int:
        """Hidden state for mutual argmax: two thirds up, where SimAlign finds words best aligned
        (layer 8 of 12; arXiv:2004.08728)."""
        return max(1, round(self.layers * 2 / 3))

    def link(self, pair: TokenizedPair, source: Tensor, target: Tensor) -> TokenizedPair:
        """The pair with its links.

        Args:
            pair: tokenised; with links already when they came from a file.
            source, target: word vectors of the two sides at ``layer``, (words, hidden).
        """
        if self.given:
            links: Sequence[tuple[int, int]] = pair.links
        elif self.entries is not None:
            links = dictionary_links(pair.source.surface, pair.target.surface, self.entries)
        else:
            links = mutual_argmax(source, target)
        inside = [(i, j) for i, j in links if i < len(source) and j < len(target)]
        return replace(pair, links=tuple(drop_identical(inside, pair.source.surface, pair.target.surface)))


def word_vectors(hidden: Tensor, text: TextBatch, row: int) -> Tensor:
    """Mean subword state of every word of one text, (words, hidden)."""
    words = text.words[row]
    inside = words >= 0
    count = int(words.max()) + 1
    sums = hidden.new_zeros(count, hidden.shape[-1]).index_add_(0, words[inside], hidden[row][inside])
    return sums / words[inside].bincount(minlength=count).clamp(min=1).unsqueeze(1)
