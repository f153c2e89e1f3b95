"""One table: the same examples in every format, scheme, compression and encoding are read as the same.

Whatever is written is read back exactly, or refused in one sentence that names cause and cure; there is no
third outcome. ``python -m tests.property.test_formats`` prints the table as README shows it.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import conllu
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from probes.catalogue import TASKS
from probes.data import SentenceExample, TokenExample, read_bitext, read_labelled
from probes.data.spans import spans
from probes.languages import parse_language
from tests.unit.data.test_spans import SCHEMES, iob2

EN, TR = parse_language("en"), parse_language("tr")

Sentence = tuple[tuple[str, ...], tuple[tuple[int, int, str], ...]]
Pair = tuple[str, str]

# --- what is written: combining marks, bidi and zero-width characters, astral planes ------------------------

_ODD = [
    "e\u0301",
    "\u202babc\u202c",
    "a\u200db",
    "क्\u200dष",
    "𝔘𝔫𝔦",
    "👩‍👩‍👧",
    "\u2060x",
    "ﷺ",
    "İ",
    "ß",
    "שָׁלוֹם",
    "#",
    '"',
    "it's",
]
words = st.sampled_from(_ODD) | st.text(
    st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=6
).filter(lambda word: word not in ("_", "-") and not word.startswith(("-DOCSTART-", "#")))


@st.composite
def sentences(draw: st.DrawFn) -> Sentence:
    forms = tuple(draw(st.lists(words, min_size=1, max_size=7)))
    found, at = [], 0
    while at < len(forms):
        end = draw(st.integers(at + 1, len(forms)))
        if draw(st.booleans()):
            found.append((at, end, draw(st.sampled_from(["PER", "date/time", "X-Y"]))))
        at = end
    return forms, tuple(found)


corpora = st.lists(sentences(), min_size=1, max_size=4).map(
    lambda rows: [*rows, (("Ada", "ran", "to", "New", "York"), ((0, 1, "PER"), (3, 5, "PER")))]
)
texts = st.lists(words, min_size=1, max_size=5).map(" ".join)
bitexts = st.lists(st.tuples(texts, texts), min_size=1, max_size=5)

# --- how it is written ------------------------------------------------------------------------------------


def columns(rows: Sequence[tuple[Sequence[str], Sequence[str]]], separator: str = "\t") -> str:
    blocks = ("".join(f"{w}{separator}{t}\n" for w, t in zip(*row, strict=True)) for row in rows)
    return "\n".join(blocks)


def plus(rows: Sequence[tuple[Sequence[str], Sequence[str]]]) -> str:
    blocks = (
        "".join(f"{i}\t{w}\t_\t{t}\n" for i, (w, t) in enumerate(zip(*row, strict=True), 1)) for row in rows
    )
    return "# global.columns = ID FORM UPOS X:NER\n" + "\n".join(blocks)


def objects(rows: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[dict[str, list[str]]]:
    return [{"tokens": list(forms), "ner_tags": list(tags)} for forms, tags in rows]


def parquet(rows: list[dict[str, list[str]]] | list[dict[str, str]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue().to_pybytes())


TOKENS: dict[str, Callable[[Sequence[tuple[Sequence[str], Sequence[str]]]], str | bytes]] = {
    ".conll": columns,
    ".iob2": lambda rows: columns(rows, " "),
    ".tsv": lambda rows: "token\tner\n" + columns(rows),
    ".conllup": plus,
    ".jsonl": lambda rows: "\n".join(json.dumps(row, ensure_ascii=False) for row in objects(rows)),
    ".json": lambda rows: json.dumps(objects(rows), indent=1),
    ".parquet": lambda rows: parquet(objects(rows)),
}


def delimited(pairs: Sequence[Pair], delimiter: str, names: Pair = ("en", "tr")) -> str:
    sink = io.StringIO()
    csv.writer(sink, delimiter=delimiter, lineterminator="\n").writerows([names, *pairs])
    return sink.getvalue()


def lines(pairs: Sequence[Pair], names: Pair = ("en", "tr")) -> str:
    return "\n".join(json.dumps(dict(zip(names, pair, strict=True))) for pair in pairs)


def in_columns(pairs: Sequence[Pair], names: Pair = ("en", "tr")) -> str:
    return json.dumps(dict(zip(names, zip(*pairs, strict=True), strict=True)))


def po(pairs: Sequence[Pair]) -> str:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n'
    return head + "".join(f"\nmsgid {quoted(first)}\nmsgstr {quoted(second)}\n" for first, second in pairs)


def xml(pairs: Sequence[Pair], unit: str, before: str, after: str) -> str:
    return before + "".join(unit.format(*map(escape, pair)) for pair in pairs) + after


TMX_UNIT = '<tu><tuv xml:lang="en"><seg>{}</seg></tuv><tuv xml:lang="tr"><seg>{}</seg></tuv></tu>'
XLIFF_UNIT = '<trans-unit id="1"><source>{}</source><target>{}</target></trans-unit>'
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
XLIFF = '<xliff version="1.2"><file source-language="en" target-language="tr"><body>'
LABELLED: Pair = ("text", "label")
TEXTS: dict[str, Callable[[Sequence[Pair]], str | bytes]] = {
    ".tsv": lambda rows: delimited(rows, "\t", LABELLED),
    ".csv": lambda rows: delimited(rows, ",", LABELLED),
    ".jsonl": lambda rows: lines(rows, LABELLED),
    ".json": lambda rows: in_columns(rows, LABELLED),
    ".parquet": lambda rows: parquet([dict(zip(LABELLED, row, strict=True)) for row in rows]),
}
PAIRS: dict[str, Callable[[Sequence[Pair]], str | bytes]] = {
    ".tsv": lambda pairs: delimited(pairs, "\t"),
    ".csv": lambda pairs: delimited(pairs, ","),
    ".jsonl": lines,
    ".json": in_columns,
    ".parquet": lambda pairs: parquet([{"en": first, "tr": second} for first, second in pairs]),
    ".tmx": lambda pairs: xml(pairs, TMX_UNIT, f"{XML}<tmx><body>", "</body></tmx>"),
    ".xlf": lambda pairs: xml(pairs, XLIFF_UNIT, XML + XLIFF, "</body></file></xliff>"),
    ".po": po,
}


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
DECLARED = (".tmx", ".xlf", ".po")
"""Endings of files that say which encoding they are in."""
variants = st.tuples(
    st.sampled_from(sorted(COMPRESSIONS)), st.sampled_from(ENCODINGS), st.sampled_from(["\n", "\r\n"])
)


def table() -> str:
    """What is read from which format, in Markdown."""
    roles = {"Tagged words": [*TOKENS, ".conllu"], "Labelled texts": [*TEXTS], "Bitext": [*PAIRS]}
    rows = [("Ending", *roles, "Encodings"), ("---",) * (len(roles) + 2)]
    for ending in sorted(set().union(*roles.values())):
        encodings = "as declared" if ending in DECLARED else "UTF-8, UTF-16, UTF-32"
        cells = ["yes" if ending in kinds else "" for kinds in roles.values()]
        rows.append((f"`{ending}`", *cells, "its own" if ending == ".parquet" else encodings))
    compressed = ", ".join(f"`{ending}`" for ending in COMPRESSIONS if ending)
    return (
        "\n".join(f"| {' | '.join(row)} |" for row in rows)
        + f"\n\nEach of them also as {compressed}; spans in {', '.join(SCHEMES)}.\n"
    )


def written(folder: str, ending: str, content: str | bytes, variant: tuple[str, str, str]) -> Path:
    """A file with this content in one compression, encoding and kind of line end."""
    compression, encoding, end = variant
    if isinstance(content, str):
        if ending == ".po":
            encoding = "utf-8"
        elif ending in DECLARED:
            encoding = encoding.replace("32", "16")
            content = content.replace("UTF-8", encoding.removesuffix("-sig").upper(), 1)
        content = content.replace("\n", end).encode(encoding)
    path = Path(folder) / f"data{ending}{compression}"
    path.write_bytes(COMPRESSIONS[compression](content))
    return path


# --- what must come of it -----------------------------------------------------------------------------------


FIRST_ENDING, FIRST_SCHEME = next(iter(TOKENS)), next(iter(SCHEMES))


@pytest.mark.parametrize(
    ("ending", "scheme"),
    [
        (ending, scheme)
        if ending == FIRST_ENDING or scheme == FIRST_SCHEME
        else pytest.param(ending, scheme, marks=pytest.mark.exhaustive)
        for ending in TOKENS
        for scheme in SCHEMES
    ],
)
@given(rows=corpora, variant=variants)
def test_span_tags_come_back_as_the_same_spans(
    ending: str, scheme: str, rows: list[Sentence], variant: tuple[str, str, str]
) -> None:
    tagged = [(forms, SCHEMES[scheme](found, len(forms))) for forms, found in rows]
    with tempfile.TemporaryDirectory() as folder:
        data = read_labelled(
            written(folder, ending, TOKENS[ending](tagged), variant), TASKS["ner"], role="train"
        )
    assert data.examples == tuple(
        TokenExample(forms, tuple(iob2(found, len(forms)))) for forms, found in rows
    )
    assert [tuple(spans(example.labels)) for example in data.examples] == [found for _, found in rows]
    assert data.facts.dropped == {}


@pytest.mark.parametrize("ending", TEXTS)
@given(rows=st.lists(st.tuples(texts, st.sampled_from(["x", "y y", "İ"])), max_size=5), variant=variants)
def test_labelled_texts_come_back_as_they_are(
    ending: str, rows: list[Pair], variant: tuple[str, str, str]
) -> None:
    rows = [("a b", "x"), ("c d", "y y"), *rows]
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, ending, TEXTS[ending](rows), variant)
        data = read_labelled(path, TASKS["topic"], role="train")
    assert data.examples == tuple(SentenceExample(*row) for row in rows)
    assert data.facts.dropped == {}


def test_the_readme_shows_this_table() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert table() in readme.read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", PAIRS)
@given(rows=bitexts, variant=variants)
def test_pairs_come_back_as_they_are(ending: str, rows: list[Pair], variant: tuple[str, str, str]) -> None:
    rows = list(dict.fromkeys([("a b", "c d"), ("e f", "g h"), *rows]))
    assume(all(first != second for first, second in rows))
    with tempfile.TemporaryDirectory() as folder:
        bitext = read_bitext(written(folder, ending, PAIRS[ending](rows), variant), EN, TR)
    kept = set(bitext.pairs)
    assert kept <= set(rows)
    assert bitext.facts[0].read == len(rows) == bitext.facts[0].kept + sum(bitext.facts[0].dropped.values())
    assert set(bitext.facts[0].dropped) <= {"duplicate", "same text on both sides"}  # the same in NFC


@given(rows=corpora, variant=variants)
def test_conllu_agrees_with_another_reader(rows: list[Sentence], variant: tuple[str, str, str]) -> None:
    tags = ("NOUN", "VERB", "X")
    content = "\n".join(
        "".join(f"{i}\t{w}\t_\t{tags[i % 3]}\t_\t_\t0\troot\t_\t_\n" for i, w in enumerate(forms, 1))
        for forms, _ in rows
    )
    with tempfile.TemporaryDirectory() as folder:
        data = read_labelled(written(folder, ".conllu", content, variant), TASKS["pos"], role="train")
    expected = [[(token["form"], token["upos"]) for token in sentence] for sentence in conllu.parse(content)]
    assert [list(zip(e.words, e.labels, strict=True)) for e in data.examples] == expected


if __name__ == "__main__":
    print(table())
