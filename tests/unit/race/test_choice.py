import numpy as np
import pytest

from advisor.findings.model import scale
from advisor.race.belief import SURE, Belief, Step, next_step, stop_reason
from advisor.race.errors import Look
from advisor.race.replay.rivals import Moment, Runner, halving, race
from advisor.race.rungs import WHOLE, Rung, RungPlan
from tests.unit.race.simulation import OPTIONS, PLAN, TRUTH, cell, covariance_of


def test_passes_count_both_phases_and_what_starts_anew() -> None:
    plan = RungPlan(align_steps=80, tune_steps=40)
    sequential, joint = OPTIONS[0], OPTIONS[3]
    assert plan.passes(sequential, WHOLE) == 2 * 80 + 40
    assert plan.passes(joint, WHOLE) == 3 * 40
    assert plan.passes(joint, WHOLE, Rung(1.0, 0.25)) == 3 * 30
    further_aligned = plan.passes(sequential, WHOLE, Rung(0.5, 0.5))
    assert further_aligned == 2 * 40 + 40, "fine-tuning starts anew"
    assert plan.passes(sequential, WHOLE, Rung(1.0, 0.5)) == 20


def test_the_step_worth_most_for_its_cost_is_next() -> None:
    belief = Belief(np.array([1.0, 0.9]), 4 * np.eye(2), TRUTH, "token")
    dear = Step((Look(0, 0, WHOLE),), 100.0)
    cheap = Step((Look(1, 0, WHOLE),), 10.0)
    assert next_step(belief, [dear, cheap]) == cheap
    assert next_step(belief, [dear], budget=50.0) is None


def test_reasons_to_stop() -> None:
    step = Step((Look(0, 0, WHOLE),), 10.0)
    open_question = Belief(np.zeros(1), np.array([[4.0]]), TRUTH, "token")
    assert stop_reason(open_question, [step], 100.0, 0.5) is None
    assert stop_reason(open_question, [step], 5.0, 0.5) == "time"
    assert stop_reason(open_question, [], 100.0, 0.5) == "all were run"
    clear = Belief(np.array([9.0]), np.array([[4.0]]), TRUTH, "token")
    assert stop_reason(clear, [step], 100.0, 0.5) == "sure"
    alike = Belief(np.array([9.0, 9.0]), np.array([[4.0, 3.999], [3.999, 4.0]]), TRUTH, "token")
    steps = [step, Step((Look(1, 0, WHOLE),), 10.0)]
    assert stop_reason(alike, steps, 100.0, 0.5) == "not worth going on"


@pytest.mark.slow
def test_the_race_beats_halving_and_knows_how_sure_it_is() -> None:
    generator = np.random.default_rng(1)
    budget = 2 * PLAN.passes(OPTIONS[0], WHOLE)
    lost: dict[str, list[float]] = {"race": [], "halving": []}
    sure, right = [], []
    for _ in range(50):
        mean = generator.normal(1.0, 2.0, len(OPTIONS))
        trace, truth = cell(generator, mean)
        value = np.append(truth, 0.0)  # the last stands for fine-tuning alone, whose place is -1
        moments = list(race(Runner(trace, (0, 1)), (scale.to_scale(mean), covariance_of()), TRUTH, budget))
        blind = list(halving(Runner(trace, (0, 1)), None, budget))
        for name, found in (("race", moments), ("halving", blind)):
            lost[name].append(value.max() - value[_at(found, budget).pick])
        sure += [moment.sure for moment in moments if moment.sure is not None]
        right += [value[moment.pick] == value.max() for moment in moments]
    assert np.mean(lost["race"]) < 0.6 * np.mean(lost["halving"])
    assert abs(np.mean(sure) - np.mean(right)) < 0.07
    assert max(sure) >= SURE


def _at(moments: list[Moment], budget: float) -> Moment:
    return [moment for moment in moments if moment.spent <= budget][-1]
