"""An input embedding reduced to the rows in use."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

__all__ = ["RowEmbedding"]


class RowEmbedding(nn.Module):
    """An input embedding that holds as parameters only the rows a data set uses.

    A multilingual vocabulary has up to a million rows, nearly all with gradient zero. With this module in
    its place a gradient has ``used`` rows, and the full table is shared with the user's model, unchanged.

    Args:
        embedding: the encoder's own input embedding.
        used: ids that will be looked up, in any order; any other id raises IndexError.

    Attributes:
        rows: trainable copy of the used rows, shape (used, hidden).
        weight: the full table, shape (vocabulary, hidden), without gradient (MLM heads tie to it).
    """

    def __init__(self, embedding: nn.Module, used: Sequence[int]) -> None:
        super().__init__()
        table = cast(Tensor, embedding.weight).detach()
        ids = torch.tensor(sorted(set(used)), device=table.device)
        position = torch.full((table.shape[0],), len(ids), device=table.device)
        position[ids] = torch.arange(len(ids), device=table.device)
        self.rows = nn.Parameter(table[ids].clone())
        self.register_buffer("position", position, persistent=False)
        self.register_buffer("weight", table, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ``ids`` of any shape; returns that shape with the hidden size appended."""
        return nn.functional.embedding(cast(Tensor, self.position)[ids], self.rows)

    @torch.no_grad()
    def full_table(self) -> Tensor:
        """A copy of the full table with the trained rows in their places, shape (vocabulary, hidden)."""
        table = cast(Tensor, self.weight).clone()
        # the used ids in ascending order, as the rows are
        table[cast(Tensor, self.position) < len(self.rows)] = self.rows
        return table
