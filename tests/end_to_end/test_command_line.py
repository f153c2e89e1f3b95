"""The command line on real files: answers, exit codes, and one sentence for whatever is wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from advisor.advice import Advice
from advisor.cli import main
from advisor.sample import sample_path
from tests.factories import make_signals

Files = dict[str, str]


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


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Good inputs, by the option they are for."""
    return {
        "train": str(sample_path("en.conllu")),
        "bitext": str(sample_path("bitext.en-tr.tsv")),
        "target-labels": str(sample_path("tr.conllu")),
        "out": str(tmp_path / "answer"),
    }


def probe_arguments(files: Files, **changed: str) -> list[str]:
    options = {"source": "en", "target": "tr", "task": "pos", "budget": "quick"} | files
    options |= {name.replace("_", "-"): value for name, value in changed.items()}
    model = options.pop("model", "bundled")
    return ["probe", model, *(part for name, value in options.items() for part in (f"--{name}", value))]


def assert_refused(outcome: Outcome, words: Sequence[str]) -> None:
    """Exit code 2, nothing on standard output, and one sentence that names what is wrong."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    message = outcome.err.split("Error:", 1)[1].strip()
    assert message.endswith((".", "advisor --help' for help."))
    assert "\n" not in message
    for word in words:
        assert word in message, message


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
    for word in ("Options", "Reasons", "none", "80% interval"):
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


@pytest.mark.parametrize("arguments", [["--help"], ["probe", "--help"], ["trial", "--help"]])
def test_help_imports_no_torch(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from advisor.cli import app\n"
        f"app({arguments}, standalone_mode=False)\n"
        "loaded = {'torch', 'transformers', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_recommend_gives_what_python_gives(advisor: Callable[..., Outcome], tmp_path: Path) -> None:
    import advisor as package

    signals = tmp_path / "signals.json"
    signals.write_text(make_signals().model_dump_json(), encoding="utf-8")
    outcome = advisor("recommend", signals, "--json", "--min-gain", "1")
    assert outcome.code == 0
    printed = Advice.model_validate_json(outcome.out)
    returned = package.recommend(signals, min_gain=1).advice
    assert printed.model_copy(update={"provenance": returned.provenance}) == returned


WRONG_INPUTS: dict[str, tuple[dict[str, str], list[str]]] = {
    # what is wrong: ({file to write: content} or {option: value}, words the sentence must hold)
    "missing training file": ({"train": "nowhere.conllu"}, ["nowhere.conllu"]),
    "a folder as a file": ({"train": "."}, ["folder"]),
    "missing bitext": ({"bitext": "nowhere.tsv"}, ["nowhere.tsv"]),
    "language typo": ({"target": "turkich"}, ["turkich", "Turkish"]),
    "source equal to target": ({"target": "eng_Latn"}, ["English"]),
    "unknown task": ({"task": "poss"}, ["poss", "pos"]),
    "model that does not exist": ({"model": "./no-such-model"}, ["no-such-model"]),
    "both dictionary and links": ({"dictionary": "a.tsv", "word_links": "b.txt"}, ["dictionary", "links"]),
    "unknown device": ({"device": "quantum"}, ["quantum"]),
    "empty bitext": ({"bitext": "FILE:empty.tsv:"}, ["empty.tsv"]),
    "one column of bitext": ({"bitext": "FILE:one.tsv:only English\nno other side\n"}, ["one.tsv"]),
    "bitext sides of different length": (
        {"bitext": "FILE:a.en:one\ntwo\n,FILE:b.tr:bir\n"},
        ["a.en", "b.tr"],
    ),
    "three translation pairs": (
        {"bitext": "FILE:few.tsv:I read.\tOkurum.\nShe runs.\tKoşar.\nWe eat.\tYeriz.\n"},
        ["pairs"],
    ),
    "not UTF-8": ({"train": "BYTES:latin.conllu:\xe9t\xe9"}, ["UTF-8"]),
    "NUL bytes": ({"train": "FILE:nul.conllu:a\0b"}, ["NUL"]),
    "no UPOS tags": (
        {"train": "FILE:bare.conllu:1\tHello\t_\t_\t_\t_\t_\t_\t_\t_\n\n"},
        ["bare.conllu"],
    ),
    "another label set": (
        {"target_labels": "FILE:other.conllu:1\tEv\t_\tHAUS\t_\t_\t_\t_\t_\t_\n\n"},
        ["HAUS"],
    ),
}


@pytest.mark.parametrize("wrong", WRONG_INPUTS)
def test_wrong_input_gets_one_sentence(
    wrong: str, advisor: Callable[..., Outcome], files: Files, tmp_path: Path
) -> None:
    changes, words = WRONG_INPUTS[wrong]
    changed = {
        option: ",".join(_write(part, tmp_path) for part in value.split(","))
        for option, value in changes.items()
    }
    outcome = advisor(*probe_arguments(files, **changed))
    assert_refused(outcome, words)
    assert not (tmp_path / "answer").exists()


def _write(value: str, folder: Path) -> str:
    """Write ``FILE:name:content`` (or ``BYTES:`` for Latin-1) and return the path; else the value."""
    kind, _, rest = value.partition(":")
    if kind not in ("FILE", "BYTES"):
        return value
    name, _, content = rest.partition(":")
    (folder / name).write_bytes(content.encode("latin-1" if kind == "BYTES" else "utf-8"))
    return str(folder / name)


def test_output_that_is_a_file_is_refused_before_the_probe(
    advisor: Callable[..., Outcome], files: Files, tmp_path: Path
) -> None:
    (tmp_path / "answer").write_text("mine", encoding="utf-8")
    assert_refused(advisor(*probe_arguments(files)), ["answer"])
    assert (tmp_path / "answer").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("content", "word"),
    [("", "signals"), ("{}", "signals"), ("no json", "signals"), ('{"schema_version": 99}', "schema")],
)
def test_signals_that_are_none_are_refused(
    content: str, word: str, advisor: Callable[..., Outcome], tmp_path: Path
) -> None:
    (tmp_path / "signals.json").write_text(content, encoding="utf-8")
    assert_refused(advisor("recommend", tmp_path / "signals.json"), [word])


def test_usage_errors_exit_with_two(advisor: Callable[..., Outcome]) -> None:
    assert advisor("ask", "--target", "tr").code == 2
    assert advisor("no-such-command").code == 2
    assert advisor("ask", "--model", "m", "--target", "tr", "--task", "pos", "--min-gain", "-1").code == 2


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The demo as a user runs it, once for this module."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "advisor", "demo", "--out", "advice"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "120", "HF_HUB_OFFLINE": "1"},
    )
    return done, folder / "advice"


def test_demo_writes_everything(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, folder = demo
    assert done.returncode == 0, done.stderr
    written = {path.name for path in folder.iterdir()}
    assert written == {"signals.json", "advice.json", "report.html", "recipe"}
    assert "Options" in done.stdout
    assert "The rest will take about" in done.stderr
    advice = Advice.load(folder / "advice.json")
    assert advice.question.model == "bundled"
    assert advice.provenance.model_sha256


def test_demo_measures_numbers_not_nans(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
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


def test_demo_recipe_trains_as_it_stands(
    demo: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path
) -> None:
    _, folder = demo
    done = subprocess.run(
        [
            *(sys.executable, str(folder / "recipe" / "train.py"), str(folder / "recipe" / "recipe.yaml")),
            *("--max-steps", "2", "--output", str(tmp_path / "trained")),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "trained").rglob("*.safetensors"))
