"""Lines of a CSV table with typed access."""

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from probes.errors import InputError

_Number = TypeVar("_Number", int, float)
_Made = TypeVar("_Made")


class Row:
    """One CSV line with typed access; a bad cell is an InputError that names file, line and column."""

    def __init__(self, path: Path, line: int, cells: Mapping[str, str | None]) -> None:
        self._path, self.line, self.cells = path, line, cells

    def fail(self, column: str, reason: str) -> InputError:
        """The error that says what is wrong with a cell."""
        return InputError(f"{self._path.name} line {self.line}, column '{column}': {reason}.")

    def text(self, column: str, choices: tuple[str, ...] | None = None) -> str:
        """A cell, which must be one of ``choices`` where they are given."""
        value = self.cells.get(column)
        if value is None:
            raise self.fail(column, "the column is missing, so add it to the header and to every line")
        if choices is not None and value not in choices:
            raise self.fail(column, f"'{value}' is not one of {', '.join(c or '(blank)' for c in choices)}")
        return value

    def read(self, kind: type[_Made], choices: Mapping[str, tuple[str, ...]], /, **known: Any) -> _Made:
        """A dataclass whose fields are read from the columns of the same names, by their types.

        Args:
            kind: of the dataclass.
            choices: what columns may hold.
            known: fields that are known otherwise. A field with a default may have no column.
        """
        for field in fields(kind):  # type: ignore[arg-type]  # a dataclass
            without = field.default is not MISSING or field.default_factory is not MISSING
            if field.name not in known and not (without and field.name not in self.cells):
                if field.type is str:
                    known[field.name] = self.text(field.name, choices.get(field.name))
                else:
                    known[field.name] = getattr(self, _READERS[field.type])(field.name)
        return kind(**known)

    def number(self, column: str) -> float:
        """A finite number."""
        value = self.maybe_number(column)
        if value is None:
            raise self.fail(column, "a number is needed here")
        return value

    def maybe_number(self, column: str) -> float | None:
        """A finite number, or None where the cell is blank."""
        return self._cast(column, float)

    def maybe_text(self, column: str) -> str | None:
        """A cell, or None where it is blank."""
        return self.text(column) or None

    def numbers(self, column: str) -> tuple[float, ...]:
        """Numbers separated by spaces; none where the column is missing."""
        try:
            return tuple(map(float, (self.cells.get(column) or "").split()))
        except ValueError:
            raise self.fail(column, "numbers separated by spaces are needed here") from None

    def maybe_count(self, column: str) -> int | None:
        """A whole number, or None where the cell is blank."""
        return self._cast(column, int)

    def flag(self, column: str) -> bool:
        """``true`` or ``false``."""
        return self.text(column, ("true", "false")) == "true"

    def maybe_flag(self, column: str) -> bool | None:
        """``true``, ``false``, or None where the cell is blank."""
        text = self.text(column, ("true", "false", ""))
        return None if not text else text == "true"

    def _cast(self, column: str, kind: Callable[[str], _Number]) -> _Number | None:
        text = self.text(column)
        if not text:
            return None
        try:
            value = kind(text)
        except ValueError:
            raise self.fail(column, f"'{text}' is not a number") from None
        if not math.isfinite(value):
            raise self.fail(column, "the number must be finite")
        return value


def read_rows(path: Path) -> Iterator[Row]:
    """The lines of a CSV file below its header."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for cells in reader:
            yield Row(path, reader.line_num, cells)


_READERS: Mapping[Any, str] = {
    float: "number",
    float | None: "maybe_number",
    int | None: "maybe_count",
    str | None: "maybe_text",
    bool: "flag",
    bool | None: "maybe_flag",
    tuple[float, ...]: "numbers",
}
"""What reads a field, by its type."""
