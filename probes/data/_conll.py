"""Sentences as blocks of lines: CoNLL-U, and columns with a word and a label."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from probes.data._records import Dropped
from probes.data.examples import SentenceExample, TokenExample
from probes.errors import InputError

__all__ = ["read_columns", "read_conllu", "read_intents"]

Lines = Iterable[str | Dropped]
Block = list[str]

_PEEKED = 100
"""Sentences looked at to learn a file's columns."""

_COMMENT = re.compile(r"#\s*([\w.:-]+?)\s*[=:]\s(.*)")
_BIO_TAG = re.compile(r"O|[BIELSU]-\S+")
_HEADERS = (
    {"word", "words", "token", "tokens", "form"},
    {"tag", "tags", "label", "labels", "pos", "upos", "ner", "ner_tag"},
)


def read_conllu(lines: Lines) -> Iterator[TokenExample | Dropped]:
    """Words with their UPOS: syntactic words, without multiword-token ranges and empty nodes."""
    import conllu
    from conllu.exceptions import ParseException

    for block in _blocks(lines):
        if isinstance(block, Dropped):
            yield block
            continue
        try:
            tokens = conllu.parse("\n".join(block))
        except ParseException:
            yield Dropped("not CoNLL-U")
            continue
        # ids are tuples for multiword-token ranges (1-2) and empty nodes (1.1)
        words = [token for sentence in tokens for token in sentence if isinstance(token.get("id"), int)]
        if not words:
            if any(not line.startswith("#") for line in block):
                yield Dropped("no word")
            continue
        forms = tuple(str(word.get("form") or "").strip() for word in words)
        tags = tuple(str(word.get("upos") or "_") for word in words)
        if "_" in tags:
            yield Dropped("a word without UPOS")
        elif "" in forms:
            yield Dropped("an empty word")
        else:
            yield TokenExample(forms, tags)


def read_columns(
    lines: Lines, spec: str, word_column: int | None = None, tag_column: int | None = None
) -> Iterator[TokenExample | Dropped]:
    """Words with the label in the last column.

    The word is the first column, or the second where the first is a running index in every sentence
    (``index word intent slot``). ``-DOCSTART-`` lines and comments before a sentence are skipped.

    Args:
        lines: of the file.
        spec: the file, for messages.
        word_column: counted from 1; found as above where None.
        tag_column: counted from 1; the last where None.

    Raises:
        InputError: if there are not as many columns.
    """
    for rows in _rows(lines, spec, max(2, word_column or 0, tag_column or 0)):
        if isinstance(rows, Dropped):
            yield rows
            continue
        _, cells, indexed = rows
        word_at = word_column - 1 if word_column else int(indexed)
        tag_at = tag_column - 1 if tag_column else -1
        words = tuple(row[word_at] for row in cells)
        tags = tuple(row[tag_at] for row in cells)
        if "" in words:
            yield Dropped("an empty word")
        elif "" in tags:
            yield Dropped("a word without label")
        else:
            yield TokenExample(words, tags)


def read_intents(lines: Lines, spec: str) -> Iterator[SentenceExample | Dropped]:
    """Texts with their intent from xSID files.

    The text is the comment ``# text = ``, else the words; the intent is the comment ``# intent = ``,
    else the third column of ``index word intent slot``.
    """
    for rows in _rows(lines, spec, 2):
        if isinstance(rows, Dropped):
            yield rows
            continue
        comments, cells, indexed = rows
        text = comments.get("text") or " ".join(row[int(indexed)] for row in cells)
        intent = comments.get("intent") or (cells[0][2] if indexed and len(cells[0]) == 4 else "")
        yield SentenceExample(text, intent) if intent else Dropped("no intent")


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


def _rows(
    lines: Lines, spec: str, least: int
) -> Iterator[tuple[dict[str, str], list[list[str]], bool] | Dropped]:
    """The comments and cells of each sentence, and whether the file's first column is an index."""
    parsed = map(_parse, _blocks(lines))
    peeked = list(islice(parsed, _PEEKED))
    tables = [cells for _, cells in (rows for rows in peeked if not isinstance(rows, Dropped)) if cells]
    if tables and _is_header(tables[0][0]):
        del tables[0][0]
    widths = Counter(len(row) for cells in tables for row in cells)
    width = widths.most_common(1)[0][0] if widths else least
    if width < least:
        raise InputError(
            f"{spec} has {width} column{'s' if width > 1 else ''} where {least} are needed: write a word "
            "and its label on each line, separated by a tab, with a blank line between sentences."
        )
    indexed = width > 2 and all(_is_indexed(cells) for cells in tables)
    for rows in chain(peeked, parsed):
        if isinstance(rows, Dropped):
            yield rows
            continue
        comments, cells = rows
        if any(len(row) != width for row in cells):
            yield Dropped(f"a line without {width} columns")
        elif cells:
            yield comments, cells, indexed


def _parse(block: Block | Dropped) -> tuple[dict[str, str], list[list[str]]] | Dropped:
    if isinstance(block, Dropped):
        return block
    comments: dict[str, str] = {}
    cells: list[list[str]] = []
    for line in block:
        if not cells and _is_comment(line):
            if match := _COMMENT.match(line):
                comments[match[1].casefold()] = match[2].strip()
        elif not line.startswith("-DOCSTART-"):
            cells.append(_cells(line))
    return comments, cells


def _cells(line: str) -> list[str]:
    # Not str.split(): it would also cut at no-break spaces, which occur inside words.
    return [cell.strip() for cell in line.split("\t")] if "\t" in line else [c for c in line.split(" ") if c]


def _is_comment(line: str) -> bool:
    """Tell ``# text = Hello`` from the word ``#`` with its label."""
    if not line.startswith("#") or line.startswith("#\t"):
        return False
    if _COMMENT.match(line):
        return True
    return _BIO_TAG.fullmatch(_cells(line)[-1]) is None


def _is_header(row: list[str]) -> bool:
    return len(row) == 2 and all(cell.casefold() in names for cell, names in zip(row, _HEADERS, strict=True))


def _is_indexed(cells: list[list[str]]) -> bool:
    first = [row[0] for row in cells]
    return first in ([str(i) for i in range(start, start + len(first))] for start in (0, 1))
