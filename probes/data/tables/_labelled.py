"""Examples from tables, one function a level of task."""

from collections.abc import Callable, Iterator

from probes.catalogue import Task
from probes.data._labels import label_of, text_of
from probes.data._records import Dropped, LabelledRecords
from probes.data.examples import Example, PairExample, SentenceExample, TokenExample
from probes.data.tables._questions import questions
from probes.data.tables._table import Columns, Row, Table, cell
from probes.data.translation import language_called
from probes.languages import Language

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
    """The examples of a table, with its columns found by name.

    Args:
        language: of the examples to read, where the rows say in a column which one they are in.

    Raises:
        InputError: if a column that is needed is not there.
    """
    used, example, names = _LEVELS[task.level](table, task, columns)
    stated_in = next((name for name in table.columns if name.casefold() in _LANGUAGE), "")
    wanted = {None, language.code} if language and stated_in and stated_in not in used.values() else None

    def examples() -> Iterator[Example | Dropped]:
        for row in table.rows:
            if isinstance(row, Dropped):
                yield row
            elif wanted and _code(cell(row, stated_in)) not in wanted:
                yield Dropped(f"in another language by its column '{stated_in}'")
            else:
                yield example(row)

    return LabelledRecords(used, examples(), names)


def _code(stated: object) -> str | None:
    """The code of a language that is stated; None where none is."""
    language = language_called(text_of(stated))
    return language.code if language else None


_Level = tuple[dict[str, str], Callable[[Row], Example | Dropped], tuple[str, ...]]
"""What was read from which column, how a row becomes an example, and names of integer labels."""


def _tokens(table: Table, task: Task, columns: Columns) -> _Level:
    words_in = table.find("words", columns.words, _WORDS, "list of words")
    of_task = (f"{task.name}_tags", task.name, *(("upos", "upos_tags") if task.name == "pos" else ()))
    tags_in = table.find("tags", columns.tags or columns.label, (*of_task, *_TAGS), "list of labels")
    names = tuple(table.label_names.get(tags_in) or ())

    def example(row: Row) -> Example | Dropped:
        words, tags = cell(row, words_in), cell(row, tags_in)
        if not isinstance(words, list) or not isinstance(tags, list):
            return Dropped("words or labels that are not a list")
        forms = tuple(text_of(word) for word in words)
        labels = tuple(label_of(tag, names or None, table.spec) for tag in tags)
        if len(forms) != len(labels):
            return Dropped("words and labels that differ in number")
        if not forms:
            return Dropped("no word")
        if "" in forms:
            return Dropped("an empty word")
        if any(isinstance(label, Dropped) for label in labels):
            return Dropped("a word without label")
        return TokenExample(forms, tuple(map(str, labels)))

    return {"words": words_in, "labels": tags_in}, example, names


def _sentences(table: Table, task: Task, columns: Columns) -> _Level:
    text_in = table.find("text", columns.text, _TEXT)
    label_in = table.find("label", columns.label, (task.name, *_LABEL))
    names = tuple(table.label_names.get(label_in) or ())

    def example(row: Row) -> Example | Dropped:
        text, label = text_of(cell(row, text_in)), label_of(cell(row, label_in), names or None, table.spec)
        if not text:
            return Dropped("empty text")
        return label if isinstance(label, Dropped) else SentenceExample(text, label)

    return {"text": text_in, "label": label_in}, example, names


def _pairs(table: Table, task: Task, columns: Columns) -> _Level:
    present = {name.casefold().rpartition(".")[2] for name in table.columns}
    usual = next((pair for pair in _PAIRS if present.issuperset(pair)), ("", ""))
    first_in = table.find("text", columns.text, usual[:1], "first text")
    second_in = table.find("second", columns.second, usual[1:], "second text")
    label_in = table.find("label", columns.label, (task.name, *_LABEL))
    names = tuple(table.label_names.get(label_in) or ())

    def example(row: Row) -> Example | Dropped:
        first, second = text_of(cell(row, first_in)), text_of(cell(row, second_in))
        label = label_of(cell(row, label_in), names or None, table.spec)
        if not first or not second:
            return Dropped("empty text")
        if label == "-":  # SNLI and MultiNLI write it where annotators did not agree
            return Dropped("no label")
        return label if isinstance(label, Dropped) else PairExample(first, second, label)

    return {"first text": first_in, "second text": second_in, "label": label_in}, example, names


_LEVELS: dict[str, Callable[[Table, Task, Columns], _Level]] = {
    "token": _tokens,
    "sentence": _sentences,
    "pair": _pairs,
    "span": questions,
}
