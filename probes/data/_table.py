"""Rows with named columns, whatever they were read from; data sets of the Hugging Face Hub as such."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

from pydantic import Field

from probes.data._records import Dropped
from probes.errors import InputError

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds what, by name or, counted from 1, by number; those left out are found."""

    text: Annotated[str | None, Field(description="Column of the text, or of the first of a pair.")] = None
    label: Annotated[
        str | None, Field(description="Column of the label, or of words' labels; a name, or a number from 1.")
    ] = None
    second: Annotated[str | None, Field(description="Column of the second text of a pair.")] = None
    words: Annotated[str | None, Field(description="Column of the words; a name, or a number from 1.")] = None
    tags: Annotated[
        str | None, Field(description="Column of words' labels, where another one holds a text's label.")
    ] = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that are read as they are asked for.

    Attributes:
        spec: where they come from, for messages.
        columns: names, in order; ``a.b`` for b within a.
        rows: one mapping from column to value each, or :class:`Dropped`.
        label_names: for columns of integer labels that come with names, the names by integer.
        all_columns: looks through all rows for columns; None where ``columns`` has them all.
        header: whether the columns are those of a first line.
    """

    spec: str
    columns: tuple[str, ...]
    rows: Iterable[Row | Dropped]
    label_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    all_columns: Callable[[], tuple[str, ...]] | None = None
    header: bool = False

    def find(self, role: str, asked: str | None, usual: Sequence[str], called: str | None = None) -> str:
        """The column for a role: the one asked for, else the first with a usual name in any case.

        Raises:
            InputError: if there is none, or several have that name.
        """
        columns = self.columns
        name = _match(self, columns, asked, usual)
        if name is None and self.all_columns is not None:
            columns = self.all_columns()
            name = _match(self, columns, asked, usual)
        if name is not None:
            return name
        listed = ", ".join(f"'{_shorten(column)}'" for column in columns[:12]) or "none"
        if asked is not None:
            problem = "several columns" if asked in columns else "no column"
            raise InputError(f"{self.spec} has {problem} called '{asked}': its columns are {listed}.")
        raise InputError(
            f"{self.spec} has no column I know as the {called or role} (its columns are {listed}): name the "
            f"{role} column{', or add a header line if what is listed is data' if self.header else ''}."
        )


def _match(table: Table, columns: Sequence[str], asked: str | None, usual: Sequence[str]) -> str | None:
    if asked is not None:
        if columns.count(asked) == 1:
            return asked
        numbered = asked.isascii() and asked.isdigit() and asked not in columns
        return columns[int(asked) - 1] if numbered and 0 < int(asked) <= len(columns) else None
    folded = [column.strip().casefold() for column in columns]
    inner = [name.rpartition(".")[2] for name in folded]
    for names in (folded, inner):  # what is nested in a column comes after the columns themselves
        for name in usual:
            if names.count(name) > 1 and (names is folded or name not in folded):
                raise InputError(f"{table.spec} has several columns called '{name}': rename all but one.")
            if name in names:
                return columns[names.index(name)]
    return None


def _shorten(name: str, length: int = 40) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def columns_of(row: Row) -> Iterator[str]:
    """The columns of a row, those of an object within it as ``a.b``."""
    for name, value in row.items():
        yield name
        if isinstance(value, dict) and len(value) <= 20:
            yield from (f"{name}.{inner}" for inner in value)


def cell(row: Row, column: str) -> Any:
    """The value of a column; nothing where the row has none."""
    if column in row:
        return row[column]
    outer, dot, inner = column.partition(".")
    within = row.get(outer) if dot else None
    return cell(within, inner) if isinstance(within, dict) else None


def class_names(features: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """The names of integer labels for each column that has them."""
    return {column: names for column, feature in features.items() if (names := _names(feature))}


def _names(feature: Any) -> Sequence[str] | None:
    """The names in a ``ClassLabel``, or in a list of them in any of the forms it was stored in."""
    if isinstance(feature, list) and feature:
        return _names(feature[0])
    if not isinstance(feature, dict):
        return None
    names: Sequence[str] | None = feature.get("names")
    return names if feature.get("_type") == "ClassLabel" else _names(feature.get("feature"))


PREFIX = "hf:"

_SPLITS = frozenset({"train", "training", "validation", "valid", "val", "dev", "test", "testing"})


def is_hub_spec(spec: str | Path) -> bool:
    """Whether the user means a data set rather than a file."""
    return str(spec).startswith(PREFIX)


def load_table(spec: str) -> tuple[Table, str]:
    """Load ``hf:NAME[:CONFIG][:SPLIT]`` with ``datasets``.

    With one part after the name, it is the split if it is called like one (``train``, ``test[:10%]``),
    else the configuration. The split may be left out where there is only one.

    Returns:
        The rows, and the SHA-256 of the data set's fingerprint.

    Raises:
        InputError: if it cannot be loaded, or has several splits and none is named.
    """
    import datasets

    name, config, split = _parts(spec)
    if Path(name).expanduser().is_dir():
        name = str(Path(name).expanduser())
    try:
        loaded = datasets.load_dataset(name, config, split=split)
    except Exception as error:  # the library raises anything from OSError to its own and pyarrow's
        raise InputError(_refusal(spec, name, error)) from error
    if isinstance(loaded, dict):
        if len(loaded) > 1:
            raise InputError(
                f"{spec} has the splits {', '.join(map(str, loaded))}: name one, as in "
                f"{spec}:{next(iter(loaded))}."
            )
        loaded = next(iter(loaded.values()))
    label_names = class_names(loaded.features.to_dict())
    fingerprint = hashlib.sha256(str(loaded._fingerprint).encode()).hexdigest()
    return Table(spec, tuple(loaded.column_names), _rows(loaded, spec), label_names), fingerprint


def _rows(loaded: Iterable[Row], spec: str) -> Iterator[Row]:
    try:
        yield from loaded
    except Exception as error:  # decoding audio or images, for example, needs libraries of its own
        raise InputError(_refusal(spec, spec, error)) from error


def _parts(spec: str) -> tuple[str, str | None, str | None]:
    # a slice of a split holds a colon itself: test[:100]
    body, bracket, slice_ = spec.removeprefix(PREFIX).partition("[")
    name, *rest = body.split(":")
    if bracket and rest:
        rest[-1] += bracket + slice_
    rest = [part for part in rest if part]
    if not name.strip() or len(rest) > 2:
        raise InputError(f"'{spec}' names no data set: write hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT.")
    if len(rest) == 2:
        return name, rest[0], rest[1]
    if rest and (bracket or rest[0] in _SPLITS):
        return name, None, rest[0]
    return name, rest[0] if rest else None, None


def _refusal(spec: str, name: str, error: Exception) -> str:
    if isinstance(error, ConnectionError | TimeoutError):
        return (
            f"Cannot reach the Hugging Face Hub for {spec}: go online, or download the data and name the "
            "file or folder."
        )
    reason = shorten(str(error), 300, placeholder=" …").rstrip(".") or type(error).__name__
    return f"Cannot load {spec} ({reason}): check the name '{name}', its configuration and its split."
