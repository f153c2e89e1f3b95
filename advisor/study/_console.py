"""The course of a trial on standard error: a line for each run, and a bar for the one in flight."""

from collections.abc import Mapping

from advisor.console import PhaseBar
from advisor.options import Option
from advisor.report.words import duration
from advisor.study._record import Record


class ConsoleWatcher(PhaseBar):
    """Says how many runs there are, how each ended, and after each the time left.

    Args:
        phases: the phases of a run, each in words.
    """

    def __init__(self, phases: Mapping[str, str]) -> None:
        super().__init__(phases)
        self._total = self._ended = 0
        self._run = ""

    def planned(self, total: int, kept: int) -> None:
        """Say how many runs there are."""
        self._total, self._ended = total, kept
        done = f", {kept} of them done before" if kept else ""
        self._print(f"{total} {_runs(total)} of alignment, fine-tuning and evaluation{done}.")

    def begins(self, option: Option, seed: int) -> None:
        """Name the run beside its bar."""
        self._run = f"{option}, seed {seed}"

    def ended(self, record: Record, seconds_left: float) -> None:
        """Say how the run ended and how long the others will take."""
        self._close()
        self._ended += 1
        if record.scores is None:
            how = f"{record.status} ({record.error})"
        else:
            points = {**record.scores.targets, "source": record.scores.source}
            how = ", ".join(f"{name} {score.value:.1f}" for name, score in points.items())
        left = self._total - self._ended
        rest = f" About {duration(seconds_left)} left for {left} {_runs(left)}." if left else ""
        self._print(f"{self._ended}/{self._total} {self._run}: {how}; {duration(record.seconds)}.{rest}")

    def _described(self, name: str) -> str:
        return f"{self._run}: {super()._described(name)}"


def _runs(number: int) -> str:
    return "run" if number == 1 else "runs"
