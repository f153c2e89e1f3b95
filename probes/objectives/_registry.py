"""The one place where the code of alignment losses is known by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from probes.catalogue import OBJECTIVES
from probes.encoder import Encoder
from probes.objectives._protocol import AlignmentLoss

T = TypeVar("T", bound=AlignmentLoss)

_losses: dict[str, AlignmentLoss] = {}

LOSSES: Mapping[str, AlignmentLoss] = MappingProxyType(_losses)
"""Every alignment loss with its default settings, by the name of its objective."""


def register(kind: type[T]) -> type[T]:
    """Class decorator: make a loss known, built with its defaults.

    Raises:
        ValueError: if the catalogue does not describe the objective, or it has a loss.
    """
    if kind.name not in OBJECTIVES:
        raise ValueError(f"the catalogue has no objective called '{kind.name}'")
    if kind.name in _losses:
        raise ValueError(f"there is a loss for the objective '{kind.name}' already")
    _losses[kind.name] = kind()
    return kind


def available(encoder: Encoder, has_links: bool) -> tuple[dict[str, AlignmentLoss], dict[str, str]]:
    """Split the losses into what can be measured on this encoder and what cannot, with the reason.

    Args:
        encoder: the model.
        has_links: whether any words of the bitext are aligned.
    """
    usable: dict[str, AlignmentLoss] = {}
    refused: dict[str, str] = {}
    for name, loss in _losses.items():
        if OBJECTIVES[name].mlm_head and encoder.masked_lm is None:
            refused[name] = str(encoder.no_mlm_reason)
        elif OBJECTIVES[name].word_pairs and not has_links:
            refused[name] = "no words of the bitext could be aligned"
        else:
            usable[name] = loss
    return usable, refused
