"""One pass over the bitext that serves the word links and every distance."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from probes.batches import TokenizedPair, Tokenizer, collate_texts
from probes.bitext.linking import Linker, word_vectors
from probes.encoder import Encoder
from probes.progress import Stopwatch

__all__ = ["EMBEDDING_BATCH", "EmbeddedBitext", "embed_bitext"]

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
