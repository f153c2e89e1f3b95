"""A recipe as a user gets it: written next to the advice, run from anywhere with the offline encoder."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from advisor.options import Option, Schedule
from advisor.recipe import recipe_files
from advisor.sample import sample_path
from probes.request import ProbeRequest
from tests.factories import make_advice


def test_a_recipe_trains_the_offline_encoder_on_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = Option(
        objective="token-contrastive",
        schedule=Schedule.JOINT,
        word_pairs="mutual-argmax",
        weight=0.1,
    )
    request = ProbeRequest(
        model="bundled",
        source="en",
        target="tr",
        task="pos",
        train=str(sample_path("en.conllu")),
        bitext=str(sample_path("bitext.en-tr.tsv")),
        target_labels=str(sample_path("tr.conllu")),
    )
    for name, content in recipe_files(make_advice(option=option), request).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(sys, "argv", ["../recipe/train.py", "../recipe/recipe.yaml", "--max-steps", "2"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path("../recipe/train.py", run_name="__main__")

    assert stop.value.code == 0
    trained = tmp_path / "recipe/trained"
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["steps"] == {"fine-tune": 2}
    # Frozen features of a real encoder transfer well, and two small steps from there do not spoil it.
    assert metrics["before"]["target"]["value"] > 50
    assert metrics["after"]["target"]["value"] > 50
    assert (trained / "model.safetensors").stat().st_size > 0
    assert not list(elsewhere.iterdir())


def test_a_recipe_that_cannot_be_run_says_why_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = recipe_files(
        make_advice(),
        ProbeRequest(
            model="bundled",
            source="en",
            target="tr",
            task="pos",
            train=str(tmp_path / "gone.conllu"),
            bitext=str(tmp_path / "gone.tsv"),
        ),
    )
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")

    script = str(tmp_path / "recipe/train.py")
    monkeypatch.setattr(sys, "argv", [script, str(tmp_path / "recipe/recipe.yaml")])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(script, run_name="__main__")

    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert "gone.conllu" in said
    assert "Traceback" not in said
    assert not (tmp_path / "recipe/trained").exists()
