"""Data of several languages or encodings that say which is which, and what downloads leave behind."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from probes.catalogue import TASKS
from probes.data import Bitext, Columns, LabelledData, read_bitext, read_labelled
from probes.errors import InputError
from probes.languages import parse_language

EN, TR = parse_language("en"), parse_language("tr")


def write(folder: Path, name: str, rows: Sequence[dict[str, str | list[str]]]) -> Path:
    path = folder / name
    if name.endswith(".jsonl"):
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        path.write_text("\n".join("\t".join(map(str, row)) for row in (rows[0], *(r.values() for r in rows))))
    return path


def labelled(path: Path, task: str, code: str | None = "tr") -> LabelledData:
    language = parse_language(code) if code else None
    return read_labelled(path, TASKS[task], role="train", language=language)


@pytest.mark.parametrize("ending", [".jsonl", ".tsv"])
@pytest.mark.parametrize("column", ["language", "Lang", "locale"])
def test_rows_in_other_languages_are_dropped_and_counted(tmp_path: Path, ending: str, column: str) -> None:
    codes = {"language": ("tr", "en", "fr"), "Lang": ("tur_Latn", "eng_Latn", "fra_Latn")}
    turkish, english, french = codes.get(column, ("tr-TR", "en-US", "fr-FR"))
    rows: list[dict[str, str | list[str]]] = [
        {column: code, "sentence1": f"{i} a", "sentence2": "b", "gold_label": label}
        for i, (code, label) in enumerate(
            [(english, "x"), (turkish, "x"), (french, "y"), (turkish, "y"), (turkish, "x")]
        )
    ]
    data = labelled(write(tmp_path, f"a{ending}", rows), "nli")
    assert [example.labels for example in data.examples] == [("x",), ("y",), ("x",)]
    assert data.facts.dropped == {f"in another language by its column '{column}'": 2}
    assert len(labelled(tmp_path / f"a{ending}", "nli", None)) == 5


def test_what_was_left_out_is_said_where_too_little_is_left(tmp_path: Path) -> None:
    rows: list[dict[str, str | list[str]]] = [
        {"text": f"{i} a", "label": label, "lang": code}
        for i, (label, code) in enumerate([("x", "tr"), ("y", "fr"), ("x", "tr")])
    ]
    with pytest.raises(InputError, match=r"3 read, 1 dropped: in another language by its column 'lang'"):
        labelled(write(tmp_path, "a.jsonl", rows), "topic")


def test_words_with_labels_too(tmp_path: Path) -> None:
    rows: list[dict[str, str | list[str]]] = [
        {"tokens": ["a", "b"], "ner_tags": ["O", "B-X"], "lang": code} for code in ("en", "tr")
    ]
    assert len(labelled(write(tmp_path, "a.jsonl", rows), "ner")) == 1


def test_what_names_no_language_or_is_the_label_says_nothing(tmp_path: Path) -> None:
    code: list[dict[str, str | list[str]]] = [
        {"language": name, "text": f"{name} x", "label": f"{name}!"} for name in ("python", "", "C++")
    ]
    assert len(labelled(write(tmp_path, "a.jsonl", code), "topic")) == 3
    told = write(tmp_path, "b.jsonl", [{"topic": c, "text": c, "language": c} for c in ("en", "tr", "fr")])
    data = read_labelled(told, TASKS["topic"], role="train", columns=Columns(label="language"), language=EN)
    assert data.labels == ("en", "fr", "tr")


def pairs(path: Path) -> Bitext:
    return read_bitext(path, EN, TR)


@pytest.mark.parametrize("ending", [".jsonl", ".tsv"])
@pytest.mark.parametrize(
    "names",
    [
        ("src_lang", "tgt_lang", "source", "target"),
        ("sourceLang", "targetLang", "src", "trg"),
        ("lang1", "lang2", "text1", "text2"),
    ],
)
def test_pairs_in_other_languages_are_dropped_and_others_turned(
    tmp_path: Path, ending: str, names: tuple[str, ...]
) -> None:
    values = [("en", "tr", "a", "b"), ("en", "de", "c", "d"), ("tr", "en", "f", "e")]
    rows: list[dict[str, str | list[str]]] = [dict(zip(names, row, strict=True)) for row in values]
    bitext = pairs(write(tmp_path, f"a{ending}", rows))
    assert bitext.pairs == (("a", "b"), ("e", "f"))
    assert bitext.facts[0].dropped == {"in other languages (en to de)": 1}


def test_a_line_that_states_its_languages_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("1\teng\tHello\t2\ttur\tSelam\n3\teng\tBye\t4\ttur\tHosca kal\n")
    with pytest.raises(InputError, match=r"has 6 columns in its first line"):
        pairs(tmp_path / "a.tsv")
    (tmp_path / "b.tsv").write_text("en\ttr\na\tb\nen\ttr\nc\td\n")  # files with headers, one after another
    bitext = pairs(tmp_path / "b.tsv")
    assert bitext.pairs == (("a", "b"), ("c", "d"))
    assert bitext.facts[0].dropped == {"the header again": 1}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tmx", '<?xml version="1.0" encoding="ISO-8859-9"?><tmx><body><tu><tuv xml:lang="en">'
         '<seg>Bye</seg></tuv><tuv xml:lang="tr"><seg>Güle güle, şef</seg></tuv></tu></body></tmx>'),
        ("a", '<?xml version="1.0" encoding="ISO-8859-9"?>\n<xliff version="1.2"><file source-language="en" '
         'target-language="tr"><body><trans-unit id="1"><source>Bye</source><target>Güle güle, şef</target>'
         "</trans-unit></body></file></xliff>"),
        ("a.po", 'msgid ""\nmsgstr "Language: tr\\nContent-Type: text/plain; charset=ISO-8859-9\\n"\n\n'
         'msgid "Bye"\nmsgstr "Güle güle, şef"\n'),
    ],
    ids=["tmx", "xliff", "po"],
)  # fmt: skip
def test_the_encoding_that_a_translation_file_declares_is_its_encoding(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_bytes(content.encode("iso-8859-9"))
    assert pairs(tmp_path / name).pairs == (("Bye", "Güle güle, şef"),)


@pytest.mark.parametrize("name", ["a.tsv", "a.parquet", "a.tmx"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        ("\n<!DOCTYPE html>\n<html><title>404</title></html>", "a web page"),
        ("<html lang='en'><head></head></html>", "a web page"),
    ],
)
def test_what_a_download_left_instead_of_the_data_is_named(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_text(content)
    for read in (pairs, lambda path: labelled(path, "topic")):
        with pytest.raises(InputError, match=says):
            read(tmp_path / name)
