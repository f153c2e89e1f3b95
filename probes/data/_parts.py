"""The parts of a bitext: files that hold both sides, and files that hold one side each."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from typing import Any

from probes.data._records import Dropped, first_lines, text_of
from probes.data._rows import cells_of, read_json, read_parquet
from probes.data._table import Row, Table, cell, is_hub_spec, load_table
from probes.data._translation import (
    Segment,
    in_order,
    match_language,
    read_po,
    read_tmx,
    read_xliff,
    refuse_ids,
)
from probes.data.files import InputFile, expand, is_folder, joint_sha256, open_file, split_spec
from probes.data.formats import BitextFormat, bitext_format
from probes.errors import InputError
from probes.languages import Language

_PAIR_COLUMNS = (
    ("source", "target"),
    ("src", "tgt"),
    ("src", "trg"),
    ("sentence1", "sentence2"),
    ("text1", "text2"),
)
_STATING = (
    ("sourcelang", "targetlang"),
    ("sourcelanguage", "targetlanguage"),
    ("srclang", "tgtlang"),
    ("srclang", "trglang"),
    ("lang1", "lang2"),
)
"""Columns, without underscores, in which each pair states its languages."""
_PEEKED = 200
"""Lines looked at to tell whether a file holds one side or both."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file, couple of line-aligned files or data set of a bitext.

    Attributes:
        columns: where the two languages were read from, where that was to be found.
    """

    spec: str
    format: str
    sha256: str
    segments: Iterator[Segment | Dropped]
    columns: dict[str, str] = field(default_factory=dict)


def open_parts(spec: str, source: Language, target: Language) -> list[Part]:
    """The parts that a spec names, in order.

    Raises:
        InputError: if one cannot be read, or files that hold one side each do not go together.
    """
    parts: list[Part] = []
    for joined in split_spec(spec, "+"):
        names = [name for part in split_spec(joined, ",") for name in expand(part, folders=True)]
        written = "," in joined or is_folder(joined) or len(names) > 1
        files = [name if is_hub_spec(name) else open_file(name) for name in names]
        sides = [file for file in files if written and isinstance(file, InputFile) and _is_side(file)]
        for file in files:
            if isinstance(file, str):
                table, sha256 = load_table(file)
                parts.append(Part(file, "datasets", sha256, *_from_table(table, source, target)))
            elif file not in sides:
                parts.append(_from_file(file, source, target))
        if sides:
            parts.append(_couple(joined, sides, source, target))
    return parts


def _is_side(file: InputFile) -> bool:
    """Whether a file holds one side of a bitext, a sentence a line."""
    try:
        format = bitext_format(file)
    except InputError:
        return True
    if format not in ("tsv", "csv"):
        return False
    lines = [line for line in islice(file.lines(), _PEEKED) if isinstance(line, str) and line.strip()]
    tabs = Counter(line.count("\t") for line in lines)
    return format == "csv" or tabs[0] > len(lines) / 2


def _couple(spec: str, sides: Sequence[InputFile], source: Language, target: Language) -> Part:
    """Two files that go together line by line, source first where their names say which is which.

    Raises:
        InputError: if it is not two.
    """
    if len(sides) != 2:
        listed = ", ".join(file.spec for file in sides)
        where = f"The folder {spec}" if is_folder(spec) else spec
        raise InputError(
            f"{where} names {len(sides)} with one text a line ({listed}), and two go together: name the "
            f"{source.name} and the {target.name} side as A,B, more couples joined with +."
        )
    first, second = sides
    languages = [_language_in(file.name, source, target) for file in sides]
    if languages[0] != languages[1] and (languages[0] == 1 or languages[1] == 0):
        first, second = second, first
    columns = {source.name: first.spec, target.name: second.spec}
    sha256 = joint_sha256(first, second)
    return Part(f"{first.spec},{second.spec}", "line-aligned", sha256, _from_lines(first, second), columns)


def _language_in(name: str, source: Language, target: Language) -> int | None:
    """0 if a file is called after the source language, 1 if after the target, None if that is not told."""
    parts = [part for part in re.split(r"[.\s_-]", name.casefold()) if part]
    for part in reversed(parts[1:] or parts):  # the ending says more than what comes before
        hits = [i for i, language in enumerate((source, target)) if match_language([part], language)]
        if len(hits) == 1 and len(part) > 1:
            return hits[0]
    return None


def _from_file(file: InputFile, source: Language, target: Language) -> Part:
    format = bitext_format(file)
    segments, columns = _READERS[format](file, source, target)
    return Part(file.spec, format, file.sha256, segments, columns)


Read = tuple[Iterator[Segment | Dropped], dict[str, str]]
"""Pairs, and where the two languages were read from."""


def _from_cells(
    lines: Iterator[list[str] | Dropped], file: InputFile, source: Language, target: Language
) -> Read:
    """Two columns, source first unless a header line with the languages says otherwise."""
    first = next(lines, [""])  # a file may hold nothing but a byte order mark
    peeked = list(islice(lines, 2))
    lines = chain(peeked, lines)
    cells = ["", ""] if isinstance(first, Dropped) else first
    names = tuple(cell.strip() for cell in cells)
    sides = _named_sides(names, source, target)
    if sides and peeked and _alike(first, peeked[0], [names.index(side) for side in sides[:2]]):
        sides = None  # languages that every line states
    if sides is None and len(cells) != 2:
        shown = first_lines([cells, *(line for line in peeked if not isinstance(line, Dropped))])
        raise InputError(
            f"{file.spec} has {len(cells)} column{'s' if len(cells) > 1 else ''} in its first line where "
            f"bitext has two: keep the {source.name} and the {target.name} text, separated by one tab, or "
            f"name the columns by language in a header line. Its first lines are {shown}."
        )
    columns = names if sides else ("column 1", "column 2")
    width = "two" if len(columns) == 2 else len(columns)

    def rows() -> Iterator[Row | Dropped]:
        for line in lines if sides else chain([first], lines):
            if isinstance(line, Dropped):
                yield line
            elif sides and line == first:
                yield Dropped("the header again")
            elif len(line) == len(columns):
                yield dict(zip(columns, line, strict=True))
            else:
                yield Dropped(f"a line without {width} columns")

    return _pairs(Table(file.spec, columns, rows()), sides or (columns[0], columns[1], True), source, target)


def _alike(one: list[str] | Dropped, other: list[str] | Dropped, at: Sequence[int]) -> bool:
    """Whether two lines have the same in some places."""
    if isinstance(one, Dropped) or isinstance(other, Dropped):
        return False
    return len(one) == len(other) and all(one[i] == other[i] for i in at)


def _from_lines(first: InputFile, second: InputFile) -> Iterator[Segment | Dropped]:
    """Line i of the first file with line i of the second.

    Raises:
        InputError: at the end, if one file has more lines.
    """
    lengths = [0, 0]
    for left, right in zip_longest(first.lines(), second.lines()):
        lengths[0] += left is not None
        lengths[1] += right is not None
        if left is None or right is None:
            continue
        if isinstance(left, Dropped):
            yield left
        elif isinstance(right, Dropped):
            yield right
        else:
            yield left, right
    if lengths[0] != lengths[1]:
        raise InputError(
            f"{first.spec} has {lengths[0]} lines and {second.spec} has {lengths[1]}: line-aligned bitext "
            "needs a translation on every line."
        )


def _from_table(table: Table, source: Language, target: Language) -> Read:
    """Pairs from columns named after the languages, from a ``translation`` column, or in usual names.

    Raises:
        InputError: if there are no such columns.
    """
    sides = _sides(table.columns, source, target)
    if sides is None and table.all_columns is not None:
        sides = _sides(table.all_columns(), source, target)
    if sides is None:
        raise InputError(
            f"{table.spec} has no columns for {source.name} and {target.name} among "
            f"{', '.join(table.columns[:12])}: call them {source.code} and {target.code}."
        )
    return _pairs(table, sides, source, target)


_Sides = tuple[str, str, bool]
"""The columns of the two sides (one column: they are in it by language), and whether they are called after
the languages."""


def _named_sides(columns: Sequence[str], source: Language, target: Language) -> _Sides | None:
    first, second = match_language(columns, source), match_language(columns, target)
    if first and second and first != second:
        return first, second, True
    names = {name.casefold(): name for name in columns}
    usual = next((pair for pair in _PAIR_COLUMNS if names.keys() >= {*pair}), None)
    return (names[usual[0]], names[usual[1]], False) if usual else None


def _sides(columns: Sequence[str], source: Language, target: Language) -> _Sides | None:
    outer = [name for name in columns if "." not in name]
    named = _named_sides(outer, source, target)
    if "translation" in outer and not (named and named[2]):
        return "translation", "translation", True
    nested: dict[str, list[str]] = {}
    for outer_name, _, inner in (name.rpartition(".") for name in columns if "." in name):
        nested.setdefault(outer_name, []).append(inner)
    keyed = (
        name for name, inner in nested.items() if all(match_language(inner, s) for s in (source, target))
    )
    return named or next(((name, name, True) for name in keyed), None)


def _pairs(table: Table, sides: _Sides, source: Language, target: Language) -> Read:
    """The pairs of a table's rows; where the rows state their languages, from source to target."""
    first, second, by_language = sides
    folded = {name.casefold().replace("_", ""): name for name in table.columns}
    stating = next((pair for pair in _STATING if folded.keys() >= {*pair}), ()) if not by_language else ()

    def pairs() -> Iterator[Segment | Dropped]:
        for row in table.rows:
            if isinstance(row, Dropped):
                yield row
            elif first == second:
                yield _translations(cell(row, first), source, target)
            else:
                pair = text_of(cell(row, first)), text_of(cell(row, second))
                stated = [text_of(cell(row, folded[name])) for name in stating]
                yield in_order(pair, stated, source, target) if stated else pair

    return pairs(), {source.name: first, target.name: second}


def _translations(texts: Any, source: Language, target: Language) -> Segment | Dropped:
    if not isinstance(texts, dict):
        return Dropped("a translation that is not keyed by language")
    first, second = match_language(texts, source), match_language(texts, target)
    if first is None or second is None:
        return Dropped("a language is missing")
    return text_of(cell(texts, first)), text_of(cell(texts, second))


_READERS: dict[BitextFormat, Callable[[InputFile, Language, Language], Read]] = {
    "tsv": lambda file, *languages: _from_cells(cells_of(file, "tsv"), file, *languages),
    "csv": lambda file, *languages: _from_cells(cells_of(file, "csv"), file, *languages),
    "json": lambda file, *languages: _from_table(read_json(file), *languages),
    "parquet": lambda file, *languages: _from_table(read_parquet(file), *languages),
    "tmx": lambda file, *languages: (refuse_ids(read_tmx(file, *languages), file), {}),
    "po": lambda file, *languages: (refuse_ids(read_po(file, *languages), file), {}),
    "xliff": lambda file, *languages: (refuse_ids(read_xliff(file, *languages), file), {}),
}
