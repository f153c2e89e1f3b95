"""The registered test: what is planted is found, and outcomes permuted inside groups give null results."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from advisor.findings.evidence import OwnRecord
from advisor.findings.reports._registered import RegisteredTest, registered_test
from tests.unit.findings.simulation import own_record

STATES, TASKS = [f"state-{i}" for i in range(6)], ("pos", "topic", "slots")
LANGUAGES = ("tr", "de", "fi", "hi")
OPTIONS = ("token-contrastive", "sentence-contrastive")


def made_up(slope: float, seed: int = 0, steps: int = 300) -> list[OwnRecord]:
    """Records whose gains follow the frozen gap by so many points a point, within groups as between them."""
    random = np.random.default_rng(seed)
    records = []
    for state, task in product(STATES, TASKS):
        level = random.normal(0, 8)
        for target, objective in product(LANGUAGES, OPTIONS):
            gap = 20 + level + random.normal(0, 8)
            gain = float(2 + slope * (gap - 20) + random.normal(0, 1))
            records.append(
                own_record(
                    model=state,
                    task=task,
                    target=target,
                    objective=objective,
                    gain=gain,
                    steps=steps,
                    signals={
                        "frozen_source": 80.0,
                        "frozen_target": 80.0 - gap,
                        "target_projected_cosine": float(random.normal(0, 0.1)),
                    },
                )
            )
    return records


def _of(signal: str, records: Sequence[OwnRecord]) -> RegisteredTest:
    return next(test for test in registered_test(records) if test.signal == signal)


def test_a_planted_signal_is_a_success_and_noise_a_failure() -> None:
    records = made_up(slope=0.5)
    gap = _of("frozen-gap", records)
    assert (gap.rows, gap.groups, gap.states, gap.counts) == (144, 18, 6, True)
    assert gap.verdict == "success"
    assert 0.4 < gap.slope < 0.6
    assert gap.by_state is not None
    assert gap.by_group.high < 0
    assert gap.by_state.high < 0
    assert _of("cosine with target-projected", records).verdict == "failure"


def test_a_slope_of_the_other_sign_is_a_failure() -> None:
    assert _of("frozen-gap", made_up(slope=-0.5)).verdict == "failure"


def test_outcomes_permuted_inside_groups_give_null_results() -> None:
    """What tells groups apart may stay; within groups nothing is left, so nothing is a success."""
    random = np.random.default_rng(1)
    for seed in range(5):
        groups: defaultdict[tuple[str, str], list[OwnRecord]] = defaultdict(list)
        for record in made_up(slope=0.5, seed=seed):
            groups[record.model, record.task].append(record)
        permuted = [
            replace(record, gain=gain)
            for records in groups.values()
            for record, gain in zip(
                records, random.permutation([r.gain for r in records]).tolist(), strict=True
            )
        ]
        test = _of("frozen-gap", permuted)
        assert test.verdict != "success"
        assert test.within is not None
        assert abs(test.within.value) < 0.3


def test_short_runs_are_shown_but_not_scored() -> None:
    tests = registered_test(made_up(slope=0.5, steps=120))
    assert tests
    assert not any(test.counts for test in tests)


def test_the_outcome_is_the_mean_of_the_last_looks_of_a_long_run() -> None:
    record = own_record(gain=3.0, steps=300, late_scores=((70.0, 72.0), (74.0, 74.0)))
    assert record.outcome == 3.0
    assert replace(record, late_scores=((70.0, 71.0), (75.0, 75.0))).outcome == 4.5
    assert replace(record, steps=120, late_scores=((70.0,), (75.0,))).outcome == 3.0
