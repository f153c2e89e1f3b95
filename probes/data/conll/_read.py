"""Examples from sentences of rows."""

from collections.abc import Iterator

from probes.catalogue import METRICS, Task
from probes.data._labels import label_of
from probes.data._records import Dropped, LabelledRecords
from probes.data.conll._choice import choose_columns, name_of
from probes.data.conll._sentences import is_index, read_sentences
from probes.data.examples import Example, SentenceExample, TokenExample
from probes.data.files import InputFile
from probes.data.tables import Columns


def read_tagged(file: InputFile, task: Task, columns: Columns, *, conllu: bool) -> LabelledRecords:
    """Words with their labels.

    Which columns they are in follows, in this order, from ``columns``, from what the file declares
    (``# global.columns``, a header line, the ten columns of CoNLL-U), and from what is in them.

    Args:
        file: to read.
        task: what the labels are about.
        columns: names or numbers, counted from 1, of ``words`` and ``tags``.
        conllu: whether the file is known to be CoNLL-U.

    Raises:
        InputError: if there are no such columns, or several that could be the one.
    """
    asked = columns.words, columns.tags or columns.label
    least = max(2, *(int(name) for name in asked if name and name.isascii() and name.isdigit()), 0)
    sentences = read_sentences(file.lines(), file.spec, conllu=conllu, least=min(least, 100))
    layout = sentences.layout
    word_at, tag_at = choose_columns(sentences, task, *asked, file.spec)
    label = layout.names[tag_at] if layout.names and layout.names[tag_at] == "UPOS" else "label"
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

    chosen = {"words": name_of(layout, word_at), "labels": name_of(layout, tag_at)}
    return LabelledRecords(chosen, examples())


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
