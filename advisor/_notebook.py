"""Progress in a notebook: one line, which is written anew."""

import sys
import warnings
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any

from advisor.report.words import duration
from probes.progress import PHASES, Progress

if TYPE_CHECKING:
    from probes.cost import CostEstimate


class OneLine(Progress):
    """The phase in flight and how far it is, on one line of a notebook's output."""

    def __init__(self) -> None:
        warnings.filterwarnings("ignore", "IProgress not found")  # of bars that are not shown here
        display = import_module("IPython.display").display
        self._line: Any = display({"text/plain": "probing"}, raw=True, display_id=True)
        self._began = monotonic()
        self._phase, self._done, self._total = "", 0, 0

    def phase(self, name: str, total: int) -> None:
        """Name the next phase."""
        self._phase, self._done, self._total = PHASES.get(name, name), 0, total
        self._show(self._phase)

    def advance(self) -> None:
        """One step further."""
        self._done += 1
        self._show(f"{self._phase}: {self._done} of {self._total}")

    def estimate(self, cost: "CostEstimate") -> None:
        """Say what the rest will cost."""
        self._show(f"the rest will take {cost}")

    def close(self) -> None:
        """Say how long it took."""
        self._show(f"measured in {duration(monotonic() - self._began)}")

    def _show(self, text: str) -> None:
        self._line.update({"text/plain": text}, raw=True)


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this process; a mere import of one, or a terminal, shows no line."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
