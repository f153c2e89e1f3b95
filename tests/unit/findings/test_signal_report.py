"""Signals against gains: what is planted is found, what follows the task alone is not taken for a signal."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from advisor.findings import load_tables, signals
from advisor.findings.evidence import OwnRecord
from advisor.findings.reports import Figure, SignalReport
from advisor.findings.reports._choosing import Choice
from advisor.findings.reports._claims import claims
from advisor.findings.reports._signal_rows import gradient_geometry, harm_rows, signal_parts, signal_rows
from advisor.study._compile import COLUMNS
from tests.unit.findings.simulation import copy_tables

LANGUAGES = ("tr", "de", "fi", "hi", "ar", "zh", "wo", "eu")


def made_up(seed: int, slope: float) -> Iterator[OwnRecord]:
    """Records whose gains follow the leading cosine; two tasks differ in level, and a signal with them."""
    random = np.random.default_rng(seed)
    for task, objective, target in product(
        ("pos", "topic"), ("token-contrastive", "sentence-contrastive"), LANGUAGES
    ):
        cosine = float(random.normal(0, 0.15))
        level = {"pos": 6.0, "topic": -6.0}[task]
        gains = slope * cosine + level + random.normal(0, 0.4, 3)
        yield OwnRecord(
            id=f"{task}-{objective}-{target}",
            model="xlm-roberta-base",
            source="en",
            target=target,
            task=task,
            objective=objective,
            schedule="joint",
            frozen_layers="none",
            word_pairs="mutual-argmax" if objective == "token-contrastive" else "",
            weight=0.1,
            seeds=3,
            baseline=70.0,
            gain=float(gains.mean()),
            gain_sd=float(gains.std(ddof=1)),
            cosines={"target-labels": (cosine, 0.03)},
            baseline_scores=(70.0, 70.0, 70.0),
            aligned_scores=tuple((70.0 + gains).tolist()),
            signals={
                "target_labels_cosine": cosine,
                "target_labels_cosine_se": 0.03,
                "target_labels_null_cosine": float(random.normal(0, 0.15)),
                "sentence_gap_last": float(random.normal()),
                "theta0_ceiling": level + float(random.normal(0, 0.1)),
            },
        )


def test_a_planted_signal_survives_correction_and_noise_does_not() -> None:
    rows = {row.signal: row for row in signal_rows(list(made_up(0, slope=20.0)), draws=200)}
    leading, noise = rows["target_labels_cosine"], rows["sentence_gap_last"]
    assert leading.partial is not None
    assert leading.p_adjusted is not None
    assert leading.partial.low > 0.5
    assert leading.p_adjusted < 0.05
    assert noise.p_adjusted is not None
    assert noise.p_adjusted > 0.05
    assert noise.sign_right is None
    assert set(rows) == {
        *("target_labels_cosine", "target_labels_null_cosine", "target_labels_cosine_less_null"),
        *("sentence_gap_last", "theta0_ceiling"),
    }


def test_a_signal_that_tells_tasks_apart_has_no_partial_correlation() -> None:
    row = next(row for row in signal_rows(list(made_up(1, slope=0.0)), 200) if row.signal == "theta0_ceiling")
    assert row.correlation is not None
    assert row.correlation.value > 0.7
    assert row.partial is not None
    assert abs(row.partial.value) < 0.35
    assert row.p is not None
    assert row.p > 0.05


def test_p_values_are_uniform_enough_without_any_effect() -> None:
    found = [row.p for seed in range(12) for row in signal_rows(list(made_up(seed, slope=0.0)), 20)]
    values = np.array([p for p in found if p is not None])
    assert len(values) == 60
    assert np.mean(values < 0.05) < 0.15
    assert 0.35 < values.mean() < 0.65


def test_signs_are_scored_on_clear_gains_alone() -> None:
    records = [record for record in made_up(2, slope=40.0) if record.task == "pos"]
    right = next(row for row in signal_rows(records, 50) if row.signal == "target_labels_cosine")
    clear = [r for r in records if r.gain_sd is not None and abs(r.gain) > 2 * r.gain_sd / 3**0.5]
    assert right.clear == len(clear)
    assert right.sign_right is not None
    share = np.mean([(r.gain > 0) == (r.signals["target_labels_cosine"] > 0) for r in clear])
    assert right.sign_right.value == pytest.approx(share)


def test_an_encoder_that_contradicts_the_others_is_shown() -> None:
    """A correlation over all records can hide that it is turned round in one encoder."""
    records = [
        replace(r, model=model, gain=-r.gain if model == "odd" else r.gain)
        for model, seed in (("even", 0), ("odd", 1))
        for r in made_up(seed, slope=40.0)
        if r.task == "pos"
    ]
    parts = {part.where: part.row for part in signal_parts(records, ["target_labels_cosine"], draws=50)}
    assert set(parts) == {"even", "odd", "token tasks"}
    assert parts["even"].partial is not None
    assert parts["odd"].partial is not None
    assert parts["even"].partial.value > 0.8
    assert parts["odd"].partial.value < -0.8
    assert parts["token tasks"].records == len(records)
    assert signal_parts(records, ["no_such_signal"], draws=50) == ()


def test_the_questions_are_answered_from_the_figures() -> None:
    def said(slope: float) -> str:
        # the sign of the cosine is that of the gain only without the tasks' levels
        records = [
            replace(r, gain=r.gain - {"pos": 6.0, "topic": -6.0}[r.task]) for r in made_up(0, slope=slope)
        ]
        rows = signal_rows(records, draws=100)
        return "\n".join(claims(rows, list(gradient_geometry(records)), ()))

    strong, none = said(60.0), said(0.0)
    assert "`target_labels_cosine`" in strong
    assert "survive correction for multiple tests?** None." in none
    for text in (strong, none):
        assert "0 of 1 distance measures" in text
        assert "median absolute cosine is 0.1" in text
    assert claims((), (), ()) == []


@pytest.mark.parametrize(
    ("cost", "regret", "verdict"),
    [
        (0.4, 0.1, "At equal cost the trial chooses better"),
        (0.4, 0.9, "At equal cost the probe chooses better"),
        (2.0, 0.1, "No trial costs as little as a probe"),
    ],
)
def test_a_probe_is_held_against_the_trials_that_its_time_would_buy(
    cost: float, regret: float, verdict: str
) -> None:
    def way(name: str, cost: float, regret: float, cells: int = 9) -> Choice:
        figure = Figure(value=regret, low=0.0, high=2.0)
        # on the cells of the short trial the probe does better than over all
        there = Figure(value=0.6 if cells == 9 else 0.3, low=0.0, high=2.0)
        probed = name.startswith("lookahead")
        return Choice(
            name=name,
            cells=cells,
            cost=cost,
            regret=figure,
            kept=figure,
            probed=probed,
            probe_regret=there,
        )

    choices = (
        way("lookahead with target-labels, alone", 0.5, 0.6),
        way("never", 0.0, 1.5),
        way("one seed of every option, quarter run", cost, regret, cells=4),
        way("one seed of every option, whole run", 3.0, 0.05),
    )
    (claim,) = claims((), (), choices)
    assert verdict in claim
    assert "whole run costs 3 runs and loses 0.05" in claim
    assert "never aligning loses 1.50" in claim


def test_too_few_records_are_not_correlated() -> None:
    assert signal_rows(list(made_up(0, 1.0))[:7], 20) == ()


def test_gradients_are_counted_where_their_cosine_is_resolved() -> None:
    records = [
        replace(record, signals={}) if record.target in ("tr", "de") else record
        for record in made_up(4, slope=0.0)
        if record.task == "pos"
    ]
    rows = {row.objective: row for row in gradient_geometry(records)}
    assert set(rows) == {"token-contrastive", "sentence-contrastive"}
    for objective, row in rows.items():
        cosines = [
            r.signals["target_labels_cosine"] for r in records if r.signals and r.objective == objective
        ]
        assert (row.gradient, row.at, row.cells) == ("target-labels", "theta_warm", len(LANGUAGES) - 2)
        assert (row.lowest, row.highest) == (min(cosines), max(cosines))
        assert row.absolute == pytest.approx(np.median(np.abs(cosines)))
        assert row.ceiling is None


@pytest.mark.slow
def test_the_report_chooses_with_the_group_held_out(tmp_path: Path) -> None:
    root = copy_tables(tmp_path)
    records = [r for r in made_up(3, slope=30.0) if r.target in LANGUAGES[:4]]
    with (root / "records.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS, restval="")
        writer.writeheader()
        for record in records:
            row = {name: getattr(record, name) for name in COLUMNS if hasattr(record, name)}
            row["baseline_scores"] = " ".join(map(str, record.baseline_scores))
            row["aligned_scores"] = " ".join(map(str, record.aligned_scores))
            writer.writerow(row | {"probe_budget": "quick"} | dict(record.signals))
    load_tables.cache_clear()
    report = signals(root, draws=50)
    assert (report.records, report.cells) == (16, 8)
    regret = {choice.name: choice.regret.value for choice in report.choices}
    gains = {
        cell: [record.gain for record in records if (record.task, record.target) == cell]
        for cell in product(("pos", "topic"), LANGUAGES[:4])
    }
    assert regret["never"] == pytest.approx(np.mean([max(0.0, *both) for both in gains.values()]), abs=1e-6)
    assert min(regret.values()) >= 0
    assert {"evidence alone", "evidence and leading signal", "one seed of every option, whole run"} <= set(
        regret
    )
    assert SignalReport.model_validate_json(report.model_dump_json()) == report
    assert "| `target_labels_cosine` |" in report.markdown()


def test_without_records_it_says_how_to_make_some(tmp_path: Path) -> None:
    root = copy_tables(tmp_path)
    header = (root / "records.csv").read_text().splitlines()[0]
    (root / "records.csv").write_text(header + "\n")
    load_tables.cache_clear()
    report = signals(root)
    assert (report.records, len(report.rows), len(report.choices), len(report.geometry)) == (0, 0, 0, 0)
    assert "advisor study run" in report.markdown()


def test_warnings_of_harm_are_counted_by_level_where_the_cosine_is_resolved() -> None:
    template = next(made_up(0, 1.0))
    made = [
        replace(template, task=task, target=target, gain=gain, signals=signals)
        for task, target, gain, signals in (
            ("pos", "tr", -2.0, {"target_labels_cosine": -0.1}),
            ("pos", "de", -1.0, {"target_labels_cosine": 0.1}),
            ("pos", "fi", 3.0, {"target_labels_cosine": 0.3}),
            ("topic", "tr", 1.0, {"target_labels_cosine": -0.2}),
            ("topic", "de", -1.0, {}),
        )
    ]
    topic, pos = harm_rows(made, draws=10)
    assert (pos.level, pos.harmed, pos.warned, pos.others, pos.warned_for_nothing) == ("token", 2, 1, 1, 0)
    assert pos.correlation is not None
    assert pos.correlation.value == pytest.approx(1.0)
    assert (topic.harmed, topic.others, topic.warned_for_nothing) == (0, 1, 1)
