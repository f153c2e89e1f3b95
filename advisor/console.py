"""How the command line speaks: progress, estimates and errors, all on standard error."""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import PurePath
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self

import typer
from rich.box import SIMPLE
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, TableElement
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.progress import TimeRemainingColumn as TimeLeftColumn
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from advisor.report.words import clean
from probes.errors import InputError, MissingDataError, RunError
from probes.progress import Progress

if TYPE_CHECKING:
    from probes.cost import CostEstimate
    from probes.data import Reading

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where in the program an error arose.")]

errors = Console(stderr=True, soft_wrap=True, highlight=False)
"""For everything that is not the answer, so that ``--json`` and pipes stay clean."""

_READABLE = 16
"""Letters of the widest word of a table that stay together."""
_OUT_OF_MEMORY = ("allocate memory", "failed to map segment")
"""How libraries that are no Python say it: the allocator, and the loader of shared objects."""

_USAGE_ERROR: Any = typer.BadParameter.__mro__[2]
"""The parent of all usage errors, which typer keeps in a module of its own from one version to the next."""

console = Console(highlight=False)
"""For the answer."""


class _Found(Protocol):
    """What commands that look something up print."""

    def markdown(self) -> str: ...

    def model_dump_json(self, *, indent: int) -> str: ...


def print_found(found: _Found, as_json: bool) -> None:
    """Print an answer to standard output, as JSON or as text."""
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        console.print(_Markdown(found.markdown()))


class _WholeTable(TableElement):
    """A table that cuts no cell: they fold, and where even words have no room a row is a line of its own."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, or its rows as lines."""
        assert self.header is not None
        assert self.header.row is not None
        heads = [cell.content for cell in self.header.row.cells]
        rows = [[cell.content for cell in row.cells] for row in self.body.rows] if self.body else []
        widths = _widths(list(zip(heads, *rows, strict=True)), options.max_width - 2 * len(heads))
        if widths is None:
            for row in rows:
                named = [
                    Text.assemble((head.plain, "dim"), " ", cell)
                    for head, cell in zip(heads, row, strict=True)
                    if cell.plain
                ]
                yield Padding(Text("; ").join(named), (0, 0, 0, 2))
            return
        table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True, style="markdown.table.border")
        for head, width in zip(heads, widths, strict=True):
            table.add_column(
                Text(head.plain, "markdown.table.header", justify=head.justify), width=width, overflow="fold"
            )
        for row in rows:
            table.add_row(*row)
        yield table


class _Markdown(Markdown):
    elements = Markdown.elements | {"table_open": _WholeTable}


def _widths(columns: Sequence[Sequence[Text]], room: int) -> list[int] | None:
    """Of a table's columns, so that words of the widest alone are broken; None where that is not enough."""
    lines = [max(cell.cell_len for cell in column) for column in columns]
    widths = [
        max(cell_len(word) for cell in column for word in cell.plain.split() or [""]) for column in columns
    ]
    if (over := sum(widths) - room) > 0:
        widest = widths.index(max(widths))
        widths[widest] -= over
        if widths[widest] < _READABLE:
            return None
    for at in sorted(range(len(lines)), key=lambda at: lines[at] - widths[at]):
        widths[at] += min(lines[at] - widths[at], room - sum(widths))
    return widths


def print_reading(reading: "Reading", in_short: bool = False) -> None:
    """Say on standard error what was read of one input."""
    short = f"{reading.role}: {PurePath(reading.name).name}, {reading.counts}"
    for line in (short,) if in_short else reading.lines:
        errors.print(clean(line), markup=False)


class InterruptedCommandError(BaseException):
    """Ctrl-C, as it leaves a command."""


