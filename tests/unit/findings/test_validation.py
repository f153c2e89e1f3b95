"""Validation: folds without leaks, figures that mean what they say."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from advisor.findings import load_tables, validate
from advisor.findings.reports import Validation
from advisor.findings.reports._card import regret_chart, reliability_chart
from advisor.findings.reports._cells import SPLITS, Fold, Split, cells, folds, in_fold
from advisor.findings.reports._rivals import RIVALS
from advisor.findings.reports._validation import run_fold
from probes.errors import InputError
from tests.unit.findings.simulation import copy_tables, edit_rows, small_tables

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield small_tables(tmp_path_factory.mktemp("validation"))
    load_tables.cache_clear()


@pytest.fixture(scope="module")
def validation(root: Path) -> Validation:
    return validate("model", ablations=False, jobs=1, draws=200, root=root)


@pytest.mark.parametrize("split", SPLITS)
def test_every_cell_is_held_out_exactly_once(split: Split) -> None:
    tables = load_tables()
    scored = [cell.effects[0] for cell in cells(tables, split)]
    times = np.sum([list(in_fold(tables, fold, scored)) for fold in folds(tables, split)], axis=0)
    assert np.all(times == 1)


def test_the_compared_options_are_the_same_in_every_cell() -> None:
    found = cells(load_tables(), "language")
    assert len(found) == 273
    assert {tuple(e.frozen_layers for e in cell.effects) for cell in found} == {
        ("lower-half", "none", "upper-half")
    }


@pytest.mark.parametrize("split", SPLITS)
def test_what_is_held_out_does_not_touch_the_prediction(split: Split, tmp_path: Path) -> None:
    """Gains of the held-out rows, in every source, are changed: no prediction may change."""
    root = copy_tables(tmp_path) if split == "lab" else small_tables(tmp_path)  # the small are of one lab
    tables = load_tables(root)
    changed_lab = next(effect.lab for effect in tables.effects if effect.source_id == "bakos2025")
    fold = Fold(split, changed_lab) if split == "lab" else folds(tables, split)[-1]
    before = run_fold(fold, root=root)
    held = {
        (e.source_id, e.model, e.task, e.target)
        for e, out in zip(tables.effects, in_fold(tables, fold, tables.effects), strict=True)
        if out
    }

    def change(rows: list[dict[str, str]], source: str) -> list[dict[str, str]]:
        changed = []
        for row in rows:
            if (source, row["model"], row["task"], row["target"]) in held and row["objective"] != "none":
                columns = [name for name in row if name == "gain" or name.startswith("seed_")]
                row |= {name: f"{float(row[name]) + 3:.3f}" for name in columns}
            changed.append(row)
        return changed

    edit_rows(root / "effects" / "nguyen2025.csv", lambda rows: change(rows, "nguyen2025"))
    edit_rows(root / "scores" / "bakos2025.csv", lambda rows: change(rows, "bakos2025"))
    load_tables.cache_clear()
    after = run_fold(fold, root=root)
    assert [case.cell.gains for case in before] != [case.cell.gains for case in after]
    for case, again in zip(before, after, strict=True):
        for prediction, same in ((case.prediction, again.prediction), (case.abroad, again.abroad)):
            assert np.array_equal(prediction.centre, same.centre)
            assert np.array_equal(prediction.sd, same.sd)
        assert (case.direct, case.measured) == (again.direct, again.measured)
        for name, gains in case.rivals.items():
            assert np.allclose(gains, again.rivals[name]), name


def test_the_plain_rules_have_the_figures_they_must_have(validation: Validation, root: Path) -> None:
    (report,) = validation.splits
    never = report.method("never")
    assert never.kept.value == 0
    assert never.hurt.value == 0
    assert never.regret.value == pytest.approx(report.hindsight)
    found = cells(load_tables(root), "model")
    assert report.cells == len(found)
    always = report.method("always sequential, none frozen")
    gains = np.array([cell.gains[1] for cell in found])
    assert always.kept.value == pytest.approx(gains.mean())
    assert always.hurt.value == pytest.approx((gains < -0.5).mean())
    assert always.regret.value == pytest.approx(report.hindsight - gains.mean())


def test_every_figure_of_the_advice_is_there_and_within_its_interval(validation: Validation) -> None:
    (report,) = validation.splits
    advice = report.method("advice")
    assert report.floor is not None
    assert 0 <= report.floor.value < report.hindsight
    for figure in (advice.regret, advice.kept, advice.hurt, report.rank):
        assert figure is not None
        assert figure.low <= figure.value <= figure.high
    for share in (report.coverage, report.signs, advice.hurt):
        assert 0 <= share.low <= share.value <= share.high <= 1
    assert {*RIVALS, "advice that knows the lab"} <= {method.name for method in report.methods}
    assert sum(band.cells for band in report.bands) == report.cells
    assert sum(band.share for band in report.bands) == pytest.approx(1)
    assert all(0 <= band.right <= 1 for band in report.bands)
    assert sum(part.cells for part in validation.reliability) == report.cells


def test_the_pictures_show_the_figures(validation: Validation) -> None:
    assert f"'regret': {validation.splits[0].methods[0].regret.value:.2f}".rstrip("0") in str(
        regret_chart(validation).to_dict()
    )
    assert str(validation.reliability[0].said) in str(reliability_chart(validation.reliability).to_dict())


def test_validating_twice_gives_the_same_figures(validation: Validation, root: Path) -> None:
    assert validate("model", ablations=False, jobs=1, draws=200, root=root) == validation


def test_figures_survive_json_and_read_as_markdown(validation: Validation) -> None:
    assert Validation.model_validate_json(validation.model_dump_json()) == validation
    text = validation.markdown()
    assert "### One model left out" in text
    for method in validation.splits[0].methods:
        assert f"| {method.name} | {method.regret}" in text


def test_an_unknown_split_is_a_bad_input() -> None:
    with pytest.raises(InputError, match="'colour' is no split"):
        validate("colour")  # type: ignore[arg-type]
