"""Words with their labels from sentences of rows, and which column holds which."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from probes.catalogue import METRICS, Task
from probes.data._levels import HEADINGS
from probes.data._records import Dropped, LabelledRecords, first_lines, label_of
from probes.data._sentences import CONLLU, Sentences, is_index, read_sentences
from probes.data._table import Columns
from probes.data.examples import Example, SentenceExample, TokenExample
from probes.data.files import InputFile
from probes.data.spans import SchemeError, recognise
from probes.errors import InputError

_WORDS = ("form", "word", "words", "token", "tokens", "surface", "text")
_OF_TASK = {
    "pos": ("upos", "upostag", "upos_tag", "pos", "pos_tag", "pos_tags"),
    "ner": ("ner", "ne", "ner_tag", "ner_tags", "entity", "ne_tag", "iob"),
    "slots": ("slot", "slots", "slot_label", "slot_labels"),
}
_ANY_TASK = ("tag", "tags", "label", "labels")
_CHUNKS = frozenset({"NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP"})
"""Types of the chunks in CoNLL-2000 and CoNLL-2003, which are spans too, but never the ones asked for."""
_INTEGER = re.compile(r"-?\d+")
_LONGEST_TAG = 25
_MOST_TAGS = 100


def choose_columns(sentences: Sentences, task: Task, words: str | None, tags: str | None) -> tuple[int, int]:
    """Where the word and its label are, counted from 0.

    Raises:
        InputError: if a column that was asked for is not there, or the label's cannot be told.
    """
    word_at, tag_at = _asked(sentences, words), _asked(sentences, tags)
    if word_at is None:
        word_at = _named(sentences, _WORDS, "word")
    if tag_at is None:
        tag_at = _named(sentences, (*_OF_TASK.get(task.name, ()), *_ANY_TASK), "label")
    rows = [row for sentence in sentences.peeked for row in sentence.rows]
    columns = [Counter(row[i] for row in rows) for i in range(sentences.layout.width)]
    if tag_at is None:
        tag_at = _by_content(sentences, columns, task, word_at)
    if word_at is None:
        word_at = next((i for i in _possible_words(sentences, columns) if i != tag_at), int(tag_at == 0))
    return word_at, tag_at


def _asked(sentences: Sentences, name: str | None) -> int | None:
    layout = sentences.layout
    if name is None:
        return None
    folded = [column.casefold() for column in layout.names]
    if folded.count(name.casefold()) == 1:
        return folded.index(name.casefold())
    if name.isascii() and name.isdigit() and 1 <= int(name) <= layout.width:
        return int(name) - 1
    if layout.names:
        raise InputError(f"{sentences.spec} has no column '{name}': it declares {', '.join(layout.names)}.")
    raise InputError(
        f"The columns of {sentences.spec} have no names such as '{name}': give numbers, 1 for the first of "
        f"{layout.width}."
    )


def _named(sentences: Sentences, usual: Sequence[str], role: str) -> int | None:
    """The column that the file declares under a usual name, namespaces such as ``PARSEME:`` aside."""
    folded = [column.casefold().rpartition(":")[2] for column in sentences.layout.names]
    for name in usual:
        at = [i for i, column in enumerate(folded) if column == name]
        if len(at) > 1:
            raise InputError(_ask(sentences, at, role))
        if at:
            return at[0]
    return None


def _possible_words(sentences: Sentences, columns: Sequence[Counter[str]]) -> list[int]:
    """Columns from the left, without running indices and what is the same for a whole sentence."""
    peeked = sentences.peeked
    long = [sentence.rows for sentence in peeked if len(sentence.rows) > 1]
    indexed = len(columns) > 2 and bool(peeked) and all(is_index(sentence.rows) for sentence in peeked)
    return [
        i
        for i, values in enumerate(columns)
        if not (i == 0 and indexed)
        and not (len(columns) > 2 and long and all(len({row[i] for row in rows}) == 1 for rows in long))
        and set(values) != {"_"}
    ]


def _by_content(
    sentences: Sentences, columns: Sequence[Counter[str]], task: Task, word_at: int | None
) -> int:
    layout = sentences.layout
    fits = _is_spans if METRICS[task.metric].spans else _is_tags
    standard = {i for i, name in enumerate(layout.names) if name in CONLLU}
    possible = [i for i in range(layout.width) if i != word_at and i not in standard]
    candidates = [i for i in possible if fits(columns[i])]
    if layout.width == 2:
        # the label comes second unless only the first column can hold it
        return next((i for i in (1, 0) if i in candidates), possible[-1])
    words = _possible_words(sentences, columns)
    if word_at is None and words and len(candidates) > 1:
        candidates = [i for i in candidates if i != words[0]]
    if fits is _is_spans:
        others = [i for i in candidates if not _is_chunks(columns[i])]
        candidates = others or candidates
    if len(candidates) == 1:
        return candidates[0]
    if not candidates and set(layout.names) == set(CONLLU):
        raise InputError(
            f"{sentences.spec} is CoNLL-U, of which only UPOS is read unless another column is named: name "
            f"the one with {task.name} labels with --label-column, or give two columns, word and tag, in a "
            ".conll file."
        )
    raise InputError(_ask(sentences, candidates or possible, "label"))


def _is_spans(values: Counter[str]) -> bool:
    """Whether all of a column's values are span tags, or outside of any."""
    if set(values) == {"O"}:
        return True
    if len(values) > _MOST_TAGS * 4 or not set(values) - {"_", "-"}:
        return False
    try:
        scheme = recognise(values)
    except SchemeError:
        return False
    if scheme.name == "bare types":
        return "O" in values and len(values) <= 30 and values["O"] > 1
    return bool(scheme.reading)


