"""Contrastive alignment of words."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from probes.objectives._contrastive import Negatives, contrastive_loss
from probes.objectives._protocol import PairView, register


@register
@dataclass(frozen=True, slots=True)
class TokenContrastive:
    """Pulls aligned words together and pushes all other words of the batch away.

    A word is the mean of its subwords' last hidden states.

    Inputs:
        Translation pairs with word links; identical strings are dropped from the links beforehand.

    Requirements:
        At least two links in a batch.

    Relations:
        - :class:`~probes.objectives.token_l2.TokenL2` pulls without pushing and holds on to the start.
        - :class:`~probes.objectives.sentence_contrastive.SentenceContrastive` does the same to sentences.

    Reference:
        Wu & Dredze 2020 (arXiv:2010.02537), "strong" and "weak" alignment; Gaschi et al. 2023
        (arXiv:2306.02790).

    Args:
        temperature: T of the softmax over cosines.
        negatives: ``strong`` takes the linked words of both languages as negatives, ``weak`` only those
            of the other language.
    """

    name: ClassVar[str] = "token-contrastive"

    temperature: float = 0.1
    negatives: Negatives = "strong"

    def loss(self, view: PairView) -> Tensor:
        """Mean over the linked words of the batch, both directions."""
        x, y = view.aligned_words(view.source[-1], view.target[-1])
        return contrastive_loss(x, y, self.temperature, self.negatives)
