"""Many targets and encoders probed by one command: partial failure, what is kept, and the joint answer."""

import errno
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from rich.console import Console
from typer.testing import CliRunner

import probes.run
from advisor.advice import Advice
from advisor.cli import app
from advisor.grid import (
    AnswerCell,
    AnswerGrid,
    compare_targets,
    folder_of,
    grid_page,
    grid_table,
    in_processes,
    probe_cells,
    spread,
)
from advisor.grid.joint import joint_answer
from advisor.report import Report
from probes.budget import BUDGETS, Budget
from probes.errors import InputError, RunError
from probes.gradients.between import Pulls
from probes.material.inputs import Inputs, read_inputs
from probes.request import ProbeRequest
from probes.signals import TOTAL, Estimate, Note, Signals, TargetCosine
from tests.conftest import Checkpoint
from tests.factories import make_advice, make_open, make_signals

SAMPLE = Path(str(files("advisor.sample")))
SMALL = Budget("quick", 5, 4, 40, 20, 3, 24, 64)


@pytest.fixture(autouse=True)
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUDGETS, "quick", SMALL)


def request_for(model: Path | str, targets: str, **more: Any) -> ProbeRequest:
    fields: dict[str, Any] = {
        "bitext": "sample:bitext.en-{target}.tsv",
        "target_labels": "sample:{target}.conllu",
        "train": str(Path("advisor/sample/en.conllu").resolve()),
    }
    return ProbeRequest.of(
        model=str(model),
        source="en",
        target=targets,
        task="pos",
        budget="quick",
        device="cpu",
        **fields | more,
    )


def test_a_request_spreads_over_models_and_targets_the_cheapest_model_first() -> None:
    cells = spread(request_for("xlm-roberta-large,distilmbert,never-heard-of,xlm-roberta-base", "tr,ar"))
    assert [cell.model for cell in cells[::2]] == [
        "distilmbert",
        "xlm-roberta-base",
        "xlm-roberta-large",
        "never-heard-of",
    ]
    assert [cell.bitext for cell in cells[:2]] == ["sample:bitext.en-tr.tsv", "sample:bitext.en-ar.tsv"]
    assert len({folder_of(cell, Path("out")) for cell in cells}) == 8


def test_what_is_named_twice_is_probed_once() -> None:
    cells = spread(request_for("xlm-roberta-base,FacebookAI/xlm-roberta-base", "tr,Turkish,ar"))
    assert [(cell.model, cell.target) for cell in cells] == [
        ("xlm-roberta-base", "tr"),
        ("xlm-roberta-base", "ar"),
    ]


