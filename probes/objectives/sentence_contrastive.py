"""Contrastive alignment of sentences."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from probes.objectives._contrastive import Negatives, contrastive_loss
from probes.objectives._protocol import PairView, register


@register
@dataclass(frozen=True, slots=True)
class SentenceContrastive:
    """Pulls translations together and pushes the other sentences of the batch away.

    A sentence is the pooled hidden state at ``layer``.

    Inputs:
        Translation pairs.

    Requirements:
        At least two pairs in a batch; the larger the batch, the harder the negatives.

    Relations:
        - :class:`~probes.objectives.token_contrastive.TokenContrastive` does the same to words.

    Reference:
        XlCo of InfoXLM (Chi et al. 2021, arXiv:2007.07834), here with negatives from the batch.

    Args:
        temperature: T of the softmax over cosines.
        layer: index into the N + 1 hidden states, 0 for the embedding output; None for the last, N.
        negatives: ``weak`` takes the other language's sentences, ``strong`` those of both.
    """

    name: ClassVar[str] = "sentence-contrastive"

    temperature: float = 0.1
    layer: int | None = None
    negatives: Negatives = "weak"

    def loss(self, view: PairView) -> Tensor:
        """Mean over the pairs of the batch, both directions.

        Raises:
            IndexError: if ``layer`` is not an index of a hidden state.
        """
        last = len(view.source) - 1
        layer = last if self.layer is None else self.layer
        if not 0 <= layer <= last:
            raise IndexError(f"layer {layer} does not exist: hidden states run from 0 to {last}")
        x, y = view.sentences(layer)
        return contrastive_loss(x, y, self.temperature, self.negatives)
