"""``advisor trial`` on sample files with a tiny encoder: the answer, resuming, interruption, bad input."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import advisor
import advisor.training as engine
from advisor.cli import main
from advisor.files import reserved
from advisor.sample import sample_path
from advisor.study import Record, TrialResult
from advisor.training import Outcome, Recipe
from probes.progress import Progress
from tests.conftest import Checkpoint, fill_disk

OPTIONS = ("none", "sentence-contrastive:joint:0.1")


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def files(checkpoint: Checkpoint) -> dict[str, str]:
    return {
        "train": str(sample_path("topics.en.tsv")),
        "bitext": str(sample_path("bitext.en-tr.tsv")),
        "target-labels": str(sample_path("topics.tr.tsv")),
        "model": str(checkpoint("bert")),
    }


@pytest.fixture
def command(
    files: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Command:
    """Run the command in this process, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: str, without: str = "") -> Answer:
        given = [f"--{name}={value}" for name, value in files.items() if name not in ("model", without)]
        words = ["trial", files["model"], "--source=en", "--target=tr", "--task=topic", "--steps=1"]
        monkeypatch.setattr(sys, "argv", ["advisor", *words, *given, *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return Answer(stop.value.code, captured.out, captured.err)

    return invoke


def test_the_command_answers_in_json_and_resumes(
    command: Command, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [f"--option={option}" for option in OPTIONS]
    first = command(*options, "--seeds=2", "--out=mine", "--json")

    assert first.code == 0, first.err
    result = TrialResult.model_validate_json(first.out)
    assert [str(row.option.objective) for row in result.options] == ["none", "sentence-contrastive"]
    assert result.options[0].target_gain.value == 0
    assert (result.source, result.target, result.task) == ("en", "tr", "topic")
    assert json.loads((tmp_path / "mine/trial.json").read_text()) == json.loads(first.out)
    assert len(list((tmp_path / "mine/records").iterdir())) == 4
    assert first.err.startswith("labelled source data: ")  # what was read is said before anything runs
    assert "\n4 runs" in first.err
    assert "left for 3 runs" in first.err

    def never(recipe: Recipe, progress: Progress | None = None) -> Outcome:
        raise AssertionError("a finished run was run again")

    monkeypatch.setattr(engine, "train", never)
    second = command(*options, "--seeds=2", "--out=mine")
    assert second.code == 0, second.err
    assert "4 of them done before" in second.err
    for words in (result.verdict[:30], "Gain [95 %]", "none", "sentence-contrastive, joint"):
        assert words in second.out
    from_python = advisor.trial(
        files["model"],
        source="eng",
        target="Turkish",
        task="topic",
        train=files["train"],
        bitext=Path(files["bitext"]),
        target_labels=files["target-labels"],
        options=OPTIONS,
        seeds=2,
        steps=1,
        out=tmp_path / "mine",
    )
    assert from_python == result


def test_an_interruption_keeps_what_has_ended_and_says_so(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = engine.train

    def interrupted(recipe: Recipe, *rest: Any, **named: Any) -> Outcome:
        if recipe.seed == 0:
            return train(recipe, *rest, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "train", interrupted)
    answer = command(*(f"--option={option}" for option in OPTIONS))
    assert answer.code == 130
    assert answer.out == ""
    assert "kept in trial/records" in answer.err
    assert "nothing was written" not in answer.err
    assert len(list((tmp_path / "trial/records").iterdir())) == 2


def test_a_finished_run_survives_a_full_disk(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_disk(monkeypatch, tmp_path)
    answer = command("--option=sentence-contrastive:joint:0.1", "--seeds=2")
    assert answer.code == 1
    assert "Traceback" not in answer.err
    said = " ".join(answer.err.partition("Error:")[2].split())
    assert "failed (No space left on device): free or change the disk and run again" in said
    place = Path(said.rpartition("what was measured last is in ")[2].rstrip("."))
    (record,) = place.iterdir()
    assert Record.model_validate_json(record.read_bytes()).status == "done"
    assert not list(tmp_path.iterdir())


def test_two_trials_into_one_folder_are_refused(command: Command, tmp_path: Path) -> None:
    with reserved(tmp_path / "trial"):
        answer = command()
    assert answer.code == 2
    assert answer.err.rstrip().endswith(
        "Another run is writing to trial: wait for it, or name another folder with --out."
    )


def test_one_seed_is_said_not_to_decide_before_anything_runs(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(*_: Any, **__: Any) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "train", begun)
    warning = "One seed cannot decide: the gain of a single run has no interval."
    assert command("--seeds=1").err.startswith(warning)
    assert warning not in command("--seeds=2").err


def test_bad_input_is_one_sentence_and_exit_code_2(command: Command, tmp_path: Path) -> None:
    for answer, word in (
        (command(without="target-labels"), "--target-labels"),
        (command("--option=word-salad:joint"), "word-salad"),
        (command("--out", str(sample_path("en.conllu"))), "en.conllu"),
    ):
        assert answer.code == 2, answer
        assert answer.out == ""
        message = answer.err.split("Error:", 1)[1].strip()
        assert word in message
        assert message.endswith(".")
        assert "\n" not in message
    assert not list(tmp_path.iterdir())


def test_the_help_has_an_example(command: Command) -> None:
    shown = command("--help")
    assert shown.code == 0
    assert "Example: advisor trial" in shown.out
