"""The recipe's script on transformers.Trainer: its losses are ours, and it goes on where it was stopped."""

import runpy
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from advisor.options import Option
from advisor.recipe import write_recipe
from advisor.sample import sample_path
from advisor.training import Losses, Recipe, make_trainer, prepare, trainable
from tests.conftest import Checkpoint

SCRIPT = files("advisor.recipe").joinpath("trainer.py")


def recipe_for(folder: Path, output: Path, task: str, option: str, **settings: object) -> Recipe:
    train, target = {"pos": ("en.conllu", "tr.conllu"), "topic": ("topics.en.tsv", "topics.tr.tsv")}[task]
    return Recipe(
        model=str(folder),
        source="en",
        target="tr",
        task=task,
        train=str(sample_path(train)),
        bitext=str(sample_path("bitext.en-tr.tsv")),
        target_labels=str(sample_path(target)),
        option=Option.parse(option),
        max_steps=4,
        align_steps=4,
        batch_size=8,
        align_batch_size=4,
        output=str(output),
        mixed_precision="no",
        **settings,
    )


def run(recipe: Recipe, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "recipe.yaml").write_text(write_recipe(recipe))
    monkeypatch.setattr(sys, "argv", ["trainer.py", str(folder / "recipe.yaml")])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_the_script_is_short() -> None:
    assert len(SCRIPT.read_text().splitlines()) <= 40


@pytest.mark.slow
@pytest.mark.parametrize("task", ["pos", "topic"])
@pytest.mark.parametrize("option", ["token-contrastive:joint:0.1", "sentence-contrastive:sequential"])
def test_the_script_trains_scores_and_saves(
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: str,
    option: str,
) -> None:
    recipe = recipe_for(checkpoint("bert"), tmp_path / "out", task, option)
    run(recipe, tmp_path, monkeypatch)
    said = capsys.readouterr().out
    assert "on source text:" in said
    assert "on target text:" in said
    saved = AutoModel.from_pretrained(tmp_path / "out/encoder")
    given = AutoModel.from_pretrained(checkpoint("bert"))
    weights = [model.encoder.layer[0].output.dense.weight for model in (saved, given)]
    assert not torch.equal(*weights)
    phases = {"align", "fine-tune"} if "sequential" in option else {"fine-tune"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == phases | {"encoder"}


@pytest.mark.slow
def test_one_step_is_the_step_of_plain_adamw(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Without dropout, warm-up and decay, and with the losses that every other way of training has."""
    settings = {"warmup_share": 0.0, "weight_decay": 0.0, "batch_size": 8}
    recipe = recipe_for(checkpoint("bert"), tmp_path, "pos", "token-contrastive:joint:0.1").model_copy(
        update={**settings, "max_steps": 1}
    )
    setting = prepare(recipe, {})
    pairs = setting.pairs()
    both = []
    for _ in range(2):
        encoder = trainable(setting, pairs)
        for module in encoder.base.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        encoder.base.config.attention_probs_dropout_prob = 0.0
        both.append(Losses(encoder, recipe.option, setting.fit_head(encoder), setting.given))
    ours, theirs = both
    trainer = make_trainer(setting, theirs, setting.texts.train, pairs, "fine-tune")
    batches = iter(trainer.get_train_dataloader())
    torch.manual_seed(recipe.seed)
    trainer.train()
    torch.manual_seed(recipe.seed)
    found = ours(**next(batches))
    (found["task"] + 0.1 * found["alignment"]).backward()
    torch.nn.utils.clip_grad_norm_(ours.parameters(), recipe.max_gradient_norm)
    torch.optim.AdamW(ours.parameters(), lr=recipe.learning_rate, weight_decay=0.0).step()
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, atol=2e-5, rtol=0, msg=name)


@pytest.mark.slow
def test_the_same_command_goes_on(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_for(checkpoint("bert"), tmp_path / "out", "topic", "sentence-contrastive:joint:0.1")
    run(recipe, tmp_path, monkeypatch)
    first = AutoModel.from_pretrained(tmp_path / "out/encoder").state_dict()
    monkeypatch.setattr("advisor.training.losses.Losses.forward", None)  # nothing is left to be trained
    run(recipe, tmp_path, monkeypatch)
    again = AutoModel.from_pretrained(tmp_path / "out/encoder").state_dict()
    layers = [name for name in first if name.startswith("encoder.")]  # the checkpoint has no pooler
    assert all(torch.equal(first[name], again[name]) for name in layers)
