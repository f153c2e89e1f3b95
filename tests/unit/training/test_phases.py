"""Phases can be left and gone on with, and the order of batches is a loader's."""

import io
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from advisor.options import NO_ALIGNMENT, Schedule
from advisor.training import Alignment, Experiment, FineTuning, Shared, prepare, train
from advisor.training.phase import Batches
from probes.progress import Stopwatch
from tests.unit.training.test_train import changed, folder, make_option, make_recipe, weights

pytestmark = pytest.mark.slow

__all__ = ["folder"]  # the fixture

WATCH = Stopwatch()
WITH_DROPOUT = "mt5"


@pytest.mark.parametrize(("items", "size"), [(10, 3), (9, 3), (2, 3), (7, 1)])
def test_the_order_of_batches_is_a_loaders(items: int, size: int) -> None:
    batches = Batches(range(items), size, list, seed=4)
    loader = DataLoader(
        list(range(items)),  # type: ignore[arg-type]
        batch_size=batches.size,
        shuffle=True,
        drop_last=True,
        generator=torch.Generator().manual_seed(4),
        collate_fn=list,
    )
    expected = [batch for _ in range(3) for batch in loader]
    assert [next(batches) for _ in expected] == expected

    resumed = Batches(range(items), size, list, seed=4)
    resumed.taken = len(expected) - 1
    assert next(resumed) == expected[-1]


def test_processes_share_the_batches_out() -> None:
    alone = Batches(range(12), 2, list, seed=0)
    several = [Batches(range(12), 2, list, seed=0, rank=rank, processes=3) for rank in range(3)]
    assert [next(alone) for _ in range(6)] == [next(batches) for _ in range(2) for batches in several]


@pytest.mark.parametrize(
    "option",
    [
        NO_ALIGNMENT,
        make_option("token-contrastive", Schedule.JOINT),
        make_option("sentence-contrastive", Schedule.JOINT),
    ],
    ids=str,
)
@pytest.mark.parametrize("left_after", [1, 4])
def test_fine_tuning_goes_on_from_a_saved_state_bit_for_bit(folder: Path, option, left_after: int) -> None:  # type: ignore[no-untyped-def]
    recipe = make_recipe(folder, model=str(folder / WITH_DROPOUT), option=option, max_steps=7)

    def begun() -> FineTuning:
        setting = prepare(recipe, {})
        pairs = setting.pairs()
        copy = setting.given.working_copy(range(len(setting.given.tokenizer)))
        return FineTuning(setting, copy, None, pairs)

    unbroken = begun()
    unbroken.phase.advance(7, WATCH)
    left = begun()
    left.phase.advance(left_after, WATCH)
    saved = io.BytesIO()
    torch.save(left.phase.state(), saved)
    left.phase.advance(6, WATCH)  # what happens afterwards is no part of the state
    torch.rand(3)  # and neither is what others draw

    resumed = begun()
    resumed.phase.load_state(torch.load(io.BytesIO(saved.getvalue()), weights_only=True))
    resumed.phase.advance(7, WATCH)

    assert not changed(weights(unbroken.losses.encoder), weights(resumed.losses.encoder))
    assert torch.equal(unbroken.head.weight, resumed.head.weight)
    assert unbroken.phase.log == resumed.phase.log


def test_alignment_goes_on_from_a_saved_state_bit_for_bit(folder: Path) -> None:
    option = make_option("token-l2")
    setting = prepare(make_recipe(folder, model=str(folder / WITH_DROPOUT), option=option, max_steps=6), {})
    unbroken, left, resumed = (Alignment(setting) for _ in range(3))
    unbroken.phase.advance(6, WATCH)
    left.phase.advance(2, WATCH)
    resumed.phase.load_state(left.phase.state())
    resumed.phase.advance(6, WATCH)
    assert not changed(weights(unbroken.phase.losses.encoder), weights(resumed.phase.losses.encoder))


@pytest.mark.parametrize(
    "objective", ["sentence-contrastive", pytest.param("token-l2", marks=pytest.mark.exhaustive), "mlm"]
)
def test_runs_of_several_tasks_share_an_alignment_and_come_out_as_alone(folder: Path, objective: str) -> None:
    shared = Shared()
    topics = {
        "task": "topic",
        "train": str(folder / "topics.en.tsv"),
        "target_labels": str(folder / "topics.tr.tsv"),
    }
    for fields in ({}, topics, {"experiment": Experiment(align_stop=2)}, {}):
        recipe = make_recipe(folder, option=make_option(objective), **fields)
        alone, together = train(recipe), train(recipe, shared=shared)
        assert not changed(weights(alone.encoder), weights(together.encoder))
        assert (alone.before, alone.after, alone.log) == (together.before, together.after, together.log)


def test_a_run_that_is_stopped_is_the_beginning_of_the_whole_one(folder: Path) -> None:
    option = make_option("sentence-contrastive")
    whole = train(make_recipe(folder, option=option, max_steps=6), looks=(0.5,))
    stopped = train(make_recipe(folder, option=option, max_steps=6, experiment=Experiment(stop=3)))
    assert stopped.log == whole.log[:9]  # 6 of alignment
    assert stopped.after["target"] == whole.looks[3]["target"]


def test_warm_steps_stand_in_the_place_of_alignment(folder: Path) -> None:
    outcome = train(make_recipe(folder, experiment=Experiment(warm_steps=2)))
    assert [entry.phase for entry in outcome.log] == ["warm"] * 2 + ["fine-tune"] * 3


@pytest.mark.parametrize("objective", ["token-contrastive", "sentence-contrastive"])
def test_pairings_differ_in_what_the_alignment_sees(folder: Path, objective: str) -> None:
    model = str(folder / WITH_DROPOUT)
    first = {
        pairing: train(
            make_recipe(
                folder, model=model, option=make_option(objective), experiment=Experiment(pairing=pairing)
            )
        )
        .log[0]
        .losses["alignment"]
        for pairing in ("translations", "shuffled", "same-text")
    }
    assert len(set(first.values())) == 3
    assert first["same-text"] < min(first["translations"], first["shuffled"])


def test_the_head_is_kept_where_it_is_not_to_be_refitted(folder: Path) -> None:
    option = make_option("sentence-contrastive")
    refitted, kept = (
        train(make_recipe(folder, option=option, experiment=Experiment(refit_head=refit)))
        for refit in (True, False)
    )
    assert refitted.log[:3] == kept.log[:3]
    assert refitted.log[3].losses != kept.log[3].losses
