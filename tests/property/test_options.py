"""The option space: every option is sound, unique and can be written down and read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from advisor.options import (
    NO_ALIGNMENT,
    FrozenLayers,
    Option,
    Schedule,
    WordPairs,
    option_space,
)
from probes.catalogue import OBJECTIVES
from probes.errors import InputError


def test_the_space_has_every_objective_in_every_way_once() -> None:
    options = list(option_space())
    assert options[0] == NO_ALIGNMENT
    assert len(options) == len(set(options)) == 1 + 5 * len(Schedule) * len(FrozenLayers)


@given(st.sets(st.sampled_from(list(OBJECTIVES))), st.sampled_from(WordPairs))
def test_unavailable_objectives_are_left_out_and_the_rest_kept(out: set[str], pairs: WordPairs) -> None:
    options = list(option_space(pairs, out))
    assert options[0] == NO_ALIGNMENT
    assert {o.objective for o in options[1:]} == set(OBJECTIVES) - out
    assert all(o.word_pairs == (pairs if o.uses_word_pairs else None) for o in options)


@given(
    st.sampled_from(list(OBJECTIVES)),
    st.sampled_from(Schedule),
    st.sampled_from(FrozenLayers),
    st.sampled_from(WordPairs),
    st.none() | st.floats(1e-6, 1e3),
)
def test_what_is_parsed_is_what_was_written(
    objective: str, schedule: Schedule, frozen: FrozenLayers, pairs: WordPairs, weight: float | None
) -> None:
    weight = weight if schedule is Schedule.JOINT else None
    parts = [objective, schedule, frozen, *([repr(weight)] if weight else [])]
    option = Option.parse(":".join(parts), pairs)
    assert option == Option(
        objective=objective,
        schedule=schedule,
        frozen_layers=frozen,
        word_pairs=pairs if OBJECTIVES[objective].word_pairs else None,
        weight=weight,
    )
    assert Option.model_validate_json(option.model_dump_json()) == option


@given(st.text(max_size=40))
def test_any_text_is_an_option_or_a_bad_input(text: str) -> None:
    try:
        option = Option.parse(text)
    except InputError:
        return
    assert option in set(option_space()) or option.weight is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"objective": "none", "schedule": "joint"},
        {"objective": "none", "frozen_layers": "lower-half"},
        {"objective": "tlm"},
        {"objective": "tlm", "schedule": "joint", "word_pairs": "dictionary"},
        {"objective": "token-l2", "schedule": "joint"},
        {"objective": "mlm", "schedule": "sequential", "weight": 0.1},
        {"objective": "mlm", "schedule": "joint", "weight": 0},
        {"objective": "mlm", "schedule": "joint", "weight": float("inf")},
    ],
)
def test_attributes_that_do_not_fit_together_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Option.model_validate(fields)
