"""Every example in the guides is run."""

import logging
import re
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from fastapi.testclient import TestClient
from streamlit.testing.v1 import AppTest
from typer.main import get_command
from typer.testing import CliRunner

import advisor
from advisor.app._page import _VIEWS
from advisor.cli import app
from advisor.sample import sample_path
from advisor.service import Limits, RunQueue, RunStore
from advisor.service.http import create_app
from advisor.study import overview, read_plan
from tests.conftest import Checkpoint

GUIDES = Path(str(files("advisor").joinpath("guides")))


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (GUIDES / page).read_text(encoding="utf-8"), re.DOTALL)


def test_every_page_is_listed_and_every_link_leads_somewhere() -> None:
    linked = set()
    for page in GUIDES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (GUIDES / target).exists(), f"{page.name}: {target}"
            linked.add(target)
    pages = {path.name for path in GUIDES.iterdir() if path.suffix in (".md", ".ipynb")}
    assert pages - {"README.md"} <= linked


def test_the_commands_without_json_are_those_the_guide_names() -> None:
    named = re.search(
        r"of every command\sbut (.*?)\. Exit", (GUIDES / "command-line.md").read_text(), re.DOTALL
    )
    assert named is not None

    def without(group: Any, path: str = "") -> set[str]:
        found = set()
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                found |= without(command, f"{name} ")
            elif "--json" not in {spelled for option in command.params for spelled in option.opts}:
                found.add(path + name)
        return found

    assert set(re.findall("`(.*?)`", named[1])) == without(get_command(app))


def test_help_lists_the_views_of_the_page() -> None:
    shown = " ".join(CliRunner().invoke(app, ["app", "--help"], env={"COLUMNS": "500"}).stdout.split())
    assert f": {', '.join(_VIEWS)}." in shown


COMMANDS = [line for text in blocks("command-line.md", "sh") for line in text.splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str) -> None:
    program, *arguments = shlex.split(command)
    assert program == "advisor"
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output


@pytest.mark.slow
def test_the_page_answers_the_link() -> None:
    page = AppTest.from_file(str(Path(advisor.__file__).parent.parent / "app.py"), default_timeout=60)
    (link,) = blocks("page.md", "text")
    for name, value in parse_qsl(link.strip().lstrip("?")):
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert any("xlm-roberta-base, en to yo, pos" in str(element.value) for element in page.get("html"))


def test_the_service_answers_the_address(tmp_path: Path) -> None:
    (address,) = blocks("http.md", "text")
    queue = RunQueue(RunStore(tmp_path), Limits())
    with TestClient(create_app(queue), base_url="http://127.0.0.1") as client:
        assert client.get(address.strip()).json()["question"]["target"] == "yo"


def test_the_plan_spans_what_it_says(tmp_path: Path) -> None:
    (plan,) = blocks("study.md", "yaml")
    for name in ("topics.en.tsv", "topics.tr.tsv", "bitext.en-tr.tsv"):
        (tmp_path / name).write_bytes(sample_path(name).read_bytes())
    (tmp_path / "plan.yaml").write_text(plan)
    found = overview(read_plan(tmp_path / "plan.yaml"))
    assert (found.cells, found.probes, found.baselines, found.runs) == (1, 1, 2, 4)


@pytest.mark.slow
@pytest.mark.parametrize(("page", "number"), [("trainer.md", 0), ("trainer.md", 1), ("notebook.md", 0)])
def test_python(
    page: str,
    number: int,
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    code = blocks(page, "python")[number].replace('"xlm-roberta-base"', repr(str(checkpoint("bert"))))
    scope: dict[str, object] = {}
    with caplog.at_level(logging.ERROR):
        exec(compile(code, page, "exec"), scope)
    if "trainer" in scope:
        history = scope["trainer"].state.log_history  # type: ignore[attr-defined]
        assert len([row for row in history if "watch/share" in row]) == 2
