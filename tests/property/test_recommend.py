"""What must hold of any advice."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.advice import Advice
from advisor.findings import load_tables
from advisor.options import NO_ALIGNMENT
from advisor.recommend import ask
from probes.tasks import TASKS

TABLES = load_tables()
models = st.sampled_from([*sorted(TABLES.models), "someone/unheard-of"])
targets = st.sampled_from([code for code in sorted(TABLES.languages) if code not in ("en", "sh", "bh")])
tasks = st.sampled_from(sorted(TASKS))
least = st.floats(0, 5)


@settings(max_examples=60, deadline=None)
@given(models, targets, tasks, least)
def test_the_decision_follows_from_what_is_shown(model: str, target: str, task: str, least: float) -> None:
    advice = ask(model=model, source="en", target=target, task=task, min_gain=least)
    aligned = [a.gain for a in advice.alternatives if a.option != NO_ALIGNMENT]
    assert advice.gain in aligned
    assert all(g.low <= g.mean <= g.high for g in aligned)
    assert all(math.isfinite(g.low) and math.isfinite(g.high) for g in aligned)
    assert all(g.probability_worthwhile <= g.probability_positive for g in aligned)
    assert advice.gain is not None
    if advice.decision == "align":
        assert advice.gain.probability_positive >= 0.8
        assert advice.gain.mean >= least
        assert advice.option is not None
    else:
        assert advice.option is None
    if advice.decision == "do-not-align":
        assert advice.gain.probability_worthwhile <= 0.2
    assert (advice.would_tell is not None) == (advice.decision == "cannot-tell")
    assert advice.decision == "cannot-tell" or advice.support.in_range
    assert Advice.model_validate_json(advice.model_dump_json()) == advice


@settings(max_examples=30, deadline=None)
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
