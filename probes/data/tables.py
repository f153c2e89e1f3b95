"""Tables: rows with named columns from TSV, CSV, JSON lines, Parquet or a data set."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from probes.catalogue import Task
from probes.data._files import InputFile
from probes.data._records import Dropped
from probes.data.examples import Example, PairExample, SentenceExample, TokenExample
from probes.errors import InputError

__all__ = [
    "Columns",
    "Row",
    "Table",
    "class_names",
    "labelled_rows",
    "read_csv",
    "read_jsonl",
    "read_parquet",
    "read_tsv",
    "text_of",
]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds what; those left out are found by their usual names.

    In CoNLL files, whose columns have no names, ``words`` and ``tags`` are numbers counted from 1.

    Attributes:
        text: the text of a sentence example, or the first of a pair.
        label: the label of a sentence or a pair.
        second: the second text of a pair.
        words: the list of words of a token example.
        tags: the list of their labels.
    """

    text: str | None = None
    label: str | None = None
    second: str | None = None
    words: str | None = None
    tags: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that are read as they are asked for.

    Attributes:
        spec: where they come from, for messages.
        columns: names, in order.
        rows: one mapping from column to value each, or :class:`Dropped`.
        label_names: for columns of integer labels that come with names, the names by integer.
    """

    spec: str
    columns: tuple[str, ...]
    rows: Iterable[Row | Dropped]
    label_names: Mapping[str, Sequence[str]] = field(default_factory=dict)


_TEXT = ("text", "sentence", "content", "utterance", "utt", "document", "review")
_LABEL = ("label", "category", "intent", "topic", "class", "sentiment", "gold_label", "labels")
_PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("first", "second"),
    ("text_a", "text_b"),
    ("text1", "text2"),
    ("question1", "question2"),
)
_WORDS = ("tokens", "words", "forms")
_TAGS = ("tags", "labels")
_NO_LABEL = frozenset({"", "-"})  # SNLI and MultiNLI write - where annotators did not agree


def labelled_rows(table: Table, task: Task, columns: Columns) -> Iterator[Example | Dropped]:
    """The examples of a table, with its columns found by name.

    Raises:
        InputError: if a column that is needed is not there.
    """
    return _ROWS[task.level](table, task, columns)


def _token_rows(table: Table, task: Task, columns: Columns) -> Iterator[Example | Dropped]:
    words_in = _find(table, "words", columns.words, _WORDS)
    of_task = (f"{task.name}_tags", task.name, *(("upos", "upos_tags") if task.name == "pos" else ()))
    tags_in = _find(table, "tags", columns.tags, (*of_task, *_TAGS))
    for row in table.rows:
        if isinstance(row, Dropped):
            yield row
            continue
        words, tags = row.get(words_in), row.get(tags_in)
        if not isinstance(words, list) or not isinstance(tags, list):
            yield Dropped("words or labels that are not a list")
            continue
        forms = tuple(text_of(word) for word in words)
        labels = tuple(_label(tag, table.label_names.get(tags_in)) for tag in tags)
        if len(forms) != len(labels):
            yield Dropped("words and labels that differ in number")
        elif not forms:
            yield Dropped("no word")
        elif "" in forms:
            yield Dropped("an empty word")
        elif "" in labels:
            yield Dropped("a word without label")
        else:
            yield TokenExample(forms, labels)


def _sentence_rows(table: Table, task: Task, columns: Columns) -> Iterator[Example | Dropped]:
    text_in = _find(table, "text", columns.text, _TEXT)
    label_in = _find(table, "label", columns.label, (task.name, *_LABEL))
    for row in table.rows:
        if isinstance(row, Dropped):
            yield row
            continue
        text, label = text_of(row.get(text_in)), _label(row.get(label_in), table.label_names.get(label_in))
        if not text:
            yield Dropped("empty text")
        elif not label:
            yield Dropped("no label")
        else:
            yield SentenceExample(text, label)


def _pair_rows(table: Table, task: Task, columns: Columns) -> Iterator[Example | Dropped]:
    present = {name.casefold() for name in table.columns}
    usual = next((pair for pair in _PAIRS if present.issuperset(pair)), ("", ""))
    first_in = _find(table, "text", columns.text, usual[:1], "first text")
    second_in = _find(table, "second", columns.second, usual[1:], "second text")
    label_in = _find(table, "label", columns.label, (task.name, *_LABEL))
    for row in table.rows:
        if isinstance(row, Dropped):
            yield row
            continue
        first, second = text_of(row.get(first_in)), text_of(row.get(second_in))
        label = _label(row.get(label_in), table.label_names.get(label_in))
        if not first or not second:
            yield Dropped("empty text")
        elif label in _NO_LABEL:
            yield Dropped("no label")
        else:
            yield PairExample(first, second, label)


_ROWS: dict[str, Callable[[Table, Task, Columns], Iterator[Example | Dropped]]] = {
    "token": _token_rows,
    "sentence": _sentence_rows,
    "pair": _pair_rows,
}
"""How the rows of a table are read at each level."""


def _find(table: Table, role: str, asked: str | None, usual: Sequence[str], called: str | None = None) -> str:
    """The column for a role: the one asked for, else the first with a usual name in any case."""
    listed = ", ".join(f"'{_shorten(name)}'" for name in table.columns[:12]) or "none"
    if asked is not None:
        if table.columns.count(asked) == 1:
            return asked
        problem = "several columns" if asked in table.columns else "no column"
        raise InputError(f"{table.spec} has {problem} called '{asked}': its columns are {listed}.")
    for name in usual:
        matches = [column for column in table.columns if column.strip().casefold() == name]
        if len(matches) > 1:
            raise InputError(f"{table.spec} has several columns called '{name}': rename all but one.")
        if matches:
            return matches[0]
    raise InputError(
        f"{table.spec} has no column I know as the {called or role} (its columns are {listed}): name the "
        f"{role} column, or add a header line if what is listed is data."
    )


def _shorten(name: str, length: int = 40) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def text_of(value: object) -> str:
    """The text without outer white space; nothing where it is no text or no valid Unicode."""
    return value.strip() if isinstance(value, str) and _is_unicode(value) else ""


def _label(value: object, names: Sequence[str] | None) -> str:
    """A label as text: the name that stands for an integer where names are given."""
    if names is not None and isinstance(value, int):
        return names[value].strip() if 0 <= value < len(names) else ""  # -1 marks hidden test labels
    if isinstance(value, float) and value.is_integer():  # integers beside missing values are read as floats
        value = int(value)
    return str(value) if isinstance(value, int) else text_of(value)


def _is_unicode(text: str) -> bool:
    # JSON can spell half a surrogate pair, which no tokenizer can take
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def read_tsv(file: InputFile) -> Table:
    """Tab-separated values, header first; quotes are text, as in the data sets that use this format."""
    lines = file.lines()
    header = next((line for line in lines if isinstance(line, str) and line.strip()), "")
    columns = tuple(cell.strip() for cell in header.split("\t"))

    def rows() -> Iterator[Row | Dropped]:
        for line in lines:
            if isinstance(line, Dropped):
                yield line
            elif line.strip(" "):
                yield _row(columns, line.split("\t"))

    return Table(file.spec, columns, rows())


def read_csv(file: InputFile) -> Table:
    """Comma-separated values (or semicolons or tabs, if the header has more of them), header first.

    Raises:
        InputError: if a quoted field is not closed or not followed by a separator.
    """
    dropped: list[Dropped] = []

    def kept_lines() -> Iterator[str]:
        for line in file.lines():
            if isinstance(line, Dropped):
                dropped.append(line)
            else:
                yield line + "\n"

    def cells() -> Iterator[list[str]]:
        lines = kept_lines()
        first = next((line for line in lines if line.strip()), "")
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(_prepend(first, lines), delimiter=delimiter, strict=True)
        try:
            yield from reader
        except csv.Error as error:
            raise InputError(
                f"{file.spec} is not readable as CSV near line {reader.line_num} ({error}): close each "
                'quoted field with " and double the quotes inside it.'
            ) from error

    records = cells()
    columns = tuple(cell.strip() for cell in next(records, []))

    def rows() -> Iterator[Row | Dropped]:
        for record in records:
            if record:  # the reader gives an empty list for a blank line
                yield _row(columns, record)
        yield from dropped

    return Table(file.spec, columns, rows())


def _prepend(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _row(columns: tuple[str, ...], cells: list[str]) -> Row | Dropped:
    if len(cells) != len(columns):
        return Dropped(f"a row without {len(columns)} columns")
    return dict(zip(columns, cells, strict=True))


def read_jsonl(file: InputFile) -> Table:
    """One JSON object a line; the columns are the keys of the first.

    Raises:
        InputError: if no line is a JSON object.
    """
    rows = _json_rows(file)
    before: list[Dropped] = []
    for row in rows:
        if not isinstance(row, Dropped):
            return Table(file.spec, tuple(row), _chain(before, row, rows))
        before.append(row)
    raise InputError(
        f"{file.spec} has no line that is a JSON object: write one example a line, as in "
        '{"text": "...", "label": "..."}.'
    )


def _json_rows(file: InputFile) -> Iterator[Row | Dropped]:
    for line in file.lines():
        if isinstance(line, Dropped):
            yield line
            continue
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        yield value if isinstance(value, dict) else Dropped("not a JSON object")


def _chain(before: list[Dropped], first: Row, rest: Iterator[Row | Dropped]) -> Iterator[Row | Dropped]:
    yield from before
    yield first
    yield from rest


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
        parquet = pq.ParquetFile(file.path)
        columns = tuple(parquet.schema_arrow.names)
    except damaged as error:
        raise InputError(f"{file.spec} is not a readable Parquet file: write it again.") from error

    def rows() -> Iterator[Row | Dropped]:
        try:
            for batch in parquet.iter_batches(batch_size=1024):
                yield from batch.to_pylist()
        except damaged as error:
            raise InputError(f"{file.spec} is a damaged Parquet file: write it again.") from error

    return Table(file.spec, columns, rows(), _stored_label_names(parquet.schema_arrow.metadata or {}))


def _stored_label_names(metadata: Mapping[bytes, bytes]) -> dict[str, Sequence[str]]:
    try:
        return class_names(json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}


def class_names(features: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """The names of integer labels for each column that has them.

    Args:
        features: the features of a data set as ``datasets.Features.to_dict`` gives them.
    """
    return {column: names for column, feature in features.items() if (names := _names(feature))}


def _names(feature: Any) -> Sequence[str] | None:
    """The names in a ``ClassLabel``, or in a list of them in any of the forms it was stored in."""
    if isinstance(feature, list) and feature:
        return _names(feature[0])
    if not isinstance(feature, dict):
        return None
    names: Sequence[str] | None = feature.get("names")
    return names if feature.get("_type") == "ClassLabel" else _names(feature.get("feature"))
