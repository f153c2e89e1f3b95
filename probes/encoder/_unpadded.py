"""Linear maps that leave padding out, whatever the architecture around them.

Most of a pass is linear maps, which treat each position by itself: on padding they cost as much as on text,
and nobody reads what comes out.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_WORTH = 0.9
"""Share of text up to which moving rows costs less than the padding."""


def unpadded(attention: Tensor) -> AbstractContextManager[object]:
    """A context in which linear maps of states of shape (batch, length, width) see text alone.

    Where there is padding the maps give zeros, to the states and to their gradients; all else is as without.

    Args:
        attention: 1 for text and 0 for padding, (batch, length).
    """
    rows = attention.flatten().nonzero().squeeze(1)
    return _Unpadded(attention.shape, rows) if len(rows) <= _WORTH * attention.numel() else nullcontext()


class _Unpadded(TorchFunctionMode):
    def __init__(self, shape: torch.Size, rows: Tensor) -> None:
        super().__init__()
        self._shape, self._rows = shape, rows

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, a linear map of states with their text alone."""
        if func is not nn.functional.linear or args[0].shape[:-1] != self._shape:
            return func(*args, **(kwargs or {}))
        text = _gather(args[0].flatten(0, 1), self._rows)
        mapped = func(text, *args[1:], **(kwargs or {}))
        return _scatter(mapped, self._rows, self._shape.numel()).unflatten(0, self._shape)


class _Gather(torch.autograd.Function):
    """Some rows, each once; torch's own backward adds where writing is enough."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, rows: Tensor) -> Tensor:
        ctx.rows, ctx.length = rows, len(states)
        return states.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _spread(gradients[0], ctx.rows, ctx.length), None


class _Scatter(torch.autograd.Function):
    """The inverse: rows in their places among zeros."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, rows: Tensor, length: int) -> Tensor:
        ctx.rows = rows
        return _spread(states, rows, length)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0].index_select(0, ctx.rows), None, None


_gather = cast(Callable[[Tensor, Tensor], Tensor], _Gather.apply)
_scatter = cast(Callable[[Tensor, Tensor, int], Tensor], _Scatter.apply)


def _spread(states: Tensor, rows: Tensor, length: int) -> Tensor:
    return states.new_zeros(length, states.shape[1]).index_copy_(0, rows, states)
