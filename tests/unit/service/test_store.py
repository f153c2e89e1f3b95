"""What is on disk: uploads and runs, whole or not at all, and each its owner's."""

import json
import os
import stat
from pathlib import Path

import pytest

from advisor.service import Limits, RunStore, UnknownRunError, store_path
from probes.errors import InputError
from tests.unit.service.stubs import SAMPLE, SESSION


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\en.tsv", "en.tsv"),
        ("a b,c+d.tsv", "a_b_c_d.tsv"),
        (".hidden", "hidden"),
        ("..", "upload"),
        ("", "upload"),
        ("çok güzel.tsv", "çok_güzel.tsv"),
        ("x" * 500 + ".conllu", "x" * 93 + ".conllu"),
    ],
)
def test_file_names_lead_nowhere(store: RunStore, given: str, kept: str) -> None:
    upload = store.save_upload(SESSION, given, [b"text"], most=10)
    assert upload.name == kept
    assert store.upload(SESSION, upload.id).path.read_bytes() == b"text"


def test_an_upload_that_is_too_large_leaves_nothing(store: RunStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="larger than"):
        store.save_upload(SESSION, "big.tsv", (b"x" * 1000 for _ in range(10)), most=5000)
    assert not list(tmp_path.rglob("big.tsv"))


def test_an_upload_that_breaks_off_leaves_nothing(store: RunStore, tmp_path: Path) -> None:
    def broken() -> "list[bytes]":
        raise ConnectionError

    with pytest.raises(ConnectionError):
        store.save_upload(SESSION, "cut.tsv", (chunk for _ in range(2) for chunk in broken()), most=5000)
    assert not list(tmp_path.rglob("cut.tsv"))


def test_uploads_are_their_sessions_own(store: RunStore) -> None:
    upload = store.save_upload(SESSION, "en.tsv", [b"text"], most=10)
    with pytest.raises(InputError, match="no such upload"):
        store.upload("another session", upload.id)
    assert store.upload(SESSION, upload.id) == upload


def test_forgotten_uploads_are_swept(store: RunStore, tmp_path: Path) -> None:
    upload = store.save_upload(SESSION, "en.tsv", [b"text"], most=10)
    store.sweep_uploads((), 3600)
    store.sweep_uploads({upload.id}, -1)
    assert list(tmp_path.rglob("en.tsv"))
    store.sweep_uploads((), -1)
    assert not list(tmp_path.rglob("en.tsv"))


def test_what_a_waiting_run_reads_is_not_swept_nor_removed_with_another(store: RunStore) -> None:
    upload = store.save_upload(SESSION, "en.tsv", [b"text"], most=10)
    request = SAMPLE.model_copy(update={"train": upload.spec})
    ended, waiting = (store.create(request, SESSION) for _ in range(2))
    store.finish(store.record(ended.id), "done")
    os.utime(upload.path.parent, (0, 0))
    store.save_upload(SESSION, "tr.tsv", [b"text"], most=10)
    store.remove(ended.id)
    assert store.upload(SESSION, upload.id) == upload
    store.finish(store.record(waiting.id), "done")
    store.remove(waiting.id)
    with pytest.raises(InputError, match="no such upload"):
        store.upload(SESSION, upload.id)


@pytest.mark.parametrize("run_id", ["", "..", "../uploads", "0" * 23, "0" * 24, "A" * 24, "0" * 24 + "/x"])
def test_ids_that_are_none_are_unknown(store: RunStore, run_id: str) -> None:
    with pytest.raises(UnknownRunError):
        store.run(run_id)
    with pytest.raises(UnknownRunError):
        store.artefact(run_id, "advice.json")


def test_only_results_are_handed_out(store: RunStore) -> None:
    run = store.create(SAMPLE, SESSION)
    store.finish(store.record(run.id), "done")
    for name in ("state.json", "request.json", "../../x", "signals.json"):
        with pytest.raises(UnknownRunError):
            store.artefact(run.id, name)


def test_a_damaged_record_is_no_run(store: RunStore) -> None:
    run = store.create(SAMPLE, SESSION)
    (store.folder(run.id) / "state.json").write_text("{")
    with pytest.raises(UnknownRunError):
        store.run(run.id)
    assert store.runs() == []


def test_nobody_is_shown_whose_run_it_is(store: RunStore) -> None:
    run = store.create(SAMPLE, SESSION)
    kept = json.loads((store.folder(run.id) / "state.json").read_text())
    assert SESSION not in json.dumps(kept)
    assert kept["owner"] not in run.model_dump_json()


def test_the_store_is_closed_to_others(store: RunStore, tmp_path: Path) -> None:
    for folder in (tmp_path / "store", store.folder(store.create(SAMPLE, SESSION).id)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_run_under_way_is_not_removed(store: RunStore) -> None:
    run = store.create(SAMPLE, SESSION)
    with pytest.raises(InputError, match="cancel it"):
        store.remove(run.id)
    store.finish(store.record(run.id), "cancelled")
    store.remove(run.id)
    with pytest.raises(UnknownRunError):
        store.run(run.id)


def test_paths_of_uploads_become_names(store: RunStore) -> None:
    upload = store.save_upload(SESSION, "en.tsv", [b"text"], most=10)
    assert store.as_called(f"{upload.path} is empty.") == "en.tsv is empty."


def test_a_store_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="ADVISOR_STORE"):
        RunStore(tmp_path / "file" / "store")


def test_limits_come_from_the_environment_and_go_back(tmp_path: Path) -> None:
    limits = Limits.from_environment(
        {
            "ADVISOR_ROOTS": str(tmp_path),
            "ADVISOR_HUB_IDS": "a/*, b",
            "ADVISOR_MAX_UPLOAD_MB": "2.5",
            "ADVISOR_MAX_RUN_MINUTES": "7",
            "ADVISOR_MAX_QUEUE": "3",
            "ADVISOR_KEEP_DAYS": "30",
            "ADVISOR_LIST_ALL": "true",
        }
    )
    assert limits == Limits(
        roots=(tmp_path,),
        hub_ids=("a/*", "b"),
        upload_mb=2.5,
        run_minutes=7,
        queue_length=3,
        keep_days=30,
        list_all=True,
    )
    assert limits.upload_bytes == 2_621_440
    assert Limits.from_environment(limits.to_environment()) == limits
    own = Limits.own_machine(tmp_path)
    assert Limits.from_environment({}, own) == own


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ADVISOR_MAX_UPLOAD_MB", "much"),
        ("ADVISOR_MAX_UPLOAD_MB", "-1"),
        ("ADVISOR_MAX_RUN_MINUTES", "inf"),
        ("ADVISOR_MAX_QUEUE", "0"),
        ("ADVISOR_LIST_ALL", "perhaps"),
        ("ADVISOR_ROOTS", "/no/such/folder"),
    ],
)
def test_limits_that_make_no_sense_are_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(InputError, match=variable):
        Limits.from_environment({variable: value})


def test_where_runs_are_kept(tmp_path: Path) -> None:
    assert store_path({"ADVISOR_STORE": str(tmp_path)}) == tmp_path
    assert store_path({}).is_absolute()


def test_a_run_is_its_sessions(store: RunStore) -> None:
    run = store.create(SAMPLE, SESSION)
    assert store.owns(SESSION, run.id)
    assert not store.owns("another session", run.id)
    with pytest.raises(UnknownRunError):
        store.owns(SESSION, "0" * 24)
