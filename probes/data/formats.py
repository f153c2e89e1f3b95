"""Which format a file is in: by its name, and by its content where the name leaves a choice.

========================================  ==========================================================
name ends in                              read as
========================================  ==========================================================
``.conllu``                               CoNLL-U: FORM and UPOS (task pos only)
``.conll .bio .iob .iob2``                columns: word first, label last, blank line between sentences
``.tsv .tab .txt`` (token labels)         columns, as above
``.tsv .tab``, ``.csv``                   table with a header line, at sentence and pair level
``.jsonl .ndjson .json``                  one JSON object a line
``.parquet``                              Parquet
``.tsv .tab`` (bitext)                    two columns, no header needed, source language first
``.tmx .po .xlf .xliff``                  translation files (bitext)
``A,B`` (bitext)                          two files, line by line
anything else                             by content: ``PAR1`` opens Parquet, ``{`` JSON, ``<`` XML;
                                          ``msgid`` PO; ``# key = value`` or a running index CoNLL;
                                          ten columns with an index CoNLL-U; a tab TSV; a comma CSV
========================================  ==========================================================
"""

import re
from itertools import islice
from typing import Literal

from probes.catalogue import LEVELS, Task
from probes.data._files import InputFile
from probes.errors import InputError

__all__ = ["BitextFormat", "LabelledFormat", "bitext_format", "labelled_format"]

LabelledFormat = Literal["conllu", "conll", "tsv", "csv", "jsonl", "parquet"]
BitextFormat = Literal["tsv", "jsonl", "parquet", "tmx", "po", "xliff"]

_LABELLED: dict[str, LabelledFormat] = {
    **{".conllu": "conllu", ".conll": "conll", ".bio": "conll", ".iob": "conll", ".iob2": "conll"},
    **{".tsv": "tsv", ".tab": "tsv", ".csv": "csv", ".parquet": "parquet"},
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"},
}
_BITEXT: dict[str, BitextFormat] = {
    **{".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet"},
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"},
    **{".tmx": "tmx", ".po": "po", ".xlf": "xliff", ".xliff": "xliff"},
}
_BITEXT_CONTENT: dict[BitextFormat, re.Pattern[str]] = {
    "jsonl": re.compile(r"^\{"),
    "tmx": re.compile(r"<tmx\b"),
    "xliff": re.compile(r"<xliff\b"),
    "po": re.compile(r"^msgid "),
    "tsv": re.compile(r"^[^\t]*\t[^\t]*$"),
}
_INDEX_COLUMN = re.compile(r"[01](-\d+)?\t")
_CONLL_COMMENT = re.compile(r"#\s*\S+\s*[=:]")


def labelled_format(file: InputFile, task: Task) -> LabelledFormat:
    """The format of a file with labels for ``task``.

    Raises:
        InputError: if labels for the task are not read from that format, or none fits.
    """
    found = _LABELLED.get(file.path.suffix.lower()) or _sniff_labelled(file, task)
    if task.level == "token":
        if found == "csv":
            raise InputError(
                f"{file.spec} is CSV, which does not hold one label a word: give {task.name} labels as "
                "CoNLL columns, JSONL or Parquet."
            )
        if found == "tsv":
            found = "conll"
        if found == "conll" and task.name == "pos" and _has_ten_columns(file):
            found = "conllu"
        if found == "conllu" and task.name != "pos":
            raise InputError(
                f"{file.spec} is CoNLL-U, of which only UPOS is read: give {task.name} labels as two "
                "columns, word and BIO tag, in a .conll file."
            )
        return found
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
    found = _BITEXT.get(file.path.suffix.lower())
    if found:
        return found
    if file.head(4) == b"PAR1":
        return "parquet"
    for line in _first_lines(file):
        for format, pattern in _BITEXT_CONTENT.items():
            if pattern.search(line):
                return format
    raise InputError(
        f"{file.spec} is no bitext I can read: give TSV (source TAB target), two line-aligned files as "
        "A,B, or TMX, PO, XLIFF, JSONL or Parquet."
    )


def _sniff_labelled(file: InputFile, task: Task) -> LabelledFormat:
    if file.head(4) == b"PAR1":
        return "parquet"
    first = next((line for line in _first_lines(file) if line.strip()), "")
    if first.startswith("{"):
        return "jsonl"
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
    return [line for line in islice(file.lines(), 200) if isinstance(line, str)]
