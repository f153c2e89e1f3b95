"""The course of a trial on standard error: a line for each run, and a bar for the one in flight."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from advisor.console import errors
from advisor.options import Option
from advisor.report.words import clean, duration
from advisor.study._record import Record
from probes.cost import CostEstimate

__all__ = ["ConsoleWatcher"]


class ConsoleWatcher:
    """Says how many runs there are, how each ended, and after each the time left.

    Args:
        phases: the phases of a run, each in words.
    """

    def __init__(self, phases: Mapping[str, str]) -> None:
        self._phases = phases
        self._total = self._ended = 0
        self._run = ""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=errors,
            transient=True,
        )
        self._task: TaskID | None = None

    @contextmanager
    def shown(self) -> Iterator["ConsoleWatcher"]:
        """Show the bar for as long as the context lasts."""
        with self._bar:
            yield self

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

    def phase(self, name: str, total: int) -> None:
        """Start the bar anew for the next phase of the run."""
        self._close()
        self._task = self._bar.add_task(clean(f"{self._run}: {self._phases[name]}"), total=total)

    def advance(self) -> None:
        """One step further."""
        if self._task is not None:
            self._bar.advance(self._task)

    def estimate(self, cost: CostEstimate) -> None:
        """Not told: the time left follows from the runs that have ended."""

    def _close(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None

    def _print(self, text: str) -> None:
        errors.print(clean(text), markup=False)


def _runs(number: int) -> str:
    return "run" if number == 1 else "runs"
