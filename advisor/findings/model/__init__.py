"""The model of gains: an effect model over all evidence, and a stage that probe signals move it by."""

from advisor.findings.model._arrays import from_arrays, to_arrays
from advisor.findings.model._effect_model import EffectModel
from advisor.findings.model._expect import LEVEL, expectations, leading
from advisor.findings.model._features import TERMS, Term
from advisor.findings.model._labs import replications
from advisor.findings.model._prediction import Prediction
from advisor.findings.model._signal_stage import (
    LEADING_SIGNALS,
    HeldOut,
    LeadingSignal,
    SignalStage,
    fit_stages,
    hold_groups_out,
    own_effects,
)

__all__ = [
    "LEADING_SIGNALS",
    "LEVEL",
    "TERMS",
    "EffectModel",
    "HeldOut",
    "LeadingSignal",
    "Prediction",
    "SignalStage",
    "Term",
    "expectations",
    "fit_stages",
    "from_arrays",
    "hold_groups_out",
    "leading",
    "own_effects",
    "replications",
    "to_arrays",
]
