"""From records and signals to the table of the evidence."""

import csv
import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from advisor.findings.evidence import TABLES, check, load_tables
from advisor.options import NO_ALIGNMENT, Option
from advisor.study import Record
from advisor.study._compile import COLUMNS, compile_study
from advisor.study._record import CurvePoint, EarlyScores, Records, Scores
from probes.errors import InputError
from probes.signals import Estimate, Signals
from tests.factories import make_signals
from tests.unit.study.made_up import JOINT, SEQUENTIAL, make_record

SHA = "0" * 64


def save(folder: Path, records: Sequence[Record]) -> Path:
    for record in records:
        Records(folder / "records").save(record)
    return folder


def named(record: Record, model: str = "bundled") -> Record:
    return record.model_copy(update={"model": model})


def study(folder: Path, none: Sequence[float], joint: Sequence[float], option: Option = JOINT) -> Path:
    """Runs of seeds 0, 1, ... with these scores on Wolof."""
    found = [named(make_record(NO_ALIGNMENT, seed, score)) for seed, score in enumerate(none)]
    found += [named(make_record(option, seed, score, source=91.5)) for seed, score in enumerate(joint)]
    return save(folder, found)


def probed(folder: Path) -> Signals:
    signals = make_signals()
    model = signals.model.model_copy(update={"sha256": SHA})
    task = signals.task.model_copy(update={"name": "pos"})
    signals = signals.model_copy(update={"model": model, "task": task, "source": "en", "target": "wo"})
    (folder / "probes").mkdir(parents=True)
    (folder / "probes/cell.json").write_text(signals.model_dump_json())
    return signals


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_gains_are_paired_by_seed_and_every_score_is_kept(tmp_path: Path) -> None:
    folder = study(tmp_path / "study", [50.0, 52.0, 54.0], [53.0, 54.0, 58.0])
    report = compile_study([folder], tmp_path / "records.csv")
    assert load_tables.cache_info().currsize == 0, "tables that were read before are out of date"

    (row,) = rows(tmp_path / "records.csv")
    assert (report.rows, report.records, report.unpaired, report.probed) == (1, 6, 0, 0)
    assert (row["model"], row["task"], row["source"], row["target"]) == (
        "multilingual-e5-small",  # as the evidence calls it
        "pos",
        "en",
        "wo",
    )
    assert (row["objective"], row["schedule"], row["weight"]) == ("token-contrastive", "joint", "0.1")
    assert row["seeds"] == "3"
    assert float(row["baseline"]) == 52.0
    assert float(row["gain"]) == 3.0
    assert float(row["gain_sd"]) == 1.0
    assert row["seed_list"] == "0 1 2"
    assert [float(score) for score in row["aligned_scores"].split()] == [53.0, 54.0, 58.0]
    assert [float(score) for score in row["source_aligned_scores"].split()] == [91.5] * 3
    assert [float(score) for score in row["source_baseline_scores"].split()] == [90.0] * 3


def test_the_table_is_read_by_the_findings_and_clean(tmp_path: Path) -> None:
    folder = study(tmp_path / "study", [50.0, 52.0], [53.0, 54.0])
    signals = probed(folder)
    root = tmp_path / "tables"
    shutil.copytree(TABLES, root)
    report = compile_study([folder], root / "records.csv")
    assert report.probed == 1

    assert check(root).ok, check(root).markdown()
    (record,) = load_tables(root).records
    assert (record.gain, record.seeds) == (2.5, 2)
    assert record.baseline_scores == (50.0, 52.0)
    assert record.aligned_scores == (53.0, 54.0)
    effect = next(effect for effect in load_tables(root).effects if effect.source_id == "own-records")
    assert effect.baseline_sd == pytest.approx(2**0.5)
    for gradient in ("source", "target-labels", "target-projected"):
        cosine = signals.cosine("token-contrastive", gradient)
        if cosine is None or cosine.value is None:
            assert gradient not in record.cosines
        else:
            assert record.cosines[gradient][0] == pytest.approx(cosine.value, rel=1e-4)
            assert record.cosines[gradient][1] > 0
    start = signals.cosine("token-contrastive", "source", "theta0")
    assert start is not None
    assert start.value is not None
    assert record.signals["theta0_source_cosine"] == pytest.approx(start.value, rel=1e-4)
    assert record.signals["fertility_ratio"] == pytest.approx(
        signals.text.target_fertility / signals.text.source_fertility, rel=1e-4
    )


