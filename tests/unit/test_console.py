"""How a command ends: the exit code, and one sentence whatever was raised."""

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator

import pytest
import typer
from rich.console import Console

from advisor.console import print_found, run
from probes.errors import InputError, RunError


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setattr(sys, "argv", ["advisor"])
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


class _Tables:
    """What a command found: a table that fits once its cells fold, and one that is too wide for that."""

    def markdown(self) -> str:
        names = "| signal of a long name | gain | n |\n|---|---|--:|\n"
        rows = "| theta0_target_labels_lookahead_adam | +3.3 [+2.1, +4.5] | 17 |\n" * 2
        steps = [str(step) for step in range(100, 2000, 100)]
        small = "| a | b |\n|---|---|\n| 1 | 2 |"
        wide = f"| Option | {' | '.join(steps)} |\n|{'---|' * 20}\n| token-contrastive, joint |"
        gains = " | ".join("" if step == "100" else f"+{step}.5" for step in steps)
        return f"{names}{rows}\n\n{small}\n\n{wide} {gains} |\n"

    def model_dump_json(self, *, indent: int) -> str:
        return "{}"


@pytest.mark.parametrize("width", [40, 60, 80, 300])
def test_no_cell_of_a_table_is_cut(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("advisor.console.console", Console(file=stream, width=width))
    print_found(_Tables(), as_json=False)
    shown = stream.getvalue()
    assert "…" not in shown
    assert all(len(line) <= width for line in shown.splitlines())
    for word in ("+4.5]", "+1900.5", "token-contrastive,", "+200.5"):
        assert word in shown
    assert " a  b " in shown
    assert ("theta0_target_labels_lookahead_adam" in shown) or width < 60
    assert ("100" in shown.split()) == (width == 300)  # rows as lines leave out what is empty


def ends_with(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    def command() -> None:
        raise error

    code = run(command)
    said = capsys.readouterr()
    assert said.out == ""
    return code, said.err


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (InputError("No such file: name another."), 2, "Error: No such file: name another.\n"),
        (InputError("Label 'a\nb\x1b[2J': say [/x]."), 2, "Error: Label 'a b\ufffd[2J': say [/x].\n"),
        (RunError("The disk is full: free some."), 1, "Error: The disk is full: free some.\n"),
        (MemoryError(), 1, "Error: Out of memory: close other programs"),
        (ImportError("x.so: failed to map segment from shared object"), 1, "Error: Out of memory: "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 1, "Error: Out of memory: "),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "Error: No space left on device: check"),
        (ZeroDivisionError("by [zero]"), 1, "Error: ZeroDivisionError: by [zero] - this is a fault of the"),
        (KeyboardInterrupt(), 130, "Interrupted: no half-written file is left.\n"),
        (BrokenPipeError(), 1, ""),
        (typer.Exit(3), 3, ""),
        (
            typer.BadParameter("Value error, 'x' is not one of 'a'."),
            2,
            "Error: Invalid value: 'x' is not one",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_is_raised(
    error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, said = ends_with(error, capsys)
    assert found == code
    assert said.startswith(says)
    assert said.count("\n") == bool(says)


def test_a_termination_is_no_exception_that_somebody_explains_away(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Exception:
            pytest.fail("taken for an error")

    assert run(command) == 143
    assert capsys.readouterr().err == "Terminated: no half-written file is left.\n"


def test_debug_shows_where_an_error_arose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["advisor", "ask", "--debug"])

    def command() -> None:
        raise InputError("No such file: name another.")

    with pytest.raises(InputError):
        run(command)
