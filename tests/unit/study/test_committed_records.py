"""The records in the repository: each is what its name says, belongs to the plan, and can be compiled."""

import json
from itertools import product
from pathlib import Path

import pytest

from advisor.findings.evidence import TABLES
from advisor.options import NO_ALIGNMENT
from advisor.study._compile import compile_study
from advisor.study._plan import read_plan
from advisor.study._record import read_record
from probes.languages import parse_language
from probes.signals import Signals

STUDY = TABLES.parent / "study"
RECORDS = sorted((STUDY / "records").glob("*.json"))


@pytest.fixture(scope="module")
def cells() -> set[tuple[str, str, str, int]]:
    """Task, target, option and seed of everything planned."""
    plan = read_plan(STUDY / "plan.yaml", needs_data=False)
    assert {option.option.weight for option in plan.planned_options} == {0.1}
    targets = {parse_language(pair.target).code for pair in plan.pairs}
    planned = {
        (name, target, str(option.option), seed)
        for (name, task), option, seed in product(plan.tasks.items(), plan.planned_options, plan.seeds)
        for target in (targets if task.targets is None else task.targets)
    }
    return planned | {(task, "", str(NO_ALIGNMENT), seed) for task in plan.tasks for seed in plan.seeds}


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_is_what_its_name_says_and_planned(
    path: Path, cells: set[tuple[str, str, str, int]]
) -> None:
    record = read_record(path)
    assert record is not None
    configuration = record.configuration
    assert path.stem == configuration.key
    assert record.status == "done"
    assert "/" not in json.dumps([record.model, record.error])
    wanted = configuration.task, configuration.target or "", str(configuration.option), configuration.seed
    assert wanted in cells


def test_they_compile(tmp_path: Path) -> None:
    report = compile_study([STUDY], tmp_path / "records.csv")
    assert report.records == len(RECORDS)
    assert report.unpaired == 0
    assert report.rows > 0


@pytest.mark.parametrize("path", sorted((STUDY / "probes").glob("*.gz")), ids=lambda path: path.stem)
def test_signals_are_readable_and_name_no_folder_of_anybody(path: Path) -> None:
    signals = Signals.load(path)
    assert not any(fact.spec.startswith("/") for fact in signals.data)
