"""How a trial tells whoever watches where it is."""

from typing import Protocol

from advisor.options import Option
from advisor.study._record import Record
from probes.progress import Progress, Silent


class Watcher(Progress, Protocol):
    """Receives the course of a trial, and within each run that of its phases."""

    def planned(self, total: int, kept: int) -> None:
        """There are ``total`` runs, ``kept`` of which were done by an earlier call."""
        ...

    def begins(self, option: Option, seed: int) -> None:
        """A run begins."""
        ...

    def ended(self, record: Record, seconds_left: float) -> None:
        """A run has ended and is recorded; all others together will take about ``seconds_left``."""
        ...


class SilentWatcher(Silent):
    """Shows nothing."""

    def planned(self, total: int, kept: int) -> None:
        """Ignored."""

    def begins(self, option: Option, seed: int) -> None:
        """Ignored."""

    def ended(self, record: Record, seconds_left: float) -> None:
        """Ignored."""
