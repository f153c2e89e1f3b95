"""A recipe as a user gets it: written next to the advice, run from anywhere with the offline encoder."""

import runpy
import sys
from pathlib import Path

import pytest

from advisor.recipe import recipe_files
from probes.request import ProbeRequest
from tests.factories import make_advice


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
