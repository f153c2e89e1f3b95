"""Questions about passages: a question a row, and SQuAD's documents unfolded into that."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from probes.catalogue import Task
from probes.data._labels import text_of
from probes.data._records import Dropped
from probes.data.examples import SpanExample
from probes.data.tables._table import Columns, Row, Table, cell

_QUESTION = ("question", "query")
_PASSAGE = ("context", "passage", "paragraph")
_ANSWERS = ("answers", "answer")
_STARTS = ("answer_start", "start")


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


def questions(
    table: Table, _task: Task, columns: Columns
) -> tuple[dict[str, str], Callable[[Row], SpanExample | Dropped], tuple[str, ...]]:
    """Where question, passage and answers are, and how a row becomes an example; without an answer it
    says that the passage has none.

    Raises:
        InputError: if a column that is needed is not there.
    """
    question_in = table.find("text", columns.text, _QUESTION, "question")
    passage_in = table.find("second", columns.second, _PASSAGE, "passage")
    answers_in = table.find("label", columns.label, _ANSWERS, "answers")

    def example(row: Row) -> SpanExample | Dropped:
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

    return {"question": question_in, "passage": passage_in, "answers": answers_in}, example, ()


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
