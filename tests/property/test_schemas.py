"""Every file that is written is read back as it was, and holds nothing that is not a number."""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue, ValidationError

from advisor.advice import Advice
from advisor.findings import load_findings
from advisor.options import Option, Schedule, option_space
from advisor.recommend import recommend
from advisor.study import TrialResult
from advisor.study._record import Record
from probes.errors import InputError
from probes.signals import TOTAL, Signals
from tests.examples import examples
from tests.factories import make_advice, make_signals
from tests.property.schemas import instances

TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)


@st.composite
def options(draw: st.DrawFn) -> Option:
    option = draw(st.sampled_from(list(option_space())))
    weight = draw(st.floats(1e-6, 10)) if option.schedule is Schedule.JOINT else None
    return option.model_copy(update={"weight": weight})


SPECIAL: dict[Any, st.SearchStrategy[Any]] = {Option: options(), JsonValue: JSON}
FILES: list[type[BaseModel]] = [Signals, Advice, Record, TrialResult]


@pytest.mark.slow
@pytest.mark.parametrize("model", FILES)
@examples(30, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_written_is_what_is_read(model: type[BaseModel], data: st.DataObject) -> None:
    made = data.draw(instances(model, SPECIAL))
    text = made.model_dump_json(indent=2)
    read = model.model_validate_json(text)
    assert read == made
    assert read.model_dump_json(indent=2) == text
    json.loads(text, parse_constant=pytest.fail)


def numbers(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Where in a JSON value the floating-point numbers are."""
    if isinstance(value, float):
        yield path
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from numbers(inner, *path, key)
    for i, inner in enumerate(value) if isinstance(value, list) else ():
        yield from numbers(inner, *path, i)


def with_number(content: str, path: tuple[str | int, ...], number: float) -> str:
    """The JSON text with another number at ``path``."""
    changed = json.loads(content)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = number
    return json.dumps(changed)


SIGNALS = make_signals(layers=2).model_dump_json()
ADVICE = make_advice().model_dump_json()
IN_SIGNALS = sorted(numbers(json.loads(SIGNALS)), key=str)
IN_ADVICE = sorted(numbers(json.loads(ADVICE)), key=str)


@examples(100)
@given(st.sampled_from(IN_SIGNALS), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_no_signal_is_anything_but_a_number(path: tuple[str | int, ...], number: float) -> None:
    with pytest.raises(ValidationError):
        Signals.model_validate_json(with_number(SIGNALS, path, number))


@examples(100)
@given(st.sampled_from(IN_ADVICE), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_no_part_of_an_advice_is_anything_but_a_number(path: tuple[str | int, ...], number: float) -> None:
    with pytest.raises(ValidationError):
        Advice.model_validate_json(with_number(ADVICE, path, number))


_COSINES = json.loads(SIGNALS)["cosines"]
LEADING = [
    path
    for path in IN_SIGNALS
    if path[0] == "cosines"
    and _COSINES[path[1]]["point"] == "theta_warm"
    and _COSINES[path[1]]["block"] == TOTAL
]
"""The numbers that advice rests on."""


@pytest.mark.slow
@examples(60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(LEADING) | st.sampled_from(IN_SIGNALS),
            st.sampled_from([0.0, 1.0, -1.0, 5e-324, 1e308, -1e308])
            | st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=20,
    ),
    st.floats(0, 100),
    st.sampled_from([0.0, 4.0]),
)
def test_signals_of_any_numbers_get_an_advice_of_numbers_or_are_refused(
    changes: list[tuple[tuple[str | int, ...], float]], least: float, slope: float
) -> None:
    content = SIGNALS
    for path, number in changes:
        content = with_number(content, path, number)
    findings = load_findings()
    stages = {  # as if signals had been validated
        name: replace(s, slope=slope, slope_sd=slope / 4) for name, s in findings.signals.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys.modules["advisor.recommend._answer"],
            "load_findings",
            lambda: replace(findings, signals=stages),
        )
        try:
            advice = recommend(Signals.model_validate_json(content), min_gain=least)
        except (ValidationError, InputError):
            return
    json.loads(advice.model_dump_json(), parse_constant=pytest.fail)
    assert Advice.model_validate_json(advice.model_dump_json()) == advice
