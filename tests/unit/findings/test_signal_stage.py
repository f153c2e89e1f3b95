"""The second stage: signals move a prediction only if validation says that they help."""

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from advisor.findings import load_tables
from advisor.findings.evidence import OWN, CaseMaker, observations
from advisor.findings.model import LEADING_SIGNALS, EffectModel, LeadingSignal, SignalStage, fit_stages, scale
from advisor.findings.model._signal_stage import fit_slope
from advisor.options import FrozenLayers
from advisor.study._compile import signal_columns
from tests.factories import SEQUENTIAL, make_signals
from tests.unit.findings.simulation import copy_tables, own_record


def _fit(slope: float, seed: int, records: int = 40, noise: float = 0.8) -> SignalStage:
    random = np.random.default_rng(seed)
    cosines = random.normal(0.05, 0.1, records)
    return fit_slope(
        values=cosines,
        residuals=slope * (cosines - cosines.mean()) + random.normal(0, noise, records),
        variances=np.full(records, noise**2),
        groups=[f"g{i % 8}" for i in range(records)],
    )


def test_a_planted_slope_is_recovered() -> None:
    stages = [_fit(12.0, seed) for seed in range(10)]
    assert all(stage.validated for stage in stages)
    assert np.mean([stage.slope for stage in stages]) == pytest.approx(12.0, rel=0.25)
    within = [abs(stage.slope - 12.0) < 2 * stage.slope_sd for stage in stages]
    assert np.mean(within) >= 0.7


def test_without_a_slope_signals_hardly_ever_move_anything() -> None:
    stages = [_fit(0.0, seed) for seed in range(40)]
    assert np.mean([stage.slope == 0 for stage in stages]) >= 0.8
    assert max(abs(stage.slope) for stage in stages) < 4


def test_too_few_records_or_groups_give_exactly_nothing() -> None:
    assert _fit(30.0, 0, records=8).slope == 0
    stage = fit_slope(
        values=np.linspace(-1, 1, 30),
        residuals=10 * np.linspace(-1, 1, 30),
        variances=np.full(30, 0.1),
        groups=["pos", "ner", "nli"] * 10,
    )
    assert stage.shift(0.5, 0.1) == (0.0, 0.0)
    assert not stage.validated


def test_a_shift_is_more_uncertain_far_from_the_records_and_with_noisy_cosines() -> None:
    stage = _fit(12.0, 0)
    assert stage.shift(stage.centre, 0.0) == (0.0, 0.0)
    near, far = stage.shift(stage.centre + 0.05, 0.0), stage.shift(stage.centre + 0.5, 0.0)
    assert 0 < near[0] < far[0]
    assert near[1] < far[1] < stage.shift(stage.centre + 0.5, 0.2)[1]


def test_a_stage_survives_its_array() -> None:
    stage = _fit(12.0, 1)
    assert SignalStage.from_array(stage.array()) == stage


def test_a_slope_that_fails_on_another_encoder_is_not_used() -> None:
    random = np.random.default_rng(0)
    cosines = random.normal(0.05, 0.1, 40)
    models = ["a"] * 28 + ["b"] * 12
    signs = np.array([1.0] * 28 + [-1.0] * 12)
    with_models, without = (
        fit_slope(
            values=cosines,
            residuals=12 * signs * (cosines - cosines.mean()) + random.normal(0, 0.2, 40),
            variances=np.full(40, 0.5),
            groups=[f"g{i % 8}" for i in range(40)],
            states=of,
        )
        for of in (models, [])
    )
    assert without.validated
    assert not with_models.validated


def test_a_signal_is_the_same_number_in_a_probe_and_in_a_record() -> None:
    signals = make_signals()
    for signal in LEADING_SIGNALS:
        columns = signal_columns(signals, "token-contrastive")
        numbers = {name: float(value) for name, value in columns.items() if not name.endswith("by_layer")}
        (record,) = signal.of_records([own_record(signals=numbers)])
        found = signal.of_probe(signals, "token-contrastive")
        assert found is not None
        assert found[0] == pytest.approx(record, rel=1e-4)
        assert found[1] >= 0


def test_a_huge_lookahead_does_not_move_in_proportion() -> None:
    """Ten times the step's effect is not ten times the gain."""
    signal = LeadingSignal("target-labels", "lookahead")
    column = "target_labels_lookahead_adam"
    small, large = signal.of_records([own_record(signals={column: x}) for x in (1.0, 10.0)])
    assert small == pytest.approx(1.0, abs=0.05)
    assert small < large < 6


@pytest.mark.slow
def test_records_in_the_table_teach_the_stage(tmp_path: Path) -> None:
    """Trials whose gains follow their cosines beyond what the effect model expects move predictions."""
    root = copy_tables(tmp_path)
    tables = load_tables(root)
    maker = CaseMaker(tables)
    model = EffectModel.fit(observations(tables.strata[OWN], maker))
    random = np.random.default_rng(0)
    rows = []
    groups = product(("xlm-roberta-base", "bert-base-multilingual-cased"), ("pos", "ner", "nli", "topic"))
    for i, ((name, task), target) in enumerate(product(groups, ("tr", "de", "fi", "hi"))):
        cosine = float(random.uniform(-0.2, 0.3))
        frozen = (FrozenLayers.NONE, FrozenLayers.LOWER_HALF)[i % 2]
        option = SEQUENTIAL.model_copy(update={"frozen_layers": frozen})
        case = maker.case(option, model=name, task=task, target=target)
        centre = float(model.predict([case]).centre[0])
        gain = float(scale.to_points(np.array(centre + 12 * (cosine - 0.05) + random.normal(0, 0.2))))
        rows.append(
            {
                **{"id": f"r{i}", "model": case.model, "source": "en", "target": target, "task": task},
                **{"objective": case.objective, "schedule": case.schedule, "word_pairs": "dictionary"},
                **{"frozen_layers": case.frozen_layers, "weight": "", "seeds": 5, "baseline": 80},
                **{"gain": round(gain, 3), "gain_sd": 0.4},
                **{"target_labels_cosine": round(cosine, 4), "target_labels_cosine_se": 0.02},
            }
        )
    with (root / "records.csv").open(newline="") as file:
        header = next(csv.reader(file))
    with (root / "records.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=header, restval="")
        writer.writeheader()
        writer.writerows(rows)
    load_tables.cache_clear()
    tables = load_tables(root)
    maker = CaseMaker(tables)
    stages = fit_stages(tables, maker, EffectModel.fit(observations(tables.strata[OWN], maker)))
    stage = stages[LeadingSignal("target-labels", "cosine")]
    assert (stage.records, stage.groups) == (32, 8)
    assert stage.validated
    assert 4 < stage.slope < 16
    # what target labels have shown does not hold for labels that are projected
    assert stages[LeadingSignal("target-projected", "cosine")] == SignalStage()
    assert stages[LeadingSignal("target-labels", "lookahead")] == SignalStage()
