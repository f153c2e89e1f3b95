"""How a race tells whoever watches where it is."""

from typing import TYPE_CHECKING, Protocol

from advisor.race.store import Setup
from probes.progress import Progress, Silent

if TYPE_CHECKING:
    from advisor.race.running import Racer


class RaceWatcher(Progress, Protocol):
    """Receives the course of a race, and within each step that of its phases."""

    def begins(self, setup: Setup, steps: int) -> None:
        """The race is set up; so many steps were taken by an earlier call."""
        ...

    def took(self, racer: "Racer") -> None:
        """A step is down."""
        ...


class SilentRace(Silent):
    """Shows nothing."""

    def begins(self, setup: Setup, steps: int) -> None:
        """Ignored."""

    def took(self, racer: "Racer") -> None:
        """Ignored."""
