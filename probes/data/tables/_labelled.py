"""Examples from tables, one function a level of task."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from probes.catalogue import Task
from probes.data._labels import label_of, text_of
from probes.data._records import Dropped, LabelledRecords
from probes.data.examples import Example, PairExample, SentenceExample, TokenExample
from probes.data.tables._table import Columns, Row, Table, cell
from probes.data.translation import language_called
from probes.languages import Language

__all__ = ["labelled_rows"]

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
_LANGUAGE = frozenset({"language", "lang", "locale", "language_code", "lang_code"})


def labelled_rows(
    table: Table, task: Task, columns: Columns, language: Language | None = None
) -> LabelledRecords:
    """The examples of a table in a language, with its columns found by name.

    Raises:
        InputError: if a column that is needed is not there.
    """
    read = _READERS[task.level]
    records = read(table, task, columns)
    stated_in = next((name for name in table.columns if name.casefold() in _LANGUAGE), None)
    if stated_in is None or language is None or stated_in in records.columns.values():
        return records
    return read(replace(table, rows=_only_in(language, table.rows, stated_in)), task, columns)


def _only_in(language: Language, rows: Iterable[Row | Dropped], stated_in: str) -> Iterator[Row | Dropped]:
    """The same rows without those that say that they are in another language."""
    other = Dropped(f"in another language by its column '{stated_in}'")
    for row in rows:
        stated = None if isinstance(row, Dropped) else language_called(text_of(cell(row, stated_in)))
        yield row if stated is None or stated.code == language.code else other


def _token_rows(table: Table, task: Task, columns: Columns) -> LabelledRecords:
    words_in = table.find("words", columns.words, _WORDS, "list of words")
    of_task = (f"{task.name}_tags", task.name, *(("upos", "upos_tags") if task.name == "pos" else ()))
    tags_in = table.find("tags", columns.tags or columns.label, (*of_task, *_TAGS), "list of labels")
    names = table.label_names.get(tags_in)

    def examples() -> Iterator[Example | Dropped]:
        for row in table.rows:
            if isinstance(row, Dropped):
                yield row
                continue
            words, tags = cell(row, words_in), cell(row, tags_in)
            if not isinstance(words, list) or not isinstance(tags, list):
                yield Dropped("words or labels that are not a list")
                continue
            forms = tuple(text_of(word) for word in words)
            labels = tuple(label_of(tag, names, table.spec) for tag in tags)
            if len(forms) != len(labels):
                yield Dropped("words and labels that differ in number")
            elif not forms:
                yield Dropped("no word")
            elif "" in forms:
                yield Dropped("an empty word")
            elif any(isinstance(label, Dropped) for label in labels):
                yield Dropped("a word without label")
            else:
                yield TokenExample(forms, tuple(map(str, labels)))

    return LabelledRecords({"words": words_in, "labels": tags_in}, examples(), tuple(names or ()))


def _sentence_rows(table: Table, task: Task, columns: Columns) -> LabelledRecords:
    text_in = table.find("text", columns.text, _TEXT)
    label_in = table.find("label", columns.label, (task.name, *_LABEL))
    names = table.label_names.get(label_in)

    def examples() -> Iterator[Example | Dropped]:
        for row in table.rows:
            if isinstance(row, Dropped):
                yield row
                continue
            text, label = text_of(cell(row, text_in)), label_of(cell(row, label_in), names, table.spec)
            if not text:
                yield Dropped("empty text")
            else:
                yield label if isinstance(label, Dropped) else SentenceExample(text, label)

    return LabelledRecords({"text": text_in, "label": label_in}, examples(), tuple(names or ()))


def _pair_rows(table: Table, task: Task, columns: Columns) -> LabelledRecords:
    present = {name.casefold().rpartition(".")[2] for name in table.columns}
    usual = next((pair for pair in _PAIRS if present.issuperset(pair)), ("", ""))
    first_in = table.find("text", columns.text, usual[:1], "first text")
    second_in = table.find("second", columns.second, usual[1:], "second text")
    label_in = table.find("label", columns.label, (task.name, *_LABEL))
    names = table.label_names.get(label_in)

    def examples() -> Iterator[Example | Dropped]:
        for row in table.rows:
            if isinstance(row, Dropped):
                yield row
                continue
            first, second = text_of(cell(row, first_in)), text_of(cell(row, second_in))
            label = label_of(cell(row, label_in), names, table.spec)
            if not first or not second:
                yield Dropped("empty text")
            elif label == "-":  # SNLI and MultiNLI write it where annotators did not agree
                yield Dropped("no label")
            else:
                yield label if isinstance(label, Dropped) else PairExample(first, second, label)

    return LabelledRecords(
        {"first text": first_in, "second text": second_in, "label": label_in}, examples(), tuple(names or ())
    )


_READERS: dict[str, Callable[[Table, Task, Columns], LabelledRecords]] = {
    "token": _token_rows,
    "sentence": _sentence_rows,
    "pair": _pair_rows,
}
