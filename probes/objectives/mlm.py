"""Continued masked language modelling."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from probes.objectives._protocol import PairView, register
from probes.objectives.masking import masked_lm_loss


@register
@dataclass(frozen=True, slots=True)
class MLM:
    """Masked language modelling on target-language text: no alignment signal, only exposure.

    Inputs:
        The target side of translation pairs (any target text would do).

    Requirements:
        A checkpoint with an MLM head.

    Relations:
        - :class:`~probes.objectives.tlm.TLM` shows the translation too.

    Reference:
        Devlin et al. 2019 (arXiv:1810.04805).

    Args:
        share: of subwords that are predicted.
    """

    name: ClassVar[str] = "mlm"

    share: float = 0.15

    def loss(self, view: PairView) -> Tensor:
        """Mean over the masked subwords of the batch."""
        return masked_lm_loss(view.encoder, view.batch.target, self.share, view.seed)
