"""One request: whatever asks for a probe takes every field of it, with one default and in the same words."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from streamlit.testing.v1 import AppTest
from typer.main import get_command

import advisor
from advisor.cli import app
from advisor.recipe import write_recipe
from advisor.service import Limits, RunQueue, RunStore
from advisor.service.http import create_app
from advisor.training import Recipe
from probes.data import Columns
from probes.errors import InputError
from probes.request import COLUMNS, ProbeRequest, plain_type

FIELDS = ProbeRequest.model_fields
ASKED = {"model": "bundled", "source": "en", "target": "tr", "task": "pos", "train": "a", "bitext": "b"}


def options_of(command: str) -> dict[str, Any]:
    commands: Any = get_command(app)
    return {parameter.name: parameter for parameter in commands.commands[command].params}


def test_the_command_line_has_an_option_for_every_field() -> None:
    options = options_of("probe")
    spread = {name: field for name, field in FIELDS.items() if name != "columns"}
    assert options.keys() >= spread.keys() | {f"{name}_column" for name in COLUMNS}
    for name, field in spread.items():
        assert options[name].help == field.description
        assert options[name].required == field.is_required()
        if not field.is_required():
            assert options[name].default == field.default


def test_a_trial_asks_for_all_but_what_belongs_to_measuring() -> None:
    measuring = ProbeRequest.fields_of("measuring").keys() - {"device"}
    assert options_of("trial").keys() >= FIELDS.keys() - measuring - {"columns"}
    assert measuring.isdisjoint(inspect.signature(advisor.trial).parameters)


def test_python_has_an_argument_for_every_field() -> None:
    parameters = inspect.signature(advisor.probe).parameters
    for name, field in FIELDS.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert parameters[name].default == default
        assert parameters[name].annotation == plain_type(field)
        assert f"{name}: {field.description}" in str(advisor.probe.__doc__)


def test_http_has_a_property_for_every_field(tmp_path: Path) -> None:
    queue = RunQueue(RunStore(tmp_path), Limits())
    with TestClient(create_app(queue), base_url="http://127.0.0.1") as client:
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
    (body,) = (schema for name, schema in schemas.items() if name.startswith("RunRequest"))
    assert body["properties"].keys() == {*FIELDS, "uploads"}
    assert body["additionalProperties"] is False
    for name, field in FIELDS.items():
        assert body["properties"][name]["description"] == field.description
        assert (name in body["required"]) == field.is_required()


def test_the_recipe_has_a_key_for_every_field_of_question_and_data() -> None:
    names = {*ProbeRequest.fields_of("question"), *ProbeRequest.fields_of("data"), "seed"}
    assert names <= Recipe.model_fields.keys()
    text = " ".join(write_recipe(Recipe.model_validate(ASKED)).replace("#", " ").split())
    for name in names - {"seed"}:
        assert " ".join(str(FIELDS[name].description).split()) in text


@pytest.mark.slow
def test_the_page_has_an_input_for_every_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVISOR_STORE", str(tmp_path))
    page = AppTest.from_file(str(Path(advisor.__file__).parent.parent / "app.py"), default_timeout=60)
    page.query_params["view"] = "probe"
    page.run()
    page.segmented_control(key="data").set_value("Paths and data sets").run()
    assert not page.exception
    keys = {
        str(element.key)
        for kind in ("selectbox", "text_input", "number_input", "segmented_control")
        for element in page.get(kind)
    }
    keys |= {str(element.key) for element in page.get("button_group")}
    for name in FIELDS:
        places = {name, f"path-{name}", f"probe-{name.replace('_', '-')}"}
        if name == "columns":
            assert keys >= {f"column-{column}" for column in COLUMNS}
        else:
            assert keys & places, name


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"seed": -1}, "seed"),
        ({"min_gain": float("nan")}, "min_gain"),
        ({"budget": "huge"}, "budget"),
        ({"precision": "fp8"}, "precision"),
        ({"model": ""}, "model"),
        ({"device": "a b"}, "device"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_asked_for_is_said_in_one_sentence(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem) as raised:
        ProbeRequest.of(**{**ASKED, **changes})
    assert "\n" not in str(raised.value)


def test_paths_are_taken_as_they_are() -> None:
    request = ProbeRequest.of(**{**ASKED, "train": Path("folder/train.tsv")})
    assert request.train == "folder/train.tsv"


def test_a_request_survives_json() -> None:
    request = ProbeRequest.of(**ASKED, columns=Columns(text="t"), word_links="links")
    assert ProbeRequest.model_validate_json(request.model_dump_json()) == request
