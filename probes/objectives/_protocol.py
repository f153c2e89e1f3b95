"""What an alignment loss is, what it gets to see, and the one place where losses are known by name."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from probes.batches import PairBatch, TextBatch
from probes.catalogue import OBJECTIVES, Registry
from probes.encoder import Encoder


class AlignmentLoss(Protocol):
    """An alignment loss over a batch of translation pairs.

    Implementations are small frozen dataclasses, one a file, registered with
    :func:`probes.objectives.register`. What they need and where they come from stands in
    :data:`probes.catalogue.OBJECTIVES`.

    Attributes:
        name: of the objective.
    """

    name: ClassVar[str]

    def loss(self, view: "PairView") -> Tensor:
        """The mean loss over the batch, a scalar with a graph to the encoder's parameters."""


@dataclass
class PairView:
    """One batch of translation pairs as objectives see it, encoded at most once whoever asks.

    Attributes:
        encoder: the model whose gradient is wanted.
        batch: the pairs.
        anchor: the model as it was given, for losses that hold on to it; None means ``encoder`` itself.
        seed: decides the masks of MLM and TLM.
        shuffled: whether the pairing is destroyed (sentences rolled by one, word links permuted): the null.
    """

    encoder: Encoder
    batch: PairBatch
    anchor: Encoder | None = None
    seed: int = 0
    shuffled: bool = False

    @cached_property
    def source(self) -> tuple[Tensor, ...]:
        """Hidden states of the source side: N + 1 tensors of shape (pairs, length, hidden)."""
        return self.encoder.hidden_states(self.batch.source)

    @cached_property
    def target(self) -> tuple[Tensor, ...]:
        """Hidden states of the target side: N + 1 tensors of shape (pairs, length, hidden)."""
        return self.encoder.hidden_states(self.batch.target)

    @cached_property
    def anchored_source(self) -> Tensor:
        """Last hidden state of the source side under the model as given, without gradient."""
        if self.anchor is None:
            return self.source[-1].detach()
        with torch.no_grad():
            return self.anchor.hidden_states(self.batch.source)[-1]

    def null(self) -> "PairView":
        """The same batch, same encoded states, with the pairing destroyed."""
        other = PairView(self.encoder, self.batch, self.anchor, self.seed, shuffled=True)
        for name in ("source", "target", "anchored_source"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    @cached_property
    def links(self) -> Tensor:
        """Aligned words, shape (links, 4): source row, source word, target row, target word."""
        links = self.batch.links
        if not self.shuffled:
            return links
        # A roll within a random order pairs each word with another one's partner, never with its own.
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(links), generator=generator).to(links.device)
        partners = links.clone()
        partners[order, 2:] = links[order.roll(1), 2:]
        return partners

    def sentences(self, layer: int) -> tuple[Tensor, Tensor]:
        """Pooled vectors of both sides at hidden state ``layer``, each of shape (pairs, hidden)."""
        source = self.encoder.pool(self.source[layer], self.batch.source)
        target = self.encoder.pool(self.target[layer], self.batch.target)
        return source, target.roll(1, dims=0) if self.shuffled else target

    def aligned_words(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of linked words, each of shape (links, hidden): means over a word's subwords.

        Args:
            source, target: hidden states of the two sides, shape (pairs, length, hidden).
        """
        x = gather_words(source, self.batch.source, self.links[:, 0], self.links[:, 1])
        y = gather_words(target, self.batch.target, self.links[:, 2], self.links[:, 3])
        return x, y


def gather_words(hidden: Tensor, text: TextBatch, rows: Tensor, words: Tensor) -> Tensor:
    """Mean subword state of chosen words.

    Args:
        hidden: (batch, length, hidden).
        text: the batch ``hidden`` comes from.
        rows, words: which text and which of its words, each of shape (n,).

    Returns:
        (n, hidden).
    """
    member = (text.words[rows] == words.unsqueeze(1)).to(hidden.dtype)
    weights = member / member.sum(1, keepdim=True).clamp(min=1)
    return torch.einsum("nl,nld->nd", weights, hidden[rows])


LOSSES: Registry[AlignmentLoss] = Registry("objective", facts=OBJECTIVES)
"""Every alignment loss with its default settings, by the name of its objective."""

register = LOSSES.register


def available(encoder: Encoder, has_links: bool) -> tuple[dict[str, AlignmentLoss], dict[str, str]]:
    """Split the losses into what can be measured on this encoder and what cannot, with the reason."""
    usable: dict[str, AlignmentLoss] = {}
    refused: dict[str, str] = {}
    for name, loss in LOSSES.items():
        if OBJECTIVES[name].mlm_head and encoder.masked_lm is None:
            refused[name] = str(encoder.no_mlm_reason)
        elif OBJECTIVES[name].word_pairs and not has_links:
            refused[name] = "no words of the bitext could be aligned"
        else:
            usable[name] = loss
    return usable, refused
