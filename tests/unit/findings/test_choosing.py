"""Ways of choosing an option: what they get, and that none of them is scored on what it chose by."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from advisor.findings.evidence import OwnRecord
from advisor.findings.model import HeldOut
from advisor.findings.reports._choosing import Choice, choose
from tests.unit.findings.simulation import own_record

NONE = (70.0, 70.0, 70.0)


def record(
    target: str,
    objective: str,
    gains: Sequence[float],
    early: Sequence[float] | None = None,
) -> OwnRecord:
    """One option of a cell with the gain of every seed, at the end and after a quarter."""
    scores = {} if early is None else {"quarter": (NONE, tuple(70.0 + gain for gain in early))}
    return own_record(
        id=f"{target}-{objective}",
        target=target,
        objective=objective,
        word_pairs="",
        gain=float(np.mean(gains)),
        gain_sd=float(np.std(gains, ddof=1)),
        baseline_scores=NONE,
        aligned_scores=tuple(70.0 + gain for gain in gains),
        early_scores=scores,
        run_seconds=100.0,
        probe_seconds=50.0,
    )


def chosen(
    records: Sequence[OwnRecord], centre: Sequence[float], cosines: Sequence[float]
) -> dict[str, Choice]:
    """All ways, by name, when the records have these leading cosines."""
    records = [
        replace(r, signals={"target_labels_cosine": cosine} if np.isfinite(cosine) else {})
        for r, cosine in zip(records, cosines, strict=True)
    ]
    gains = np.array([r.gain for r in records])
    held = HeldOut(
        tuple(f"{r.model}, {r.task}" for r in records),
        tuple(r.model for r in records),
        np.array(centre),
        gains,
        np.ones(len(gains)),
    )
    return {choice.name: choice for choice in choose(held, records, draws=20)}


def test_each_way_gets_what_its_option_gained() -> None:
    records = [
        *(record("tr", "token-contrastive", [2.0] * 3), record("tr", "sentence-contrastive", [-1.0] * 3)),
        *(record("de", "token-contrastive", [-3.0] * 3), record("de", "sentence-contrastive", [-1.0] * 3)),
    ]
    found = chosen(records, centre=[1.0, 0.5, -0.5, 0.5], cosines=[-0.1, 0.1, np.nan, -0.2])
    kept = {name: choice.kept.value for name, choice in found.items()}
    assert kept["never"] == 0
    assert kept["evidence alone"] == pytest.approx((2.0 - 1.0) / 2)
    assert kept["cosine with target-labels, alone"] == pytest.approx(-1.0 / 2)
    assert kept["best on average in other groups"] == 0  # there is no other group
    assert kept["one seed of every option, whole run"] == pytest.approx(2.0 / 2)
    for choice in found.values():
        assert choice.kept.value + choice.regret.value == pytest.approx(2.0 / 2)
    assert found["one seed of every option, whole run"].cost == 3
    assert found["cosine with target-labels, alone"].cost == 0.5
    assert found["never"].cost == 0


def test_a_trial_is_scored_on_other_seeds_than_it_chose_by() -> None:
    """A gain that one seed shows by luck is not kept."""
    found = chosen([record("tr", "token-contrastive", [9.0, -3.0, -3.0])], centre=[0.0], cosines=[0.0])
    assert found["one seed of every option, whole run"].kept.value == pytest.approx((-3.0 + 0 + 0) / 3)


def test_short_trials_count_where_scores_were_taken_on_the_way() -> None:
    records = [
        record("tr", "token-contrastive", [1.0, 1.0, 1.0], early=[-1.0, 1.0, 1.0]),
        record("de", "token-contrastive", [1.0, 1.0, 1.0]),
    ]
    found = chosen(records, centre=[0.0, 0.0], cosines=[0.0, 0.0])
    short = found["one seed of every option, quarter run"]
    assert (short.cells, short.cost) == (1, 0.5)
    assert short.kept.value == pytest.approx(2 / 3)
    assert "one seed of every option, half run" not in found
    assert short.probe_regret is not None
    assert short.probe_regret.value == pytest.approx(1.0)  # in tr alone, where a cosine of 0 does nothing
    assert found["one seed of every option, whole run"].cells == 2


def test_chance_is_not_rewarded() -> None:
    """Without any effect no way of choosing keeps anything, trials of one seed among them."""
    generator = np.random.default_rng(0)
    records = [
        record(language, objective, generator.normal(0, 1, 3).tolist())
        for language in ("aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh") * 25
        for objective in ("token-contrastive", "sentence-contrastive")
    ]
    records = [
        record(f"{r.target}{i // 2}", r.objective, [s - 70.0 for s in r.aligned_scores])
        for i, r in enumerate(records)
    ]
    found = chosen(records, centre=[0.0] * len(records), cosines=[0.0] * len(records))
    assert abs(found["one seed of every option, whole run"].kept.value) < 0.15
