"""From advice to recipe: each decision gives the run it speaks of."""

import subprocess
import sys
from pathlib import Path

import pytest

import advisor.recipe
from advisor.advice import Advice
from advisor.options import NO_ALIGNMENT, Option, Schedule
from advisor.recipe import read_recipe, recipe_files, recipe_for
from probes.data import Columns
from probes.request import ProbeRequest
from tests.factories import make_advice, make_open


def make_request(**fields: object) -> ProbeRequest:
    usual = {
        "model": "bundled",
        "source": "en",
        "target": "tr",
        "task": "pos",
        "train": "en.conllu",
        "bitext": "en-tr.tsv",
    }
    return ProbeRequest(**{**usual, **fields})  # type: ignore[arg-type]


def test_advice_to_align_runs_the_advised_option(tmp_path: Path) -> None:
    advice = make_advice()
    files = recipe_files(advice, make_request(seed=7))
    path = tmp_path / "recipe.yaml"
    path.write_text(files["recipe/recipe.yaml"], encoding="utf-8")

    scripts = {"recipe/train.py", "recipe/trainer.py"}
    assert set(files) == {*scripts, "recipe/recipe.yaml", "recipe/README.md"}
    recipe = read_recipe(path)
    assert recipe.option == advice.option
    assert recipe.seed == 7
    assert files["recipe/recipe.yaml"].startswith("# Advice (align, likely): Align with token-contrastive")
    assert "# option:" not in files["recipe/recipe.yaml"]


def test_advice_against_aligning_fine_tunes_only() -> None:
    advice = make_advice(decision="do-not-align", option=NO_ALIGNMENT, summary="Do not align.")

    assert recipe_for(advice, make_request()).option == NO_ALIGNMENT
    text = recipe_files(advice, make_request())["recipe/recipe.yaml"]
    assert text.startswith("# Advice (do-not-align, likely): Do not align.\n")
    assert "# option:" not in text


def test_undecided_advice_fine_tunes_and_offers_the_best_looking_alternative() -> None:
    advice = make_open()
    best = max(
        (row for row in advice.alternatives if row.option.aligns),
        key=lambda row: row.gain.mean,
    )

    assert recipe_for(advice, make_request()).option == NO_ALIGNMENT
    text = recipe_files(advice, make_request())["recipe/recipe.yaml"]
    assert f"# option:\n#   objective: {best.option.objective}\n#   schedule: {best.option.schedule}" in text


@pytest.mark.parametrize(("advised", "expected"), [(None, 0.1), (0.03, 0.03)])
def test_joint_training_has_a_weight(advised: float | None, expected: float) -> None:
    option = Option(objective="sentence-contrastive", schedule=Schedule.JOINT, weight=advised)
    advice: Advice = make_advice(option=option)

    assert recipe_for(advice, make_request()).option.weight == expected


def test_local_paths_are_absolute_and_the_output_lies_beside_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = recipe_for(
        make_advice(), make_request(target_labels="hf:org/set:test", dictionary="~/words.tsv")
    )

    assert recipe.model == "bundled"
    assert recipe.train == str(tmp_path / "en.conllu")
    assert recipe.bitext == str(tmp_path / "en-tr.tsv")
    assert recipe.target_labels == "hf:org/set:test"
    assert recipe.dictionary == str(Path.home() / "words.tsv")
    assert recipe.output == "trained"


def test_only_columns_that_were_named_are_written() -> None:
    named = Columns(text="sentence", label="class")

    assert recipe_for(make_advice(), make_request(columns=named)).columns == {
        "text": "sentence",
        "label": "class",
    }
    assert recipe_for(make_advice(), make_request(columns=Columns())).columns == {}


@pytest.mark.parametrize(
    ("model", "rate"),
    [("xlm-roberta-base", 7.5e-6), ("FacebookAI/xlm-roberta-large", 7.5e-6), ("bundled", 2e-5)],
)
def test_the_published_learning_rate_of_the_model_is_used(model: str, rate: float) -> None:
    assert recipe_for(make_advice(), make_request(model=model)).align_learning_rate == rate


def test_the_script_is_the_packages_own() -> None:
    script = Path(advisor.recipe.__file__).with_name("train.py").read_text(encoding="utf-8")

    assert recipe_files(make_advice(), make_request())["recipe/train.py"] == script


@pytest.mark.slow
def test_writing_a_recipe_does_not_load_torch() -> None:
    code = "import sys, advisor.recipe; sys.exit(any(m in sys.modules for m in ('torch', 'transformers')))"

    subprocess.run([sys.executable, "-c", code], check=True)
