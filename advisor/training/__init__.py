"""The one training loop: trial, study, race and recipe train through it.

``train`` runs a whole :class:`Recipe`. Its two phases stand by themselves, too: ``Alignment`` aligns an
encoder and ``FineTuning`` fine-tunes one, each a :class:`Phase` that goes on from wherever it was stopped.

Importing this package loads neither torch nor transformers; what trains does when it is called.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from advisor.training.config import (
    ColumnName,
    Count,
    Experiment,
    HeadStart,
    Precision,
    Rate,
    Recipe,
    drawn,
    word_pairs_of,
)
from advisor.training.shared import Shared

if TYPE_CHECKING:
    from advisor.training.losses import Losses
    from advisor.training.outcome import Outcome
    from advisor.training.phase import PHASES, Phase
    from advisor.training.run import Alignment, FineTuning, scores, train
    from advisor.training.setting import prepare, trainable
    from advisor.training.trainer import make_trainer, save_encoder, train_on

__all__ = [
    "PHASES",
    "Alignment",
    "ColumnName",
    "Count",
    "Experiment",
    "FineTuning",
    "HeadStart",
    "Losses",
    "Outcome",
    "Phase",
    "Precision",
    "Rate",
    "Recipe",
    "Shared",
    "drawn",
    "make_trainer",
    "prepare",
    "save_encoder",
    "scores",
    "train",
    "train_on",
    "trainable",
    "word_pairs_of",
]

_TORCH = ("losses", "outcome", "phase", "run", "setting", "trainer")
"""Modules that need torch, each after those that it needs."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in _TORCH:
            if hasattr(home := import_module(f"{__name__}.{module}"), name):
                return getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
