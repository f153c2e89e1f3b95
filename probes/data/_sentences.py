"""Blocks of lines as sentences of equally wide rows."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from probes.data._records import Dropped
from probes.errors import InputError

CONLLU = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")

_PEEKED = 500
"""Sentences looked at to learn a file's layout."""
_COMMENT = re.compile(r"#\s*([\w.:-]+?)\s*[=:]\s(.*)")
_GLOBAL_COLUMNS = re.compile(r"#\s*global\.columns\s*[=:]\s*(.+)", re.IGNORECASE)
_TAG = re.compile(r"O|[BIELSUMW][-_]\S+")
_ID = re.compile(r"\d+(?:[-.]\d+)?")
_RANGE = re.compile(r"\d+[-.]\d+")
_WORD_NAMES = frozenset({"word", "words", "token", "tokens", "form", "surface"})
_TAG_NAMES = frozenset(
    {"tag", "tags", "label", "labels", "pos", "upos", "xpos", "ner", "ner_tag", "ner_tags", "slot", "slots"}
)

Lines = Iterable[str | Dropped]
Block = list[str]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a file are laid out.

    Attributes:
        width: cells of a row.
        names: of the columns as the file declares them; empty where it does not.
        tabbed: whether tabs separate the cells; else blanks do.
        header: whether the first row holds the names.
    """

    width: int
    names: tuple[str, ...]
    tabbed: bool
    header: bool

    def name(self, at: int) -> str:
        """What a column is called in messages."""
        return self.names[at] if self.names else f"column {at + 1}"


@dataclass(frozen=True, slots=True)
class Sentence:
    """The rows of one block, without comments, multiword-token ranges and empty nodes."""

    comments: Mapping[str, str]
    rows: list[list[str]]


@dataclass(frozen=True, slots=True)
class Sentences:
    """A file's layout and its sentences.

    Attributes:
        spec: the file, for messages.
        peeked: sentences from its start.
        stream: all of them, or why there is none.
    """

    spec: str
    layout: Layout
    peeked: Sequence[Sentence]
    stream: Iterator[Sentence | Dropped]


def read_sentences(lines: Lines, spec: str, *, conllu: bool, least: int = 2) -> Sentences:
    """Learn the layout of a file from its start, and read all of it so.

    Raises:
        InputError: if there are fewer.
    """
    blocks = _blocks(lines)
    first = list(islice(blocks, _PEEKED))
    layout = _layout([block for block in first if not isinstance(block, Dropped)], conllu, least)
    parsed = (_parse(block, layout) for block in first)
    sentences = [sentence for sentence in parsed if sentence is not None]
    other_width = Dropped(f"a line without {layout.width} columns")
    uneven = layout.width > 2 and bool(sentences) and all(s == other_width for s in sentences)
    if layout.width < least or uneven:
        columns = f"{layout.width} column{'s' if layout.width > 1 else ''}"
        raise InputError(
            f"{spec} has {'no columns its lines share' if uneven else columns} where {least} are needed: "
            "write a word and its label on each line, a tab between, and a blank line between sentences."
        )
    if layout.header and sentences and isinstance(sentences[0], Sentence):
        del sentences[0].rows[0]
    stream = (sentence for block in blocks if (sentence := _parse(block, layout)) is not None)
    peeked = [s for s in sentences if isinstance(s, Sentence) and s.rows]
    kept = (s for s in chain(sentences, stream) if isinstance(s, Dropped) or s.rows)
    return Sentences(spec, layout, peeked, kept)


def _blocks(lines: Lines) -> Iterator[Block | Dropped]:
    """Runs of lines between blank ones; a run with an overlong line is dropped as a whole."""
    block: Block = []
    overlong: Dropped | None = None
    for line in chain(lines, [""]):
        if isinstance(line, Dropped):
            overlong = line
        elif line.strip():
            block.append(line)
        elif block or overlong:
            yield overlong or block
            block, overlong = [], None


def _layout(blocks: Sequence[Block], conllu: bool, least: int) -> Layout:
    lines = [line for block in blocks for line in block]
    tabbed = any("\t" in line for line in lines if not line.startswith("#"))
    tables = [
        cells for block in blocks if (cells := [_cells(line, tabbed) for line in block if _is_row(line)])
    ]
    widths = Counter(len(row) for cells in tables for row in cells if not (tabbed and row[0].startswith("#")))
    width = widths.most_common(1)[0][0] if widths else least
    declared = next((match[1].split() for line in lines[:50] if (match := _GLOBAL_COLUMNS.match(line))), None)
    if declared is not None and len(declared) == width:
        return Layout(width, tuple(declared), tabbed, header=False)
    if tables and len(tables[0][0]) == width and _is_header(tables[0][0]):
        return Layout(width, tuple(tables[0][0]), tabbed, header=True)
    if width == 10 and tabbed and (conllu or all(is_index(cells) for cells in tables)):
        return Layout(width, CONLLU, tabbed, header=False)
    return Layout(width, (), tabbed, header=False)


def _parse(block: Block | Dropped, layout: Layout) -> Sentence | Dropped | None:
    if isinstance(block, Dropped):
        return block
    comments: dict[str, str] = {}
    rows: list[list[str]] = []
    for line in block:
        if line.startswith("#") and _is_comment(line, layout, first=not rows):
            if match := _COMMENT.match(line):
                comments[match[1].casefold()] = match[2].strip()
        elif _is_row(line):
            rows.append(_cells(line, layout.tabbed))
    if any(len(row) != layout.width for row in rows):
        return Dropped(f"a line without {layout.width} columns")
    if layout.width > 2 and any(_RANGE.fullmatch(row[0]) for row in rows) and is_index(rows):
        rows = [row for row in rows if not _RANGE.fullmatch(row[0])]
        if not rows:
            return Dropped("no word")
    return Sentence(comments, rows) if rows else None


def _is_row(line: str) -> bool:
    return not line.startswith(("-DOCSTART-", "# global.columns"))


def _cells(line: str, tabbed: bool) -> list[str]:
    # Not str.split(): it would also cut at no-break spaces, which occur inside words.
    return [cell.strip() for cell in line.split("\t")] if tabbed else [c for c in line.split(" ") if c]


def _is_comment(line: str, layout: Layout, *, first: bool) -> bool:
    """Tell ``# text = Hello`` from the word ``#`` with its label."""
    if layout.tabbed:
        return line.count("\t") + 1 != layout.width
    if not first:
        return False
    if _COMMENT.match(line):
        return True
    return _TAG.fullmatch(_cells(line, tabbed=False)[-1]) is None


def _is_header(row: Sequence[str]) -> bool:
    names = [cell.casefold() for cell in row]
    return (
        len(set(names)) == len(names)
        and bool(_WORD_NAMES & set(names))
        and bool(_TAG_NAMES & set(names))
        and not any(cell.isdigit() for cell in row)
    )


def is_index(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first column counts the words, from 0 or 1, ranges and empty nodes aside."""
    if not all(_ID.fullmatch(row[0]) for row in rows):
        return False
    counted = [row[0] for row in rows if row[0].isdigit()]
    return counted in ([str(i) for i in range(start, start + len(counted))] for start in (0, 1))
