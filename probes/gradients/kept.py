"""Gradients that several runs share, on disk: in memory they would be a copy of the encoder a round."""

from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from shutil import disk_usage

import numpy as np
import torch
from torch import Tensor

from probes.encoder import Encoder
from probes.gradients.stream import Receive, stream_gradients

_ROOM = 2
"""Times what a gradient takes that a disk must have left, so that the run's own results find room."""


class KeptGradients:
    """Takes each gradient once; whoever asks again is handed what was written down, bit by bit.

    Where the disk has no room it takes the gradient anew.

    Args:
        folder: to write in; whoever made it removes it.
        base: the encoder with embedding rows for what the loss reads, and no others.
    """

    def __init__(self, folder: Path, base: Encoder) -> None:
        self._folder = folder
        self._base = base
        self._taken: dict[Hashable, tuple[Path, float, list[tuple[str, int]]]] = {}

    def hand_over(
        self, key: Hashable, encoder: Encoder, loss: Callable[[], Tensor], receive: Receive
    ) -> float:
        """Hand a gradient over parameter by parameter, and return the loss.

        Args:
            key: the same for the same loss at the same weights.
            encoder: with the rows of ``base`` and more, all of which the loss leaves alone.
            loss: computes it, where it was not taken before.
            receive: as for :func:`stream_gradients`.
        """
        if key in self._taken:
            return self._read(key, encoder, receive)
        computed = loss()
        value = float(computed.detach())
        path = self._folder / f"{len(self._taken)}.npy"
        size = 4 * sum(p.numel() for p in self._base.parameters())
        try:
            file = path.open("wb") if disk_usage(self._folder).free > _ROOM * size else None
        except OSError:
            file = None
        rows, places = self._rows(encoder), encoder.rows.places_of(self._base.rows)
        order: list[tuple[str, int]] = []

        def receive_and_write(block: str, place: int, gradient: Tensor) -> None:
            nonlocal file
            receive(block, place, gradient)
            if file is not None:
                order.append((block, place))
                try:
                    np.save(file, (gradient[places] if (block, place) == rows else gradient).cpu().numpy())
                except OSError:
                    file = None

        stream_gradients(computed, encoder.block_parameters(), receive_and_write)
        with suppress(OSError):
            if file is not None:
                file.close()
                self._taken[key] = path, value, order
        return value

    def _read(self, key: Hashable, encoder: Encoder, receive: Receive) -> float:
        path, value, order = self._taken[key]
        rows = self._rows(encoder)
        with path.open("rb") as file:
            for block, place in order:
                gradient = torch.from_numpy(np.load(file)).to(encoder.device)
                if (block, place) == rows:
                    whole = torch.zeros_like(encoder.rows.rows.detach())
                    whole[encoder.rows.places_of(self._base.rows)] = gradient
                    gradient = whole
                receive(block, place, gradient)
        return value

    def _rows(self, encoder: Encoder) -> tuple[str, int]:
        """Block and place of the embedding's rows."""
        return next(
            (block, place)
            for block, group in encoder.block_parameters().items()
            for place, parameter in enumerate(group)
            if parameter is encoder.rows.rows
        )
