"""The one place where objectives are known by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from probes.encoder import Encoder
from probes.objectives._protocol import Objective

__all__ = ["OBJECTIVES", "available", "register"]

T = TypeVar("T", bound=Objective)

_registry: dict[str, Objective] = {}

OBJECTIVES: Mapping[str, Objective] = MappingProxyType(_registry)
"""Every objective with its default settings, by name."""


def register(kind: type[T]) -> type[T]:
    """Class decorator: make an objective known, built with its defaults.

    Raises:
        ValueError: if the name is taken.
    """
    if kind.name in _registry:
        raise ValueError(f"an objective called '{kind.name}' is registered already")
    _registry[kind.name] = kind()
    return kind


def available(encoder: Encoder, has_links: bool) -> tuple[dict[str, Objective], dict[str, str]]:
    """Split the registry into what can be measured on this encoder and what cannot, with the reason.

    Args:
        encoder: the model.
        has_links: whether any words of the bitext are aligned.
    """
    usable: dict[str, Objective] = {}
    refused: dict[str, str] = {}
    for name, objective in _registry.items():
        if "mlm-head" in objective.requires and encoder.masked_lm is None:
            refused[name] = str(encoder.no_mlm_reason)
        elif "word-links" in objective.requires and not has_links:
            refused[name] = "no words of the bitext could be aligned"
        else:
            usable[name] = objective
    return usable, refused
