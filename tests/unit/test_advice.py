"""Advice of before, brought up to date."""

import json
from pathlib import Path
from typing import Any

import pytest

from advisor.advice import Advice
from advisor.options import NO_ALIGNMENT
from probes.errors import InputError
from tests.factories import make_advice


def _version_1(decision: str, **changes: Any) -> dict[str, Any]:
    """An advice as version 1 wrote it."""
    old = json.loads(make_advice().model_dump_json())
    for name in ("confidence", "worth", "evidence_only", "train_steps", "next_moves"):
        del old[name]
    old["alternatives"] = [
        {"option": row["option"], "gain": row["gain"], "effects": row["direct"]}
        for row in old["alternatives"]
    ]
    for row in old["support"]["nearest"]:
        del row["lab"], row["direct"]
    return old | {"schema_version": 1, "decision": decision, "would_tell": None} | changes


@pytest.mark.parametrize("min_gain", [0.5, 9.0])
def test_what_could_not_be_told_is_open(min_gain: float, tmp_path: Path) -> None:
    path = tmp_path / "advice.json"
    old = _version_1("cannot-tell", option=None, would_tell="Label a hundred.", min_gain=min_gain)
    path.write_text(json.dumps(old))
    advice = Advice.load(path)
    assert advice.confidence == "open"
    assert [move.text for move in advice.next_moves] == ["Label a hundred."]
    assert advice.aligns == (min_gain < 1)
    assert advice.option == advice.alternatives[0].option


@pytest.mark.parametrize("decision", ["align", "do-not-align"])
def test_a_decision_stays_what_it_was(decision: str) -> None:
    old = _version_1(decision)
    if decision == "do-not-align":
        old["option"] = None
    advice = Advice.model_validate(old)
    assert (advice.decision, advice.confidence, advice.schema_version) == (decision, "leaning", 2)
    assert (advice.option == NO_ALIGNMENT) == (decision == "do-not-align")
    assert Advice.model_validate_json(advice.model_dump_json()) == advice


@pytest.mark.parametrize(
    "content", [{}, {"alternatives": 3}, {"alternatives": [{"option": 1}]}, {"alternatives": [[]]}]
)
def test_damaged_files_are_refused_in_a_sentence(content: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "advice.json"
    path.write_text(json.dumps({"schema_version": 1} | content))
    with pytest.raises(InputError, match=r"not an advice|is of advice schema|is not a"):
        Advice.load(path)
