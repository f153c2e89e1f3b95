"""Which format a file is in: by its content where that is plain, else by its name.

Compressed files (gzip, bzip2, xz, zstd) are read as what is in them. Text is in UTF-8 or, with a byte order
mark, UTF-16 or UTF-32.

========================================  ==========================================================
name ends in                              read as
========================================  ==========================================================
``.conllu``                               CoNLL-U: FORM and UPOS, or other columns by name
``.conllup``                              CoNLL-U Plus: the columns that ``# global.columns`` declares
``.conll .bio .iob .iob2``                columns, blank line between sentences; which is which follows
                                          from a header or the content, or is asked for
``.tsv .tab .txt`` (token labels)         columns, as above
``.tsv .tab``, ``.csv``                   table with a header line, at sentence and pair level
``.jsonl .ndjson .json``                  JSON: an object a line, an array, columns, or SQuAD's documents
``.parquet``                              Parquet
``.tsv .tab .csv`` (bitext)               two columns, source language first unless a header says so
``.tmx .po .xlf .xliff``                  translation files (bitext)
two files of text (bitext)                line by line
anything else                             by content: ``PAR1`` opens Parquet, ``{`` or ``[`` JSON, ``<``
                                          XML; ``msgid`` PO; ``# key = value`` or a running index CoNLL;
                                          ten columns with an index CoNLL-U; a tab TSV; a comma CSV
========================================  ==========================================================
"""

import json
import re
from itertools import islice
from typing import Literal

from probes.catalogue import LEVELS, Task
from probes.data.files import InputFile
from probes.errors import InputError

LabelledFormat = Literal["conllu", "conll", "tsv", "csv", "json", "parquet"]
BitextFormat = Literal["tsv", "csv", "json", "parquet", "tmx", "po", "xliff"]

_LABELLED: dict[str, LabelledFormat] = {
    **{".conllu": "conllu", ".conllup": "conll", ".conll": "conll", ".bio": "conll", ".iob": "conll"},
    **{".iob2": "conll", ".tsv": "tsv", ".tab": "tsv", ".csv": "csv", ".parquet": "parquet"},
    **{".jsonl": "json", ".ndjson": "json", ".json": "json"},
}
_BITEXT: dict[str, BitextFormat] = {
    **{".tsv": "tsv", ".tab": "tsv", ".csv": "csv", ".parquet": "parquet"},
    **{".jsonl": "json", ".ndjson": "json", ".json": "json"},
    **{".tmx": "tmx", ".po": "po", ".xlf": "xliff", ".xliff": "xliff"},
}
_BITEXT_CONTENT: dict[BitextFormat, re.Pattern[str]] = {
    "tmx": re.compile(r"<tmx\b"),
    "xliff": re.compile(r"<xliff\b"),
    "po": re.compile(r"^msgid "),
    "tsv": re.compile(r"^[^\t]*\t[^\t]*$"),
}
_DECLARED = re.compile(rb"<\?xml[^>]*encoding=|msgid [\s\S]*charset=")
_INDEX_COLUMN = re.compile(r"[01](-\d+)?\t")
_CONLL_COMMENT = re.compile(r"#\s*\S+\s*[=:]")


def labelled_format(file: InputFile, task: Task) -> LabelledFormat:
    """The format of a file with labels for ``task``.

    Raises:
        InputError: if labels for the task are not read from that format, or none fits.
    """
    named = _LABELLED.get(file.suffix)
    found = _plain(file) or named or _sniff_labelled(file, task)
    if found == "json" and named == "conll":
        found = named  # a word may be a bracket
    if task.level == "token":
        if found == "csv":
            raise InputError(
                f"{file.spec} is CSV, which does not hold one label a word: give {task.name} labels as "
                "CoNLL columns, JSONL or Parquet."
            )
        if found == "tsv":
            found = "conll"
        return "conllu" if found == "conll" and _has_ten_columns(file) else found
    if task.level == "span" and found not in ("json", "parquet"):
        raise InputError(
            f"{file.spec} is read as {found.upper()}, which has no room for places in a passage: give "
            f"{task.name} data as SQuAD's JSON, JSONL or Parquet."
        )
    if found == "conllu" or (found == "conll" and task.name != "intent"):
        raise InputError(
            f"{file.spec} has labels for words, but {task.name} needs one label for each "
            f"{LEVELS[task.level].unit}: give TSV, CSV, JSONL or Parquet."
        )
    return found


def bitext_format(file: InputFile) -> BitextFormat:
    """The format of a file with sentences and their translations.

    Raises:
        InputError: if none fits.
    """
    plain = _plain(file)
    if plain is not None:
        return plain
    lines = _first_lines(file)
    named = _BITEXT.get(file.suffix)
    for format, pattern in _BITEXT_CONTENT.items():
        if format != "tsv" and named in (None, "tsv", "csv") and any(map(pattern.search, lines[:20])):
            return format
    if named:
        return named
    if any(map(_BITEXT_CONTENT["tsv"].search, lines)):
        return "tsv"
    raise InputError(
        f"{file.spec} is no bitext I can read: give TSV (source TAB target), two line-aligned files as "
        "A,B, or TMX, PO, XLIFF, JSONL or Parquet."
    )


def _plain(file: InputFile) -> Literal["parquet", "json"] | None:
    """The formats that content alone tells from all others."""
    if file.head(4) == b"PAR1":
        return "parquet"
    first = next((line for line in _first_lines(file) if line.strip()), "").strip()
    return "json" if first.startswith(("{", "[")) and _opens_json(first, file) else None


def _opens_json(first: str, file: InputFile) -> bool:
    try:
        return isinstance(json.loads(first), dict | list)
    except RecursionError:
        return False
    except ValueError:
        # a document over several lines, or one longer than a line may be
        return (
            file.suffix not in (".txt", ".tsv", ".csv")
            and re.match(r'\{\s*("|$)|\[\s*([{\["]|$)', first) is not None
        )


def _sniff_labelled(file: InputFile, task: Task) -> LabelledFormat:
    first = next((line for line in _first_lines(file) if line.strip()), "")
    if first.startswith("{"):
        return "json"
    if task.level == "token":
        return "conll"
    if _INDEX_COLUMN.match(first) or _CONLL_COMMENT.match(first):
        return "conll"
    if "\t" in first:
        return "tsv"
    if "," in first:
        return "csv"
    raise InputError(
        f"{file.spec} is in no format I know for {task.name} labels: give TSV or CSV with a header line, "
        "JSONL or Parquet."
    )


def _has_ten_columns(file: InputFile) -> bool:
    for line in _first_lines(file):
        if line.strip() and not line.startswith("#"):
            return line.count("\t") == 9 and _INDEX_COLUMN.match(line) is not None
    return False


def _first_lines(file: InputFile) -> list[str]:
    try:
        return [line for line in islice(file.lines(), 200) if isinstance(line, str)]
    except InputError:
        head = file.head(1 << 14)
        if not _DECLARED.search(head):
            raise
        return head.decode("latin-1").splitlines()  # the reader decodes it as it declares