def test_scores_on_the_way_are_listed_where_every_run_has_them(tmp_path: Path) -> None:
    def on_the_way(record: Record, quarter: float) -> Record:
        curve = [CurvePoint(phase="fine-tune", step=step, learning_rate=1e-5) for step in range(120)]
        early = [
            EarlyScores(step=step, targets={"wo": Estimate(value=quarter + share)})
            for step, share in ((30, 2), (60, 4))
        ]
        return record.model_copy(update={"curve": tuple(curve), "early": tuple(early)})

    runs = [named(make_record(option, seed, 50.0)) for option in (NO_ALIGNMENT, JOINT) for seed in (0, 1)]
    whole = [on_the_way(record, 30.0 + i) for i, record in enumerate(runs)]
    compile_study([save(tmp_path / "whole", whole)], tmp_path / "whole.csv")
    compile_study([save(tmp_path / "part", [*whole[:3], runs[3]])], tmp_path / "part.csv")
    (row,), (part,) = rows(tmp_path / "whole.csv"), rows(tmp_path / "part.csv")
    assert row["quarter_baseline_scores"] == "32.0000 33.0000"
    assert row["quarter_aligned_scores"] == "34.0000 35.0000"
    assert row["half_aligned_scores"] == "36.0000 37.0000"
    assert part["quarter_baseline_scores"] == part["half_aligned_scores"] == ""
    assert row["run_seconds"] == "60.0"


