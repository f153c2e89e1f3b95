"""An input embedding reduced to the rows in use."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


class RowEmbedding(nn.Module):
    """An input embedding that holds as parameters only the rows a data set uses.

    A multilingual vocabulary has up to a million rows, nearly all with gradient zero. With this module in
    its place a gradient has ``used`` rows, and the full table is shared with the user's model, unchanged.

    Args:
        embedding: the encoder's own input embedding.
        used: ids that will be looked up, in any order; any other id raises IndexError.

    Attributes:
        strict: whether an id without a row of its own is an error; else its embedding is the table's.
        rows: trainable copy of the used rows, shape (used, hidden).
        weight: the full table, shape (vocabulary, hidden), without gradient (MLM heads tie to it).
    """

    def __init__(self, embedding: nn.Module, used: Sequence[int]) -> None:
        super().__init__()
        self.strict = True
        table = cast(Tensor, embedding.weight).detach()
        ids = torch.tensor(sorted(set(used)), device=table.device)
        position = torch.full((table.shape[0],), len(ids), device=table.device)
        position[ids] = torch.arange(len(ids), device=table.device)
        self.rows = nn.Parameter(table[ids].clone())
        self.register_buffer("position", position, persistent=False)
        self.register_buffer("weight", table, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ``ids`` of any shape; returns that shape with the hidden size appended."""
        position = cast(Tensor, self.position)[ids]
        if self.strict:
            return nn.functional.embedding(position, self.rows)
        last = len(self.rows) - 1
        own = nn.functional.embedding(position.clamp(max=last), self.rows)
        return torch.where((position <= last).unsqueeze(-1), own, cast(Tensor, self.weight)[ids])

    @property
    def ids(self) -> Tensor:
        """The ids that have rows of their own, ascending, as the rows are."""
        return (cast(Tensor, self.position) < len(self.rows)).nonzero().flatten()

    def with_rows(self, used: Sequence[int]) -> "RowEmbedding":
        """The same embedding with rows of their own for ``used`` as well; the full table is shared."""
        more = RowEmbedding(self, [*self.ids.tolist(), *used])
        with torch.no_grad():
            more.rows[more.places_of(self)] = self.rows
        return more

    def places_of(self, fewer: "RowEmbedding") -> Tensor:
        """Where the rows of an embedding with fewer of them stand among this one's."""
        return cast(Tensor, self.position)[fewer.ids]

    @torch.no_grad()
    def full_table(self) -> Tensor:
        """A copy of the full table with the trained rows in their places, shape (vocabulary, hidden)."""
        table = cast(Tensor, self.weight).clone()
        table[self.ids] = self.rows
        return table
