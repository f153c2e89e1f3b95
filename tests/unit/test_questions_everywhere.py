"""Question answering takes the way of every task: probe, report, recipe, trial, race, preview, advice."""

from pathlib import Path
from typing import Any

import pytest

from advisor.options import NO_ALIGNMENT, Option
from advisor.recipe import read_recipe, recipe_files, recipe_for
from advisor.recommend import recommend
from advisor.report import Report
from advisor.sample import sample_path
from advisor.service import look
from advisor.training import train
from probes.budget import BUDGETS, Budget
from probes.request import ProbeRequest
from probes.run import run_probe
from tests.conftest import Checkpoint
from tests.factories import ask

SMALL = Budget("quick", 5, 4, 40, 20, 3, 24, 64)


def request(checkpoint: Checkpoint, **more: Any) -> ProbeRequest:
    return ProbeRequest(
        model=str(checkpoint("bert")),
        source="en",
        target="de",
        task="qa",
        train=str(sample_path("questions.en.json")),
        bitext=str(sample_path("bitext.en-de.tsv")),
        target_labels=str(sample_path("questions.de.json")),
        budget="quick",
        device="cpu",
        **more,
    )


@pytest.mark.slow
def test_questions_are_probed_reported_and_trained_on(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(BUDGETS, "quick", SMALL)
    asked = request(checkpoint)
    signals = run_probe(asked)
    assert signals.task.metric == "answer-f1"
    assert signals.transfer.target is not None
    assert signals.transfer.target.value is not None
    assert {row.task_gradient for row in signals.cosines} == {"source", "target-labels"}
    assert {row.on for row in signals.lookahead} == {"source", "target-labels"}
    assert signals.projection is None
    assert any("Labels are not projected" in note.text for note in signals.notes)

    advice = recommend(signals)
    Report(advice, signals).write(tmp_path / "advice", recipe_files(advice, asked))
    page = (tmp_path / "advice/report.html").read_text(encoding="utf-8")
    assert "answer F1 in points" in page
    assert "3 labels: start of the answer, end of the answer, neither" in page
    assert read_recipe(tmp_path / "advice/recipe/recipe.yaml").task == "qa"

    for option in (NO_ALIGNMENT, Option.parse("sentence-contrastive:joint:0.1")):
        recipe = recipe_for(advice, asked).model_copy(update={"option": option, "batch_size": 4})
        outcome = train(recipe.at_most(1))
        assert 0 <= (outcome.after["target"].value or 0) <= 100
        assert {item.whole for item in outcome.texts.train}.isdisjoint(
            item.whole for item in outcome.texts.scored["source"][1:-1]
        )


def test_questions_are_previewed_and_answered_from_evidence(checkpoint: Checkpoint) -> None:
    preview = look(request(checkpoint))
    shown = {reading.role: reading for reading in preview.inputs}
    assert any(reading.header == ("question", "passage", "answer") for reading in shown.values())
    advice = ask(model="xlm-roberta-base", source="en", target="zh", task="qa")
    assert advice.question.task == "qa"
    assert advice.support.nearest[0].task == "qa"
