"""Plans with states of encoders, blocks of further runs, and chosen cells: what they mean and refuse."""

import gc
import json
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from advisor.options import NO_ALIGNMENT
from advisor.study import Workers
from advisor.study._derive import derive
from advisor.study._grid import Cell, Grid, Selection
from advisor.study._inputs import load_inputs
from advisor.study._plan import read_plan
from advisor.study._record import read_record
from advisor.study._runner import Queue, run_study
from advisor.study._schema import Derived, FineTuned, Mixed
from advisor.study._state import State
from advisor.study._workers import RunsStep
from probes.encoder import load_encoder
from probes.errors import InputError
from tests.conftest import Checkpoint
from tests.unit.study.plans import plan_file

pytestmark = pytest.mark.slow

TOKENS, SENTENCES = "token-contrastive:sequential", "sentence-contrastive:sequential"


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_plan(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"models": {"a": {"base": "a", "layers": 1}}}, "models.a is made of itself"),
        (
            {"models": {"a": {"base": "b", "layers": 1}, "b": {"base": "a", "layers": 1}}},
            "is made of itself",
        ),
        (
            {"models": {"a": {"base": "x", "mixed_with": {"other": "a", "share": 0.5}}}},
            "models.a is made of itself",
        ),
        (
            {"models": {"a": {"base": "x", "mixed_with": {"other": "b", "share": 0.5}}}},
            "mixed with b, which is no model here",
        ),
        ({"models": {"a": {"base": "x", "mixed_with": {"other": "b", "share": 1}}}}, "share"),
        ({"models": {"a": {"base": "x"}}}, "say what differs"),
        ({"models": {"a": {"base": "x", "fine_tuned": {"task": "x", "train": "y"}}}}, "No task is called"),
        ({"unknown": 1}, "unknown: there is no such key"),
        (
            {"blocks": [{"name": "b", "only": ["task=pos"], "options": ["none"], "steps": 3}]},
            "steps: there is no such key",
        ),
        ({"none_seeds": [1]}, "none_seeds must hold every seed"),
        ({"training": {"looks": [2.0]}}, "looks"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    message = refusal(plan_file(tmp_path, tmp_path, **changes))
    assert says in message
    assert "\n" not in message


def test_cells_may_be_chosen_in_the_plan(tmp_path: Path) -> None:
    plan = read_plan(plan_file(tmp_path, tmp_path, cells=["task=pos,target=tr"]))
    grid = Grid(plan)
    assert grid.cells == (Cell("tiny", "pos", "en", "tr"),)
    assert grid.targets("tiny", "pos", "en") == ("tr",)


def test_a_filter_takes_several_values() -> None:
    chosen = Selection(["task=pos|topic,target=tr|de"])
    assert Cell("m", "topic", "en", "de") in chosen
    assert Cell("m", "slots", "en", "de") not in chosen


BLOCKS = [
    {"name": "dose", "only": ["target=tr"], "options": ["none"], "seeds": [0], "training": {"steps": 4}},
    {
        "name": "shuffled",
        "only": ["target=tr"],
        "options": [SENTENCES],
        "seeds": [0],
        "experiment": {"pairing": "shuffled"},
    },
]


def test_blocks_add_runs_under_changed_settings(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = plan_file(tmp_path, checkpoint("bert"), options=[SENTENCES], seeds=[0], blocks=BLOCKS)
    out = tmp_path / "out"
    status = run_study(read_plan(path), out, Workers(1, "cpu"))
    assert (status.runs.done, status.runs.left) == (5, 0)
    records = [read_record(file) for file in (out / "records").iterdir()]
    settings = [
        (record.configuration.option == NO_ALIGNMENT, record.configuration.settings)
        for record in records
        if record
    ]
    assert sorted(s["max_steps"] for none, s in settings if none) == [2, 4]
    shuffled = [s["experiment"]["pairing"] for _, s in settings if s.get("experiment")]  # type: ignore[index, call-overload]
    assert shuffled == ["shuffled"]


def test_runs_that_go_on_from_one_alignment_are_handed_out_together(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    looks = [
        {
            "name": f"look-{stop}",
            "only": ["target=tr"],
            "options": [SENTENCES],
            "seeds": [0],
            "experiment": {"align_stop": stop, "stop": 1},
        }
        for stop in (2, 1)
    ]
    path = plan_file(tmp_path, checkpoint("bert"), options=[SENTENCES], seeds=[0], blocks=looks)
    out = tmp_path / "out"
    plan = read_plan(path)
    run_study(plan, out, Workers(1, "cpu"), only=["target=de"])
    run_study(plan, tmp_path / "other", Workers(1, "cpu"))  # writes the inputs of all cells
    (tmp_path / "other/records").rename(tmp_path / "gone")
    state = State(Grid(plan), tmp_path / "other", load_inputs(tmp_path / "other"))
    steps = [step for _, step in Queue(state)]
    together = [step for step in steps if isinstance(step, RunsStep) and len(step.runs) > 1]
    assert [
        [run.recipe.experiment.align_stop for run in step.runs if run.recipe.experiment] for step in together
    ] == [[1, 2]]


def test_a_mixture_is_the_mean_of_its_parts(tmp_path: Path, checkpoint: Checkpoint) -> None:
    one, other = str(checkpoint("bert")), tmp_path / "other"
    moved = load_encoder(one)
    with torch.no_grad():
        for parameter in moved.base.parameters():
            parameter.add_(1.0)
    moved.base.save_pretrained(other)
    moved.tokenizer.save_pretrained(other)
    recipe = Derived(base=one, mixed_with=Mixed(other="other", share=0.25))
    derive(recipe, tmp_path / "mixed", torch.device("cpu"), {"other": str(other)})
    mixed = load_encoder(str(tmp_path / "mixed"))
    for name, value in load_encoder(one).base.state_dict().items():
        torch.testing.assert_close(mixed.base.state_dict()[name], value + 0.25, msg=name)
    assert mixed.masked_lm is None


def test_encoders_of_different_shape_are_not_mixed(tmp_path: Path, checkpoint: Checkpoint) -> None:
    recipe = Derived(base=str(checkpoint("bert")), mixed_with=Mixed(other="other", share=0.5))
    with pytest.raises(InputError, match="cannot be mixed"):
        derive(recipe, tmp_path / "mixed", torch.device("cpu"), {"other": str(checkpoint("xlm-r"))})


def test_a_state_may_be_fine_tuned_on_another_task_first(tmp_path: Path, checkpoint: Checkpoint) -> None:
    base = str(checkpoint("bert"))
    path = plan_file(tmp_path, Path(base))
    train = str(path.parent / "data/en.conllu")
    made = []
    for name in ("a", "b"):
        first = FineTuned(task="pos", train=train, steps=2, batch_size=4)
        derive(Derived(base=base, fine_tuned=first), tmp_path / name, torch.device("cpu"))
        made.append(load_encoder(str(tmp_path / name)))
    assert made[0].sha256 == made[1].sha256 != load_encoder(base).sha256


def test_what_a_state_is_made_of_comes_first_and_decides_what_it_is(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    models = {
        "mixed": {"base": "tiny", "mixed_with": {"other": "cut", "share": 0.5}},
        "cut": {
            "base": "tiny",
            "fine_tuned": {"task": "pos", "train": "en.conllu", "steps": 1, "batch_size": 4},
        },
        "tiny": str(checkpoint("bert")),
    }
    plan = read_plan(plan_file(tmp_path, checkpoint("bert"), models=models, options=[SENTENCES], seeds=[0]))
    assert Grid(plan).models == ("tiny", "cut", "mixed")
    status = run_study(plan, tmp_path / "out", Workers(1, "cpu"), only=["model=mixed"])
    assert (status.runs.failed, status.runs.left) == (0, 0)
    made = {path.stem for path in (tmp_path / "out/models").glob("*.json")}
    assert made == {"tiny", "cut", "mixed"}


def test_a_worker_that_dies_takes_nothing_with_it_but_its_step(
    tmp_path: Path,
    checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    victims: list[int] = []
    submit = ProcessPoolExecutor.submit

    def dying(self: ProcessPoolExecutor, work: Any, key: str, step: Any, workers: Workers) -> Any:
        pid = submit(self, os.getpid).result()
        future = submit(self, work, key, step, workers)
        if isinstance(step, RunsStep) and not victims:
            victims.append(pid)
            os.kill(pid, signal.SIGKILL)
        return future

    monkeypatch.setattr(ProcessPoolExecutor, "submit", dying)
    plan = read_plan(plan_file(tmp_path, checkpoint("bert")))
    status = run_study(plan, tmp_path / "out", Workers(2, "cpu"))
    assert victims
    assert (status.runs.done, status.runs.left, status.runs.failed) == (6, 0, 0)
    assert "its process died" in capsys.readouterr().err
    here = run_study(plan, tmp_path / "here", Workers(1, "cpu"))
    assert here.runs.done == 6
    for file in (tmp_path / "here/records").iterdir():
        mine, theirs = (json.loads(path.read_text()) for path in (file, tmp_path / "out/records" / file.name))
        assert (mine["scores"], mine["curve"]) == (theirs["scores"], theirs["curve"])


def test_runs_that_share_a_step_leave_no_model_behind(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    from advisor.study import _run_once
    from advisor.training import Losses

    alive: list[int] = []
    run = _run_once.run_once

    def counting(*arguments: Any) -> Any:
        alive.append(sum(isinstance(thing, Losses) for thing in gc.get_objects()))
        return run(*arguments)

    monkeypatch.setattr(_run_once, "run_once", counting)
    blocks = [
        {
            "name": f"look-{stop}",
            "only": ["target=tr"],
            "options": [SENTENCES],
            "experiment": {"align_stop": stop},
        }
        for stop in (1, 2, 3, 4)
    ]
    plan = read_plan(
        plan_file(
            tmp_path,
            checkpoint("bert"),
            options=[SENTENCES],
            seeds=[0],
            blocks=blocks,
            training={"align_steps": 5},
        )
    )
    gc.collect()
    run_study(plan, tmp_path / "out", Workers(1, "cpu"))
    assert len(alive) == 7
    assert max(alive) - alive[0] <= 2  # the alignment that is gone on from, and what it was begun with


def test_no_run_begins_when_the_time_is_up(tmp_path: Path, checkpoint: Checkpoint) -> None:
    plan = read_plan(plan_file(tmp_path, checkpoint("bert")))
    status = run_study(plan, tmp_path / "out", Workers(1, "cpu", until=0.0))
    assert (status.runs.done, status.runs.left) == (0, 6)
