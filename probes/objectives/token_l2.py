"""Least-squares alignment of words with an anchor."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from probes.objectives._protocol import PairView, register


@register
@dataclass(frozen=True, slots=True)
class TokenL2:
    """Moves aligned words onto each other and keeps the source language where it was.

    Per linked word: ``|f(x) - f(y)|^2 + anchor_weight * |f(y) - f0(y)|^2``, with y the source-language
    word and f0 the encoder as it was given, on the last hidden state. At that encoder itself the second
    term's gradient is zero.

    Inputs:
        Translation pairs with word links.

    Relations:
        - :class:`~probes.objectives.token_contrastive.TokenContrastive` needs no anchor, as its negatives
          keep words apart.

    Reference:
        Cao, Kitaev & Klein 2020 (arXiv:2002.03518), equations 2 and 3.

    Args:
        anchor_weight: lambda of the paper.
    """

    name: ClassVar[str] = "token-l2"

    anchor_weight: float = 1.0

    def loss(self, view: PairView) -> Tensor:
        """Mean over the linked words of the batch."""
        source, target = view.source[-1], view.target[-1]
        y, x = view.aligned_words(source, target)
        y0, _ = view.aligned_words(view.anchored_source, target.detach())
        pull = (x - y).square().sum(-1).mean()
        hold = (y - y0).square().sum(-1).mean()
        return pull + self.anchor_weight * hold
