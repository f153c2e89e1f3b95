"""Plans: read, refused in one sentence, written with comments, and the grid that they span."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from advisor.options import NO_ALIGNMENT, Schedule
from advisor.study._grid import Cell, Grid, Selection
from advisor.study._inputs import read_inputs
from advisor.study._plan import (
    PairPlan,
    Plan,
    ProbePlan,
    TaskPlan,
    TrainingPlan,
    example_plan,
    read_plan,
    write_plan,
)
from advisor.study._schema import ContinuedMlm, Derived, read_option, waits_for_probe
from advisor.study._status import overview
from probes.data import Reading
from probes.errors import InputError
from tests.unit.study.plans import SENTENCES, plan_file, small_plan

MODEL = Path("no/encoder")  # nothing here loads it


def test_a_written_plan_explains_every_key_and_reads_back(tmp_path: Path) -> None:
    plan = example_plan()
    (tmp_path / "data").mkdir()
    text = write_plan(plan)
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")

    again = read_plan(tmp_path / "plan.yaml")

    flat = " ".join(text.replace("#", " ").split())
    schemas: tuple[type[BaseModel], ...] = (
        *(Plan, Derived, ContinuedMlm, PairPlan, TaskPlan, TrainingPlan, ProbePlan),
    )
    for schema in schemas:
        for name, field in schema.model_fields.items():
            assert field.description, name
            assert " ".join(field.description.replace("#", " ").split()) in flat, name
    root = str(tmp_path / "data")
    assert again.data == root
    assert [pair.bitext for pair in again.pairs] == [
        "+".join(f"{root}/{part}" for part in pair.bitext.split("+")) for pair in plan.pairs
    ]
    for name in ("options", "seeds", "training", "probe"):
        assert getattr(again, name) == getattr(plan, name)
    assert {name: task.targets for name, task in again.tasks.items()} == {"pos": None, "topic": ["wo"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modles": {}}, ["modles", "no such key"]),
        ({"models": {}}, ["models"]),
        ({"models": {"a b": "x"}}, ["models"]),
        ({"models": {"cut": {"base": "bundled"}}}, ["layers", "continued_mlm"]),
        ({"pairs": [{"target": "Klingonish", "bitext": "x"}]}, ["pairs.0.target", "Klingonish"]),
        ({"pairs": [{"target": "en", "bitext": "x"}]}, ["two languages"]),
        ({"pairs": [{"target": "tr", "bitext": "x"}, {"target": "tur", "bitext": "y"}]}, ["pair", "twice"]),
        ({"tasks": {"juggling": {"train": "x", "target_test": "y"}}}, ["juggling"]),
        ({"tasks": {"pos": {"train": "x", "target_test": "y", "targets": ["fi"]}}}, ["targets", "fi"]),
        ({"options": ["token-contrastive"]}, ["options.0", "token-contrastive"]),
        ({"options": ["token-contrastive:sequential:norms"]}, ["norms", "joint"]),
        ({"options": ["token-contrastive:joint:norms"]}, ["norms", "probe"]),
        ({"options": [SENTENCES, SENTENCES]}, ["option", "twice"]),
        ({"seeds": []}, ["seeds"]),
        ({"seeds": [1, 1]}, ["seed", "twice"]),
        ({"training": {"steps": 0}}, ["training.steps"]),
        ({"training": {"precision": "fp16"}}, ["training.precision"]),
        ({"probe": {"budget": "lavish"}}, ["probe.budget"]),
        ({"data": "elsewhere"}, ["elsewhere", "--data"]),
    ],
    ids=str,
)
def test_what_is_no_plan_is_refused_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(InputError) as refusal:
        read_plan(plan_file(tmp_path, MODEL, **changes))
    message = str(refusal.value)
    for word in words:
        assert word in message
    assert "\n" not in message
    assert message.count(". ") == 0
    assert message.endswith(".")


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.yaml").write_text(content)
    with pytest.raises(InputError, match=r"plan\.yaml"):
        read_plan(tmp_path / "plan.yaml")


def test_another_data_folder_may_be_named(tmp_path: Path) -> None:
    path = plan_file(tmp_path, MODEL, data="elsewhere")
    plan = read_plan(path, data=tmp_path / "data")
    assert plan.tasks["pos"].train == str(tmp_path / "data/{source}.conllu")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks": {"pos": {"train": "gone.conllu", "target_test": "{target}.conllu"}}}, "gone"),
        ({"tasks": {"pos": {"train": "en.conllu", "target_test": "{target}.test.conllu"}}}, "tr.test"),
        ({"pairs": [{"target": "tr", "bitext": "gone.tsv"}]}, "gone"),
    ],
    ids=str,
)
def test_data_that_are_missing_are_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        overview(small_plan(tmp_path, MODEL, **changes))


def test_an_option_without_weight_gets_the_published_one_and_norms_wait_for_the_probe() -> None:
    assert read_option("token-l2:joint:lower-half").weight == 0.1
    assert waits_for_probe(read_option("token-l2:joint:lower-half:norms"))
    sequential = read_option("tlm:sequential")
    assert (sequential.schedule, waits_for_probe(sequential)) == (Schedule.SEQUENTIAL, False)


def test_fine_tuning_alone_comes_first_then_cell_by_cell(tmp_path: Path) -> None:
    options = ["token-l2:joint:norms", SENTENCES]
    plan = small_plan(tmp_path, MODEL, options=options, probe={"budget": "quick"})
    runs = list(Grid(plan))

    assert [(run.target, run.seed) for run in runs[:2]] == [(None, 0), (None, 1)]
    assert all(run.option == NO_ALIGNMENT for run in runs[:2])
    assert [run.target for run in runs[2:]] == ["tr"] * 4 + ["de"] * 4
    # what waits for the probe comes last in its cell
    assert [waits_for_probe(run.option) for run in runs[2:6]] == [False, False, True, True]
    assert [run.seed for run in runs[2:6]] == [0, 1, 0, 1]
    assert len(set(runs)) == len(set(map(str, runs))) == len(runs) == 10


def test_a_task_may_have_data_for_some_targets_only(tmp_path: Path) -> None:
    tasks = {"pos": {"train": "en.conllu", "target_test": "{target}.conllu", "targets": ["German"]}}
    plan = small_plan(tmp_path, MODEL, tasks=tasks)
    assert Grid(plan).cells == (Cell("tiny", "pos", "en", "de"),)


def test_cells_are_selected_by_any_filter_all_of_whose_conditions_hold(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, MODEL, models={"one": "x", "two": "y"})
    chosen = Grid(plan, Selection(["target=tur,model=one", "model=two, target=de"])).cells
    assert chosen == (Cell("one", "pos", "en", "tr"), Cell("two", "pos", "en", "de"))


@pytest.mark.parametrize("text", ["tr", "colour=red", "target=", "target=tr,", "task=ner"])
def test_a_filter_that_selects_nothing_is_refused(tmp_path: Path, text: str) -> None:
    plan = small_plan(tmp_path, MODEL)
    with pytest.raises(InputError):
        Grid(plan, Selection([text]))


def test_what_is_not_scored_on_is_left_for_the_probe(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, MODEL)
    said: list[Reading] = []
    inputs = read_inputs(Grid(plan), said.append, tmp_path / "study")
    names = [Path(reading.name).name for reading in said]
    assert names == ["en.conllu", "tr.conllu", "de.conllu", "en-tr.tsv", "en-de.tsv"]  # each once
    assert [reading.read for reading in said] == [16] * 5
    written = Path(inputs.probe_labels["pos tr"]).read_text(encoding="utf-8").splitlines()
    assert len(written) == 16 - 8

    given = {"pos": {"train": "en.conllu", "target_test": "tr.conllu", "target_labels": "{target}.conllu"}}
    inputs = read_inputs(Grid(small_plan(tmp_path, MODEL, tasks=given)), said.append)
    assert inputs.probe_labels["pos tr"] == str(tmp_path / "data/tr.conllu")


def test_the_overview_counts(tmp_path: Path) -> None:
    found = overview(small_plan(tmp_path, MODEL, options=[SENTENCES, "tlm:joint"]), ["target=tr"])
    assert (found.cells, found.probes, found.baselines, found.runs, found.needs_head) == (1, 0, 2, 4, 2)
    assert found.grid == {"tiny, pos": ("en-tr",)}
    assert "4 aligned runs" in found.markdown()
