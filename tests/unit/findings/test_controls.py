"""Contrasts between controls and usual runs, computed by hand."""

import csv
from pathlib import Path

import pytest

from advisor.findings.reports._controls import CONTRASTS, controls
from advisor.study._compile import CONTROL_COLUMNS


def table(path: Path, lines: list[tuple[str, str, str, str, str, float]]) -> Path:
    """Block, objective, schedule, weight, target, late score."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, CONTROL_COLUMNS)
        writer.writeheader()
        for block, objective, schedule, weight, target, late in lines:
            writer.writerow(
                dict.fromkeys(CONTROL_COLUMNS, "")
                | {"study": "s", "model": "m", "task": "pos", "target": target, "block": block, "seed": 0}
                | {"objective": objective, "schedule": schedule, "weight": weight, "late": late}
            )
    return path


TOKENS = "token-contrastive"
LINES = [
    line
    for target, base in (("tr", 50.0), ("wo", 30.0))
    for line in (
        ("", "none", "", "", target, base),
        ("", TOKENS, "sequential", "", target, base + (4 if target == "tr" else 6)),
        ("dose", "none", "", "", target, base + 1),
        ("shuffled-pairs", TOKENS, "sequential", "", target, base - 2),
    )
]


def test_contrasts_are_differences_of_late_scores_within_cells(tmp_path: Path) -> None:
    report = controls(table(tmp_path / "controls.csv", LINES))
    due_to = {row.what.split(":")[0]: row for row in report.due_to}
    usual = due_to["sequential alignment, as it is usually measured"]
    assert usual.cell_points == {"m pos tr": 4.0, "m pos wo": 6.0}
    assert usual.points.value == pytest.approx(5.0)
    assert usual.points.high == pytest.approx(5 + 12.706, abs=0.01)  # t with one degree of freedom
    assert due_to["dose"].points.value == pytest.approx(1.0)
    assert due_to["sequential alignment against twice the fine-tuning"].points.value == pytest.approx(4.0)
    assert "weight" not in due_to  # nothing of the kind was run


def test_without_controls_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert controls(table(tmp_path / "controls.csv", [])).markdown().startswith("There are no controls")


def test_every_contrast_compares_two_settings() -> None:
    assert all(contrast.of != contrast.over for contrast in CONTRASTS)
    assert len({contrast.what for contrast in CONTRASTS}) == len(CONTRASTS)


def test_gains_along_a_grid_are_means_over_its_rows_and_long_runs_stand_alone(tmp_path: Path) -> None:
    records = tmp_path / "records.csv"
    records.write_text(
        "study,model,task,target,objective,schedule,weight,look_steps,baseline_looks,aligned_looks\n"
        "s,m,pos,tr,token-l2,joint,0.1,10 20 30 40,50 50 50 50,60 58 54 52\n"
        "s,m,pos,wo,token-l2,joint,0.1,10 20 30 40,40 40 40 40,44 44 44 44\n"
        "s,m,pos,wo,token-l2,sequential,,30 60,50 50,60 60\n"  # two looks make no curve
        "l,m,pos,wo,token-l2,joint,0.1,250 500 750 1000,40 40 40 40,43 42 41 41\n"
    )
    report = controls(table(tmp_path / "controls.csv", LINES), records)
    long, row = report.along
    assert (row.study, row.option, row.cells) == ("s", "token-l2, joint, 0.1", 2)
    assert row.gains == {10: 7.0, 20: 6.0, 30: 4.0, 40: 3.0}
    assert (
        [one.gains for one in report.horizon] == [long.gains] == [{250: 3.0, 500: 2.0, 750: 1.0, 1000: 1.0}]
    )
    assert "| m pos wo | token-l2, joint, 0.1 | +3.0 | +2.0 | +1.0 | +1.0 |" in report.markdown()