def test_several_targets_cannot_read_one_file() -> None:
    with pytest.raises(InputError, match=r"\{target\}.*--bitext"):
        spread(request_for("bundled", "tr,ar", bitext="en-tr.tsv"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Targets as they are measured, with made-up numbers; the second is interrupted at first."""
    taken: list[str] = []

    def measure(_: object, request: ProbeRequest, __: object, inputs: Inputs) -> tuple[Signals, Pulls]:
        taken.append(request.target)
        if request.target == "de" and len(taken) < 3:
            raise KeyboardInterrupt
        pulls = Pulls(("token-l2",), (), {"layer.0": np.zeros((1, 5, 8), dtype=np.float32)})
        return make_signals(2, ("token-l2",), target=request.target, data=inputs.facts), pulls

    monkeypatch.setattr(probes.run.TargetProbes, "measure", measure)
    return taken


@pytest.mark.slow
def test_a_bad_cell_loses_no_other_and_what_is_done_is_kept(measured: list[str], tmp_path: Path) -> None:
    cells = spread(request_for("bundled", "tr,de,xx"))
    with pytest.raises(KeyboardInterrupt):
        list(probe_cells(cells, tmp_path))
    found = list(probe_cells(cells, tmp_path))
    assert measured == ["tr", "de", "de"], "the first target was not measured again"
    assert [cell.advice is None for cell in found] == [False, False, True]
    assert "bitext.en-xx.tsv" in (found[2].problem or "")
    assert found[0].measured
    assert (tmp_path / str(found[0].folder) / "report.html").exists()
    assert list(probe_cells(cells, tmp_path)) == found
    assert len(measured) == 3
    list(probe_cells([cells[0].model_copy(update={"seed": 1})], tmp_path))
    assert len(measured) == 4, "another request is another measurement"


@pytest.mark.parametrize(
    "models",
    [
        ("m/x", "m_x", "m--x"),
        ("/a/x", "/b/x", "./x", "../x", "x"),
        (".", "..", "a b", "a/b"),
        ("n" * 300, "n" * 299),
    ],
)
def test_no_two_models_share_a_folder(models: tuple[str, ...], tmp_path: Path) -> None:
    requests = [request_for(model, "tr") for model in models]
    folders = {folder_of(request, tmp_path) for request in requests}
    assert len(folders) == len(models)
    for folder in folders:
        assert folder.parent.parent == tmp_path
        folder.mkdir(parents=True)


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["weights", "pulls.npz", "signals.json", "cell.json"])
def test_what_is_no_longer_true_is_measured_again(
    changed: str, measured: list[str], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    model = shutil.copytree(checkpoint("bert"), tmp_path / "model")
    cells = spread(request_for(model, "tr"))
    (first,) = probe_cells(cells, tmp_path / "out")
    folder = tmp_path / "out" / str(first.folder)
    if changed == "weights":
        os.utime(model / "model.safetensors", ns=(1, 1))
    elif changed == "signals.json":
        other = Signals.load(folder / changed).model_copy(update={"distances": ()})
        (folder / changed).write_text(other.model_dump_json())
    else:
        (folder / changed).write_bytes((folder / changed).read_bytes()[:-40])
    again = list(probe_cells(cells, tmp_path / "out"))
    assert measured == ["tr", "tr"]
    assert list(probe_cells(cells, tmp_path / "out")) == again
    assert measured == ["tr", "tr"]


def test_a_target_whose_sketches_are_lost_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name, random = "sentence-contrastive", np.random.default_rng(0)

    def measure(_: object, request: ProbeRequest, __: object, inputs: Inputs) -> tuple[Signals, Pulls]:
        pulls = Pulls((name,), (name,), {"layer.0": random.normal(size=(2, 5, 8)).astype(np.float32)})
        return make_signals(2, (name,), target=request.target, data=inputs.facts), pulls

    monkeypatch.setattr(probes.run.TargetProbes, "measure", measure)
    requests = spread(request_for("bundled", "tr,ar,de"))
    cells = list(probe_cells(requests, tmp_path))
    (folder_of(requests[2], tmp_path) / "pulls.npz").unlink()
    (joint,) = compare_targets(requests, cells, tmp_path)
    assert set(joint.order) == {"tr", "ar"}
    assert any("de" in doubt and "compared" in doubt for doubt in joint.doubts), joint.doubts


@pytest.mark.slow
def test_what_is_kept_is_answered_anew(measured: list[str], tmp_path: Path) -> None:
    cells = spread(request_for("bundled", "tr"))
    (first,) = probe_cells(cells, tmp_path)
    path = tmp_path / str(first.folder) / "advice.json"
    assert first.advice is not None
    stale = first.advice.model_copy(update={"summary": "Of other findings."})
    path.write_text(stale.model_dump_json())
    (again,) = probe_cells(cells, tmp_path)
    assert measured == ["tr"]
    assert again.advice is not None
    assert again.advice.summary == first.advice.summary
    assert Advice.load(path) == again.advice


def test_a_fault_in_one_cell_loses_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def measure(_: object, request: ProbeRequest, __: object, inputs: Inputs) -> tuple[Signals, Pulls]:
        if request.target == "de":
            raise RuntimeError("mat1 and mat2\n shapes cannot be multiplied")
        pulls = Pulls(("token-l2",), (), {"layer.0": np.zeros((1, 5, 8), dtype=np.float32)})
        return make_signals(2, ("token-l2",), target=request.target, data=inputs.facts), pulls

    monkeypatch.setattr(probes.run.TargetProbes, "measure", measure)
    found = list(probe_cells(spread(request_for("bundled", "tr,de,ar")), tmp_path))
    assert [cell.problem for cell in found] == [None, "mat1 and mat2 shapes cannot be multiplied", None]


def test_what_is_noted_of_one_target_is_not_carried_to_the_next(measured: list[str], tmp_path: Path) -> None:
    """Little English on the English side of the first makes the training data look doubtful."""
    lines = [line.split("\t") for line in (SAMPLE / "bitext.en-ar.tsv").read_text("utf-8").splitlines()]
    mixed = [(y, x) if i % 3 == 0 else (x[: len(x) // 3], y) for i, (x, y) in enumerate(lines)]
    (tmp_path / "en-ar.tsv").write_text("\n".join(map("\t".join, mixed)), "utf-8")
    shutil.copy(SAMPLE / "bitext.en-tr.tsv", tmp_path / "en-tr.tsv")
    files: dict[str, Any] = {"bitext": str(tmp_path / "en-{target}.tsv"), "target_labels": None}
    cells = spread(request_for("bundled", "ar,tr", **files))
    alone = read_inputs(cells[1])
    assert read_inputs(cells[0]).train.facts != alone.train.facts
    list(probe_cells(cells, tmp_path / "out"))
    signals = Signals.load(folder_of(cells[1], tmp_path / "out") / "signals.json")
    assert signals.data == alone.facts


@pytest.mark.parametrize(("model", "target"), [(",", "tr"), ("bundled", ",")])
def test_an_empty_list_is_refused(model: str, target: str) -> None:
    with pytest.raises(InputError, match="give one, or several by commas"):
        spread(request_for(model, target))


def test_a_dry_run_reads_what_can_be_read() -> None:
    words = ["--source", "en", "--target", "tr,xx", "--task", "pos", "--train", "sample:en.conllu"]
    words += ["--bitext", "sample:bitext.en-{target}.tsv", "--dry-run"]
    found = CliRunner().invoke(app, ["probe", "bundled", *words])
    assert found.exit_code == 0, found.output
    assert "bitext.en-tr.tsv" in found.stdout
    assert "bundled, xx" in found.stderr


def test_processes_of_accelerate_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = ["--source", "en", "--target", "tr,ar", "--task", "pos", "--train", "sample:en.conllu"]
    words += ["--bitext", "sample:bitext.en-{target}.tsv", "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(app, ["probe", "bundled", *words])
    assert isinstance(found.exception, InputError)
    assert "--jobs" in str(found.exception)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_does_not_lose_a_measurement(
    measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Report.write

    def full(self: Report, directory: Path, *rest: Any) -> Any:
        if Path(directory).is_relative_to(tmp_path / "grid"):
            raise RunError(f"Cannot write to {directory}: {errno.errorcode[errno.ENOSPC]}.")
        return write(self, directory, *rest)

    monkeypatch.setattr(Report, "write", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (cell,) = probe_cells(spread(request_for("bundled", "tr")), tmp_path / "grid")
    assert measured == ["tr"]
    assert cell.advice is not None
    folder = Path((cell.problem or "").rpartition("its results are in ")[2].rstrip("."))
    assert (folder / "signals.json").exists()


@pytest.mark.slow
def test_the_command_line_says_what_to_align_together(checkpoint: Checkpoint, tmp_path: Path) -> None:
    model = str(checkpoint("bert"))
    words = ["--source", "en", "--target", "tr,ar,xx", "--task", "pos", "--train", "sample:en.conllu"]
    words += ["--bitext", "sample:bitext.en-{target}.tsv", "--target-labels", "sample:{target}.conllu"]
    words += ["--budget", "quick", "--device", "cpu", "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(app, ["probe", model, *words])
    assert found.exit_code == 0, found.exception
    assert "Together or apart" in found.stdout
    assert "1 of 3 cells have no answer" in found.stdout
    grid = AnswerGrid.model_validate_json((tmp_path / "out" / "grid.json").read_text())
    assert grid.joint[0].between("ar", "tr") is not None
    assert len(set(grid.joint[0].order)) == 2
    page = (tmp_path / "out" / "grid.html").read_text()
    assert grid.joint[0].text in page
    assert "<script" not in page
    strict = CliRunner().invoke(app, ["probe", model, *words, "--strict", "--json"])
    assert strict.exit_code == 2
    assert json.loads(strict.stdout)["cells"][2]["problem"]


@pytest.mark.slow
def test_processes_give_the_same_answers(checkpoint: Checkpoint, tmp_path: Path) -> None:
    cells = spread(request_for(checkpoint("bert"), "xx,xy"))
    told: list[str] = []
    found = in_processes(cells, tmp_path, 2, None, lambda cell: told.append(cell.target))
    assert found == list(probe_cells(cells, tmp_path))
    assert sorted(told) == ["xx", "xy"]


def test_a_dead_process_costs_its_cells_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Dying:
        """One share is done, then the next one's process dies."""

        def __init__(self, **_: object) -> None:
            pass

        def __call__(self, shares: Iterable[Any]) -> Iterator[Any]:
            work, arguments, named = next(iter(shares))
            yield work(*arguments, **named)
            raise TerminatedWorkerError

    monkeypatch.setattr("joblib.Parallel", Dying)
    told: list[AnswerCell] = []
    found = in_processes(spread(request_for("bundled", "xx,xy")), tmp_path, 2, None, told.append)
    assert [cell.target for cell in found] == ["xx", "xy"]
    assert found[:1] == told
    assert "bitext.en-xx.tsv" in str(found[0].problem)
    assert "fewer --jobs" in str(found[1].problem)


def cosine(
    first: str, second: str, value: float | None, half: float = 0.1, objective: str = "token-contrastive"
) -> TargetCosine:
    net = Estimate(value=None, note="noise")
    if value is not None:
        net = Estimate(value=value, low=value - half, high=value + half)
    return TargetCosine(
        objective=objective, block=TOTAL, first=first, second=second, cosine=net, net=net, null=None
    )


def test_targets_go_together_where_all_of_them_agree() -> None:
    advices = {name: make_advice() for name in ("tr", "fi", "hu", "yo")} | {"de": make_open()}
    assert not advices["de"].aligns
    agree = {("tr", "fi"): 0.5, ("tr", "hu"): 0.6, ("fi", "hu"): 0.4, ("tr", "yo"): -0.4, ("fi", "yo"): 0.05}
    names = list(advices)
    rows = [
        cosine(a, b, agree.get((a, b), 0.5 if "de" in (a, b) else None))
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    ]
    joint = joint_answer(advices, rows)
    assert joint is not None
    assert joint.text == (
        "Judged by token-contrastive, align tr, fi and hu together; yo alone. Fine-tune alone for de."
    )
    assert joint.doubts[0].startswith("tr and yo (−0.40 [")
    assert any("no source varies the number alone" in doubt for doubt in joint.doubts)
    assert set(joint.order) == set(names)
    cell = AnswerCell(model=joint.model, source="en", target="tr", task="pos")
    grid = AnswerGrid(cells=(cell,), joint=(joint,))
    assert "align tr, fi and hu together" in grid_page(grid)
    assert grid_table(grid, 100)


def test_shuffled_bitext_says_nothing_of_joining() -> None:
    advices = {name: make_advice() for name in ("tr", "fi")}
    joint = joint_answer(advices, [cosine("tr", "fi", None)])
    assert joint is not None
    assert joint.text == "Judged by token-contrastive, align tr and fi each alone."
    assert "could not be told from noise" in joint.doubts[0]


def test_bitexts_that_hold_no_translations_are_named_first() -> None:
    note = Note(code="misaligned-bitext", text="Even the best layer finds only 1.0 % of the translations.")
    advices = {"tr": make_advice(), "fi": make_advice(warnings=(note,))}
    joint = joint_answer(advices, [cosine("tr", "fi", 0.9)])
    assert joint is not None
    assert joint.doubts[0] == (
        "Hardly any translation is found in the bitext of fi: its sides may not correspond."
    )


def test_what_shuffled_pairs_agree_in_is_taken_out_and_decides_nothing() -> None:
    advices = {name: make_advice() for name in ("tr", "fi")}
    row = cosine("tr", "fi", 0.95, 0.01)
    texts = set()
    for null in (None, row.cosine):
        joint = joint_answer(advices, [row.model_copy(update={"null": null})])
        assert joint is not None
        texts.add(joint.text)
    assert texts == {"Judged by token-contrastive, align tr and fi together."}


@pytest.mark.parametrize(("by_words", "groups"), [(-0.6, 2), (0.05, 1), (0.6, 1)])
def test_targets_that_the_advised_loss_has_against_each_other_stay_apart(
    by_words: float, groups: int
) -> None:
    advices = {name: make_advice() for name in ("tr", "de")}
    rows = [cosine("tr", "de", by_words), cosine("tr", "de", 0.5, objective="sentence-contrastive")]
    joint = joint_answer(advices, rows)
    assert joint is not None
    assert joint.objective == "sentence-contrastive"
    assert joint.text.startswith("Judged by sentence-contrastive, align tr and de")
    assert len(joint.groups) == groups
    doubts = " ".join(joint.doubts)
    assert "while token-contrastive is advised, and would be trained, for all of them" in doubts
    assert ("pull against each other by token-contrastive" in doubts) == (by_words < 0)


def test_a_group_holds_no_pair_that_a_loss_advised_for_a_third_has_against_each_other() -> None:
    names = ("tr", "fi", "hu")
    words = make_advice().option.model_copy(update={"objective": "sentence-contrastive", "word_pairs": None})
    advices = {name: make_advice(option=words) for name in names[:2]} | {"hu": make_advice()}
    pairs = (("tr", "fi"), ("tr", "hu"), ("fi", "hu"))
    rows = [cosine(*pair, 0.5 - 0.1 * i, objective="sentence-contrastive") for i, pair in enumerate(pairs)]
    rows += [cosine(*pair, -0.6 if i == 0 else 0.6) for i, pair in enumerate(pairs)]
    joint = joint_answer(advices, rows)
    assert joint is not None
    assert joint.groups == (("tr", "fi"), ("hu",)), "token-contrastive is trained for hu alone"


def test_a_target_whose_gradients_were_lost_is_told_of() -> None:
    advices = {name: make_advice() for name in ("tr", "fi", "hu")}
    joint = joint_answer(advices, [cosine("tr", "fi", 0.5)])
    assert joint is not None
    assert joint.order == ("tr", "fi")
    assert any(doubt.startswith("hu could not be compared") for doubt in joint.doubts)


def test_pairs_stand_in_a_list_where_a_matrix_has_no_room() -> None:
    names = [f"l{i:02}" for i in range(15)]
    pairs = list(combinations(names, 2))
    rows = [cosine(*pair, 0.9 - 0.01 * i if i else None) for i, pair in enumerate(pairs)]
    joint = joint_answer({name: make_advice() for name in names}, rows)
    assert joint is not None
    assert joint.between("l01", "l00") == rows[0]
    assert joint.between("l14", "l13") == rows[-1]
    assert joint.between("l00", "l00") is None
    grid = AnswerGrid(
        cells=(AnswerCell(model=joint.model, source="en", target="l00", task="pos"),), joint=(joint,)
    )
    foes = [row.model_copy(update={"net": Estimate(value=-0.5, low=-0.6, high=-0.4)}) for row in rows]
    apart = joint_answer({name: make_advice() for name in names}, foes)
    assert apart is not None
    assert sum("and 100 more pairs pull against each other" in doubt for doubt in apart.doubts) == 1
    for width, listed in ((100, True), (400, False)):
        console = Console(width=width, file=io.StringIO())
        console.print(grid_table(grid, width))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert ("The clearest 20 of 105 pairs" in text) == listed
        assert "0.89 [0.79, 0.99]" in text, "whole, not cut"
        assert (re.search(r"l\d\d, l\d\d +0.89", text) is not None) == listed
