"""One report of an answer: JSON, terminal, notebook, and a self-contained HTML page."""

from advisor.advice import Advice
from advisor.report._files import check_output
from advisor.report._report import Report

__all__ = ["Report", "advice_html", "check_output"]


def advice_html(advice: Advice) -> str:
    """The short form of advice for a notebook: decision, gain, reasons, warnings, options."""
    from advisor.report._page import advice_html as render  # jinja2 is slow to import

    return render(advice)
