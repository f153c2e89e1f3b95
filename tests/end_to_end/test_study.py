"""``advisor study`` with real worker processes: killed, packed, on a Dask cluster; and its commands."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from advisor.cli import main
from advisor.study import Record, Workers
from advisor.study._plan import read_plan
from advisor.study._runner import run_study
from advisor.study._status import StudyStatus
from tests.conftest import Checkpoint
from tests.unit.study.plans import SENTENCES, plan_file


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run ``advisor study`` in this process, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["advisor", "study", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return Answer(stop.value.code, captured.out, captured.err)

    return invoke


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "records").glob("*.json")}


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", **changes}


def test_a_killed_study_goes_on_without_loss(
    command: Command, tmp_path: Path, checkpoint: Checkpoint
) -> None:
    plan = plan_file(tmp_path, checkpoint("bert"), training={"steps": 20})
    out = tmp_path / "out"
    words = ["study", "run", str(plan), "--out", str(out), "--jobs", "2", "--device", "cpu"]
    run = [sys.executable, "-m", "advisor", *words]
    with subprocess.Popen(
        run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "none (fine-tune only)" in line:  # the first run has ended, and others are under way
                break
        process.kill()
        # Workers hold the pipe: it ends when the last of them is gone, which no longer writes records then.
        process.stderr.read()
    killed = contents(out)
    assert 1 <= len(killed) < 6
    for record in killed.values():
        assert Record.model_validate_json(record).status == "done"

    again = command("run", str(plan), "--out", str(out), "--jobs", "1", "--device", "cpu")

    assert again.code == 0, again.err
    after = contents(out)
    assert len(after) == 6
    assert all(after[name] == content for name, content in killed.items())
    assert again.err.count("seed") == 6 - len(killed)


@pytest.mark.exhaustive  # three processes import torch, and one of them dies
def test_a_dask_cluster_completes_a_study_although_a_worker_is_killed(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client, LocalCluster

    from advisor.study import _runner

    plan = read_plan(plan_file(tmp_path, checkpoint("bert")))
    report = _runner._report
    killed: list[int] = []
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        workers = client.run(os.getpid)

        def kill_one(end: Any, *rest: Any) -> None:
            report(end, *rest)
            if end.records and not killed:
                victim = sorted(workers.values())[0]
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

        monkeypatch.setattr(_runner, "_report", kill_one)
        status = run_study(plan, tmp_path / "dask", Workers(dask=cluster.scheduler_address, device="cpu"))
    assert killed
    assert (status.runs.done, status.runs.left) == (6, 0)
    here = run_study(plan, tmp_path / "here", Workers(1, "cpu"))
    assert here.runs.done == 6
    for name, content in contents(tmp_path / "dask").items():
        there, record = json.loads(content), json.loads(contents(tmp_path / "here")[name])
        assert (there["scores"], there["curve"]) == (record["scores"], record["curve"])


def test_no_scheduler_is_told_in_one_sentence(
    command: Command, tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    from advisor.study import _workers

    monkeypatch.setattr(_workers, "_ANSWER_WITHIN", "1s")
    plan = plan_file(tmp_path, checkpoint("bert"))
    answer = command("run", str(plan), "--out", "out", "--dask", "tcp://127.0.0.1:9")
    assert answer.code == 2
    assert "No Dask scheduler answers at tcp://127.0.0.1:9" in answer.err


def test_a_packed_study_runs_in_its_folder_and_its_records_come_back(
    command: Command, tmp_path: Path, checkpoint: Checkpoint
) -> None:
    plan = plan_file(tmp_path, checkpoint("bert"), seeds=[0])
    answer = command("pack", str(plan), "--out", "packed", "--only", "target=tr")
    assert answer.code == 0, answer.err
    packed = tmp_path / "packed"
    moved = tmp_path / "another-machine" / "packed"
    moved.parent.mkdir()
    packed.rename(moved)
    (tmp_path / "data").rename(tmp_path / "gone")

    run = subprocess.run(
        ["sh", str(moved / "run.sh"), "--jobs", "1", "--device", "cpu"],
        cwd="/",
        env=environment(PYTHON=sys.executable),
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    moved.rename(packed)  # and it comes back
    status = StudyStatus.model_validate_json(command("status", "packed/study", "--json").out)
    assert (status.runs.done, status.runs.left) == (2, 0)
    answer = command("compile", "packed/study", "--out", "records.csv", "--json")
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    assert (report["rows"], report["records"], report["unpaired"]) == (1, 2, 0)


def test_a_pack_over_the_limit_is_refused(command: Command, tmp_path: Path, checkpoint: Checkpoint) -> None:
    plan = plan_file(tmp_path, checkpoint("bert"))
    answer = command("pack", str(plan), "--out", "packed", "--limit-mib", "1")
    assert answer.code == 2
    assert "over the limit of 1" in answer.err
    assert not list(tmp_path.glob("*packed*"))


def test_a_study_from_plan_to_table(command: Command, tmp_path: Path, checkpoint: Checkpoint) -> None:
    assert command("plan", "--out", "example.yaml").code == 0
    assert "# Optimiser steps of fine-tuning." in (tmp_path / "example.yaml").read_text()
    refused = command("plan", "--out", "example.yaml")
    assert refused.code == 2
    assert "is there already" in refused.err

    plan = str(plan_file(tmp_path, checkpoint("bert"), options=[SENTENCES], seeds=[0, 1]))
    checked = command("plan", plan, "--json")
    overview = json.loads(checked.out)
    assert (overview["cells"], overview["baselines"], overview["runs"]) == (2, 2, 4)

    answer = command("run", plan, "--out", "out", "--jobs", "1", "--only", "target=tr", "--device", "cpu")
    assert answer.code == 0, answer.err
    for said in (checked.err, answer.err):
        assert "labelled target data: " in said
        assert "tr.conllu (conllu; words from FORM, labels from UPOS)" in said
        assert "en-tr.tsv (tsv; English from column 1, Turkish from column 2)" in said
    status = command("status", "out")
    assert "4 runs done, 0 diverged, 0 failed, 2 left" in status.out
    assert "en-tr" in status.out

    answer = command("compile", "out", "--out", "records.csv")
    assert answer.code == 0, answer.err
    assert "1 row from 4 records" in answer.out

    nothing = command("status", "elsewhere")
    assert nothing.code == 2
    assert "holds no study" in nothing.err
