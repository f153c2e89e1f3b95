"""One pass over the bitext that serves the word links and every distance."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from probes.batches import TextBatch, TokenizedPair, Tokenizer, collate_texts
from probes.encoder import Encoder
from probes.progress import Stopwatch
from probes.words import dictionary_links, drop_identical, mutual_argmax


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


EMBEDDING_BATCH = 32
"""Pairs embedded at once."""
_LINKS_A_PAIR = 4
"""Linked words of one pair that enter word-level distances, so that long sentences do not dominate."""


@dataclass(frozen=True)
class EmbeddedBitext:
    """Linked pairs and the vectors of the first of them.

    Attributes:
        pairs: all pairs, with their word links.
        source, target: pooled sentence vectors, (layers + 1, sentences, hidden).
        source_words, target_words: vectors of linked words, (layers + 1, words, hidden).
    """

    pairs: tuple[TokenizedPair, ...]
    source: Tensor
    target: Tensor
    source_words: Tensor
    target_words: Tensor


@torch.no_grad()
def embed_bitext(
    encoder: Encoder,
    tokenizer: Tokenizer,
    pairs: Sequence[TokenizedPair],
    linker: Linker,
    measured: int,
    watch: Stopwatch,
    batch: int = EMBEDDING_BATCH,
) -> EmbeddedBitext:
    """Encode all pairs once: link their words, and keep the vectors of the first ``measured``.

    Batches hold ``batch`` sentences of like length; results are in the order of ``pairs``. Memory depends on
    ``measured`` and the batch, and on the rest of the pairs only by their subwords and links.
    """
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].source.ids) + len(pairs[i].target.ids))
    linked: list[TokenizedPair] = list(pairs)
    sentences: tuple[dict[int, Tensor], dict[int, Tensor]] = ({}, {})
    words: tuple[dict[int, Tensor], dict[int, Tensor]] = ({}, {})
    for start in watch.each(range(0, len(order), batch)):
        chosen = order[start : start + batch]
        sides = []
        for side in ("source", "target"):
            text = collate_texts([getattr(pairs[i], side) for i in chosen], tokenizer.backend, encoder.device)
            sides.append((text, encoder.hidden_states(text)))
        for row, i in enumerate(chosen):
            at_layer = [word_vectors(states[linker.layer], text, row) for text, states in sides]
            linked[i] = linker.link(pairs[i], *at_layer)
            if i >= measured:
                continue
            kept = linked[i].links[:_LINKS_A_PAIR]
            for end, (text, states) in enumerate(sides):
                vectors = torch.stack([word_vectors(state, text, row) for state in states])
                words[end][i] = vectors[:, [link[end] for link in kept]].cpu()
        for end, (text, states) in enumerate(sides):
            pooled = torch.stack([encoder.pool(state, text) for state in states], dim=1).cpu()
            sentences[end].update({i: pooled[row] for row, i in enumerate(chosen) if i < measured})
    first = range(min(measured, len(pairs)))
    stacked = [torch.stack([side[i] for i in first], dim=1) for side in sentences]
    flat = [torch.cat([side[i] for i in first], dim=1) for side in words]
    return EmbeddedBitext(tuple(linked), stacked[0], stacked[1], flat[0], flat[1])
