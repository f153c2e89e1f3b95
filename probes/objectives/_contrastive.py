"""The contrastive loss that the word and the sentence objective share."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

Negatives = Literal["strong", "weak"]


def contrastive_loss(source: Tensor, target: Tensor, temperature: float, negatives: Negatives) -> Tensor:
    """Symmetric InfoNCE over cosine similarities.

    For each x with partner y: ``-log exp(cos(x,y)/T) / sum_z exp(cos(x,z)/T)``, averaged over both
    directions. z runs over the other language (``weak``) or over both languages without x itself
    (``strong``; Wu & Dredze 2020, arXiv:2010.02537).

    Args:
        source, target: partners in the same row, each of shape (n, hidden), n >= 2.
        temperature: T > 0.
        negatives: which vectors stand in the denominator.

    Returns:
        A scalar; log of the number of candidates for random vectors at high T, 0 when perfectly aligned.
    """
    n = source.shape[0]
    x, y = normalize(source, dim=-1), normalize(target, dim=-1)
    across = x @ y.T / temperature
    partner = torch.arange(n, device=source.device)
    if negatives == "weak":
        return (cross_entropy(across, partner) + cross_entropy(across.T, partner)) / 2
    itself = torch.eye(n, dtype=torch.bool, device=source.device)
    within_x = (x @ x.T / temperature).masked_fill(itself, -torch.inf)
    within_y = (y @ y.T / temperature).masked_fill(itself, -torch.inf)
    forward = cross_entropy(torch.cat([across, within_x], dim=1), partner)
    backward = cross_entropy(torch.cat([across.T, within_y], dim=1), partner)
    return (forward + backward) / 2
