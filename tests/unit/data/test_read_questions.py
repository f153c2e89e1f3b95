"""Questions about passages, in every form they come in."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from advisor.sample import LANGUAGES, sample_path
from probes.catalogue import TASKS
from probes.data import Columns, LabelledData, SpanExample, as_row, read_labelled, reading_of
from probes.errors import InputError

QA = TASKS["qa"]
PASSAGE = "  \U0001f35e Anna Berger backt vierzig Brote.\nIn der Mühlstraße."
ANSWERS = {"text": ["Anna Berger", "Anna"], "answer_start": [4, 4]}
EXPECTED = SpanExample("Wer backt?", PASSAGE, ((4, "Anna Berger"), (4, "Anna")))


def write(folder: Path, name: str, *rows: Any) -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def document(*questions: dict[str, Any], **paragraph: Any) -> dict[str, Any]:
    return {
        "version": "v2.0",
        "data": [{"title": "x", "paragraphs": [{"context": PASSAGE, "qas": list(questions)} | paragraph]}],
    }


def read(spec: Path | str, **more: Any) -> LabelledData:
    return read_labelled(spec, QA, role="train", **more)


ASKED = {
    "id": "1",
    "question": " Wer backt? ",
    "answers": [{"text": t, "answer_start": s} for t, s in zip(*ANSWERS.values(), strict=True)],
}
SILENT = {
    "id": "2",
    "question": "Wie alt ist sie?",
    "is_impossible": True,
    "answers": [],
    "plausible_answers": ASKED["answers"],
}
ROW = {"id": "1", "title": "x", "context": PASSAGE, "question": "Wer backt?", "answers": ANSWERS}


@pytest.mark.parametrize("form", ["squad", "squad in lines", "jsonl", "array", "parquet", "hub"])
def test_every_form_gives_the_same(tmp_path: Path, form: str) -> None:
    if form == "squad":
        spec: Path | str = write(tmp_path, "dev.json", document(ASKED))
    elif form == "squad in lines":
        spec = tmp_path / "dev.json"
        spec.write_text(json.dumps(document(ASKED), indent=2), encoding="utf-16")
    elif form == "jsonl":
        spec = write(tmp_path, "dev.jsonl", ROW, ROW)
    elif form == "array":
        spec = write(tmp_path, "dev.json", [ROW])
    else:
        pq.write_table(pa.Table.from_pylist([ROW]), tmp_path / "train.parquet")
        spec = tmp_path / "train.parquet" if form == "parquet" else f"hf:{tmp_path}:train"
    data = read(spec)
    assert set(data.examples) == {EXPECTED}
    assert data.labels == ("start of the answer", "end of the answer", "neither")
    assert not data.facts.dropped


def test_a_question_may_have_no_answer(tmp_path: Path) -> None:
    data = read(write(tmp_path, "dev.json", document(ASKED, SILENT)))
    assert data.examples == (EXPECTED, SpanExample("Wie alt ist sie?", PASSAGE, ()))
    assert data.facts.notes == ("1 of 2 questions have no answer in their passage",)
    reading = reading_of(data)
    assert reading.header == ("question", "passage", "answer")
    assert [row[2] for row in reading.samples] == ["Anna Berger", "none"]
    assert not reading.label_counts


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"answers": {"text": ["Anna Berger"], "answer_start": [5]}},
            "an answer that does not stand where it says",
        ),
        (
            {"answers": {"text": ["Anna Berger"], "answer_start": [10_000]}},
            "an answer that does not stand where it says",
        ),
        ({"answers": {"text": ["Anna"], "answer_start": [-1]}}, "answers that are no texts with places"),
        ({"answers": {"text": ["Anna"], "answer_start": []}}, "answers that are no texts with places"),
        ({"answers": "Anna"}, "answers that are no texts with places"),
        ({"answers": {"text": ["Anna"]}}, "answers that are no texts with places"),
        ({"question": " "}, "no question"),
        ({"context": None}, "no passage"),
    ],
)
def test_what_cannot_be_used_is_dropped_and_counted(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    data = read(write(tmp_path, "dev.jsonl", ROW, ROW | change))
    assert data.examples == (EXPECTED,)
    assert data.facts.dropped == {reason: 1}


def test_offsets_are_code_points_and_one_sound_reference_is_enough(tmp_path: Path) -> None:
    in_utf16 = {"text": ["Anna Berger", "vierzig"], "answer_start": [5, PASSAGE.index("vierzig")]}
    data = read(write(tmp_path, "dev.jsonl", ROW | {"answers": in_utf16}, ROW))
    assert next(example.answers for example in data.examples if isinstance(example, SpanExample)) == (
        (22, "vierzig"),
    )


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        (
            "a.jsonl",
            [ROW | {"answers": {"text": [], "answer_start": []}}] * 3,
            "3 questions and not one answer",
        ),
        (
            "a.jsonl",
            [ROW | {"answers": {"text": ["Anna"], "answer_start": [0]}}],
            "no usable example for task qa .*does not stand",
        ),
        ("a.jsonl", [{"text": "x", "label": "y"}], "no column I know as the question .*text.*label"),
        ("a.jsonl", [{"question": "x", "context": "y"}], "no column I know as the answers"),
        (
            "a.json",
            [{"data": [{"paragraphs": [{"context": "x"}]}]}],
            "no column I know as the question .*paragraphs",
        ),
        ("a.json", [document(SILENT)], "1 questions and not one answer"),
    ],
)
def test_what_is_no_question_answering_says_why(
    tmp_path: Path, name: str, rows: list[Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, name, *rows))


@pytest.mark.parametrize("name", ["topics.en.tsv", "en.conllu"])
def test_formats_without_places_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="no room for places in a passage: give qa data as SQuAD's JSON"):
        read(sample_path(name))


def test_rows_are_read_as_they_are_written(tmp_path: Path) -> None:
    silent = SpanExample("Warum?", PASSAGE, ())
    for columns in (Columns(), Columns(text="q", second="c", label="a")):
        path = write(tmp_path, "again.jsonl", *(as_row(example, columns) for example in (EXPECTED, silent)))
        assert read(path, columns=columns).examples == (EXPECTED, silent)


def test_the_sample_has_questions_in_every_language() -> None:
    for language in LANGUAGES:
        data = read(sample_path(f"questions.{language}.json"))
        asked = [example for example in data.examples if isinstance(example, SpanExample)]
        assert len({example.passage for example in asked}) == 20
        assert len(asked) == (80 if language == "en" else 40)
        assert all(len(example.answers) == 1 for example in asked)
