"""The command line on real files: what it answers and writes. What it refuses is in test_bad_input."""

import io
import json
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from advisor.advice import Advice
from advisor.cli import main
from advisor.study import summarise
from probes.budget import BUDGETS, Budget
from tests.benchmarks.transcript import LINES, WIDTH, in_readme
from tests.factories import make_signals
from tests.unit.study.made_up import against


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def advisor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Outcome]:
    """Run the command in this process, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["advisor", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        code = stop.value.code
        assert isinstance(code, int)
        return Outcome(code, captured.out, captured.err)

    return invoke


def test_help_lists_every_command_with_an_example(advisor: Callable[..., Outcome]) -> None:
    overview = advisor("--help")
    assert overview.code == 0
    for command in ("ask", "probe", "recommend", "trial", "demo", "app", "serve", "findings"):
        assert command in overview.out
    for command in ("ask", "probe", "recommend", "trial", "demo", "app", "serve"):
        shown = advisor(command, "--help")
        assert shown.code == 0
        assert f"Example: advisor {command}" in shown.out


def test_ask_answers_in_json(advisor: Callable[..., Outcome]) -> None:
    outcome = advisor("ask", "--model", "xlm-roberta-base", "--target", "yo", "--task", "pos", "--json")
    assert outcome.code == 0
    advice = Advice.model_validate_json(outcome.out)
    assert advice.question.model == "xlm-roberta-base"
    assert advice.reasons
    assert {str(row.option.objective) for row in advice.alternatives} >= {"none", "token-contrastive"}


def test_ask_in_words_says_decision_gain_and_reasons(advisor: Callable[..., Outcome]) -> None:
    outcome = advisor("ask", "--model", "xlm-roberta-base", "--target", "Turkish", "--task", "pos")
    assert outcome.code == 0
    for word in ("Align", "Options", "expected gain", "none", "80% interval"):
        assert word in outcome.out


def test_answering_from_evidence_imports_no_torch(tmp_path: Path) -> None:
    signals = tmp_path / "signals.json"
    signals.write_text(make_signals().model_dump_json(), encoding="utf-8")
    script = (
        "import sys\n"
        "from advisor.cli import app\n"
        "app(['ask', '--model', 'bundled', '--target', 'tr', '--task', 'pos'], standalone_mode=False)\n"
        f"app(['recommend', {str(signals)!r}], standalone_mode=False)\n"
        "loaded = {'torch', 'transformers', 'sklearn', 'datasets'} & set(sys.modules)\n"
        "sys.exit(f'imported {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_imports_no_torch() -> None:
    script = (
        "import sys\n"
        "from advisor.cli import app\n"
        "for command in ([], ['probe'], ['trial']):\n"
        "    app([*command, '--help'], standalone_mode=False)\n"
        "loaded = {'torch', 'transformers', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage") == 3


def test_recommend_gives_what_python_gives(advisor: Callable[..., Outcome], tmp_path: Path) -> None:
    import advisor as package

    signals = tmp_path / "signals.json"
    signals.write_text(make_signals().model_dump_json(), encoding="utf-8")
    outcome = advisor("recommend", signals, "--json", "--min-gain", "1")
    assert outcome.code == 0
    printed = Advice.model_validate_json(outcome.out)
    returned = package.recommend(signals, min_gain=1).advice
    assert printed.model_copy(update={"provenance": returned.provenance}) == returned


def test_ask_counts_an_own_trial(advisor: Callable[..., Outcome], tmp_path: Path) -> None:
    trial = summarise(against([54.0, 54.5, 53.5], [62.0, 63.0, 61.0])).model_copy(update={"target": "de"})
    (tmp_path / "trial.json").write_text(trial.text(), encoding="utf-8")
    question = ("ask", "--model", trial.model, "--target", trial.target, "--task", "pos", "--json")
    before, after = (
        Advice.model_validate_json(advisor(*question, *extra).out) for extra in ((), ("--trial", tmp_path))
    )
    assert before.confidence != "likely"
    assert (after.decision, after.confidence) == ("align", "likely")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    """The demo, once for this module and with a smaller budget; CI runs the whole one in a process."""
    folder = tmp_path_factory.mktemp("demo")
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(folder)
        patch.setattr("advisor.console.console.width", WIDTH)
        patch.setitem(BUDGETS, "quick", Budget("quick", 4, 2, 80, 30, 4, 40, 32))
        patch.setattr(sys, "argv", ["advisor", "demo", "--out", "advice"])
        with pytest.raises(SystemExit) as stop:
            main()
    assert isinstance(stop.value.code, int)
    return Outcome(stop.value.code, out.getvalue(), err.getvalue()), folder / "advice"


def test_the_readme_shows_what_the_demo_prints(demo: tuple[Outcome, Path]) -> None:
    """Numbers differ in their last digits from one machine to the next; what is said of what does not."""
    printed, shown = demo[0].out, in_readme()
    for text in (printed, shown):
        assert len(text.splitlines()) <= LINES
        assert all(len(line) <= WIDTH for line in text.splitlines())
        assert ": open" not in text.splitlines()[0]

    def heads(text: str) -> list[str]:
        return [line for line in text.splitlines() if line and line[0].isalpha()]

    assert heads(printed) == heads(shown)
    assert printed.splitlines()[0].split() == shown.splitlines()[0].split()


def test_demo_writes_everything(demo: tuple[Outcome, Path]) -> None:
    done, folder = demo
    assert done.code == 0, done.err
    written = {path.name for path in folder.iterdir()}
    assert written == {"signals.json", "advice.json", "report.html", "recipe"}
    assert "Options" in done.out
    assert "The rest will take about" in done.err
    advice = Advice.load(folder / "advice.json")
    assert advice.question.model == "bundled"
    assert advice.provenance.model_sha256


def test_demo_measures_numbers_not_nans(demo: tuple[Outcome, Path]) -> None:
    _, folder = demo
    text = (folder / "signals.json").read_text(encoding="utf-8")
    signals = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in signals.json"))
    leading = [
        row
        for row in signals["cosines"]
        if (row["point"], row["task_gradient"], row["block"]) == ("theta_warm", "target-labels", "encoder")
    ]
    assert {row["objective"] for row in leading} == {"token-contrastive", "token-l2", "sentence-contrastive"}
    for row in leading:
        assert row["cosine"]["value"] is not None or row["cosine"]["note"]


def test_the_demos_recipe_trains_as_it_stands_from_anywhere(
    demo: tuple[Outcome, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = demo
    recipe = shutil.copytree(folder / "recipe", tmp_path / "recipe")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(sys, "argv", ["../recipe/train.py", "../recipe/recipe.yaml", "--max-steps", "2"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path("../recipe/train.py", run_name="__main__")
    assert stop.value.code == 0
    metrics = json.loads((recipe / "trained" / "metrics.json").read_text())
    assert metrics["steps"]["fine-tune"] == 2
    # Frozen features of a real encoder transfer well, and a few small steps from there do not spoil it.
    assert metrics["before"]["target"]["value"] > 50
    assert metrics["after"]["target"]["value"] > 50
    assert (recipe / "trained" / "model.safetensors").stat().st_size > 0
    assert not list(elsewhere.iterdir())
