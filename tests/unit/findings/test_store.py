"""The cache of the fit: plain numbers, never in the way."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from advisor.findings import _store, load_findings, load_tables
from advisor.findings.model import EffectModel
from tests.factories import SEQUENTIAL
from tests.unit.findings.simulation import keep_rows, small_tables


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(_store, "user_cache_path", lambda name: tmp_path / "cache" / name)
    load_findings.cache_clear()
    yield small_tables(tmp_path)
    load_findings.cache_clear()


def _centre(root: Path) -> float:
    findings = load_findings(root)
    case = findings.cases.case(SEQUENTIAL, model="xlm-roberta-base", task="pos", target="tr")
    return float(findings.fit_of(case.model, case.task).predict([case]).centre[0])


def _forbid_fitting(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*args: object, **kwargs: object) -> EffectModel:
        raise AssertionError("fitted although the cache has it")

    monkeypatch.setattr(EffectModel, "fit", fit)


def test_a_second_start_reads_what_the_first_fitted(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _centre(root)
    (file,) = (tmp_path / "cache").rglob("*.npz")
    with np.load(file, allow_pickle=False) as arrays:  # refuses anything but numbers and words
        assert all(arrays[name].dtype != object for name in arrays.files)
    load_findings.cache_clear()
    _forbid_fitting(monkeypatch)
    assert _centre(root) == pytest.approx(first)


def test_a_damaged_cache_is_fitted_anew(root: Path, tmp_path: Path) -> None:
    first = _centre(root)
    (file,) = (tmp_path / "cache").rglob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    load_findings.cache_clear()
    assert _centre(root) == pytest.approx(first)


def test_a_cache_that_cannot_be_written_costs_only_time(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setattr(_store, "user_cache_path", lambda name: tmp_path / "file" / name)
    assert np.isfinite(_centre(root))


def test_other_tables_are_another_fit(root: Path, tmp_path: Path) -> None:
    first = _centre(root)
    load_tables.cache_clear()
    load_findings.cache_clear()
    keep_rows(root / "effects" / "nguyen2025.csv", lambda row: row["target"] != "tr")
    assert _centre(root) != first
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 2
