"""Gradients that several runs share, on disk: in memory they would be a copy of the encoder a round."""

from collections.abc import Callable, Hashable
from contextlib import suppress
from shutil import disk_usage
from tempfile import TemporaryFile, gettempdir
from typing import IO

import numpy as np
import torch
from torch import Tensor

from probes.encoder import Encoder
from probes.gradients.stream import Receive, stream_gradients

_ROOM = 2
"""Times what a gradient takes that a disk must have left, so that the run's own results find room."""


class KeptGradients:
    """Takes each gradient once; whoever asks again is handed what was written down, bit by bit.

    Where the disk has no room it takes the gradient anew. Its files have no names: they go with the process,
    however that ends.

    Args:
        base: the encoder with embedding rows for what the loss reads, and no others.
    """

    def __init__(self, base: Encoder) -> None:
        self._base = base
        self._taken: dict[Hashable, tuple[IO[bytes], float, list[tuple[str, int]]]] = {}

    def __len__(self) -> int:
        return len(self._taken)

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
        file = self._new_file()
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
                file.flush()
                self._taken[key] = file, value, order
        return value

    def _read(self, key: Hashable, encoder: Encoder, receive: Receive) -> float:
        file, value, order = self._taken[key]
        rows = self._rows(encoder)
        file.seek(0)
        for block, place in order:
            gradient = torch.from_numpy(np.load(file)).to(encoder.device)
            if (block, place) == rows:
                whole = torch.zeros_like(encoder.rows.rows.detach())
                whole[encoder.rows.places_of(self._base.rows)] = gradient
                gradient = whole
            receive(block, place, gradient)
        return value

    def _new_file(self) -> IO[bytes] | None:
        """A file for one gradient, if there is room for it."""
        size = 4 * sum(p.numel() for p in self._base.parameters())
        try:
            file: IO[bytes] = TemporaryFile()  # noqa: SIM115 - lives as long as this object
            return file if disk_usage(gettempdir()).free > _ROOM * size else None
        except OSError:
            return None

    def _rows(self, encoder: Encoder) -> tuple[str, int]:
        """Block and place of the embedding's rows."""
        return next(
            (block, place)
            for block, group in encoder.block_parameters().items()
            for place, parameter in enumerate(group)
            if parameter is encoder.rows.rows
        )
