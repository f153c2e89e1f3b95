"""How the command line speaks: progress, estimates and errors, all on standard error."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn

from probes.errors import InputError, RunError

if TYPE_CHECKING:
    from probes.cost import CostEstimate

__all__ = ["ConsoleProgress", "console", "errors", "run"]

errors = Console(stderr=True, soft_wrap=True, highlight=False)
"""For everything that is not the answer, so that ``--json`` and pipes stay clean."""

_USAGE_ERROR: Any = typer.BadParameter.__mro__[2]
"""The parent of all usage errors, which typer keeps in a module of its own from one version to the next."""

console = Console(highlight=False)
"""For the answer."""


class ConsoleProgress:
    """A bar for each phase with the time left, and the estimate of the whole once it is known."""

    def __init__(self, phases: dict[str, str]) -> None:
        self._phases = phases
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeLeftColumn(),
            console=errors,
        )
        self._task: TaskID | None = None

    @contextmanager
    def shown(self) -> Iterator["ConsoleProgress"]:
        """Show the bars for as long as the context lasts."""
        with self._bars:
            yield self

    def phase(self, name: str, total: int) -> None:
        """Close the bar of the last phase and open the next."""
        self._close()
        self._task = self._bars.add_task(self._phases[name], total=total)

    def advance(self) -> None:
        """One step further."""
        if self._task is not None:
            self._bars.advance(self._task)

    def estimate(self, cost: "CostEstimate") -> None:
        """Say what the rest will cost."""
        self._close()
        self._bars.console.print(f"The rest will take {cost}.")

    def _close(self) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=self._bars.tasks[self._task].total)


def run(command: Callable[[], object]) -> int:  # noqa: PLR0911 - one line for each way to end
    """Run a command and turn whatever happens into an exit code and at most one sentence.

    Returns:
        0 on success, 2 for bad input, 130 when interrupted, 143 when terminated, else 1.
    """
    signal.signal(signal.SIGTERM, _terminated)
    debug = "--debug" in sys.argv
    try:
        result = command()
        return result if isinstance(result, int) else 0
    except typer.Exit as stop:
        return stop.exit_code
    except (InputError, RunError) as error:
        if debug:
            raise
        errors.print(f"[bold red]Error:[/] {_one_line(error)}", markup=True)
        return 2 if isinstance(error, InputError) else 1
    except (KeyboardInterrupt, typer.Abort):
        errors.print("Interrupted: no half-written file is left.")
        return 130
    except _TerminatedError:
        errors.print("Terminated: no half-written file is left.")
        return 143
    except BrokenPipeError:
        return 1
    except Exception as error:  # the last line of defence
        if isinstance(error, _USAGE_ERROR):
            error.show()
            return int(error.exit_code)
        if debug:
            raise
        errors.print(
            f"[bold red]Error:[/] {type(error).__name__}: {_one_line(error)} - this is a fault of the "
            "program; run again with --debug to see where."
        )
        return 1


def _one_line(error: Exception) -> str:
    """The message without line breaks, with rich's markup disarmed."""
    return " ".join(str(error).split()).replace("[", r"\[")


class _TerminatedError(Exception):
    """SIGTERM, as an exception, so that every context manager cleans up."""


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise _TerminatedError
