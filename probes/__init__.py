"""Measurements on a multilingual encoder before it is fine-tuned.

``run_probe(ProbeRequest(...))`` gives :class:`Signals`. Importing this package does not import torch; what
needs it is imported on use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from probes.errors import InputError, RunError
from probes.request import ProbeRequest
from probes.signals import Signals

if TYPE_CHECKING:
    from probes.encoder import Encoder, load_encoder
    from probes.run import run_probe

__all__ = ["Encoder", "InputError", "ProbeRequest", "RunError", "Signals", "load_encoder", "run_probe"]

_ON_USE = {"Encoder": "encoder", "load_encoder": "encoder", "run_probe": "run"}


def __getattr__(name: str) -> Any:
    if name in _ON_USE:
        return getattr(import_module(f"{__name__}.{_ON_USE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
