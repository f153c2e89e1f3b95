"""Whoever shows an answer shows the same one: headline, table, recipe, JSON, terminal and page."""

import io

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from lxml import html
from rich.console import Console

from advisor.advice import Advice
from advisor.findings import load_tables
from advisor.options import NO_ALIGNMENT, weighted
from advisor.recipe import recipe_for
from advisor.recommend import recommend
from advisor.report import Report, card_of
from probes.catalogue import OBJECTIVES, TASKS
from probes.request import ProbeRequest
from probes.signals import TOTAL, Signals
from tests.examples import examples
from tests.factories import ask, estimate, make_signals

pytestmark = pytest.mark.slow

QUESTIONS = 200
MODELS = (
    "xlm-roberta-base",
    "bert-base-multilingual-cased",
    "bundled",
    "nobody/has-aligned-this",
    "xlm-roberta-large",
)
LANGUAGES = sorted(load_tables().languages)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """An answer from evidence or from signals of any size and sign."""
    target = draw(st.sampled_from([code for code in LANGUAGES if code != "en"]))
    task = draw(st.sampled_from(sorted(TASKS)))
    min_gain = draw(st.sampled_from([0.0, 0.5, 2.0]))
    if draw(st.booleans()):
        model = draw(st.sampled_from(MODELS))
        return Report(ask(model=model, source="en", target=target, task=task, min_gain=min_gain))
    signals = _measured(draw(st.lists(st.floats(-0.9, 0.9), min_size=3, max_size=3)), target)
    return Report(recommend(signals, min_gain=min_gain), signals)


def _measured(cosines: list[float], target: str) -> Signals:
    signals = make_signals(layers=2, target=target)
    by_objective = dict(zip(signals.objectives, cosines, strict=False))
    rows = tuple(
        row.model_copy(update={"cosine": estimate(by_objective[row.objective], 0.05)})
        if row.block == TOTAL and row.objective in by_objective
        else row
        for row in signals.cosines
    )
    return signals.model_copy(update={"cosines": rows})


@examples(QUESTIONS, suppress_health_check=list(HealthCheck), derandomize=True)
@given(report=reports())
def test_every_surface_gives_the_same_answer(report: Report) -> None:
    advice = report.advice
    assert advice.alternatives[0].option == advice.option
    assert advice.aligns == (advice.option != NO_ALIGNMENT)
    assert advice.summary.startswith("Align" if advice.aligns else "Fine-tune alone")
    assert advice.reasons
    assert advice.next_moves
    if advice.confidence == "open" and report.signals is None:
        assert any("advisor race" in (move.command or "") for move in advice.next_moves)

    card = card_of(advice, report.signals)
    first = card.options[0]
    assert first.advised
    assert first.row.option == advice.option
    assert [row.advised for row in card.options].count(True) == 1
    assert sum(1 + len(row.same) for row in card.options) == len(advice.alternatives)
    assert card.sentence == advice.summary
    if advice.aligns:
        assert advice.option.objective in advice.summary

    assert Advice.model_validate_json(advice.model_dump_json()) == advice
    assert recipe_for(advice, _request(advice)).option == weighted(advice.option)

    terminal = _terminal(report)
    assert f"{card.verdict}: {card.confidence}" in terminal
    assert advice.summary in terminal
    page = html.fromstring(report.fragment(whole=False))
    (head,) = page.xpath("//section[starts-with(@class, 'card')]//h1")
    assert head.text_content() == advice.summary
    if len(card.options) > 1:
        row = page.xpath("//table[contains(@class, 'options')]/tbody/tr")[0]
        assert row.get("class") == "advised"
        assert row.xpath("./th")[0].text.strip() == first.label
    if report.signals is not None:
        assert advice.evidence_only is not None
        assert "Evidence alone" in terminal


@pytest.mark.parametrize("objective", ["token-contrastive", "token-l2", "sentence-contrastive"])
def test_a_loss_in_conflict_is_not_headlined_without_saying_so(objective: str) -> None:
    assert objective in OBJECTIVES
    for cosines in ([-0.8, -0.8, -0.8], [0.8, -0.8, 0.8], [-0.8, 0.8, -0.8]):
        signals = _measured(cosines, "tr")
        advice = recommend(signals)
        spoken_of = advice.spoken_of
        assert spoken_of is not None
        cosine = signals.cosine(spoken_of.option.objective, "target-labels")
        if cosine is not None and cosine.sign < 0:
            assert card_of(advice, signals).doubt.startswith(f"{spoken_of.option.objective} pulls against")


def _request(advice: Advice) -> ProbeRequest:
    question = advice.question.model_dump(include={"model", "source", "target", "task"})
    return ProbeRequest.of(**question, train="en.conllu", bitext="pairs.tsv", dictionary="words.tsv")


def _terminal(report: Report) -> str:
    stream = io.StringIO()
    Console(file=stream, width=300).print(report)
    return stream.getvalue()
