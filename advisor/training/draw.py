"""Which labelled texts are scored on."""

from collections.abc import Sequence
from typing import TypeVar

from probes.material.sampling import shuffled

T = TypeVar("T")


def drawn(examples: Sequence[T], most: int | None) -> tuple[list[T], list[T]]:
    """Draw the examples that are scored on, the same ones whatever the seed of a run.

    Args:
        examples: of one language.
        most: how many to draw; None: all, in their own order.

    Returns:
        Those drawn, and the rest in random order.
    """
    if most is None:
        return list(examples), []
    mixed = shuffled(examples, seed=0)
    return mixed[:most], mixed[most:]
