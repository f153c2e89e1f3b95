"""How a race tells whoever watches where it is."""

from typing import TYPE_CHECKING

from advisor.race.store import Setup
from probes.progress import Progress

if TYPE_CHECKING:
    from advisor.race.running import Racer


class RaceWatcher(Progress):
    """Receives the course of a race and of the phases in each step; as it is here it shows nothing."""

    def begins(self, setup: Setup, steps: int) -> None:
        """The race is set up; so many steps were taken by an earlier call."""

    def took(self, racer: "Racer") -> None:
        """A step is down."""
