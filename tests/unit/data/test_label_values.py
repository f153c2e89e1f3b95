"""Labels as data sets store them, in every format that can hold them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from probes.catalogue import TASKS
from probes.data import LabelledData, keep_known_labels, read_labelled
from probes.errors import InputError


def write(folder: Path, ending: str, labels: list[Any], name: str = "a") -> Path:
    """Texts with these labels in the format that the ending names."""
    path = folder / f"{name}{ending}"
    rows = [{"text": f"text {i}", "label": label} for i, label in enumerate(labels)]
    if ending == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    elif ending == ".json":
        path.write_text(json.dumps(rows, indent=1))
    elif ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        sink = io.StringIO()
        writer = csv.writer(sink, delimiter="\t" if ending == ".tsv" else ",", lineterminator="\n")
        writer.writerows([("text", "label"), *(row.values() for row in rows)])
        path.write_text(sink.getvalue())
    return path


def read(path: Path) -> LabelledData:
    return read_labelled(path, TASKS["topic"], role="train")


FORMATS = (".jsonl", ".json", ".parquet", ".tsv", ".csv")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("number", [-1, -100, -2, -999, -1.0])
def test_a_negative_integer_is_no_label_in_every_format(tmp_path: Path, ending: str, number: float) -> None:
    labels = [0, 1, number, 1]
    data = read(write(tmp_path, ending, [float(x) for x in labels] if isinstance(number, float) else labels))
    assert data.labels == ("0", "1")
    assert data.facts.dropped == {f"no label ({int(number)})": 1}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("number", [0.25, 0.5, -0.5, 2.75])
def test_a_fraction_is_refused_in_every_format(tmp_path: Path, ending: str, number: float) -> None:
    with pytest.raises(InputError, match=rf"not whole numbers \({number}\)"):
        read(write(tmp_path, ending, [0.0, 1.0, number]))


@pytest.mark.parametrize(("text", "number"), [("0,5", "0.5"), ("1e-3", "0.001"), (",5", "0.5")])
def test_fractions_in_other_spellings_are_refused_too(tmp_path: Path, text: str, number: str) -> None:
    with pytest.raises(InputError, match=rf"not whole numbers \({number}\)"):
        read(write(tmp_path, ".jsonl", ["1", "2", text]))


def test_labels_that_join_others_are_named(tmp_path: Path) -> None:
    data = read(write(tmp_path, ".tsv", ["a", "b", "a|b", "b, a", "c-d", "x|y"]))
    assert data.facts.notes == ("labels join others (a|b, b, a), and are taken as classes of their own",)


@pytest.mark.parametrize("ending", FORMATS)
def test_whole_floats_are_integers_and_a_missing_value_is_no_label(tmp_path: Path, ending: str) -> None:
    missing = float("nan")
    data = read(write(tmp_path, ending, [0.0, 1.0, missing]))
    assert data.labels == ("0", "1")
    assert sum(data.facts.dropped.values()) == 1


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_several_labels_are_refused(tmp_path: Path, ending: str) -> None:
    with pytest.raises(InputError, match=r"labels such as \['a', 'b'\]"):
        read(write(tmp_path, ending, [["a", "b"], []]))


def test_labels_in_objects_are_reached_by_a_dotted_name(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": {"name": "x"}}, {"text": "b", "label": {"name": "y"}}]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match=r"labels such as \{'name': 'x'\}"):
        read(path)
    from probes.data import Columns

    named = Columns(label="label.name")
    assert read_labelled(path, TASKS["topic"], role="train", columns=named).labels == ("x", "y")


def test_white_space_variants_are_one_label_and_case_variants_are_named(tmp_path: Path) -> None:
    data = read(
        write(tmp_path, ".jsonl", ["World  news", "World\u00a0news", " World news ", "sports", "Sports"])
    )
    assert data.labels == ("Sports", "World news", "sports")
    assert data.facts.notes == ("labels that differ in case alone are taken as different: Sports, sports",)


def test_booleans_beside_numbers_are_named(tmp_path: Path) -> None:
    data = read(write(tmp_path, ".jsonl", [True, False, 1]))
    assert data.facts.notes == ("labels are partly true or false, partly numbers",)


def classes(folder: Path, name: str, labels: list[int], names: list[str]) -> LabelledData:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    rows = {"text": [f"t{i}" for i in range(len(labels))], "label": labels}
    Dataset.from_dict(rows, features=features).to_parquet(folder / f"{name}.parquet")
    return read(folder / f"{name}.parquet")


def test_integers_have_the_names_that_the_file_declares(tmp_path: Path) -> None:
    named = classes(tmp_path, "named", [0, 1, 1, -1], ["health", "sports"])
    assert named.labels == ("health", "sports")
    assert named.facts.dropped == {"no label (-1)": 1}


def test_integers_against_names_that_nothing_declares_are_refused(tmp_path: Path) -> None:
    named = read(write(tmp_path, ".jsonl", ["health", "sports"], "named"))
    with pytest.raises(InputError, match="write names in both"):
        keep_known_labels(named, read(write(tmp_path, ".tsv", [0, 1], "numbers")))


def test_names_in_another_order_are_matched_by_name(tmp_path: Path) -> None:
    one = classes(tmp_path, "one", [0, 1], ["health", "sports"])
    other = classes(tmp_path, "other", [0, 1], ["sports", "health"])
    assert [example.labels for example in keep_known_labels(one, other).examples] == [
        ("sports",),
        ("health",),
    ]


@pytest.mark.parametrize(
    "document",
    [
        '[{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]',
        '[\n {"text": "a",\n  "label": "x"},\n {"text": "b", "label": "y"}\n]\n',
        '{"data": [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]}',
        '{"version": 1, "data": [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]}',
        '{"text": ["a", "b"], "label": ["x", "y"]}',
        '{"example": {"text": "a", "label": "x"}}\n{"example": {"text": "b", "label": "y"}}\n',
        '\ufeff{"text": "a", "label": "x"}\r\n{"text": "b", "label": "y"}',
        '{"id": 1}\n{"text": "a", "label": "x"}\n{"label": "y", "text": "b", "more": 1}',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_json_in_every_shape(tmp_path: Path, document: str, encoding: str) -> None:
    for name in ("a.json", "a.jsonl", "a"):
        (tmp_path / name).write_bytes(
            document.removeprefix("" if encoding == "utf-8" else "\ufeff").encode(encoding)
        )
        data = read(tmp_path / name)
        assert (data.texts, data.labels, data.facts.format) == (("a", "b"), ("x", "y"), "json")


def test_a_key_that_comes_late_is_found(tmp_path: Path) -> None:
    rows = [{"id": i} for i in range(1500)] + [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = read(tmp_path / "a.jsonl")
    assert (data.texts, data.facts.dropped) == (("a", "b"), {"empty text": 1500})


def test_json_needs_no_header_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Ada is", "entities": []}\n{"text": "b", "entities": []}')
    with pytest.raises(InputError, match="'entities'") as caught:
        read_labelled(tmp_path / "a.jsonl", TASKS["ner"], role="train")
    assert "header line" not in str(caught.value)
    assert "as the list of words" in str(caught.value)


def test_content_beats_the_ending(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n')
    assert read(tmp_path / "a.tsv").facts.format == "json"


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ('text\tlabel\n"He said ""no"""\tx\nplain\ty\n', ('He said "no"', "plain")),
        ('text\tlabel\n"tab\there"\tx\nplain\ty\n', ("tab\there", "plain")),
        ('text\tlabel\n"line\nbreak"\tx\nplain\ty\n', ("line\nbreak", "plain")),
        ('"text"\t"label"\n"a"\t"x"\n"b"\t"y"\n', ("a", "b")),
        ('text\tlabel\n"Stop\tx\n5" disk\ty\n', ('"Stop', '5" disk')),
        ('text\tlabel\n0\tx\n"\ty\n"\tx\n', ("0", '"', '"')),
        ('text\tlabel\n"quoted title"\tx\nplain\ty\n', ('"quoted title"', "plain")),
        ("text\tlabel\na\tx\ntext\tlabel\nb\ty\n", ("a", "b")),
    ],
)
def test_quotes_in_tsv_enclose_where_they_must(tmp_path: Path, text: str, texts: tuple[str, ...]) -> None:
    (tmp_path / "a.tsv").write_text(text)
    assert read(tmp_path / "a.tsv").texts == texts


def test_columns_by_number_with_and_without_header(tmp_path: Path) -> None:
    from probes.data import Columns

    rows = "The cup\tsports\nA flu\thealth\nGoal\tsports\n"
    for header, kept in (("", 3), ("q\tkind\n", 3)):
        (tmp_path / "a.tsv").write_text(header + rows)
        data = read_labelled(
            tmp_path / "a.tsv", TASKS["topic"], role="t", columns=Columns(text="1", label="2")
        )
        assert len(data) == kept
        assert data.labels == ("health", "sports")


@pytest.mark.parametrize("text", ["sep=;\ntext;label\na, b;x\nc;y\n", "text|label\na, b|x\nc|y\n"])
def test_separators_of_spreadsheets(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert read(tmp_path / "a.csv").texts == ("a, b", "c")


def test_line_ends_of_old_macs(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"text\tlabel\ra\tx\rb\ty\r")
    assert read(tmp_path / "a.tsv").texts == ("a", "b")
