"""Bitext in several files: joined, paired by name or order, never left out in silence."""

from pathlib import Path

import pytest

from probes.data import Bitext, read_bitext
from probes.errors import InputError
from probes.languages import parse_language

EN, TR = parse_language("en"), parse_language("tr")


def write(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")


def read(spec: str | Path) -> Bitext:
    return read_bitext(spec, EN, TR)


def test_files_that_hold_both_sides_are_joined_however_they_are_named(tmp_path: Path) -> None:
    write(tmp_path, p1__tsv="a\tb\n", p2__tsv="c\td\n", p3__tsv="e\tf\n")
    one, two, three = (str(tmp_path / f"p{i}.tsv") for i in (1, 2, 3))
    expected = (("a", "b"), ("c", "d"), ("e", "f"))
    for spec in (
        f"{one},{two},{three}",
        f"{one}+{two}+{three}",
        f"{one},{two}+{three}",
        f"{tmp_path}/p*.tsv",
    ):
        bitext = read(spec)
        assert bitext.pairs == expected
        assert [fact.spec for fact in bitext.facts] == [one, two, three]
    assert read(tmp_path).pairs == expected


def test_couples_of_sides_are_joined(tmp_path: Path) -> None:
    write(tmp_path, news__en="a\nb\n", news__tr="A\nB\n", talks__en="c\n", talks__tr="C\n")
    couples = (f"{tmp_path}/{name}.tr,{tmp_path}/{name}.en" for name in ("news", "talks"))
    assert read("+".join(couples)).pairs == (("a", "A"), ("b", "B"), ("c", "C"))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("x.en", "x.tr"),
        ("x.en.txt", "x.tr.txt"),
        ("train_eng", "train_tur"),
        ("corpus.en-tr.en", "corpus.en-tr.tr"),
    ],
)
def test_two_sides_named_in_the_other_order_are_turned(tmp_path: Path, source: str, target: str) -> None:
    (tmp_path / source).write_text("hello\n")
    (tmp_path / target).write_text("merhaba\n")
    for spec in (f"{tmp_path / source},{tmp_path / target}", f"{tmp_path / target},{tmp_path / source}"):
        assert read(spec).pairs == (("hello", "merhaba"),)


def test_sides_without_languages_are_taken_as_written(tmp_path: Path) -> None:
    write(tmp_path, left="hello\n", right="merhaba\n")
    assert read(f"{tmp_path}/left,{tmp_path}/right").pairs == (("hello", "merhaba"),)


def test_sides_and_whole_files_go_together(tmp_path: Path) -> None:
    write(tmp_path, a__tsv="a\tb\n", news__en="c\n", news__tr="d\n")
    assert set(read(tmp_path).pairs) == {("a", "b"), ("c", "d")}


def test_what_is_left_over_is_named(tmp_path: Path) -> None:
    write(tmp_path, news__en="c\n", news__tr="d\n", notes="e\n")
    for spec in (str(tmp_path), ",".join(str(tmp_path / name) for name in ("news.en", "news.tr", "notes"))):
        with pytest.raises(InputError, match=r"names 3 with one text a line .*notes"):
            read(spec)
    (tmp_path / "news.tr").unlink()
    (tmp_path / "notes").unlink()
    with pytest.raises(InputError, match="names 1 with one text a line"):
        read(tmp_path)


def test_a_file_of_one_side_called_tsv_is_a_side(tmp_path: Path) -> None:
    write(tmp_path, en__tsv="hello\nbye\n", tr__tsv="merhaba\nhosca kal\n")
    assert read(f"{tmp_path}/en.tsv,{tmp_path}/tr.tsv").facts[0].format == "line-aligned"


def test_csv_and_wide_tables_are_bitext_where_a_header_says_which_is_which(tmp_path: Path) -> None:
    write(
        tmp_path, a__csv='id,tr,en\n1,"b, c",a\n', b__tsv="id\ttr\ten\tlicence\n1\td\tc\tCC\n", c__csv="a,b\n"
    )
    assert read(tmp_path / "a.csv").pairs == (("a", "b, c"),)
    assert read(tmp_path / "b.tsv").pairs == (("c", "d"),)
    assert read(tmp_path / "c.csv").pairs == (("a", "b"),)
    write(tmp_path, d__tsv="a\tb\tCC-BY\nc\td\tCC-BY\n")
    with pytest.raises(InputError, match=r"3 columns .* first lines are a | b | CC-BY"):
        read(tmp_path / "d.tsv")


def test_an_empty_folder_and_a_pattern_without_match(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="without a file in it"):
        read(tmp_path / "none")
    with pytest.raises(InputError, match="There is no file"):
        read(f"{tmp_path}/*.tmx")


def test_a_json_column_that_comes_late(tmp_path: Path) -> None:
    rows = [
        '{"id": 0, "en": "Preface"}',
        '{"id": 1, "en": "a", "tr": "b"}',
        '{"id": 2, "en": "c", "tr": "d"}',
    ]
    write(tmp_path, a__jsonl="\n".join(rows), b__json=f"[{', '.join(rows)}]")
    for name in ("a.jsonl", "b.json"):
        bitext = read(tmp_path / name)
        assert bitext.pairs == (("a", "b"), ("c", "d"))
        assert bitext.facts[0].dropped == {"empty side": 1}
