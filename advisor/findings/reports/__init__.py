"""What the findings are worth: validation, signals against gains, what the rows say, and the card."""

from advisor.findings.reports._card import FIGURES, CardFigures, card, load_figures, write_card
from advisor.findings.reports._controls import ControlReport, controls
from advisor.findings.reports._encoders import EncoderReport, encoders
from advisor.findings.reports._figures import Figure, Method, Resample, SplitReport, Validation, render
from advisor.findings.reports._signal_report import SignalReport, signals
from advisor.findings.reports._summary import GroupFinding, Summary, show
from advisor.findings.reports._validation import validate

__all__ = [
    "FIGURES",
    "CardFigures",
    "ControlReport",
    "EncoderReport",
    "Figure",
    "GroupFinding",
    "Method",
    "Resample",
    "SignalReport",
    "SplitReport",
    "Summary",
    "Validation",
    "card",
    "controls",
    "encoders",
    "load_figures",
    "render",
    "show",
    "signals",
    "validate",
    "write_card",
]
