"""Properties of the readers: what is written is read back, nothing is lost uncounted, nothing escapes."""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probes.catalogue import TASKS
from probes.data import SentenceExample, TokenExample, read_bitext, read_dictionary, read_labelled
from probes.data.spans import spans
from probes.errors import InputError
from probes.languages import parse_language, script_of
from probes.signals import DataFacts

EN, TR = parse_language("en"), parse_language("tr")

SUFFIXES = [".conllu", ".conll", ".tsv", ".csv", ".jsonl", ".parquet", ".tmx", ".po", ".xlf", ".txt", ""]

LINE_ENDS = "\n\r\0"
texts = st.text(st.characters(codec="utf-8", exclude_characters=LINE_ENDS + "\t")).map(str.strip)
full_texts = texts.filter(bool)
words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Z", "C"], exclude_characters="#"), min_size=1
).filter(lambda word: word.strip() == word and word != "_")
upos = st.sampled_from(["NOUN", "VERB", "X"])
bio = st.sampled_from(["O", "B-PER", "I-PER"])
sentences = st.lists(st.lists(words, min_size=1, max_size=6), min_size=2, max_size=6)


@contextmanager
def file_with(content: str | bytes, suffix: str) -> Iterator[Path]:
    # A fixture would be shared by all examples of one test.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"data{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        yield path


def adds_up(facts: DataFacts) -> bool:
    return facts.read == facts.kept + sum(facts.dropped.values())


def with_two_labels(rows: list[str]) -> list[tuple[str, str]]:
    return [(row, "even" if i % 2 == 0 else "odd") for i, row in enumerate(rows)]


@given(st.lists(full_texts, min_size=2), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_tsv_round_trip(rows: list[str], encoding: str) -> None:
    examples = with_two_labels(rows)
    content = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in examples)
    with file_with(content.encode(encoding), ".tsv") as path:
        data = read_labelled(path, TASKS["topic"], role="train")
    assert data.examples == tuple(SentenceExample(*row) for row in examples)


@given(st.lists(st.text(st.characters(codec="utf-8")).map(str.strip).filter(bool), min_size=2), st.booleans())
def test_jsonl_round_trip(rows: list[str], ascii_only: bool) -> None:
    examples = with_two_labels(rows)
    lines = [json.dumps({"text": t, "label": label}, ensure_ascii=ascii_only) for t, label in examples]
    with file_with("\n".join(lines), ".jsonl") as path:
        data = read_labelled(path, TASKS["topic"], role="train")
    assert data.examples == tuple(SentenceExample(*row) for row in examples)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r")).map(str.strip).filter(bool),
        min_size=2,
    )
)
def test_csv_round_trip(rows: list[str]) -> None:
    examples = with_two_labels(rows)
    written = io.StringIO()
    csv.writer(written).writerows([("text", "label"), *examples])
    with file_with(written.getvalue(), ".csv") as path:
        data = read_labelled(path, TASKS["topic"], role="train")
    assert data.examples == tuple(SentenceExample(*row) for row in examples)


@given(st.lists(full_texts, min_size=2))
def test_parquet_round_trip(rows: list[str]) -> None:
    examples = with_two_labels(rows)
    table = pa.table({"text": [text for text, _ in examples], "label": [label for _, label in examples]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    with file_with(sink.getvalue().to_pybytes(), ".parquet") as path:
        data = read_labelled(path, TASKS["topic"], role="train")
    assert data.examples == tuple(SentenceExample(*row) for row in examples)


XML_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="\ufffe\uffff"))


@given(st.lists(st.tuples(XML_TEXT, XML_TEXT), min_size=1))
def test_every_format_of_bitext_gives_the_same_pairs(rows: list[tuple[str, str]]) -> None:
    rows = [("a b", "c d"), *((" ".join(first.split()), " ".join(second.split())) for first, second in rows)]
    units = "".join(
        f'<tu><tuv xml:lang="en"><seg>{escape(first)}</seg></tuv>'
        f'<tuv xml:lang="tr"><seg>{escape(second)}</seg></tuv></tu>'
        for first, second in rows
    )
    contents = {
        ".tsv": "".join(f"{first}\t{second}\n" for first, second in rows),
        ".jsonl": "\n".join(json.dumps({"en": first, "tr": second}) for first, second in rows),
        ".tmx": f'<tmx version="1.4"><header srclang="en"/><body>{units}</body></tmx>',
    }
    found = {}
    for suffix, content in contents.items():
        with file_with(content, suffix) as path:
            bitext = read_bitext(path, EN, TR)
        found[suffix] = bitext.pairs, [fact.dropped for fact in bitext.facts], bitext.facts[0].read
    assert found[".jsonl"] == found[".tsv"] == found[".tmx"]


@given(st.lists(st.tuples(full_texts, full_texts), min_size=1))
def test_dictionary_round_trip(rows: list[tuple[str, str]]) -> None:
    with file_with("".join(f"{first}\t{second}\n" for first, second in rows), ".tsv") as path:
        dictionary = read_dictionary(path)
    folded = {tuple(" ".join(text.split()).casefold() for text in row) for row in rows}
    assert {(word, target) for word, targets in dictionary.entries.items() for target in targets} == folded
    assert adds_up(dictionary.facts)


@given(sentences, st.data())
def test_columns_round_trip(rows: list[list[str]], data: st.DataObject) -> None:
    labels = [data.draw(st.lists(bio, min_size=len(row), max_size=len(row))) for row in rows]
    rows, labels = [*rows, ["Ada", "ran"]], [*labels, ["B-PER", "O"]]
    for separator in ("\t", " "):
        blocks = (
            "\n".join(f"{word}{separator}{label}" for word, label in zip(*pair, strict=True))
            for pair in zip(rows, labels, strict=True)
        )
        with file_with("\n\n".join(blocks), ".conll") as path:
            read = read_labelled(path, TASKS["ner"], role="train")
        assert [example.words for example in read.examples] == list(map(tuple, rows))
        assert [list(spans(example.labels)) for example in read.examples] == [list(spans(t)) for t in labels]


