"""One report of an answer: JSON, terminal, notebook, and a self-contained HTML page."""

from advisor.files import check_output, rescued, reserved
from advisor.report._card import Card, card_of
from advisor.report._report import Report

__all__ = ["Card", "Report", "card_of", "check_output", "rescued", "reserved"]
