"""A study as one file, and the runs under changed settings beside the usual ones."""

import csv
import gzip
import lzma
from pathlib import Path

import pytest

from advisor.options import NO_ALIGNMENT
from advisor.study import Record
from advisor.study._compile import compile_study, curve_of
from advisor.study._record import EarlyScores, Records, archive_study, read_records, read_signals
from probes.errors import InputError
from probes.signals import Estimate
from tests.factories import make_signals
from tests.unit.study.made_up import JOINT, SEQUENTIAL, make_record


def saved(folder: Path, records: list[Record]) -> Path:
    for record in records:
        Records(folder / "records").save(record)
    return folder


def changed(record: Record, block: str, **settings: object) -> Record:
    configuration = record.configuration
    made = configuration.model_copy(update={"settings": configuration.settings | settings})
    return record.model_copy(update={"configuration": made, "block": block})


def looked(record: Record, *scores: float) -> Record:
    steps = (15, 30, 60, 90)
    early = tuple(
        EarlyScores(step=step, targets={"wo": Estimate(value=score)})
        for step, score in zip(steps, scores, strict=True)
    )
    return record.model_copy(update={"early": early})


def test_an_archive_gives_back_the_records_and_signals(tmp_path: Path) -> None:
    folder = saved(tmp_path / "study", [make_record(NO_ALIGNMENT, 0, 50.0), make_record(JOINT, 0, 1 / 3)])
    (folder / "probes").mkdir()
    with gzip.open(folder / "probes/cell.json.gz", "wt") as file:
        file.write(make_signals().model_dump_json())
    (folder / "plan.yaml").write_text("data: /somebody/data\ntrain: /somebody/data/pos/en.conllu\n")

    report = archive_study(folder, tmp_path / "made.study.xz")

    assert (report.records, report.probes) == (2, 1)
    found = {record.configuration.key: record for record in read_records(tmp_path / "made.study.xz")}
    assert found == {record.configuration.key: record for record in read_records(folder)}
    ((name, signals),) = read_signals(tmp_path / "made.study.xz")
    assert name == "cell"
    assert signals.model == make_signals().model
    assert signals.cosines[0].cosine.value == pytest.approx(make_signals().cosines[0].cosine.value, rel=1e-7)
    again = archive_study(tmp_path / "made.study.xz", tmp_path / "again.study.xz")
    assert again == report
    assert (tmp_path / "again.study.xz").read_bytes() == (tmp_path / "made.study.xz").read_bytes()
    plan, _ = lzma.decompress((tmp_path / "made.study.xz").read_bytes()).decode().split("\n", 1)
    assert "somebody" not in plan
    assert "pos/en.conllu" in plan


def test_an_archive_compiles_as_its_folder_does(tmp_path: Path) -> None:
    folder = saved(
        tmp_path / "made", [make_record(option, 0, 50.0) for option in (NO_ALIGNMENT, JOINT, SEQUENTIAL)]
    )
    archive_study(folder, tmp_path / "made.study.xz")
    reports = [
        compile_study([source], tmp_path / out)
        for source, out in ((folder, "a.csv"), (tmp_path / "made.study.xz", "b.csv"))
    ]
    assert reports[0] == reports[1]
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"\xfd7zXZ\x00 cut short"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "made.study.xz").write_bytes(content)
    with pytest.raises(InputError):
        list(read_records(tmp_path / "made.study.xz"))


def test_an_archive_is_named_as_one(tmp_path: Path) -> None:
    folder = saved(tmp_path / "made", [make_record(NO_ALIGNMENT, 0, 50.0)])
    with pytest.raises(InputError, match="ends in"):
        archive_study(folder, tmp_path / "made.zip")


def test_controls_are_no_rows_of_the_table_but_of_their_own(tmp_path: Path) -> None:
    none, aligned = make_record(NO_ALIGNMENT, 0, 50.0), make_record(SEQUENTIAL, 0, 54.0)
    records = [
        none,
        aligned,
        changed(make_record(NO_ALIGNMENT, 0, 51.0), "dose", max_steps=240),
        changed(make_record(SEQUENTIAL, 0, 49.0), "shuffled", experiment={"pairing": "shuffled"}),
        make_record(JOINT, 0, 52.0).model_copy(update={"block": "more"}),  # an option more, all else as usual
    ]
    report = compile_study([saved(tmp_path / "made", records)], tmp_path / "a.csv", tmp_path / "controls.csv")
    assert (report.rows, report.controls, report.records) == (2, 2, 5)
    with (tmp_path / "controls.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["block"], row["objective"], row["score"]) for row in rows] == [
        ("", "none", "50.0000"),
        ("", "sentence-contrastive", "54.0000"),
        ("", "token-contrastive", "52.0000"),
        ("dose", "none", "51.0000"),
        ("shuffled", "sentence-contrastive", "49.0000"),
    ]


def test_late_gains_are_means_over_the_last_two_looks(tmp_path: Path) -> None:
    records = [
        looked(make_record(NO_ALIGNMENT, 0, 50.0), 10, 20, 30, 40),
        looked(make_record(JOINT, 0, 54.0), 11, 22, 33, 48),
    ]
    compile_study([saved(tmp_path / "made", records)], tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["late_baseline_scores"], row["late_aligned_scores"]) == ("45.0000", "51.0000")
    assert row["look_steps"] == "15 30 60 90 120"
    assert row["aligned_looks"].split()[0] == "11.0000"
    assert row["quarter_baseline_scores"] == "20.0000"


def test_the_curve_of_a_run_that_was_stopped_ends_there() -> None:
    stopped = changed(make_record(SEQUENTIAL, 0, 49.0), "look", experiment={"stop": 30, "align_stop": 15})
    assert curve_of(stopped, "wo") == {30: 49.0}
