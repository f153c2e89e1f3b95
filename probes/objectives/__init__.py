"""Alignment losses, one a file, behind one protocol and one registry.

Choose by the data you have:

| you have                                    | objectives                          |
|---------------------------------------------|-------------------------------------|
| sentence pairs                              | ``sentence-contrastive``            |
| sentence pairs and aligned words            | ``token-contrastive``, ``token-l2`` |
| sentence pairs and a checkpoint's MLM head  | ``tlm``                             |
| target text and a checkpoint's MLM head     | ``mlm``                             |

A new one is one new module here, a frozen dataclass with ``name`` and ``loss`` decorated with
:func:`register`, and an entry in :data:`probes.catalogue.OBJECTIVES`.
"""

from importlib import import_module
from pkgutil import iter_modules

from probes.objectives._protocol import LOSSES, AlignmentLoss, PairView, available, register

for _module in iter_modules(__path__):
    if not _module.name.startswith("_"):
        import_module(f"{__name__}.{_module.name}")

__all__ = ["LOSSES", "AlignmentLoss", "PairView", "available", "register"]
