"""The parts of a bitext: files that hold both sides, and files that hold one side each."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from pathlib import PurePath

from probes.data._hub import is_hub_spec, load_table
from probes.data._labels import text_of
from probes.data._records import Dropped
from probes.data.files import InputFile, expand, is_folder, joint_sha256, open_file, split_spec
from probes.data.formats import BitextFormat, bitext_format
from probes.data.tables import Row, Table, cell, csv_cells, read_json, read_parquet, split_lines
from probes.data.translation import Segment, in_order, match_language, read_po, read_tmx, read_xliff
from probes.errors import InputError
from probes.languages import Language, script_of

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
"""Pairs looked at to tell whether the columns are swapped."""


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
        sides = (
            [] if not written else [file for file in files if isinstance(file, InputFile) and _is_side(file)]
        )
        couples = {
            id(one): _couple(one, other, source, target)
            for one, other in _couples(joined, sides, source, target)
        }
        for file in files:
            if isinstance(file, str):
                parts.append(_from_hub(file, source, target))
            elif file not in sides:
                parts.append(_from_file(file, source, target))
            elif id(file) in couples:
                parts.append(couples[id(file)])
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


def _couples(
    spec: str, sides: Sequence[InputFile], source: Language, target: Language
) -> list[tuple[InputFile, InputFile]]:
    """Files that go together line by line, source first where their names say which is which.

    Raises:
        InputError: if one is left over, or it cannot be told which go together.
    """
    if not sides:
        return []
    languages = {id(file): _language_in(file.name, source, target) for file in sides}
    if len(sides) == 2:
        one, other = sides
        turned = languages[id(one)] == 1 or languages[id(other)] == 0
        return [(other, one) if turned and languages[id(one)] != languages[id(other)] else (one, other)]
    stems: dict[str, dict[int, InputFile]] = {}
    for file in sides:
        side = languages[id(file)]
        if side is not None:
            stems.setdefault(_stem(file, side, source, target), {})[side] = file
    whole = [(found[0], found[1]) for found in stems.values() if len(found) == 2]
    together = {id(file) for couple in whole for file in couple}
    left = [file.spec for file in sides if id(file) not in together]
    if left:
        where = f"In the folder {spec}, " if is_folder(spec) else ""
        raise InputError(
            f"{where}{', '.join(left)}: {len(left)} file{'s' if len(left) > 1 else ''} with one text a "
            "line, of which "
            f"it cannot be told what goes with what: name the {source.name} and the {target.name} side as "
            f"A,B, more couples joined with +, or call them by language, as in train.{source.code} and "
            f"train.{target.code}."
        )
    return whole


def _language_in(name: str, source: Language, target: Language) -> int | None:
    """0 if a file is called after the source language, 1 if after the target, None if that is not told."""
    parts = [part for part in re.split(r"[.\s_-]", name.casefold()) if part]
    for part in reversed(parts[1:] or parts):  # the ending says more than what comes before
        hits = [i for i, language in enumerate((source, target)) if match_language([part], language)]
        if len(hits) == 1 and len(part) > 1:
            return hits[0]
    return None


def _stem(file: InputFile, side: int, source: Language, target: Language) -> str:
    """The name without its language, by which the two sides know each other."""
    parts = re.split(r"([.\s_-])", file.name.casefold())
    language = (source, target)[side]
    kept = [part for part in parts if len(part) < 2 or not match_language([part], language)]
    return str(PurePath(file.path).parent / "".join(kept))


def _couple(first: InputFile, second: InputFile, source: Language, target: Language) -> Part:
    spec = f"{first.spec},{second.spec}"
    segments = _in_written_order(_from_lines(first, second), spec, source, target)
    columns = {source.name: first.spec, target.name: second.spec}
    return Part(spec, "line-aligned", joint_sha256(first, second), segments, columns)


def _from_hub(spec: str, source: Language, target: Language) -> Part:
    table, sha256 = load_table(spec)
    segments, columns = _from_table(table, source, target)
    return Part(spec, "datasets", sha256, segments, columns)


def _from_file(file: InputFile, source: Language, target: Language) -> Part:
    format = bitext_format(file)
    segments, columns = _READERS[format](file, source, target)
    return Part(file.spec, format, file.sha256, segments, columns)


Read = tuple[Iterator[Segment | Dropped], dict[str, str]]


def _from_cells(
    lines: Iterator[list[str] | Dropped], file: InputFile, source: Language, target: Language
) -> Read:
    """Two columns, source first unless a header line with the languages says otherwise."""
    first = next(lines, [""])  # a file may hold nothing but a byte order mark
    second = list(islice(lines, 1))
    lines = chain(second, lines)
    header = None if isinstance(first, Dropped) else _header_order(first, source, target)
    if header and second and _alike(first, second[0], header[:2]):
        header = None  # languages that every line states
    if header is None and not isinstance(first, Dropped) and len(first) != 2:
        rows = [first, *(line for line in islice(lines, 2) if not isinstance(line, Dropped))]
        shown = " / ".join(" | ".join(cell[:20] for cell in row) for row in rows)
        raise InputError(
            f"{file.spec} has {len(first)} column{'s' if len(first) > 1 else ''} in its first line where "
            "bitext has "
            f"two: keep the {source.name} and the {target.name} text, separated by one tab, or name the "
            f"columns by language in a header line. Its first lines are {shown}."
        )
    width = 2 if isinstance(first, Dropped) else len(first)
    one, other, by_language = header or (0, 1, True)
    stating = None if by_language or isinstance(first, Dropped) else _stating(first)

    def segments() -> Iterator[Segment | Dropped]:
        for cells in lines if header else chain([first], lines):
            if isinstance(cells, Dropped):
                yield cells
            elif header and cells == first:
                yield Dropped("the header again")
            elif len(cells) == width:
                pair = cells[one], cells[other]
                yield in_order(pair, [cells[at] for at in stating], source, target) if stating else pair
            else:
                yield Dropped(
                    "a line without two columns" if width == 2 else f"a line without {width} columns"
                )

    names = [str(first[at]).strip() if header else f"column {at + 1}" for at in (one, other)]  # type: ignore[index]
    columns = dict(zip((source.name, target.name), names, strict=True))
    return _in_written_order(segments(), file.spec, source, target), columns


def _alike(one: list[str] | Dropped, other: list[str] | Dropped, at: Sequence[int]) -> bool:
    """Whether two lines have the same in some places."""
    if isinstance(one, Dropped) or isinstance(other, Dropped):
        return False
    return len(one) == len(other) and all(one[i] == other[i] for i in at)


def _stating(columns: Sequence[str]) -> tuple[int, int] | None:
    """Where each pair states its two languages; None if it does not."""
    folded = [name.strip().casefold().replace("_", "") for name in columns]
    known = (both for both in _STATING if {*both} <= {*folded})
    return next(((folded.index(first), folded.index(second)) for first, second in known), None)


def _header_order(cells: Sequence[str], source: Language, target: Language) -> tuple[int, int, bool] | None:
    """Where source and target stand if the line is a header, and whether they are called after the
    languages; None if it is already data."""
    names = [cell.strip() for cell in cells]
    folded = tuple(name.casefold() for name in names)
    for usual in _PAIR_COLUMNS:
        if folded == usual or (len(folded) > 2 and set(usual) <= set(folded)):
            return folded.index(usual[0]), folded.index(usual[1]), False
    found = match_language(names, source), match_language(names, target)
    if found[0] is None or found[1] is None or found[0] == found[1]:
        return None
    return names.index(found[0]), names.index(found[1]), True


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
    found = _table_columns(table.columns, source, target)
    if found is None and table.all_columns is not None:
        found = _table_columns(table.all_columns(), source, target)
    if found is None:
        raise InputError(
            f"{table.spec} has no columns for {source.name} and {target.name} among "
            f"{', '.join(table.columns[:12])}: call them {source.code} and {target.code}."
        )
    first, second, by_language = found
    columns = {source.name: first, target.name: second}
    if first == second:
        return (_translations(row, first, source, target) for row in table.rows), columns
    if by_language:
        return (_cells(row, first, second) for row in table.rows), columns
    stating = _stating(table.columns)

    def pairs() -> Iterator[Segment | Dropped]:
        for row in table.rows:
            pair = _cells(row, first, second)
            if stating and not isinstance(row, Dropped) and not isinstance(pair, Dropped):
                stated = [text_of(cell(row, table.columns[at])) for at in stating]
                pair = in_order(pair, stated, source, target)
            yield pair

    return _in_written_order(pairs(), table.spec, source, target), columns


def _table_columns(
    columns: Sequence[str], source: Language, target: Language
) -> tuple[str, str, bool] | None:
    """The columns of the two sides, and whether they are called after the languages."""
    outer = [name for name in columns if "." not in name]
    first, second = match_language(outer, source), match_language(outer, target)
    if first and second and first != second:
        return first, second, True
    if "translation" in outer:
        return "translation", "translation", True
    for usual in _PAIR_COLUMNS:
        if set(usual) <= set(outer):
            return *usual, False
    for prefix in dict.fromkeys(name.rpartition(".")[0] for name in columns if "." in name):
        inner = [name.rpartition(".")[2] for name in columns if name.rpartition(".")[0] == prefix]
        if match_language(inner, source) and match_language(inner, target):
            return prefix, prefix, True
    return None


def _translations(row: Row | Dropped, column: str, source: Language, target: Language) -> Segment | Dropped:
    if isinstance(row, Dropped):
        return row
    texts = cell(row, column)
    if not isinstance(texts, dict):
        return Dropped("a translation that is not keyed by language")
    first, second = match_language(texts, source), match_language(texts, target)
    if first is None or second is None:
        return Dropped("a language is missing")
    return _cells(texts, first, second)


def _cells(row: Row | Dropped, first: str, second: str) -> Segment | Dropped:
    return row if isinstance(row, Dropped) else (text_of(cell(row, first)), text_of(cell(row, second)))


def _in_written_order(
    segments: Iterable[Segment | Dropped], spec: str, source: Language, target: Language
) -> Iterator[Segment | Dropped]:
    """The same segments, unless their scripts show that source and target are the other way round.

    Raises:
        InputError: if they do.
    """
    stream = iter(segments)
    peeked = list(islice(stream, _PEEKED))
    pairs = [segment for segment in peeked if not isinstance(segment, Dropped)]
    wanted = tuple(_script_group(language.script) for language in (source, target))
    found = tuple(_script_group(script_of(" ".join(side))) for side in zip(*pairs, strict=True))
    if wanted[0] != wanted[1] and found == wanted[::-1]:
        raise InputError(
            f"{spec} has {target.name} first and {source.name} second, as their scripts show: "
            "swap the two sides, or the two languages."
        )
    yield from chain(peeked, stream)


def _script_group(script: str) -> str:
    """Chinese is one group: its characters do not say whether they are simplified or traditional."""
    return "Hani" if script in ("Hans", "Hant") else script


_READERS: dict[BitextFormat, Callable[[InputFile, Language, Language], Read]] = {
    "tsv": lambda file, source, target: _from_cells(split_lines(file), file, source, target),
    "csv": lambda file, source, target: _from_cells(csv_cells(file), file, source, target),
    "json": lambda file, source, target: _from_table(read_json(file), source, target),
    "parquet": lambda file, source, target: _from_table(read_parquet(file), source, target),
    "tmx": lambda file, source, target: (read_tmx(file, source, target), {}),
    "po": lambda file, source, target: (read_po(file, source, target), {}),
    "xliff": lambda file, source, target: (read_xliff(file, source, target), {}),
}
