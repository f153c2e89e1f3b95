"""From token states to sentence vectors, in the ways that sentence-transformers knows."""

from typing import get_args

import torch
from torch import Tensor

from probes.signals import Pooling

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


def pooled(hidden: Tensor, attention: Tensor, pooling: Pooling) -> Tensor:
    """Sentence vectors of shape (batch, hidden).

    Args:
        hidden: token states, (batch, length, hidden).
        attention: 1 for tokens and 0 for padding, (batch, length).
        pooling: how; ``weightedmean`` weighs tokens by their place (SGPT, arXiv:2202.08904).
    """
    if pooling == "cls":
        first = attention.argmax(1)  # padding may stand on the left
        return hidden[torch.arange(len(hidden), device=hidden.device), first]
    if pooling == "lasttoken":
        last = attention.shape[1] - 1 - attention.flip(1).argmax(1)
        return hidden[torch.arange(len(hidden), device=hidden.device), last]
    mask = attention.unsqueeze(-1).to(hidden.dtype)
    if pooling == "max":
        return hidden.masked_fill(mask == 0, -torch.inf).amax(1)
    if pooling == "weightedmean":
        mask = mask * mask.cumsum(1)
    total = mask.sum(1).clamp(min=1)
    return (hidden * mask).sum(1) / (total.sqrt() if pooling == "mean_sqrt_len_tokens" else total)
