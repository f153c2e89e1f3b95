"""What alignment really did, in published and own runs, and what that says about a new case.

``load_findings`` gives the fitted model, ``show`` what the rows say, ``check`` lints the tables, ``validate``
scores the advice on what it has not seen, ``signals`` compares what probes measured with what aligning gave,
and ``write_card`` writes all of it down.
"""

from typing import TYPE_CHECKING, Any

from advisor.findings._store import Findings, load_findings
from advisor.findings._worth import worth_of
from advisor.findings.evidence import Tables, check, load_tables

if TYPE_CHECKING:
    from advisor.findings.reports import controls, show, signals, validate, write_card

__all__ = [
    "Findings",
    "Tables",
    "check",
    "controls",
    "load_findings",
    "load_tables",
    "show",
    "signals",
    "validate",
    "worth_of",
    "write_card",
]


def __getattr__(name: str) -> Any:
    if name in ("controls", "show", "signals", "validate", "write_card"):  # advice does not wait for reports
        from advisor.findings import reports

        return getattr(reports, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
