"""Rows from TSV and CSV, from JSON (an object a line, an array, one document) and from Parquet."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from probes.data._levels import unfolded
from probes.data._records import Dropped
from probes.data._table import Columns, Row, Table, class_names, columns_of
from probes.data.files import InputFile
from probes.errors import InputError

_PEEKED = 1000
"""Lines looked at to learn how a file is quoted and whether it has a header; rows whose keys are a table's
columns, further ones being looked through only where those do not do."""
_DELIMITERS = ",;\t|"
_QUOTED = re.compile(r'"(?:[^"]|"")*"')

Cells = list[str]


def read_delimited(file: InputFile, format: str, columns: Columns) -> Table:
    """A table of TSV or CSV, header first unless columns are named by number and the first line is data.

    Raises:
        InputError: if a quoted field is not closed or not followed by a separator.
    """
    return _table(file.spec, cells_of(file, format), columns)


def cells_of(file: InputFile, format: str) -> Iterator[Cells | Dropped]:
    """The cells of each line.

    CSV is separated by commas, or by semicolons, tabs or bars if the first line has more of them. In TSV,
    quotes are text, as in the data sets that use this format, unless the file can only have been written by
    a program that quotes: then they are taken off, and may hold tabs and line breaks.
    """
    lines = file.lines()
    if format == "csv":
        first = next((line for line in lines if isinstance(line, Dropped) or line.strip()), "")
        text = first if isinstance(first, str) else ""
        if text.startswith("sep=") and len(text) == 5:  # how Excel is told
            return _quoted(lines, text[4], file.spec)
        bare = _QUOTED.sub("", text)
        return _quoted(chain([first], lines), max(_DELIMITERS, key=bare.count), file.spec)
    peeked = list(islice(lines, _PEEKED))
    lines = chain(peeked, lines)
    if _is_quoted([line for line in peeked if isinstance(line, str) and line]):
        return _quoted(lines, "\t", file.spec)
    return (line if isinstance(line, Dropped) else line.split("\t") for line in lines)


def _is_quoted(lines: Sequence[str]) -> bool:
    """Whether quotes of a TSV file enclose cells.

    They do where every cell is enclosed; or where those that begin with one need it, by quotes doubled
    inside or tabs and line breaks, and none of them only makes sense as text.
    """
    if not any('"' in line for line in lines):
        return False
    raw = [cell for line in lines for cell in line.split("\t")]
    if all(_QUOTED.fullmatch(cell) for cell in raw):
        return True
    try:
        rows = list(csv.reader((line + "\n" for line in lines), delimiter="\t", strict=True))
    except csv.Error:
        return False
    width = len(rows[0])
    if len(lines) < _PEEKED and any(len(row) != width for row in rows):
        return False
    # Where every line is whole by itself, two lone quotes in different lines are text, not a pair.
    spread = any(line.count("\t") + 1 != width for line in lines)
    enclosed = [cell for cell in raw if cell.startswith('"')]
    needed = any('""' in cell[1:-1] for cell in enclosed)
    return bool(enclosed) and (spread or (needed and all(_QUOTED.fullmatch(cell) for cell in enclosed)))


def _quoted(lines: Iterable[str | Dropped], delimiter: str, spec: str) -> Iterator[Cells | Dropped]:
    dropped: list[Dropped] = []

    def kept() -> Iterator[str]:
        for line in lines:
            if isinstance(line, Dropped):
                dropped.append(line)
            else:
                yield line + "\n"

    reader = csv.reader(kept(), delimiter=delimiter, strict=True)
    try:
        yield from filter(None, reader)  # the reader gives an empty list for a blank line
    except csv.Error as error:
        raise InputError(
            f"{spec} is not readable as CSV near line {reader.line_num} ({error}): close each "
            'quoted field with " and double the quotes inside it.'
        ) from error
    yield from dropped


def _table(spec: str, lines: Iterator[Cells | Dropped], asked: Columns) -> Table:
    """The table whose first line is the header."""
    before: list[Dropped] = []
    header: Cells = []
    for line in lines:
        if isinstance(line, Dropped):
            before.append(line)
        elif any(cell.strip(" ") for cell in line):
            header = line
            break
    columns = tuple(cell.strip() for cell in header)
    peeked = list(islice(lines, _PEEKED))
    body: Iterator[Cells | Dropped] = chain(peeked, lines)
    if _is_data(columns, peeked, asked):
        body = chain([header], body)
        columns = tuple(map(str, range(1, len(header) + 1)))

    def rows() -> Iterator[Row | Dropped]:
        yield from before
        for cells in body:
            if isinstance(cells, Dropped):
                yield cells
            elif len(cells) != len(columns):
                if len(cells) > 1 or cells[0].strip(" "):
                    yield Dropped(f"a row without {len(columns)} columns")
            elif cells == header and columns[0] != "1":
                yield Dropped("the header again")
            else:
                yield dict(zip(columns, cells, strict=True))

    return Table(spec, columns, rows(), header=True)


def _is_data(header: tuple[str, ...], rows: Sequence[Cells | Dropped], asked: Columns) -> bool:
    """Whether the first line is an example: columns are given by number, and its label comes up again."""
    named = [name for name in (asked.text, asked.second, asked.label) if name is not None]
    label = asked.label
    if not named or not all(name.isascii() and name.isdigit() and name not in header for name in named):
        return False
    if label is None or not 0 < int(label) <= len(header):
        return False
    at = int(label) - 1
    return any(not isinstance(row, Dropped) and len(row) > at and row[at] == header[at] for row in rows)


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
    more = None if len(peeked) < _PEEKED else lambda: _columns(unfolded(_rows(file)))
    return Table(file.spec, columns, chain(peeked, rows), {}, more)


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
    """The rows of a document: an array, one array under a key of an object, or an object's columns; None if
    it is none."""
    try:
        value = json.loads(file.text())
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return value if isinstance(value, list) else None
    lists = {key: column for key, column in value.items() if isinstance(column, list)}
    holders = [key for key, rows in lists.items() if rows and all(isinstance(row, dict) for row in rows)]
    if len(holders) == 1 and (len(value) == 1 or holders[0] in _WRAPPERS):
        return lists[holders[0]]
    even = len(lists) == len(value) > 1 and len({len(column) for column in lists.values()}) == 1
    nested = any(isinstance(item, list) for column in lists.values() for item in column)
    if even and (nested or not _is_token_row(value)):
        return [dict(zip(value, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    return [value]


def _is_token_row(document: dict[str, Any]) -> bool:
    """Whether lists of words and labels are those of a single sentence."""
    return not {name.casefold() for name in document}.isdisjoint({"tokens", "words", "forms"})


def read_parquet(file: InputFile) -> Table:
    """Parquet; names of integer labels come from the features that ``datasets`` stores with the schema.

    Raises:
        InputError: if it is not Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # names that are not UTF-8, and dates beyond Python's, surface as Python's own errors
    damaged = (pa.ArrowException, OSError, ValueError, OverflowError)
    try:
        parquet = pq.ParquetFile(file.seekable())
        schema = parquet.schema_arrow
        columns = tuple(columns_of(schema.empty_table().to_pydict()))
    except damaged as error:
        raise InputError(f"{file.spec} is not a readable Parquet file: write it again.") from error

    def rows() -> Iterator[Row | Dropped]:
        left = file.most
        try:
            for batch in parquet.iter_batches(batch_size=1024):
                left -= batch.nbytes
                if left < 0:
                    raise InputError(f"{file.spec} holds far more than its size lets expect: write it anew.")
                yield from batch.to_pylist()
        except InputError:
            raise
        except damaged as error:
            raise InputError(f"{file.spec} is a damaged Parquet file: write it again.") from error

    return Table(file.spec, columns, rows(), _stored_label_names(schema.metadata or {}))


def _stored_label_names(metadata: Mapping[bytes, bytes]) -> dict[str, Sequence[str]]:
    try:
        return class_names(json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}
