"""The one training loop: trial, study, race and recipe train through it.

``train`` runs a whole :class:`Recipe`. Its two phases stand by themselves, too: ``Alignment`` aligns an
encoder and ``FineTuning`` fine-tunes one, each a :class:`Phase` that goes on from wherever it was stopped.

Importing this package loads neither torch nor transformers; what trains does when it is called.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from advisor.training.config import (
    COLUMN_NAMES,
    ColumnName,
    Count,
    Experiment,
    HeadStart,
    Pairing,
    Precision,
    Rate,
    Recipe,
    align_learning_rate,
    weighted,
    word_pairs_of,
)
from advisor.training.draw import drawn
from advisor.training.shared import Shared

if TYPE_CHECKING:
    from advisor.training.data import LabelledTexts
    from advisor.training.losses import Losses
    from advisor.training.outcome import Outcome, StepLog, staged
    from advisor.training.phase import PHASES, Phase
    from advisor.training.phases import Alignment, FineTuning
    from advisor.training.run import train
    from advisor.training.setting import Setting, prepare
    from advisor.training.trainer import make_trainer, save_encoder, scores, train_on, trainable

__all__ = [
    "COLUMN_NAMES",
    "PHASES",
    "Alignment",
    "ColumnName",
    "Count",
    "Experiment",
    "FineTuning",
    "HeadStart",
    "LabelledTexts",
    "Losses",
    "Outcome",
    "Pairing",
    "Phase",
    "Precision",
    "Rate",
    "Recipe",
    "Setting",
    "Shared",
    "StepLog",
    "align_learning_rate",
    "drawn",
    "make_trainer",
    "prepare",
    "save_encoder",
    "scores",
    "staged",
    "train",
    "train_on",
    "trainable",
    "weighted",
    "word_pairs_of",
]

_MODULES = {
    "data": ("LabelledTexts",),
    "losses": ("Losses",),
    "outcome": ("Outcome", "StepLog", "staged"),
    "phase": ("PHASES", "Phase"),
    "phases": ("Alignment", "FineTuning"),
    "run": ("train",),
    "setting": ("Setting", "prepare"),
    "trainer": ("make_trainer", "save_encoder", "scores", "train_on", "trainable"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
"""Where each name that needs torch is from."""


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