def test_signals_may_be_compressed(tmp_path: Path) -> None:
    folder = study(tmp_path / "study", [50.0, 52.0], [53.0, 54.0])
    probed(folder)
    compile_study([folder], tmp_path / "plain.csv")
    plain = folder / "probes/cell.json"
    (folder / "probes/cell.json.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert compile_study([folder], tmp_path / "compressed.csv").probed == 1
    assert rows(tmp_path / "compressed.csv") == rows(tmp_path / "plain.csv")


@pytest.mark.parametrize("content", [b"{}", gzip.compress(b"{}", mtime=0)[:-9], b""])
def test_damaged_compressed_signals_are_refused(tmp_path: Path, content: bytes) -> None:
    folder = study(tmp_path / "study", [50.0, 52.0], [53.0, 54.0])
    (folder / "probes").mkdir()
    (folder / "probes/cell.json.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"cell\.json\.gz"):
        compile_study([folder], tmp_path / "records.csv")


def test_layers_are_listed_from_the_lowest_up(tmp_path: Path) -> None:
    folder = study(tmp_path / "study", [50.0], [53.0])
    signals = probed(folder)
    compile_study([folder], tmp_path / "records.csv")
    (row,) = rows(tmp_path / "records.csv")
    listed = row["source_cosine_by_layer"].split()
    assert len(listed) == signals.model.layers
    for i, text in enumerate(listed):
        cosine = signals.cosine("token-contrastive", "source", block=f"layer.{i}")
        assert cosine is not None
        assert text == ("-" if cosine.value is None else f"{cosine.value:.4g}")


def test_a_single_seed_has_a_gain_without_a_spread(tmp_path: Path) -> None:
    compile_study([study(tmp_path / "study", [50.0], [53.0])], tmp_path / "records.csv")
    (row,) = rows(tmp_path / "records.csv")
    assert (row["gain"], row["gain_sd"], row["seeds"]) == ("3.0000", "", "1")


def test_runs_without_their_pair_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = study(tmp_path / "study", [50.0, 51.0], [53.0, 52.0, 57.0])
    report = compile_study([folder], tmp_path / "records.csv")
    assert report.unpaired == 1
    (row,) = rows(tmp_path / "records.csv")
    assert row["seed_list"] == "0 1"


def test_only_runs_that_differ_in_nothing_else_are_paired(tmp_path: Path) -> None:
    none = named(make_record(NO_ALIGNMENT, 0, 50.0))
    joint = named(make_record(JOINT, 0, 53.0))
    for change in (
        {"settings": none.configuration.settings | {"learning_rate": 1e-5}},
        {"model_sha256": "9" * 64},
        {"data_sha256": {"train": "8" * 64}},
        {"scored": {"wo": "7" * 64}},
        {"seed": 1},
    ):
        other = none.model_copy(update={"configuration": none.configuration.model_copy(update=change)})
        folder = save(tmp_path / str(list(change)), [other, joint])
        assert compile_study([folder], tmp_path / "records.csv").unpaired == 1, change


def test_a_block_that_aligns_for_fewer_steps_is_a_control(tmp_path: Path) -> None:
    def aligned(steps: int, block: str | None) -> Record:
        record = named(make_record(SEQUENTIAL, 0, 53.0))
        settings = record.configuration.settings | {"align_steps": steps}
        configuration = record.configuration.model_copy(update={"settings": settings})
        return record.model_copy(update={"configuration": configuration, "block": block})

    none, joint = named(make_record(NO_ALIGNMENT, 0, 50.0)), named(make_record(JOINT, 0, 53.0))
    more_options = joint.model_copy(update={"block": "more-options"})
    folder = save(tmp_path, [none, aligned(120, None), aligned(60, "half-alignment"), more_options])
    report = compile_study([folder], tmp_path / "records.csv")
    assert (report.rows, report.controls) == (2, 1)


def test_fine_tuning_alone_is_shared_by_languages_and_options(tmp_path: Path) -> None:
    def scored_on_two(record: Record) -> Record:
        configuration = record.configuration.model_copy(update={"scored": {"wo": "2" * 64, "eu": "3" * 64}})
        points = Scores(
            source=Estimate(value=90.0), targets={"wo": Estimate(value=50.0), "eu": Estimate(value=70.0)}
        )
        return record.model_copy(update={"configuration": configuration, "scores": points})

    def basque(record: Record) -> Record:
        change = {"scored": {"eu": "3" * 64}, "target": "eu"}
        configuration = record.configuration.model_copy(update=change)
        points = Scores(source=Estimate(value=90.0), targets={"eu": Estimate(value=71.0)})
        return record.model_copy(update={"configuration": configuration, "scores": points})

    folder = save(
        tmp_path / "study",
        [
            scored_on_two(named(make_record(NO_ALIGNMENT, 0, 50.0))),
            named(make_record(JOINT, 0, 53.0)),
            named(make_record(SEQUENTIAL, 0, 49.0)),
            basque(named(make_record(JOINT, 0, 71.0))),
        ],
    )
    report = compile_study([folder], tmp_path / "records.csv")
    assert (report.rows, report.unpaired) == (3, 0)
    gains = {(row["target"], row["objective"]): float(row["gain"]) for row in rows(tmp_path / "records.csv")}
    assert gains == {
        ("wo", "token-contrastive"): 3.0,
        ("wo", "sentence-contrastive"): -1.0,
        ("eu", "token-contrastive"): 1.0,
    }


def test_what_diverged_is_counted(tmp_path: Path) -> None:
    folder = study(tmp_path / "study", [50.0, 51.0], [53.0])
    lost = named(make_record(JOINT, 1, None)).model_copy(update={"status": "diverged"})
    save(folder, [lost])
    report = compile_study([folder], tmp_path / "records.csv")
    (row,) = rows(tmp_path / "records.csv")
    assert (row["seeds"], row["diverged"], report.unpaired) == ("1", "1", 0)


def test_folders_are_joined_and_a_record_counts_once(tmp_path: Path) -> None:
    one = study(tmp_path / "one", [50.0, 51.0], [53.0])
    two = study(tmp_path / "two", [50.0], [53.0, 54.0])
    report = compile_study([one, two], tmp_path / "records.csv")
    assert report.records == 4
    (row,) = rows(tmp_path / "records.csv")
    assert row["seed_list"] == "0 1"


def test_models_that_the_evidence_does_not_know_are_named(tmp_path: Path) -> None:
    records = [named(make_record(option, 0, 50.0), "bundled-unheard") for option in (NO_ALIGNMENT, JOINT)]
    report = compile_study([save(tmp_path / "study", records)], tmp_path / "records.csv")
    assert report.unknown_models == ("bundled-unheard",)
    assert "encoders.csv" in report.markdown()


def test_the_header_is_always_whole(tmp_path: Path) -> None:
    compile_study([study(tmp_path / "study", [50.0], [53.0])], tmp_path / "records.csv")
    header = (tmp_path / "records.csv").read_text().splitlines()[0].split(",")
    assert tuple(header) == COLUMNS
    with (TABLES / "records.csv").open() as file:
        assert set(next(csv.reader(file))) <= set(COLUMNS)


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no records"):
        compile_study([tmp_path], tmp_path / "records.csv")
