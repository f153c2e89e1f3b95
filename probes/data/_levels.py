"""Examples from tables, one function a level of task."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from probes.catalogue import Task
from probes.data._records import NO_LABEL, Dropped, LabelledRecords, label_of, text_of
from probes.data._table import Columns, Row, Table, cell
from probes.data._translation import language_called
from probes.data.examples import Example, PairExample, SentenceExample, SpanExample, TokenExample
from probes.languages import Language

_QUESTION = ("question", "query")
_PASSAGE = ("context", "passage", "paragraph")
_ANSWERS = ("answers", "answer")
_STARTS = ("answer_start", "start")

_Level = tuple[dict[str, str], Callable[[Row], Example | Dropped]]
"""What was read from which column, and how a row becomes an example."""


def unfolded(rows: Iterable[Row | Dropped]) -> Iterator[Row | Dropped]:
    """Rows as they are, but for SQuAD's articles: of those the questions, each with its passage."""
    for row in rows:
        paragraphs = None if isinstance(row, Dropped) else row.get("paragraphs")
        if not isinstance(paragraphs, list) or not any(_asks(paragraph) for paragraph in paragraphs):
            yield row
            continue
        for paragraph in paragraphs:
            if not _asks(paragraph):
                yield Dropped("a paragraph without questions")
                continue
            for question in paragraph["qas"]:
                asked = isinstance(question, dict)
                yield {**question, "context": paragraph.get("context")} if asked else Dropped("no question")


def _asks(paragraph: object) -> bool:
    return isinstance(paragraph, dict) and isinstance(paragraph.get("qas"), list)


def _questions(table: Table, _task: Task, columns: Columns) -> _Level:
    """Where question, passage and answers are, and how a row becomes an example; without an answer it
    says that the passage has none.

    Raises:
        InputError: if a column that is needed is not there.
    """
    question_in = table.find("text", columns.text, _QUESTION, "question")
    passage_in = table.find("second", columns.second, _PASSAGE, "passage")
    answers_in = table.find("label", columns.label, _ANSWERS, "answers")

    def example(row: Row) -> Example | Dropped:
        question, passage = text_of(cell(row, question_in)), cell(row, passage_in)
        if not question:
            return Dropped("no question")
        if not text_of(passage):
            return Dropped("no passage")
        given = [] if row.get("is_impossible") is True else _answers(cell(row, answers_in))
        if given is None:
            return Dropped("answers that are no texts with places")
        standing = tuple(
            (start, text) for start, text in given if text and passage[start : start + len(text)] == text
        )
        if given and not standing:
            return Dropped("an answer that does not stand where it says")
        return SpanExample(question, passage, standing)

    return {"question": question_in, "passage": passage_in, "answers": answers_in}, example


def _answers(value: Any) -> list[tuple[int, str]] | None:
    """Starts and texts from objects in a list, lists in an object, or one object; None if it is neither."""
    if isinstance(value, dict):
        texts, starts = value.get("text"), next((value[name] for name in _STARTS if name in value), None)
        if not isinstance(texts, list) or not isinstance(starts, list):
            texts, starts = [texts], [starts]
    elif isinstance(value, list) and all(isinstance(answer, dict) for answer in value):
        texts = [answer.get("text") for answer in value]
        starts = [next((answer[name] for name in _STARTS if name in answer), None) for answer in value]
    else:
        return None
    if len(texts) != len(starts):
        return None
    pairs = list(zip(starts, texts, strict=True))
    whole = all(
        isinstance(start, int) and not isinstance(start, bool) and start >= 0 and isinstance(text, str)
        for start, text in pairs
    )
    return pairs if whole else None


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
HEADINGS = frozenset({"id", *_TEXT, *_LABEL, *chain.from_iterable(_PAIRS)})
"""Usual names of the columns of a table of texts."""
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
    used, example = _LEVELS[task.level](table, task, columns)
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

    return LabelledRecords(used, examples())


def _code(stated: object) -> str | None:
    """The code of a language that is stated; None where none is."""
    language = language_called(text_of(stated))
    return language.code if language else None


def _tokens(table: Table, task: Task, columns: Columns) -> _Level:
    words_in = table.find("words", columns.words, _WORDS, "list of words")
    of_task = (f"{task.name}_tags", task.name, *(("upos", "upos_tags") if task.name == "pos" else ()))
    tags_in = table.find("tags", columns.tags or columns.label, (*of_task, *_TAGS), "list of labels")
    names = table.label_names.get(tags_in)

    def example(row: Row) -> Example | Dropped:
        words, tags = cell(row, words_in), cell(row, tags_in)
        if not isinstance(words, list) or not isinstance(tags, list):
            return Dropped("words or labels that are not a list")
        forms = tuple(text_of(word) for word in words)
        labels = tuple(label_of(tag, names, table.spec) for tag in tags)
        if len(forms) != len(labels):
            return Dropped("words and labels that differ in number")
        if not forms:
            return Dropped("no word")
        if "" in forms:
            return Dropped("an empty word")
        if any(isinstance(label, Dropped) for label in labels):
            return Dropped("a word without label")
        return TokenExample(forms, tuple(map(str, labels)))

    return {"words": words_in, "labels": tags_in}, example


def _sentences(table: Table, task: Task, columns: Columns) -> _Level:
    texts = {"text": table.find("text", columns.text, _TEXT)}
    return _with_one_label(table, task, columns, texts, SentenceExample)


def _pairs(table: Table, task: Task, columns: Columns) -> _Level:
    present = {name.casefold().rpartition(".")[2] for name in table.columns}
    usual = next((pair for pair in _PAIRS if present.issuperset(pair)), ("", ""))
    texts = {
        "first text": table.find("text", columns.text, usual[:1], "first text"),
        "second text": table.find("second", columns.second, usual[1:], "second text"),
    }
    return _with_one_label(table, task, columns, texts, PairExample)


def _with_one_label(
    table: Table, task: Task, columns: Columns, texts: dict[str, str], kind: Callable[..., Example]
) -> _Level:
    label_in = table.find("label", columns.label, (task.name, *_LABEL))
    names = table.label_names.get(label_in)

    def example(row: Row) -> Example | Dropped:
        said = [text_of(cell(row, column)) for column in texts.values()]
        label = label_of(cell(row, label_in), names, table.spec)
        if "" in said:
            return Dropped("empty text")
        if label == "-" and len(said) > 1:  # SNLI and MultiNLI write it where annotators did not agree
            return NO_LABEL
        return label if isinstance(label, Dropped) else kind(*said, label)

    return {**texts, "label": label_in}, example


_LEVELS: dict[str, Callable[[Table, Task, Columns], _Level]] = {
    "token": _tokens,
    "sentence": _sentences,
    "pair": _pairs,
    "span": _questions,
}