def _is_chunks(values: Counter[str]) -> bool:
    types = {kind for _, kind in recognise(values).reading.values()}
    return bool(types) and types <= _CHUNKS


def _is_tags(values: Counter[str]) -> bool:
    """Whether a column's values could be labels of words other than spans: few, short, not numbers."""
    if len(values) < 2 or len(values) > _MOST_TAGS or max(map(len, values)) > _LONGEST_TAG:
        return False
    if all(_INTEGER.fullmatch(value) for value in values):
        return False
    if _is_spans(values):
        return False
    letters = [value for value in values if any(character.isalpha() for character in value)]
    capital = bool(letters) and all(value.upper() == value for value in letters)
    return capital or 4 * len(values) <= values.total()


def _ask(sentences: Sentences, candidates: Sequence[int], role: str) -> str:
    layout = sentences.layout
    rows = [row for sentence in sentences.peeked[:3] for row in sentence.rows]
    which = ", ".join(map(layout.name, candidates))
    return (
        f"{sentences.spec} has {layout.width} columns, and {which} could hold the {role}: name it with "
        f"--{role}-column (and the word's with --word-column), by {'name or ' if layout.names else ''}number "
        f"from 1. Its first lines are {first_lines(rows)}."
    )


def read_tagged(file: InputFile, task: Task, columns: Columns, *, conllu: bool) -> LabelledRecords:
    """Words with their labels.

    Which columns they are in follows, in this order, from ``columns``, from what the file declares
    (``# global.columns``, a header line, the ten columns of CoNLL-U), and from what is in them.

    Raises:
        InputError: if there are no such columns, or several that could be the one, or it is a table of texts.
    """
    asked = columns.words, columns.tags or columns.label
    least = max(2, *(int(name) for name in asked if name and name.isascii() and name.isdigit()), 0)
    sentences = read_sentences(file.lines(), file.spec, conllu=conllu, least=min(least, 100))
    layout = sentences.layout
    if len(sentences.peeked) == 1 and not layout.names:
        head = sentences.peeked[0].rows[0]
        if len(HEADINGS.intersection(map(str.casefold, head))) > 1:
            raise InputError(
                f"{file.spec} is a table of {', '.join(head)}, without labels of words: {task.name} takes a "
                "file with a word and its label on each line, and a blank line between sentences."
            )
    word_at, tag_at = choose_columns(sentences, task, *asked)
    label = "UPOS" if layout.name(tag_at) == "UPOS" else "label"
    blank = () if METRICS[task.metric].spans else ("", "_")

    def examples() -> Iterator[Example | Dropped]:
        for sentence in sentences.stream:
            if isinstance(sentence, Dropped):
                yield sentence
                continue
            words = tuple(row[word_at] for row in sentence.rows)
            tags = [label_of(row[tag_at], None, file.spec) for row in sentence.rows]
            if "" in words:
                yield Dropped("an empty word")
            elif any(isinstance(tag, Dropped) or tag in blank for tag in tags):
                yield Dropped(f"a word without {label}")
            else:
                yield TokenExample(words, tuple(map(str, tags)))

    return LabelledRecords({"words": layout.name(word_at), "labels": layout.name(tag_at)}, examples())


def read_intents(file: InputFile) -> LabelledRecords:
    """Texts with their intent from xSID files.

    The text is the comment ``# text = ``, else the words; the intent is the comment ``# intent = ``,
    else the third column of ``index word intent slot``.
    """
    sentences = read_sentences(file.lines(), file.spec, conllu=False)
    indexed = sentences.layout.width > 2 and all(is_index(s.rows) for s in sentences.peeked)

    def examples() -> Iterator[Example | Dropped]:
        for sentence in sentences.stream:
            if isinstance(sentence, Dropped):
                yield sentence
                continue
            text = sentence.comments.get("text") or " ".join(row[int(indexed)] for row in sentence.rows)
            intent = sentence.comments.get("intent") or (
                sentence.rows[0][2] if indexed and sentences.layout.width == 4 else ""
            )
            yield SentenceExample(text, intent) if intent else Dropped("no intent")

    return LabelledRecords({"text": "# text, or the words", "label": "# intent, or column 3"}, examples())
