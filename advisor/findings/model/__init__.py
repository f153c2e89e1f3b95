"""The model of gains: an effect model over all evidence, and a stage that probe signals move it by."""

from advisor.findings.model._arrays import from_arrays, to_arrays
from advisor.findings.model._effect_model import EffectModel
from advisor.findings.model._features import TERMS, Column, Term
from advisor.findings.model._prediction import Prediction
from advisor.findings.model._signal_stage import (
    LEADING_SIGNALS,
    HeldOut,
    LeadingSignal,
    SignalStage,
    fit_stages,
    hold_languages_out,
    own_effects,
)

__all__ = [
    "LEADING_SIGNALS",
    "TERMS",
    "Column",
    "EffectModel",
    "HeldOut",
    "LeadingSignal",
    "Prediction",
    "SignalStage",
    "Term",
    "fit_stages",
    "from_arrays",
    "hold_languages_out",
    "own_effects",
    "to_arrays",
]
