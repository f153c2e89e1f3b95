"""What the findings are worth: validation, signals against gains, what the rows say, and the card."""

from advisor.findings.reports._card import FIGURES, card, load_figures, write_card
from advisor.findings.reports._controls import controls
from advisor.findings.reports._figures import Figure, Resample, Validation, render
from advisor.findings.reports._signal_report import SignalReport, signals
from advisor.findings.reports._summary import show
from advisor.findings.reports._validation import validate

__all__ = [
    "FIGURES",
    "Figure",
    "Resample",
    "SignalReport",
    "Validation",
    "card",
    "controls",
    "load_figures",
    "render",
    "show",
    "signals",
    "validate",
    "write_card",
]
