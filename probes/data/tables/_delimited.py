"""TSV and CSV."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from probes.data._records import Dropped
from probes.data.files import InputFile
from probes.data.tables._table import Columns, Row, Table
from probes.errors import InputError

_PEEKED = 1000
"""Lines looked at to learn how a file is quoted, and whether it has a header."""
_DELIMITERS = ",;\t|"
_QUOTED = re.compile(r'"(?:[^"]|"")*"')

Cells = list[str]


def read_tsv(file: InputFile, columns: Columns | None = None) -> Table:
    """Tab-separated values, header first unless columns are named by number and the first line is data."""
    return _table(file.spec, split_lines(file), columns or Columns())


def split_lines(file: InputFile) -> Iterator[Cells | Dropped]:
    """The cells of each line of a TSV file.

    Quotes are text, as in the data sets that use this format, unless the file can only have been written by
    a program that quotes: then they are taken off, and may hold tabs and line breaks.
    """
    lines = file.lines()
    peeked = list(islice(lines, _PEEKED))
    rest = chain(peeked, lines)
    if _is_quoted([line for line in peeked if isinstance(line, str) and line]):
        yield from _quoted(rest, "\t", file.spec)
        return
    for line in rest:
        yield line if isinstance(line, Dropped) else line.split("\t")


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


def read_csv(file: InputFile, columns: Columns | None = None) -> Table:
    """Comma-separated values (or semicolons, tabs or bars, if the header has more of them).

    Raises:
        InputError: if a quoted field is not closed or not followed by a separator.
    """
    return _table(file.spec, csv_cells(file), columns or Columns())


def csv_cells(file: InputFile) -> Iterator[Cells | Dropped]:
    lines = (line for line in file.lines())
    first = next((line for line in lines if isinstance(line, Dropped) or line.strip()), "")
    text = first if isinstance(first, str) else ""
    if text.startswith("sep=") and len(text) == 5:  # how Excel is told
        return _quoted(lines, text[4], file.spec)
    bare = _QUOTED.sub("", text)
    return _quoted(chain([first], lines), max(_DELIMITERS, key=bare.count), file.spec)


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
        for record in reader:
            if record:  # the reader gives an empty list for a blank line
                yield record
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