@given(sentences, st.data())
def test_conllu_round_trip(rows: list[list[str]], data: st.DataObject) -> None:
    labels = [data.draw(st.lists(upos, min_size=len(row), max_size=len(row))) for row in rows]
    rows, labels = [*rows, ["it", "runs"]], [*labels, ["PRON", "VERB"]]
    blocks = (
        "\n".join(
            f"{i}\t{word}\t_\t{tag}" + "\t_" * 6 for i, (word, tag) in enumerate(zip(*pair, strict=True), 1)
        )
        for pair in zip(rows, labels, strict=True)
    )
    with file_with("\n\n".join(blocks), ".conllu") as path:
        read = read_labelled(path, TASKS["pos"], role="train")
    assert read.examples == tuple(
        TokenExample(tuple(row), tuple(tags)) for row, tags in zip(rows, labels, strict=True)
    )


@given(st.lists(st.tuples(texts, st.sampled_from(["x", "y", ""])), min_size=1))
def test_every_record_is_kept_or_counted_as_dropped(rows: list[tuple[str, str]]) -> None:
    content = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows)
    expected = [row for row in rows if all(row)]
    with file_with(content, ".tsv") as path:
        try:
            data = read_labelled(path, TASKS["topic"], role="train")
        except InputError:
            assert len({label for _, label in expected}) < 2
            return
    assert data.examples == tuple(SentenceExample(*row) for row in expected)
    assert data.facts.read == len(rows)
    assert adds_up(data.facts)


@given(
    st.lists(
        st.tuples(
            texts, texts, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=3, unique=True)
        ),
        min_size=1,
        max_size=6,  # too few links to look like those of other text
    )
)
def test_bitext_keeps_each_pair_once_with_its_own_links(
    rows: list[tuple[str, str, list[tuple[int, int]]]],
) -> None:
    rows = [("a b", "c d", [(0, 0), (1, 1)]), *rows]
    links_content = "".join(" ".join(f"{i}-{j}" for i, j in links) + "\n" for _, _, links in rows)
    with (
        file_with("".join(f"{first}\t{second}\n" for first, second, _ in rows), ".tsv") as path,
        file_with(links_content, ".links") as links_path,
    ):
        bitext = read_bitext(path, EN, TR, links=links_path)
    assert len(set(bitext.pairs)) == len(bitext.pairs)
    assert all(adds_up(facts) for facts in bitext.facts)
    assert bitext.facts[0].read == len(rows)
    assert bitext.facts[1].read == sum(len(links) for _, _, links in rows)
    assert bitext.links is not None
    first_links = {(first, second): links for first, second, links in reversed(rows)}
    for (first, second), links in zip(bitext.pairs, bitext.links, strict=True):
        allowed = [(i, j) for i, j in first_links[first, second] if i < len(first.split())]
        assert list(links) == [(i, j) for i, j in allowed if j < len(second.split())]


FRAGMENTS = (
    *(b"\n", b"\r", b"\t", b" ", b",", b'"', b"#", b"1", b"2-3", b"O", b"B-x", b"{", b"}", b"[", b"\\u"),
    *(b"text", b"label", b'{"text": "a", "label": 1}\n', b"# x = y\n", b"-DOCSTART-", b'"a"\n', b"msgid "),
    *(b"<tmx>", b"<xliff>", b"PAR1", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", "é".encode()),
)
structured = st.lists(st.sampled_from(FRAGMENTS)).map(b"".join)


def attempt(read: Callable[[], Iterable[DataFacts]]) -> None:
    """Read, and accept refusal only as an input error of one line."""
    try:
        facts = read()
    except InputError as error:
        message = str(error)
    else:
        message = ""
        assert all(map(adds_up, facts))
    assert "\n" not in message


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(content=st.binary() | structured, task=st.sampled_from(sorted(TASKS)))
@example(content=b"\xef\xbb\xbf", task="topic")
@example(content=b"\xff\xfe\x00", task="topic")
@example(content=b"text,label\n" + b'"', task="topic")
def test_labelled_readers_raise_nothing_but_input_errors(suffix: str, content: bytes, task: str) -> None:
    with file_with(content, suffix) as path:
        attempt(lambda: [read_labelled(path, TASKS[task], role="train").facts])


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(content=st.binary() | structured)
@example(content=b"\xef\xbb\xbf")
@example(content=b"\xff\xfe\x00")
def test_other_readers_raise_nothing_but_input_errors(suffix: str, content: bytes) -> None:
    with file_with(content, suffix) as path:
        attempt(lambda: read_bitext(path, EN, TR).facts)
        attempt(lambda: read_bitext(path, EN, TR, links=path).facts)
        attempt(lambda: read_bitext(f"{path},{path}", EN, TR).facts)
        attempt(lambda: [read_dictionary(path).facts])


@given(st.text(max_size=12) | st.from_regex(r"[a-zA-Z]{2,3}([-_][a-zA-Z0-9]{1,8}){0,3}", fullmatch=True))
def test_a_language_parses_to_itself_or_is_refused(text: str) -> None:
    try:
        language = parse_language(text)
    except InputError:
        return
    again = parse_language(f"{language.code}-{language.script}")
    assert again == language


@given(st.text())
def test_every_text_has_a_script(text: str) -> None:
    script = script_of(text)
    assert len(script) == 4
    assert script == script_of(text * 2)
