"""What must hold of any advice."""

import math
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.advice import Advice
from advisor.decide import DEFAULT_MIN_GAIN
from advisor.findings import load_findings, load_tables
from advisor.findings.evidence import normalise_model
from advisor.options import NO_ALIGNMENT
from advisor.recommend import recommend
from probes.catalogue import TASKS
from probes.signals import TOTAL, CosineRow, Estimate, Signals
from tests.examples import examples
from tests.factories import ask, make_signals

pytestmark = pytest.mark.slow

TABLES = load_tables()
models = st.sampled_from(
    [*sorted(n for n, e in TABLES.encoders.items() if e.kind != "decoder"), "someone/unheard-of"]
)
targets = st.sampled_from([code for code in sorted(TABLES.languages) if code not in ("en", "sh", "bh")])
tasks = st.sampled_from(sorted(TASKS))
least = st.floats(0, 5)
MEASURED = {name: {effect.task for effect in rows} for name, rows in TABLES.strata.items()}
SIGNALS = make_signals(layers=2)


@examples(60)
@given(models, targets, tasks, least)
def test_the_decision_follows_from_what_is_shown(model: str, target: str, task: str, least: float) -> None:
    advice = ask(model=model, source="en", target=target, task=task, min_gain=least)
    aligned = [a.gain for a in advice.alternatives if a.option != NO_ALIGNMENT]
    assert advice.gain in aligned
    assert all(g.low <= g.mean <= g.high for g in aligned)
    assert all(math.isfinite(g.low) and math.isfinite(g.high) for g in aligned)
    assert all(g.probability_worthwhile <= g.probability_positive for g in aligned)
    assert advice.gain is not None
    assert advice.option == advice.alternatives[0].option
    assert advice.aligns == (advice.option != NO_ALIGNMENT)
    measured = task in MEASURED[TABLES.stratum_of(normalise_model(model), task)]
    if measured or least > DEFAULT_MIN_GAIN:
        assert advice.gain.mean > least or not advice.aligns
    if measured:
        assert advice.aligns == (advice.gain.mean > least)
    means = [row.gain.mean for row in advice.alternatives if row.option != advice.option]
    assert means == sorted(means, reverse=True)
    assert Advice.model_validate_json(advice.model_dump_json()) == advice


@examples(30)
@given(models, targets, tasks, least, least)
def test_asking_for_more_never_turns_no_into_yes(
    model: str, target: str, task: str, first: float, second: float
) -> None:
    low, high = sorted((first, second))
    modest = ask(model=model, source="en", target=target, task=task, min_gain=low)
    greedy = ask(model=model, source="en", target=target, task=task, min_gain=high)
    if modest.decision == "do-not-align":
        assert greedy.decision == "do-not-align"
    if greedy.decision == "align":
        assert modest.decision == "align"


bounds = st.floats(-1, 1).flatmap(lambda low: st.tuples(st.just(low), st.floats(low, 1)))


@examples(30)
@given(st.lists(bounds, min_size=6, max_size=6), least, least)
def test_the_same_holds_for_measured_signals(
    intervals: list[tuple[float, float]], first: float, second: float
) -> None:
    signals = with_leading_cosines(intervals)
    modest, greedy = (recommend(signals, min_gain=points) for points in sorted((first, second)))
    if modest.decision == "do-not-align":
        assert greedy.decision == "do-not-align"
    if greedy.decision == "align":
        assert modest.decision == "align"


@examples(30)
@given(st.lists(bounds, min_size=6, max_size=6), st.floats(0.01, 0.5))
def test_a_signal_that_points_up_more_never_lowers_the_gain(
    intervals: list[tuple[float, float]], more: float
) -> None:
    raised = [(low + more * (1 - low), high + more * (1 - high)) for low, high in intervals]
    findings = load_findings()
    stages = {
        signal: replace(stage, slope=2.0 if signal.measure == "cosine" else 0.0, slope_sd=0.0)
        for signal, stage in findings.signals.items()
    }
    validated = replace(findings, signals=stages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["advisor.recommend._answer"], "load_findings", lambda: validated)
        before, after = (
            {row.option.model_copy(update={"weight": None}): row.gain.mean for row in advice.alternatives}
            for advice in (
                recommend(with_leading_cosines(intervals)),
                recommend(with_leading_cosines(raised)),
            )
        )
    assert all(after[option] >= gain - 1e-9 for option, gain in before.items())


def with_leading_cosines(intervals: list[tuple[float, float]]) -> Signals:
    """Signals whose cosines with the target-task gradient have these intervals."""
    waiting = iter(intervals)
    return SIGNALS.model_copy(
        update={
            "cosines": tuple(
                row.model_copy(update={"cosine": _estimate(*next(waiting))}) if _leads(row) else row
                for row in SIGNALS.cosines
            )
        }
    )


def _leads(row: CosineRow) -> bool:
    return (row.point, row.block) == ("theta_warm", TOTAL) and row.task_gradient != "source"


def _estimate(low: float, high: float) -> Estimate:
    return Estimate(value=(low + high) / 2, low=low, high=high)
