"""What alignment really did, in published and own runs, and what that says about a new case."""

from advisor.findings._store import Findings, load_findings
from advisor.findings._tables import Effect, Record, Source, Tables, load_tables
from advisor.findings.effects import EffectModel, Prediction
from advisor.findings.signal_stage import SignalStage

__all__ = [
    "Effect",
    "EffectModel",
    "Findings",
    "Prediction",
    "Record",
    "SignalStage",
    "Source",
    "Tables",
    "load_findings",
    "load_tables",
]
