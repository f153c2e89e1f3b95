"""Bitext: sentences with their translations, and links between their words."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path

from probes.data._files import InputFile, joint_sha256, open_file
from probes.data._hub import is_hub_spec, load_table
from probes.data._records import Dropped, Tally, check_limit
from probes.data._translation import Segment, match_language, read_po, read_tmx, read_xliff
from probes.data.formats import bitext_format
from probes.data.tables import Row, Table, read_jsonl, read_parquet, text_of
from probes.errors import InputError
from probes.languages import Language, script_of
from probes.signals import DataFacts

__all__ = ["Bitext", "read_bitext"]

Links = tuple[tuple[int, int], ...]

_LINK = re.compile(r"([0-9]{1,6})-([0-9]{1,6})")
_PAIR_COLUMNS = (
    ("source", "target"),
    ("src", "tgt"),
    ("src", "trg"),
    ("sentence1", "sentence2"),
    ("text1", "text2"),
)
_PEEKED = 200
"""Pairs looked at to tell whether the columns are swapped."""


@dataclass(frozen=True, slots=True)
class Bitext:
    """Translation pairs without duplicates.

    Attributes:
        pairs: source text and target text.
        links: for each pair, which words are aligned: indices, from 0, into the source and the target
            text split at white space; None if no links were given.
        facts: one for each file of the bitext, then one for each of the links (whose counts are of links).
    """

    pairs: tuple[tuple[str, str], ...]
    links: tuple[Links, ...] | None
    facts: tuple[DataFacts, ...]

    def __len__(self) -> int:
        return len(self.pairs)


@dataclass(frozen=True, slots=True)
class _Part:
    """One file, couple of line-aligned files or data set of a bitext."""

    spec: str
    format: str
    sha256: str
    segments: Iterator[Segment | Dropped]


def read_bitext(
    spec: str | Path,
    source: Language,
    target: Language,
    *,
    links: str | Path | None = None,
    limit: int | None = None,
) -> Bitext:
    """Read a bitext; several parts are joined with ``+``.

    Dropped and counted are: pairs with an empty side or with the same text on both, pairs already seen
    (compared in NFC with white space folded), and what lies beyond the limit.

    Args:
        spec: for each part, a path (see :mod:`probes.data.formats`), two line-aligned files as ``A,B``,
            or ``hf:NAME[:CONFIG][:SPLIT]``.
        source: language of the first side.
        target: language of the second side.
        links: word alignment in Pharaoh format (``i-j``, one line a pair), a file for each part.
        limit: keep at most so many pairs, from the start.

    Raises:
        InputError: if a part cannot be read, is not in the two languages as far as can be told, or the
            links do not fit it; or if no pair is left.
    """
    check_limit(limit)
    specs = _split(str(spec), "+")
    link_files: list[InputFile | None] = (
        [None] * len(specs) if links is None else [open_file(name) for name in _split(str(links), "+")]
    )
    if len(link_files) != len(specs):
        raise InputError(
            f"There are {len(link_files)} files of word links for {len(specs)} of bitext: give one for "
            "each, joined with + in the same order."
        )
    parts = [_open_part(name, source, target) for name in specs]
    pairs: list[Segment] = []
    kept_links: list[Links] = []
    seen: set[Segment] = set()
    facts: list[DataFacts] = []
    link_facts: list[DataFacts] = []
    for part, link_file in zip(parts, link_files, strict=True):
        tally, link_tally = Tally(), Tally()
        for segment, segment_links in _with_links(part, link_file):
            pair = _usable(segment, seen)
            if not isinstance(pair, Dropped) and limit is not None and len(pairs) >= limit:
                pair = Dropped(f"over the limit of {limit}")
            if isinstance(pair, Dropped):
                tally.drop(pair.reason)
                link_tally.drop("link of a dropped pair", len(segment_links))
            else:
                tally.kept += 1
                pairs.append(pair)
                kept_links.append(_in_range(segment_links, pair, link_tally))
        facts.append(tally.facts(role="bitext", spec=part.spec, format=part.format, sha256=part.sha256))
        if link_file is not None:
            link_facts.append(
                link_tally.facts(
                    role="word links", spec=link_file.spec, format="pharaoh", sha256=link_file.sha256
                )
            )
    if not pairs:
        reasons = ", ".join(f"{n} dropped: {reason}" for fact in facts for reason, n in fact.dropped.items())
        raise InputError(
            f"{spec} holds no usable pair ({reasons or 'nothing was read'}): check that it has a "
            f"{source.name} text and its {target.name} translation on each line."
        )
    return Bitext(tuple(pairs), None if links is None else tuple(kept_links), (*facts, *link_facts))


def _split(spec: str, separator: str) -> list[str]:
    """The parts of a spec; a path that exists as it is written is one part."""
    if _exists(spec):
        return [spec]
    parts = [part.strip() for part in spec.split(separator)]
    if not all(parts):
        raise InputError(f"'{spec}' has an empty part: write A{separator}B without spare '{separator}'.")
    return parts


def _exists(spec: str) -> bool:
    try:
        return Path(spec).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _open_part(spec: str, source: Language, target: Language) -> _Part:
    if is_hub_spec(spec):
        table, sha256 = load_table(spec)
        return _Part(spec, "datasets", sha256, _from_table(table, source, target))
    paths = _split(spec, ",")
    if len(paths) > 2:
        raise InputError(f"'{spec}' names {len(paths)} files: line-aligned bitext is two, as A,B.")
    if len(paths) == 2:
        first, second = map(open_file, paths)
        segments = _in_written_order(_from_lines(first, second), spec, source, target)
        return _Part(spec, "line-aligned", joint_sha256(first, second), segments)
    file = open_file(spec)
    format = bitext_format(file)
    readers: dict[str, Callable[[], Iterator[Segment | Dropped]]] = {
        "tsv": lambda: _in_written_order(_from_tsv(file, source, target), spec, source, target),
        "jsonl": lambda: _from_table(read_jsonl(file), source, target),
        "parquet": lambda: _from_table(read_parquet(file), source, target),
        "tmx": lambda: read_tmx(file, source, target),
        "po": lambda: read_po(file, source, target),
        "xliff": lambda: read_xliff(file, source, target),
    }
    return _Part(spec, format, file.sha256, readers[format]())


def _usable(segment: Segment | Dropped, seen: set[Segment]) -> Segment | Dropped:
    """The pair to keep, noted in ``seen``, or why it is dropped."""
    if isinstance(segment, Dropped):
        return segment
    first, second = (_folded(text) for text in segment)
    if not first or not second:
        return Dropped("empty side")
    if first == second:
        return Dropped("same text on both sides")
    if (first, second) in seen:
        return Dropped("duplicate")
    seen.add((first, second))
    return segment[0].strip(), segment[1].strip()


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _with_links(part: _Part, file: InputFile | None) -> Iterator[tuple[Segment | Dropped, Links]]:
    """Each record with its links, which the links file has on the line of the same number.

    Raises:
        InputError: if the file has another number of lines, or a line that is no list of ``i-j``.
    """
    if file is None:
        yield from ((segment, ()) for segment in part.segments)
        return
    records = lines = 0
    for segment, line in zip_longest(part.segments, file.lines()):
        records += segment is not None
        lines += line is not None
        if segment is not None and line is not None:
            yield segment, _parse_links(line, lines, file)
    if records != lines:
        raise InputError(
            f"{file.spec} has {lines} lines of word links for the {records} pairs of {part.spec}: "
            "write one line for each pair, empty where no words are linked."
        )


def _parse_links(line: str | Dropped, number: int, file: InputFile) -> Links:
    links = [_LINK.fullmatch(item) for item in line.split()] if isinstance(line, str) else [None]
    if not all(links):
        raise InputError(
            f"Line {number} of {file.spec} is not in Pharaoh format: write links as i-j, counted from 0 "
            "and separated by spaces."
        )
    return tuple((int(link[1]), int(link[2])) for link in links if link)


def _in_range(links: Links, pair: Segment, tally: Tally) -> Links:
    rows, columns = (len(text.split()) for text in pair)
    kept = tuple((i, j) for i, j in links if i < rows and j < columns)
    tally.kept += len(kept)
    tally.drop("index beyond the last word", len(links) - len(kept))
    return kept


def _from_tsv(file: InputFile, source: Language, target: Language) -> Iterator[Segment | Dropped]:
    """Two columns, source first unless a header line with the languages says otherwise."""
    lines = file.lines()
    first = next(lines, "")  # a file may hold nothing but a byte order mark
    if isinstance(first, str) and first.count("\t") != 1:
        count = first.count("\t") + 1
        raise InputError(
            f"{file.spec} has {count} column{'s' if count > 1 else ''} in its first line where bitext has "
            f"two: keep the {source.name} and the {target.name} text, separated by one tab."
        )
    header = _header_order(first, source, target)
    swapped = header == (1, 0)
    for line in lines if header else chain([first], lines):
        if isinstance(line, Dropped):
            yield line
            continue
        cells = line.split("\t")
        if len(cells) == 2:
            yield (cells[1], cells[0]) if swapped else (cells[0], cells[1])
        else:
            yield Dropped("a line without two columns")


def _header_order(line: str | Dropped, source: Language, target: Language) -> tuple[int, int] | None:
    """Where source and target stand if the line is a header; None if it is already data."""
    if isinstance(line, Dropped):
        return None
    cells = [cell.strip() for cell in line.split("\t")]
    names = tuple(cell.casefold() for cell in cells)
    if names in _PAIR_COLUMNS:
        return 0, 1
    found = match_language(cells, source), match_language(cells, target)
    if None in found or found[0] == found[1]:
        return None
    return (0, 1) if found == tuple(cells) else (1, 0)


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


def _from_table(table: Table, source: Language, target: Language) -> Iterator[Segment | Dropped]:
    """Pairs from columns named after the languages, from a ``translation`` column, or in usual names.

    Raises:
        InputError: if there are no such columns.
    """
    first, second = match_language(table.columns, source), match_language(table.columns, target)
    present = set(table.columns)
    usual = next((names for names in _PAIR_COLUMNS if present.issuperset(names)), None)
    if first and second:
        return (_cells(row, first, second) for row in table.rows)
    if "translation" in present:
        return (_translations(row, source, target) for row in table.rows)
    if usual:
        pairs = (_cells(row, *usual) for row in table.rows)
        return _in_written_order(pairs, table.spec, source, target)
    raise InputError(
        f"{table.spec} has no columns for {source.name} and {target.name} among "
        f"{', '.join(table.columns[:12])}: call them {source.code} and {target.code}."
    )


def _translations(row: Row | Dropped, source: Language, target: Language) -> Segment | Dropped:
    if isinstance(row, Dropped):
        return row
    texts = row.get("translation")
    if not isinstance(texts, dict):
        return Dropped("a translation that is not keyed by language")
    first, second = match_language(texts, source), match_language(texts, target)
    if first is None or second is None:
        return Dropped("a language is missing")
    return _cells(texts, first, second)


def _cells(row: Row | Dropped, first: str, second: str) -> Segment | Dropped:
    return row if isinstance(row, Dropped) else (text_of(row.get(first)), text_of(row.get(second)))


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
