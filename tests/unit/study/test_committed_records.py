"""The studies in the repository: whole, anonymous, and what the table of records is made of."""

import json
import lzma
from pathlib import Path

import pytest

from advisor.findings.evidence import TABLES
from advisor.study import compile_study, read_records
from advisor.study._record import read_signals

pytestmark = pytest.mark.slow

STUDIES = sorted((TABLES.parent / "study").glob("*.study.xz"))


def test_the_table_of_records_is_compiled_from_them(tmp_path: Path) -> None:
    report = compile_study(STUDIES, tmp_path / "records.csv", tmp_path / "controls.csv")
    assert report.records >= 284
    assert report.unknown_models == ()
    for name in ("records.csv", "controls.csv"):
        assert (tmp_path / name).read_text(encoding="utf-8") == (TABLES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name.split(".")[0])
def test_a_study_names_no_folder_of_anybody(study: Path) -> None:
    for record in read_records(study):
        assert "/" not in json.dumps([record.model, record.error])
        assert not any(name.startswith("/") for name in record.files.values())
    for _, signals in read_signals(study):
        assert not any(fact.spec.startswith("/") for fact in signals.data)
    with lzma.open(study, "rt", encoding="utf-8") as lines:
        plans = [line for line in lines if line.startswith('{"kind":"plan"')]
    assert not any("data: /" in plan for plan in plans)


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name.split(".")[0])
def test_no_record_stands_in_a_study_twice(study: Path) -> None:
    keys = [record.configuration.key for record in read_records(study)]
    assert len(set(keys)) == len(keys)
