"""Killed at any change it makes on disk, a writer leaves each file as it was or as it was to become."""

import os
import shutil
from pathlib import Path

import pytest

from advisor.files import write_files
from advisor.findings import _store, load_findings
from advisor.service import RunStore
from advisor.study._record import Records
from probes.request import ProbeRequest
from tests.faults.crash_points import crash_points
from tests.unit.study.made_up import JOINT, make_record

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]

OLD = {"advice.json": "old" * 9000, "recipe/recipe.yaml": "old", "stale": "old"}
NEW = {"advice.json": "new" * 9000, "recipe/recipe.yaml": "new", "fresh/a": "new", "stale": None}


def visible(folder: Path) -> dict[str, str]:
    """The files that a user sees: what a kill leaves under a hidden name is nobody's result."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def test_a_folder_that_is_new_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "some" / "answer"
    whole = {name: content for name, content in NEW.items() if content is not None}
    moments = 0
    for _ in crash_points(lambda: write_files(out, NEW)):
        assert visible(out) in ({}, whole)
        assert out.exists() == bool(visible(out))
        shutil.rmtree(tmp_path / "some", ignore_errors=True)
        moments += 1
    assert moments > 8
    assert visible(out) == whole


def test_files_that_are_replaced_are_old_or_new(tmp_path: Path) -> None:
    write_files(tmp_path, OLD)
    moments = 0
    for _ in crash_points(lambda: write_files(tmp_path, NEW)):
        for name, content in visible(tmp_path).items():
            assert content in (OLD.get(name), NEW.get(name))
        assert {"advice.json", "recipe/recipe.yaml"} <= visible(tmp_path).keys()
        shutil.rmtree(tmp_path)
        write_files(tmp_path, OLD)
        moments += 1
    assert moments > 10
    assert visible(tmp_path) == {name: content for name, content in NEW.items() if content is not None}


def test_a_record_of_a_trial_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    record = make_record(JOINT, 0, 61.0)
    records = Records(tmp_path / "records")
    moments = 0
    for _ in crash_points(lambda: records.save(record)):
        assert records.find(record.configuration) in (None, record)
        shutil.rmtree(tmp_path / "records", ignore_errors=True)
        moments += 1
    assert moments > 3
    assert records.find(record.configuration) == record


def test_the_state_of_a_run_is_old_or_new(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    request = ProbeRequest(
        model="bundled", source="en", target="tr", task="pos", train="sample:en.conllu", bitext="sample:b"
    )
    run = store.create(request, "session")
    queued = store.record(run.id)
    moments = 0
    for _ in crash_points(lambda: store.change(queued, status="running", step=3)):
        assert (store.record(run.id).status, store.record(run.id).step) in (
            (queued.status, queued.step),
            ("running", 3),
        )
        store.change(queued)
        moments += 1
    assert moments > 1
    assert store.record(run.id).status == "running"


def test_fitted_findings_are_cached_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = load_findings()
    path = tmp_path / "cache" / "findings.npz"
    moments = 0
    for _ in crash_points(lambda: _store._write(path, findings.effects, findings.signals)):
        assert path.exists() == (_store._read(path) is not None)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        moments += 1
    assert moments > 2
    read = _store._read(path)
    assert read is not None
    assert read[1] == findings.signals
