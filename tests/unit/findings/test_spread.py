"""What languages do to an encoder that no one has aligned is carried over with care."""

import math

import pytest

from advisor.findings import load_findings
from advisor.findings.evidence import LIGHT, Case
from tests.factories import SEQUENTIAL


def case(model: str, task: str, target: str) -> Case:
    return load_findings().cases.case(SEQUENTIAL, model=model, task=task, target=target)


@pytest.mark.parametrize("target", ["wo", "tr"])
@pytest.mark.parametrize("task", ["pos", "nli"])
def test_a_new_encoder_gets_the_least_spread(task: str, target: str) -> None:
    spread = load_findings().effects[LIGHT].spread
    new = case("an-encoder-no-one-aligned", task, target)
    resource = spread.resources.get(new.resource, 0.0)
    of_models = [math.exp(spread.overall + m + spread.tasks[task] + resource) for m in spread.models.values()]
    assert spread(new) == pytest.approx(min(of_models))


@pytest.mark.parametrize("task", ["pos", "nli"])
def test_intervals_of_a_new_encoder_are_wider(task: str) -> None:
    effects = load_findings().effects[LIGHT]
    cases = [case(model, task, "wo") for model in ("xlm-roberta-base", "an-encoder-no-one-aligned")]
    known, new = effects.predict(cases).sd.tolist()
    assert new > 1.15 * known


def test_what_is_not_known_of_one_encoder_is_something_else_in_another() -> None:
    """XLM-R gained much on Yoruba, of which nobody knows whether it saw any: so may its kin, not others."""
    effects = load_findings().effects[LIGHT]
    models = ("xlm-roberta-base", "xlm-roberta-large", "an-encoder-no-one-aligned", "mdeberta-v3-base")
    base, large, *others = effects.predict([case(model, "pos", "yo") for model in models]).mean.tolist()
    assert min(base, large) > 2 * max(others) > 0