class Commands(TyperGroup):
    """The commands, which let Ctrl-C through: typer would end without a word."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for.

        Raises:
            InterruptedCommandError: if it was interrupted and did not see to that itself.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise InterruptedCommandError from interrupt


class PhaseBar(Progress):
    """A bar for the phase in flight on standard error, with the time left; gone when it ends.

    Args:
        phases: of a run, each in words.
        tells_cost: whether what the rest will cost is said; a trial and a race tell it for all their runs.
    """

    def __init__(self, phases: Mapping[str, str], *, tells_cost: bool = False) -> None:
        self._phases, self._tells_cost = phases, tells_cost
        self._bar = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeLeftColumn(),
            console=errors,
            transient=True,
        )
        self._task: TaskID | None = None

    @contextmanager
    def shown(self) -> Iterator[Self]:
        """Show the bar for as long as the context lasts."""
        with self._bar:
            yield self

    def phase(self, name: str, total: int) -> None:
        """Start the bar anew for the next phase."""
        self._close()
        self._task = self._bar.add_task(clean(self._described(name)), total=total)

    def advance(self) -> None:
        """One step further."""
        if self._task is not None:
            self._bar.advance(self._task)

    def estimate(self, cost: "CostEstimate") -> None:
        """Say what the rest will cost."""
        self._close()
        if self._tells_cost:
            self._print(f"The rest will take {cost}.")

    def _described(self, name: str) -> str:
        return self._phases.get(name, name)

    def _close(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None

    def _print(self, text: str) -> None:
        errors.print(clean(text), markup=False)


def run(command: Callable[[], object]) -> int:  # noqa: PLR0911 - one line for each way to end
    """Run a command and turn whatever happens into an exit code and at most one sentence.

    Returns:
        0 on success, 2 for bad input, 130 when interrupted, 143 when terminated, else 1.
    """
    signal.signal(signal.SIGTERM, _terminated)
    debug = "--debug" in sys.argv
    try:
        _check_encoding(sys.argv)
        result = command()
        return result if isinstance(result, int) else 0
    except typer.Exit as stop:
        return stop.exit_code
    except (InputError, RunError) as error:
        if debug:
            raise
        _say(f"{error}{_public_data() if isinstance(error, MissingDataError) else ''}")
        return 2 if isinstance(error, InputError) else 1
    except (InterruptedCommandError, KeyboardInterrupt, typer.Abort):
        errors.print("Interrupted: no half-written file is left.")
        return 130
    except _TerminatedError:
        errors.print("Terminated: no half-written file is left.")
        return 143
    except BrokenPipeError:
        return 1
    except Exception as error:  # the last line of defence
        if isinstance(error, _USAGE_ERROR):
            error.message = error.message.removeprefix("Value error, ")  # pydantic's, which typer leaves in
            error.show()
            if {"--train", "--bitext"} & set(getattr(getattr(error, "param", None), "opts", ())):
                errors.print(_public_data().strip(), markup=False)
            return int(error.exit_code)
        if debug:
            raise
        if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
            _say("Out of memory: close other programs, or use a machine with more of it.")
            return 1
        if isinstance(error, OSError):
            _say(f"{error.strerror or error}: check disk space, memory and permissions, and run again.")
            return 1
        _say(
            f"{type(error).__name__}: {error} - this is a fault of the program; run again with --debug to "
            "see where."
        )
        return 1


def _public_data() -> str:
    """Where to find data for the question that the command line asks."""

    def value(option: str, default: str) -> str:
        arguments = sys.argv[1:]
        return next((after for name, after in pairwise(arguments) if name == option), default)

    asked = f"--target {value('--target', 'LANGUAGE')} --task {value('--task', 'TASK')}"
    return f" `advisor data {asked}` lists public data sets."


def _say(text: str) -> None:
    """The one sentence, without line breaks and with nothing in it that the terminal would obey."""
    errors.print(Text.assemble(("Error:", "bold red"), " ", clean(" ".join(text.split()))))


def _check_encoding(arguments: list[str]) -> None:
    """Refuse arguments that could be written into no result.

    Raises:
        InputError: if one is not text in the encoding of this terminal.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"The argument '{argument}' is not valid UTF-8: rename the file, or set a UTF-8 locale."
            ) from error


class _TerminatedError(BaseException):
    """SIGTERM, as an exception, so that every context manager cleans up.

    Not an Exception: whoever catches those to explain a failed download or a damaged file must not take it
    for one.
    """


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise _TerminatedError
