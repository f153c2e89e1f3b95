"""JSON: an object a line, an array of objects, or objects and columns nested in one document."""

import json
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from probes.data._records import Dropped
from probes.data.files import InputFile
from probes.data.tables._questions import unfolded
from probes.data.tables._table import Row, Table, columns_of
from probes.errors import InputError

_PEEKED = 1000
"""Rows whose keys are the table's columns; further ones are looked through only where those do not do."""
_WRAPPERS = ("data", "rows", "examples", "records", "train", "validation", "dev", "test")

_NOT_AN_OBJECT = Dropped("not a JSON object")


def read_json(file: InputFile) -> Table:
    """Rows from JSON lines or a JSON document.

    Raises:
        InputError: if there is no object in it.
    """
    rows = unfolded(_rows(file))
    peeked = list(islice(rows, _PEEKED))
    columns = _columns(peeked)
    if not columns:
        raise InputError(
            f"{file.spec} has no line that is a JSON object: write one example a line, as in "
            '{"text": "...", "label": "..."}.'
        )
    complete = len(peeked) < _PEEKED
    return Table(
        file.spec,
        columns,
        chain(peeked, rows),
        {},
        None if complete else lambda: _columns(unfolded(_rows(file))),
    )


def _columns(rows: Any) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(name for row in rows if not isinstance(row, Dropped) for name in columns_of(row))
    )


def _rows(file: InputFile) -> Iterator[Row | Dropped]:
    lines: Iterator[str | Dropped] = (
        line for line in file.lines() if isinstance(line, Dropped) or line.strip()
    )
    first = next(lines, "")
    second = next(lines, None)
    # the only line, or what is no object by itself: a document of rows, or one of them
    document = _document(file) if second is None or not _is_object(first) else None
    if document is not None:
        yield from (row if isinstance(row, dict) else _NOT_AN_OBJECT for row in document)
        return
    for line in chain([first], [] if second is None else [second], lines):
        yield line if isinstance(line, Dropped) else _parsed(line)


def _parsed(line: str) -> Row | Dropped:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return _NOT_AN_OBJECT
    return value if isinstance(value, dict) else _NOT_AN_OBJECT


def _is_object(line: str | Dropped) -> bool:
    return isinstance(line, str) and isinstance(_parsed(line), dict)


def _document(file: InputFile) -> list[Any] | None:
    """The rows of a document over several lines; None if it is none."""
    try:
        value = json.loads(file.text())
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list):
        return _table_of_lists(value) or value
    return (_nested(value) or [value]) if isinstance(value, dict) else None


def _table_of_lists(rows: list[Any]) -> list[Any] | None:
    """Rows that are lists, of which the first has the names."""
    if len(rows) < 2 or not all(isinstance(row, list) for row in rows):
        return None
    header, *body = rows
    if not all(isinstance(name, str) for name in header) or len(set(header)) < len(header):
        return None
    return [dict(zip(header, row, strict=True)) if len(row) == len(header) else None for row in body]


def _nested(document: dict[str, Any]) -> list[Any] | None:
    """The rows that an object holds: under one of its keys, or as columns; None if it is one row itself."""
    if isinstance(document.get("columns"), list) and isinstance(document.get("data"), list):
        return _table_of_lists([document["columns"], *document["data"]])
    lists = {key: value for key, value in document.items() if isinstance(value, list)}
    holders = [key for key, value in lists.items() if value and all(isinstance(item, dict) for item in value)]
    if len(holders) == 1 and (len(document) == 1 or holders[0] in _WRAPPERS):
        return lists[holders[0]]
    columns = list(document.values())
    if len(columns) < 2:
        return None
    if all(isinstance(column, dict) for column in columns):  # as pandas writes it, {"text": {"0": ...}}
        keys = list(columns[0])
        if keys and all(list(column) == keys for column in columns) and keys[0].isdigit():
            return [{name: column[key] for name, column in document.items()} for key in keys]
    even = len(lists) == len(document) and len({len(column) for column in columns}) == 1
    if even and (any(isinstance(item, list) for item in columns[0]) or not _is_token_row(document)):
        return [dict(zip(document, row, strict=True)) for row in zip(*columns, strict=True)]
    return None


def _is_token_row(document: dict[str, Any]) -> bool:
    """Whether lists of words and labels are those of a single sentence."""
    names = {name.casefold() for name in document}
    return bool(names & {"tokens", "words", "forms"})
