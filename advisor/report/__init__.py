"""One report of an answer: JSON, terminal, notebook, and a self-contained HTML page."""

from typing import Any

from advisor.files import check_output, rescued, reserved
from advisor.report._card import Card, card_of
from advisor.report._report import Report

__all__ = ["Card", "Report", "card_of", "check_output", "render", "rescued", "reserved"]


def render(template: str, **context: Any) -> str:
    """A page from one of the templates; what goes into it is escaped."""
    from advisor.report._page import render as page  # jinja2 takes longer to import than an answer

    return page(template, **context)
