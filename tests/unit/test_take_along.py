"""Results taken along: a table for a paper, and a model card that the hub takes."""

import csv
import io
import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from advisor.cli import app
from advisor.comparison import STYLES, ComparedOption, compared
from advisor.model_card import model_card
from advisor.recipe import write_recipe
from advisor.training import Recipe
from probes.errors import InputError
from tests.browser.test_race import standing
from tests.browser.trials import write_trial
from tests.factories import make_advice, make_signals


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What a probe, a trial, a race and a recipe wrote."""
    root = tmp_path_factory.mktemp("results")
    made = {name: root / name for name in ("probe", "trial", "race", "trained")}
    signals = make_signals(layers=4)
    question = make_advice().question
    for folder in made.values():
        folder.mkdir()
    (made["probe"] / "advice.json").write_text(make_advice().model_dump_json())
    (made["probe"] / "signals.json").write_text(signals.model_dump_json())
    write_trial(made["trial"])
    (made["race"] / "result.json").write_text(standing().model_dump_json())
    recipe = Recipe(
        model=question.model, source=question.source, target=question.target, task=question.task, train="a"
    )
    (made["trained"] / "recipe.yaml").write_text(write_recipe(recipe))
    score = {"value": 71.24, "low": 70.0, "high": 72.5}
    metrics = {"metric": "accuracy", "after": {"source": score, "target": score}, "steps": {"fine-tune": 30}}
    (made["trained"] / "metrics.json").write_text(json.dumps(metrics))
    return made


def test_every_result_has_its_options_side_by_side(folders: dict[str, Path]) -> None:
    rows = compared([folders[name] for name in ("trial", "race", "probe")])
    assert {row.basis for row in rows} == {"3 runs", "race", "expected"}
    race = next(row for row in rows if row.basis == "race" and row.gain)
    assert (race.gain, race.low, race.high) == (2.1, 0.4, 3.9)
    assert any(row.best for row in compared([folders["race"]])), "of two options this one is ahead"
    assert not race.best, "the trial's options of the same question are not told from it"
    read = list(csv.DictReader(io.StringIO(STYLES["csv"](rows))))
    assert [float(row["gain"]) for row in read] == [row.gain for row in rows]


def row(gain: float, low: float | None, high: float | None, question: str = "q") -> ComparedOption:
    return ComparedOption(question, f"loss {gain} & 10 %", 70.0, gain, low, high, 0.95, "3 runs")


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([row(0, 0, 0), row(2, 1, 3)], [False, True]),
        ([row(0, 0, 0), row(2, -1, 5)], [False, False]),
        ([row(0, 0, 0), row(2, 1, 3), row(4, 2.5, 6)], [False, False, False]),
        ([row(0, 0, 0), row(2, 1, 3), row(5, 4, 6)], [False, False, True]),
        ([row(0, 0, 0), row(9, None, None)], [False, False]),
        ([row(0, 0, 0), row(2, 1, 3), row(9, 8, 10, "another")], [False, True, True]),
    ],
)
def test_only_what_is_told_from_all_others_is_best(
    rows: list[ComparedOption], best: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("advisor.comparison._rows_of", lambda _: iter(rows))
    assert [each.best for each in compared(["anything"])] == best


def test_the_latex_table_is_of_booktabs_and_escaped(folders: dict[str, Path]) -> None:
    text = STYLES["latex"]([row(0, 0, 0), ComparedOption("a_b", "x", 1.0, 2.0, 1.0, 3.0, 0.95, "race", True)])
    assert r"\toprule" in text
    assert r"\textbf{+2.0}" in text
    assert r"\emph{a\_b}" in text
    assert r"loss 0 \& 10 \%" in text
    assert all(line.count("&") - line.count(r"\&") == 4 for line in text.splitlines() if line[0] not in "\\")


def test_a_card_has_metadata_that_the_hub_reads(folders: dict[str, Path]) -> None:
    card = ModelCard(model_card([folders["probe"], folders["trained"]]))
    question = make_advice().question
    assert card.data.language == [question.source, question.target]
    assert card.data.pipeline_tag == "token-classification"
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", 71.2)
    for part in ("**Measured**", "**Advised**", "**Done**", "30 steps", "@software"):
        assert part in card.text
    assert "**Gained**" not in card.text, "nothing but an expectation"
    assert "**Gained**" in model_card([folders["trained"], folders["race"]])


def test_the_commands_write_files_and_refuse_what_is_no_result(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "table.tex"
    done = CliRunner().invoke(app, ["compare", str(folders["trial"]), "--format", "latex", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert out.read_text() == STYLES["latex"](compared([folders["trial"]]))
    shown = CliRunner().invoke(app, ["card", str(folders["probe"])])
    assert shown.output.startswith("---\n")
    with pytest.raises(InputError, match="holds no result"):
        compared([tmp_path])
    with pytest.raises(InputError, match="about one model"):
        model_card([folders["trial"]])
    assert CliRunner().invoke(app, ["compare", str(folders["trial"]), "--format", "word"]).exit_code == 2
