"""Translation language modelling."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from probes.objectives._protocol import PairView, register
from probes.objectives.masking import masked_lm_loss


@register
@dataclass(frozen=True, slots=True)
class TLM:
    """Masked language modelling on a sentence and its translation in one input.

    Inputs:
        Translation pairs, concatenated with the model's own separator.

    Requirements:
        A checkpoint with an MLM head.

    Relations:
        - :class:`~probes.objectives.mlm.MLM` without the translation. Positions are not reset for the second
          sentence, as encoders other than XLM have no such input.

    Reference:
        Lample & Conneau 2019 (arXiv:1901.07291), section 3.3.

    Args:
        share: of subwords that are predicted, over both languages.
    """

    name: ClassVar[str] = "tlm"

    share: float = 0.15

    def loss(self, view: PairView) -> Tensor:
        """Mean over the masked subwords of the batch."""
        joined = view.batch.mismatched if view.shuffled else view.batch.joined
        return masked_lm_loss(view.encoder, joined, self.share, view.seed)
