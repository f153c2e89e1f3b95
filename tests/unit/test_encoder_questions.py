"""Questions about encoders that the evidence knows little or nothing of."""

from typing import Any

import pytest

from advisor.advice import Advice
from advisor.findings import load_tables
from probes.errors import InputError
from tests.factories import ask


def test_a_decoder_is_refused() -> None:
    with pytest.raises(InputError, match="'gpt2' is a decoder-only language model"):
        ask(model="gpt2", source="en", target="de", task="ner")


def test_a_mistyped_model_is_unknown_first_of_all_and_the_nearest_names_are_offered() -> None:
    first = ask(model="xlm-robreta-base", source="en", target="de", task="ner").warnings[0]
    assert first.code == "unseen-model"
    assert "unknown to the evidence" in first.text
    assert "Did you mean xlm-roberta-base" in first.text


@pytest.mark.parametrize("model", ["sentence-transformers/LaBSE", "someone/random-init", "xlm-roberta-base"])
@pytest.mark.parametrize("task", ["pos", "nli"])
def test_nothing_is_asserted_of_pretraining_that_is_not_known(model: str, task: str) -> None:
    advice = ask(model=model, source="en", target="yo", task=task)
    assert not [reason for reason in advice.reasons if "pretraining saw" in reason.text]


def test_what_the_user_says_of_a_model_changes_the_answer() -> None:
    question: dict[str, Any] = {"model": "someone/new", "source": "en", "target": "te", "task": "pos"}
    unknown = ask(**question)
    like = ask(**question, like="xlm-roberta-base")
    unseen = ask(**question, pretrained_on=("en", "de"))
    assert like.question.like == "xlm-roberta-base"
    assert unseen.question.pretrained_on == ("en", "de")
    gains = [[round(a.gain.mean, 6) for a in advice.alternatives] for advice in (unknown, like, unseen)]
    assert gains[0] != gains[1] != gains[2] != gains[0]


def test_effects_that_are_not_pooled_are_not_said_to_be_none() -> None:
    (text,) = [n.text for n in _large().warnings if n.code == "unseen-model"]
    measured = [e for e in load_tables().effects if e.model == "xlm-roberta-large" and e.unfit is None]
    assert f"({len(measured)} effects: 10^5 to 10^6 alignment steps and extra data)" in text
    assert "not pooled" in text
    assert "No effect" not in text


def test_an_encoder_of_a_family_that_was_aligned_may_be_likely() -> None:
    assert _large().confidence == "likely"


def _large() -> Advice:
    return ask(model="xlm-roberta-large", source="en", target="yo", task="pos")


@pytest.mark.parametrize("fact", [{"like": "labse"}, {"pretrained_on": ("te", "en")}])
def test_nobody_overrules_what_is_on_file_of_an_encoder(fact: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="'xlm-roberta-base' is known to the evidence"):
        ask(model="FacebookAI/xlm-roberta-base", source="en", target="te", task="pos", **fact)


def test_question_answering_can_be_asked() -> None:
    advice = ask(model="xlm-roberta-base", source="en", target="de", task="xquad")
    assert advice.question.task == "qa"
    assert advice.support.nearest[0].direct
    assert advice.support.nearest[0].task == "qa"


def test_evidence_that_speaks_of_the_question_comes_first_with_its_lab_and_link() -> None:
    rows = ask(model="xlm-roberta-large", source="en", target="de", task="pos").support.nearest
    assert [row.direct for row in rows] == sorted((row.direct for row in rows), reverse=True)
    assert rows[0].direct  # of the same family
    assert rows[0].model == "xlm-roberta-base"
    assert rows[0].lab
    assert rows[0].url
