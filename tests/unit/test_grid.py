"""Many questions at once: the numbers of each alone, and one bad one does not lose the rest."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from advisor.cli import app
from advisor.grid import (
    AnswerCell,
    AnswerGrid,
    ask_grid,
    crossed,
    grid_page,
    grid_table,
    named_once,
    read_questions,
)
from advisor.recommend import Asked, ask
from probes.errors import InputError

MODELS = ("xlm-roberta-base", "mbert", "distilmbert", "bundled", "never-heard-of")
TARGETS = ("tr", "sw", "zh", "tur_Latn")
TASKS = ("pos", "ner", "nli", "sentiment")
questions = st.builds(
    Asked,
    model=st.sampled_from(MODELS),
    target=st.sampled_from(TARGETS),
    task=st.sampled_from(TASKS),
    source=st.sampled_from(("en", "de")),
    min_gain=st.sampled_from((0.0, 0.25, 3.0)),
    train_steps=st.sampled_from((None, 500)),
)


@pytest.fixture(scope="module")
def grid() -> AnswerGrid:
    return ask_grid(crossed("xlm-roberta-base,mbert,never-heard-of", "tr,xx", "pos,nli"))


@settings(max_examples=6)
@given(st.lists(questions, min_size=1, max_size=4))
def test_a_grid_gives_the_numbers_of_each_question_alone(asked: list[Asked]) -> None:
    for question, cell in zip(asked, ask_grid(asked).cells, strict=True):
        assert cell.advice is not None
        alone = ask(question)
        assert cell.advice.model_dump(exclude={"provenance"}) == alone.model_dump(exclude={"provenance"})


def test_a_bad_cell_carries_its_sentence_and_loses_no_other(grid: AnswerGrid) -> None:
    assert {cell.target for cell in grid.failed} == {"xx"}
    assert all("'xx'" in (cell.problem or "") for cell in grid.failed)
    assert sum(cell.advice is not None for cell in grid.cells) == 6


def test_encoders_are_ranked_by_scores_of_one_study_and_only_there(grid: AnswerGrid) -> None:
    row = {cell.model: cell.score for cell in grid.cells if (cell.target, cell.task) == ("tr", "pos")}
    best, other = row["xlm-roberta-base"], row["mbert"]
    assert best is not None
    assert other is not None
    assert best.study == other.study
    assert best.best
    assert best.ahead is not None
    assert best.ahead >= 0.5
    assert not other.best
    assert row["never-heard-of"] is None, "no study has it"


def test_gains_do_not_rank_encoders() -> None:
    """distilmBERT gains most on Yoruba, but no row of evidence speaks of that."""
    cells = ask_grid(crossed("xlm-roberta-base,distilmbert", "yo", "pos")).cells
    assert all(cell.score is None for cell in cells)


@pytest.mark.parametrize("by", ["gain", "confidence", "score"])
def test_sorting_keeps_all_cells_and_puts_those_without_an_answer_last(grid: AnswerGrid, by: str) -> None:
    cells = grid.sorted(by).cells  # type: ignore[arg-type]
    assert sorted(map(id, cells)) == sorted(map(id, grid.cells))
    assert [cell.advice is None for cell in cells[-6:]] == [True] * 6
    gains = [cell.advice.gain.mean for cell in cells if cell.advice and cell.advice.gain]
    assert by != "gain" or gains == sorted(gains, reverse=True)


def test_csv_and_json_say_the_same(grid: AnswerGrid) -> None:
    assert AnswerGrid.model_validate_json(grid.to_json()) == grid
    rows = list(csv.DictReader(io.StringIO(grid.to_csv())))
    for row, cell in zip(rows, grid.cells, strict=True):
        assert row["decision"] == (cell.advice.decision if cell.advice else "")
        assert (row["problem"] or None) == cell.problem


def test_the_page_opens_a_card_for_every_answer(grid: AnswerGrid) -> None:
    page = grid_page(grid)
    links = re.findall(r'href="#(c\d+)"', page)
    assert len(links) == 6
    assert set(links) <= set(re.findall(r'id="([^"]+)"', page))
    assert "<script" not in page
    assert page.count("&#39;xx&#39;") >= 2, "what went wrong is in its cell"


def test_names_from_outside_are_escaped_on_the_page() -> None:
    assert "<img" not in grid_page(ask_grid([Asked(model="<img src=x>", target="tr", task="pos")]))


def test_a_file_of_questions_may_say_more_of_each(tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("model\ttarget\ttask\tlike\tpretrained_on\nown\tte\tpos\tmbert\tte,en\n")
    (tmp_path / "q.jsonl").write_text(
        json.dumps(
            {"model": "own", "target": ["te"], "task": "pos", "like": "mbert", "pretrained_on": "te,en"}
        )
    )
    wanted = [
        Asked(model="own", source="de", target="te", task="pos", like="mbert", pretrained_on=("te", "en"))
    ]
    assert read_questions(tmp_path / "q.tsv", source="de") == wanted
    assert read_questions(tmp_path / "q.jsonl", source="de") == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no question"),
        ("model\ttarget\ttusk\n", "'tusk'"),
        ("model\ttarget\ttask\na\ttr\tpos\tner\n", "line 2"),
        ("model\ttarget\ttask\ttrain_steps\na\ttr\tpos\tmany\n", "train_steps cannot be 'many': Of fine-"),
        ("model\ttarget\ttask\na\t\tpos\n", "line 2"),
        ('{"model": 3, "target": "tr", "task": "pos"}', "line 1: model cannot be 3: A hub id"),
        ('{"model": [""], "target": "tr", "task": "pos"}', "line 1: model cannot be '': A hub id"),
        (
            '{"model": "a", "target": "tr", "task": "pos", "pretrained_on": 3}',
            "pretrained_on cannot be 3: All",
        ),
        ('{"model": "a", "target": "tr", "task": "pos", "models": "b"}', "'models': the columns are model"),
        ('\n{"model": "a', "line 2: it is no JSON object"),
        ("model\ttarget\ttask\n\udcff\ttr\tpos\n", "is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_questions_is_refused_in_a_sentence(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / ("q.jsonl" if "{" in text else "q.tsv")
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=said):
        read_questions(file)


def test_a_missing_file_of_questions_is_said_without_an_error_number(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^Cannot read .*q.tsv \(No such file or directory\): name a TSV"):
        read_questions(tmp_path / "q.tsv")


@pytest.mark.parametrize("name", ["model", "target", "task"])
def test_a_list_is_no_single_question(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = {"model": "xlm-roberta-base", "target": "tr", "task": "pos"}
    several = Asked(**question | {name: f"{question[name]},mbert"})
    with pytest.raises(InputError, match=f"several {name}s.*ask_grid.*POST /ask"):
        ask(several)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b").mkdir()
    assert ask(Asked(**question | {"model": "a,b"})).question.model == "a,b", "a folder may be called so"


def test_languages_of_pretraining_are_a_list_in_any_spelling() -> None:
    question = {"model": "own", "target": "te", "task": "pos"}
    for spelled in ("te,en", ["te,en"], ("te", " en", "te")):
        assert Asked(**question, pretrained_on=spelled).pretrained_on == ("te", "en")  # type: ignore[arg-type]


def test_the_command_line_notes_a_bad_cell_and_strict_refuses_it(tmp_path: Path) -> None:
    command = ["ask", "--model", "xlm-roberta-base,mbert", "--target", "tr,xx", "--task", "pos"]
    found = CliRunner().invoke(
        app, [*command, "--csv", str(tmp_path / "a.csv"), "--html", str(tmp_path / "a.html")]
    )
    assert found.exit_code == 0
    assert "2 of 4 cells have no answer" in found.stdout
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 5
    assert (tmp_path / "a.html").stat().st_size > 1000
    assert CliRunner().invoke(app, [*command, "--strict"]).exit_code == 2
    assert CliRunner().invoke(app, [*command[:4], "xx,xy", *command[5:]]).exit_code == 2, "no answer at all"


@pytest.mark.parametrize(
    ("models", "headings"),
    [
        (("xlm-roberta-base", "google/muril-base-cased"), ("xlm-roberta-base", "google/muril-base-cased")),
        (("/runs/7/mbert", "/runs/7/muril/"), ("mbert", "muril")),
        (("/runs/7/best", "/runs/8/best", "../best"), ("7/best", "8/best", "../best")),
        (("/runs/7/best", "best"), ("7/best", "best")),
        ((r"C:\runs\mbert",), ("mbert",)),
        (("/a/b", "/a/b/"), ("/a/b", "/a/b/")),
    ],
)
def test_a_path_is_headed_by_what_tells_it_apart(models: tuple[str, ...], headings: tuple[str, ...]) -> None:
    cells = (AnswerCell(model=name, source="en", target="tr", task="pos", problem="x") for name in models)
    assert AnswerGrid.of(cells).headings == dict(zip(models, headings, strict=True))


def test_a_table_of_one_question_is_written_beside_its_card(tmp_path: Path) -> None:
    words = ["ask", "--model", "xlm-roberta-base", "--target", "tr", "--task", "pos"]
    card = CliRunner().invoke(app, words).stdout
    found = CliRunner().invoke(app, [*words, "--csv", str(tmp_path / "x.csv")])
    assert found.stdout == card
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 2


def test_what_is_said_of_one_model_is_not_taken_for_several() -> None:
    command = ["ask", "--model", "own,mbert", "--target", "tr", "--task", "pos", "--like", "mbert"]
    found = CliRunner().invoke(app, command)
    assert isinstance(found.exception, InputError)


def printed(grid: AnswerGrid, width: int = 140) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(grid_table(grid, width))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_one_language_or_encoder_under_two_names_is_asked_once(tmp_path: Path) -> None:
    folder = tmp_path / "xlm-roberta-base"
    folder.mkdir()
    models = [
        "xlm-roberta-base",
        "FacebookAI/xlm-roberta-base",
        "me/xlm-roberta-base",
        str(folder),
        "a/x",
        "b/x",
    ]
    kept, targets, note = named_once(models, "tr,tur,Turkish,xx,sr-Latn,sr-Cyrl")
    assert kept == (models[0], *models[2:])
    assert targets == ("tr", "xx", "sr-Latn", "sr-Cyrl")
    for said in ("FacebookAI/xlm-roberta-base is xlm-roberta-base", "tur is tr", "Turkish is tr"):
        assert said in note
    assert named_once("xlm-roberta-base,mbert", "tr,fi")[-1] == ""
    assert [question.target for question in crossed("mbert", "tr,Turkish", "pos")] == ["tr"]
    found = CliRunner().invoke(app, ["ask", "--model", "mbert", "--target", "tr,tur,fi", "--task", "pos"])
    assert "tur is tr under another name: asked once." in found.stderr


def test_an_encoder_is_not_compared_with_itself() -> None:
    names = ("xlm-roberta-base", "FacebookAI/xlm-roberta-base", "mbert")
    cells = ask_grid([Asked(model=name, target="tr", task="pos") for name in names]).cells
    alone = ask_grid(crossed("xlm-roberta-base,mbert", "tr", "pos")).cells
    assert cells[0].score == cells[1].score == alone[0].score
    assert cells[2].score == alone[1].score
    assert all(cell.score is None for cell in AnswerGrid.of(cells[:2]).cells)


def test_questions_that_differ_in_anything_have_rows_of_their_own() -> None:
    asked = [
        Asked(model="own", target="tr", task="pos", **more)
        for more in (
            {},
            {"train_steps": 500},
            {"train_steps": 5000},
            {"min_gain": 3.0},
            {"min_gain": 0.0},
            {"word_pairs": "file"},
            {"like": "mbert"},
            {"pretrained_on": ("tr", "en")},
        )
    ]
    asked += [
        Asked(model="mbert", target="tr", task="pos"),
        Asked(model="o2", target="tr", task="pos", like="mbert"),
    ]
    grid = ask_grid(asked)
    assert set(grid.rows["tr, pos"]) == {"own", "mbert", "o2"}
    assert list(grid.rows)[1:] == [
        "tr, pos, 500 steps",
        "tr, pos, 5,000 steps",
        "tr, pos, gains over 3",
        "tr, pos, gains over 0",
        "tr, pos, words by file",
        "tr, pos, like mbert",
        "tr, pos, pretrained on tr en",
    ]
    page, text = grid_page(grid), printed(grid)
    for row in grid.rows:
        assert f">{row}</th>" in page
    assert all(said in text for said in ("500 steps", "5,000", "over 3", "like mbert"))
    assert len(re.findall(r'<article class="answer"', page)) == len(asked)
    lines = list(csv.DictReader(io.StringIO(grid.to_csv())))
    assert [line["train_steps"] for line in lines[:3]] == ["", "500", "5000"]
    assert [line["min_gain"] for line in lines[3:5]] == ["3.0", "0.0"]
    assert (lines[5]["word_pairs"], lines[6]["like"], lines[7]["pretrained_on"]) == ("file", "mbert", "tr,en")


def test_options_beside_a_file_of_questions_count(tmp_path: Path) -> None:
    file = tmp_path / "q.tsv"
    file.write_text("model\ttarget\ttask\nmbert\ttr\tpos\nxlm-roberta-base\ttr\tpos\n")
    command = ["ask", "--questions", str(file), "--json"]
    found = CliRunner().invoke(app, [*command, "--min-gain", "0"])
    assert {cell["advice"]["min_gain"] for cell in json.loads(found.stdout)["cells"]} == {0.0}
    for option in ("--like", "--pretrained-on"):
        refused = CliRunner().invoke(app, [*command, option, "mbert"])
        assert isinstance(refused.exception, InputError), "it speaks of one model"


@pytest.mark.parametrize("name", ["model", "target", "task"])
def test_a_list_of_nothing_is_refused_in_a_sentence(name: str) -> None:
    words = {"model": "mbert", "target": "tr", "task": "pos"} | {name: " , "}
    found = CliRunner().invoke(app, ["ask", *(part for k, v in words.items() for part in (f"--{k}", v))])
    assert found.exit_code == 2
    assert f"name a {name}" in found.stderr


@pytest.mark.parametrize("option", ["--csv", "--html"])
def test_a_table_is_not_written_to_a_folder(option: str) -> None:
    command = ["ask", "--model", "mbert", "--target", "tr", "--task", "pos", option, "."]
    found = CliRunner().invoke(app, command)
    assert isinstance(found.exception, InputError)
    assert "is a folder" in str(found.exception)
    assert not found.stdout


def test_json_says_what_failed_on_standard_error() -> None:
    command = ["ask", "--model", "mbert", "--target", "tr,xx", "--task", "pos", "--json"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0
    assert len(json.loads(found.stdout)["cells"]) == 2
    assert "1 of 2 cells have no answer" in found.stderr
    assert "'xx'" in found.stderr


def test_an_answer_whose_report_could_not_be_written_is_an_answer() -> None:
    (cell,) = ask_grid([Asked(model="mbert", target="tr", task="pos")]).cells
    grid = AnswerGrid(
        cells=(cell.model_copy(update={"problem": "The disk is full; its results are elsewhere."}),)
    )
    assert not grid.failed
    for shown in (grid_page(grid), printed(grid)):
        assert "The disk is full; its results are elsewhere." in shown
        assert "no answer" not in shown
        assert "without an answer" not in shown
