"""What alignment really did, in published and own runs, and what that says about a new case.

``load_findings`` gives the fitted model, ``show`` what the rows say, ``check`` lints the tables,
``validate`` scores the advice on what it has not seen, ``signals`` compares what probes measured with what
aligning gave, and ``write_card`` writes all of it down.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from advisor.findings._evidence import Effect, Record, Source, Tables
from advisor.findings._prediction import Prediction
from advisor.findings._store import Findings, load_findings
from advisor.findings._tables import load_tables
from advisor.findings.effects import EffectModel
from advisor.findings.signal_stage import SignalStage

if TYPE_CHECKING:
    from advisor.findings.card import write_card
    from advisor.findings.linter import check
    from advisor.findings.signal_report import signals
    from advisor.findings.summary import show
    from advisor.findings.validation import validate

__all__ = [
    "Effect",
    "EffectModel",
    "Findings",
    "Prediction",
    "Record",
    "SignalStage",
    "Source",
    "Tables",
    "check",
    "load_findings",
    "load_tables",
    "show",
    "signals",
    "validate",
    "write_card",
]

_ON_USE = {
    "check": "linter",
    "show": "summary",
    "signals": "signal_report",
    "validate": "validation",
    "write_card": "card",
}
"""Advice does not need these, and it should not wait for what they import."""


def __getattr__(name: str) -> Any:
    if name in _ON_USE:
        return getattr(import_module(f"{__name__}.{_ON_USE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
