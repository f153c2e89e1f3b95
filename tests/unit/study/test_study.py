"""Running a study in this process: what is run, what is not run again, and what its records hold."""

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import advisor.training as engine
from advisor.files import reserved
from advisor.options import NO_ALIGNMENT, Option, joint_weight
from advisor.study import Record, Workers
from advisor.study._grid import Grid
from advisor.study._inputs import load_inputs
from advisor.study._plan import read_plan
from advisor.study._runner import run_study
from advisor.study._state import State
from advisor.study._status import StudyStatus, study_status
from advisor.training import Outcome, Recipe
from probes.encoder import load_encoder
from probes.errors import InputError
from probes.progress import Progress
from probes.signals import TOTAL, Signals
from tests.conftest import Checkpoint
from tests.unit.study.plans import SENTENCES, plan_file

pytestmark = pytest.mark.slow

Call = tuple[str, str | None, int]
Study = Callable[..., StudyStatus]
ALIGNED = Option.parse(SENTENCES)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def study(checkpoint: Checkpoint, tmp_path: Path) -> Study:
    """Write a plan into a folder of its own, and run it in this process."""

    def run(
        out: str | Path = "out", only: tuple[str, ...] = (), retry: bool = False, **changes: Any
    ) -> StudyStatus:
        path = plan_file(tmp_path, checkpoint("bert"), **changes)
        return run_study(read_plan(path), tmp_path / out, Workers(1, "cpu"), only=only, retry=retry)

    return run


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    made: list[Call] = []
    train = engine.train

    def counted(recipe: Recipe, progress: Progress | None = None, **rest: Any) -> Outcome:
        made.append((str(recipe.option.objective), "+".join(rest["targets"]), recipe.seed))
        return train(recipe, progress, **rest)

    monkeypatch.setattr(engine, "train", counted)
    return made


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Objective, languages scored on and seed of every run of the engine, which works as ever."""
    return count_calls(monkeypatch)


class Finished(NamedTuple):
    """A study that was run once for the module, and the runs that it took."""

    status: StudyStatus
    out: Path
    calls: list[Call]


@pytest.fixture(scope="module")
def once(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        calls = count_calls(patch)
        plan = read_plan(plan_file(folder, checkpoint("bert")))
        return Finished(run_study(plan, folder / "out", Workers(1, "cpu")), folder / "out", calls)


@pytest.fixture
def finished(once: Finished, tmp_path: Path) -> Path:
    """The same in ``out``."""
    return shutil.copytree(once.out, tmp_path / "out")


def records(out: Path) -> dict[Call, Record]:
    found = [Record.model_validate_json(path.read_bytes()) for path in (out / "records").iterdir()]
    return {
        (
            str(record.configuration.option.objective),
            "+".join(record.configuration.scored),
            record.configuration.seed,
        ): record
        for record in found
    }


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "records").iterdir()}


NONE, SENTENCE = "none", "sentence-contrastive"
ALL = [(NONE, "tr+de", 0), (NONE, "tr+de", 1)] + [
    (SENTENCE, target, seed) for target in ("tr", "de") for seed in (0, 1)
]


def test_every_run_leaves_a_record_and_fine_tuning_alone_is_shared(once: Finished) -> None:
    status = once.status

    assert once.calls == ALL
    found = records(once.out)
    assert set(found) == set(ALL)
    for (objective, targets, _), record in found.items():
        assert record.status == "done"
        assert record.scores is not None
        assert record.before is not None
        assert "+".join(record.scores.targets) == "+".join(record.before.targets) == targets
        assert record.configuration.target == (None if objective == NONE else targets)
        assert record.model == "tiny"
        assert record.files["train"] == "en.conllu"
        assert all(record.texts[target] == 8 for target in record.scores.targets)
        assert len(record.curve) == 2
    assert (status.runs.done, status.runs.left) == (6, 0)
    assert [(cell.target, cell.baselines.done, cell.runs.done) for cell in status.cells] == [
        ("tr", 2, 2),
        ("de", 2, 2),
    ]
    assert study_status(once.out) == status


def test_what_has_ended_is_never_run_again(study: Study, calls: list[Call], finished: Path) -> None:
    before = contents(finished)
    lost = records(finished)[SENTENCE, "de", 0].configuration.key
    (finished / "records" / f"{lost}.json").unlink()

    study()

    assert calls == [(SENTENCE, "de", 0)]
    after = contents(finished)
    assert after.keys() == before.keys()
    assert all(after[name] == before[name] for name in before if name != f"{lost}.json")
    again, first = (json.loads(side[f"{lost}.json"]) for side in (after, before))
    assert (again["scores"], again["curve"]) == (first["scores"], first["curve"])


def test_a_run_of_the_study_is_what_the_engine_gives_alone(once: Finished) -> None:
    out = once.out
    state = State(Grid(read_plan(out / "plan.yaml")), out, load_inputs(out))
    for planned in state.grid:
        run, record = state.run(planned), state.record(planned)
        assert run is not None
        assert record is not None
        assert record.scores is not None
        for target in run.targets:  # one by one, in a process state of its own
            alone = engine.train(run.recipe, targets={target: run.targets[target]})
            assert alone.after[target] == record.scores.targets[target]
            assert alone.before["source"] == record.before.source if record.before else False
            assert [{name: float(f"{x:.5g}") for name, x in entry.losses.items()} for entry in alone.log] == [
                {name: value for name in ("task", "alignment") if (value := getattr(point, name)) is not None}
                for point in record.curve
            ]


def test_cells_are_run_one_by_one_with_what_they_are_compared_with(
    study: Study, calls: list[Call], tmp_path: Path
) -> None:
    status = study(only=("target=de",))
    assert calls == [call for call in ALL if call[1] != "tr"]
    assert (status.runs.done, status.runs.left) == (4, 0)
    assert study_status(tmp_path / "out").runs.left == 2
    calls.clear()
    study()
    assert calls == [call for call in ALL if call[1] == "tr"]


def test_more_seeds_or_other_data_run_only_what_they_bear_on(
    study: Study, calls: list[Call], tmp_path: Path
) -> None:
    study(seeds=[0])
    calls.clear()
    study(seeds=[0, 1])
    assert calls == [call for call in ALL if call[2] == 1]
    calls.clear()
    path = plan_file(tmp_path, Path(read_plan(tmp_path / "plan.yaml").models["tiny"]))  # type: ignore[arg-type]
    bitext = tmp_path / "data/en-tr.tsv"
    bitext.write_text("".join(bitext.read_text(encoding="utf-8").splitlines(keepends=True)[:-2]))
    run_study(read_plan(path), tmp_path / "out", Workers(1, "cpu"))
    assert calls == [(SENTENCE, "tr", 0), (SENTENCE, "tr", 1)]


def breaking(monkeypatch: pytest.MonkeyPatch, error: Exception, when: Callable[[Recipe], bool]) -> None:
    train = engine.train

    def broken(recipe: Recipe, progress: Progress | None = None, **rest: Any) -> Outcome:
        if when(recipe):
            raise error
        return train(recipe, progress, **rest)

    monkeypatch.setattr(engine, "train", broken)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out\nof memory"), InputError("CUDA out of memory")], ids=["run", "input"]
)
def test_what_failed_is_recorded_and_done_again_only_when_asked(
    study: Study, calls: list[Call], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    with monkeypatch.context() as patch:
        breaking(patch, error, lambda recipe: recipe.option == ALIGNED and recipe.seed == 0)
        status = study(only=("target=tr",))
    assert (status.runs.done, status.runs.failed, status.runs.left) == (3, 1, 0)
    assert sum(status.errors.values()) == 1
    assert all("CUDA out of memory" in error for error in status.errors)
    assert records(tmp_path / "out")[SENTENCE, "tr", 0].scores is None
    calls.clear()

    assert study(only=("target=tr",)).runs.failed == 1
    assert not calls
    assert study(only=("target=tr",), retry=True).runs.done == 4
    assert calls == [(SENTENCE, "tr", 0)]


def test_what_diverged_is_recorded_as_such_and_not_done_again(
    study: Study, calls: list[Call], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    forward = engine.Losses.forward

    def exploding(self: engine.Losses, *batches: Any) -> dict[str, torch.Tensor]:
        losses = forward(self, *batches)
        return {name: loss * (float("inf") if name == "alignment" else 1) for name, loss in losses.items()}

    monkeypatch.setattr(engine.Losses, "forward", exploding)
    status = study(only=("target=tr",))
    assert (status.runs.done, status.runs.diverged) == (2, 2)
    assert status.cells[0].runs.diverged == 2
    calls.clear()
    study(only=("target=tr",), retry=True)
    assert not calls


def test_objectives_without_their_head_are_left_out(
    study: Study, checkpoint: Checkpoint, calls: list[Call]
) -> None:
    models = {"with": str(checkpoint("bert")), "without": str(checkpoint("mt5"))}
    status = study(models=models, options=["mlm:joint"], seeds=[0], only=("target=tr",))
    assert [call[0] for call in calls] == ["none", "mlm", "none"]
    assert (status.runs.done, status.runs.impossible, status.runs.left) == (3, 1, 0)


def test_probes_are_taken_once_a_cell_and_give_the_weight(
    study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import probes.run

    taken: list[str] = []
    probe = probes.run.run_probe

    def counted(request: Any, *rest: Any) -> Signals:
        taken.append(request.target)
        return probe(request, *rest)

    monkeypatch.setattr(probes.run, "run_probe", counted)
    changes: dict[str, Any] = {
        "texts": 80,
        "seeds": [0],
        "options": ["sentence-contrastive:joint:norms"],
        "probe": {"budget": "quick"},
        "only": ("target=tr",),
    }
    status = study(**changes)

    assert taken == ["tr"]
    assert status.cells[0].probe == "done"
    (file,) = (tmp_path / "out/probes").iterdir()
    signals = Signals.load(file)
    assert str(tmp_path) not in file.read_text(encoding="utf-8")  # it does not tell whose machine it was
    assert signals.transfer.target is not None  # of labels that no run is scored on
    ratio = next(
        row.magnitude_ratio.value
        for row in signals.cosines
        if (row.objective, row.task_gradient, row.point, row.block)
        == (SENTENCE, "source", "theta_warm", TOTAL)
    )
    (aligned,) = (record for call, record in records(tmp_path / "out").items() if call[0] == SENTENCE)
    assert aligned.configuration.option.weight == joint_weight(ratio)
    taken.clear()
    study(**changes)
    assert not taken

    # nor in a copy of the folder, with probes compressed as they are where records are kept
    copy = tmp_path / "elsewhere" / "study"
    shutil.copytree(tmp_path / "out", copy)
    (probe_file,) = (copy / "probes").iterdir()
    probe_file.with_name(f"{probe_file.name}.gz").write_bytes(gzip.compress(probe_file.read_bytes()))
    probe_file.unlink()
    for record in (copy / "records").iterdir():
        record.unlink()
    status = study(**changes, out=copy)
    assert not taken
    assert status.cells[0].probe == "done"
    (again,) = (record for call, record in records(copy).items() if call[0] == SENTENCE)
    assert again.configuration == aligned.configuration


def test_a_probe_that_fails_is_not_taken_again_unless_asked(
    study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, calls: list[Call]
) -> None:
    import probes.run

    taken: list[str] = []

    def failing(request: Any, *_: Any) -> Signals:
        taken.append(request.target)
        raise InputError("Too few pairs.")

    monkeypatch.setattr(probes.run, "run_probe", failing)
    changes: dict[str, Any] = {
        "seeds": [0],
        "options": ["token-l2:joint:norms", SENTENCES],
        "probe": {"budget": "quick"},
        "only": ("target=tr",),
    }
    status = study(**changes)
    assert taken == ["tr"]
    assert status.cells[0].probe == "failed"
    # the run that waits for the probe is left, the others are done
    assert (status.runs.done, status.runs.left) == (2, 1)
    study(**changes)
    assert taken == ["tr"]
    study(**changes, retry=True)
    assert taken == ["tr", "tr"]


def test_encoders_are_derived_once_and_deterministically(
    study: Study, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    base = load_encoder(str(checkpoint("bert")))
    headless = tmp_path / "headless"
    base.base.save_pretrained(headless)
    base.tokenizer.save_pretrained(headless)
    models = {
        "cut": {"base": str(checkpoint("bert")), "layers": 1},
        "mlm": {"base": str(headless), "continued_mlm": {"bitext": ["en-tr.tsv"], "steps": 3}},
    }
    changes: dict[str, Any] = {"models": models, "seeds": [0], "options": ["mlm:joint"]}
    status = study(**changes, only=("target=tr",))
    assert (status.runs.done, status.runs.impossible) == (4, 0)
    study("again", **changes, only=("target=tr",))

    found = {
        out: {name: json.loads((tmp_path / out / "models" / f"{name}.json").read_text()) for name in models}
        for out in ("out", "again")
    }
    assert found["out"] == found["again"]
    cut = load_encoder(str(tmp_path / "out" / found["out"]["cut"]["load"]))
    assert cut.layers == 1
    assert cut.masked_lm is not None
    for name in cut.blocks["layer.0"]:
        assert torch.equal(cut.base.get_parameter(name), base.base.get_parameter(name))
    mlm = load_encoder(str(tmp_path / "out" / found["out"]["mlm"]["load"]))
    assert mlm.masked_lm is not None
    assert load_encoder(str(headless)).masked_lm is None
    tied = mlm.masked_lm.get_output_embeddings()
    assert tied is not None
    assert tied.weight is mlm.base.get_input_embeddings().weight
    assert not torch.equal(
        mlm.base.get_parameter(mlm.blocks["layer.0"][0]), base.base.get_parameter(base.blocks["layer.0"][0])
    )


@pytest.mark.parametrize(
    ("spec", "words"),
    [({"layers": 2}, "keep fewer"), ({"layers": 1, "base": "no/such-model"}, "no/such-model")],
)
def test_an_encoder_that_cannot_be_made_leaves_its_runs(
    study: Study, checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str], spec: Any, words: str
) -> None:
    models = {"bad": {"base": str(checkpoint("bert"))} | spec, "good": str(checkpoint("bert"))}
    status = study(models=models, seeds=[0])
    assert (status.runs.done, status.runs.left) == (3, 3)
    assert words in " ".join(capsys.readouterr().err.split())


def test_two_processes_do_not_run_one_study(study: Study, finished: Path) -> None:
    with reserved(finished), pytest.raises(InputError, match="Another run"):
        study()


def test_a_folder_without_a_study_has_no_status(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no study"):
        study_status(tmp_path)


def test_the_status_judges_the_time_left_by_runs_of_the_same_kind(finished: Path) -> None:
    out = finished
    for path in (out / "records").iterdir():
        record = json.loads(path.read_text())
        record["seconds"] = 10.0 if record["configuration"]["target"] is None else 100.0
        path.write_text(json.dumps(record))
    plan = (out / "plan.yaml").read_text()
    (out / "plan.yaml").write_text(plan.replace("seeds:\n- 0\n- 1\n", "seeds:\n- 0\n- 1\n- 2\n"))

    status = study_status(out)

    assert (status.runs.done, status.runs.left) == (6, 3)
    assert status.seconds == 420
    assert status.seconds_left == 210
    assert "6 runs done, 0 diverged, 0 failed, 3 left" in status.markdown()


def test_baselines_carry_no_alignment(once: Finished) -> None:
    none = next(record for call, record in records(once.out).items() if call[0] == NONE)
    assert none.configuration.option == NO_ALIGNMENT
    assert set(none.configuration.data_sha256) == {"train"}
    assert not {"align_batch_size", "align_steps"} & set(none.configuration.settings)
