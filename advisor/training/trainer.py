"""The losses, texts and pairs of a recipe as :class:`transformers.Trainer` takes them."""

from collections.abc import Mapping, Sequence
from itertools import cycle, product
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from advisor.training.encoders import with_full_table
from advisor.training.losses import Losses
from advisor.training.setting import Setting
from probes.batches import LabelledBatch, LabelledText, PairBatch, TokenizedPair, collate_pairs


class WeightedLosses(nn.Module):
    """The weighted sum of the losses, by their names, under the name that a trainer looks for."""

    def __init__(self, losses: Losses, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.losses = losses
        self.weights = dict(weights)

    def forward(self, labelled: LabelledBatch | None, pairs: PairBatch | None) -> dict[str, Tensor]:
        """``loss``, and every loss by its name."""
        losses: dict[str, Tensor] = self.losses(labelled, pairs)
        terms = [self.weights[name] * loss for name, loss in losses.items()]
        return {"loss": sum(terms[1:], terms[0]), **losses}


def make_trainer(
    setting: Setting, losses: Losses, texts: Sequence[LabelledText], pairs: Sequence[TokenizedPair], name: str
) -> Trainer:
    """A trainer for one phase, with the settings of the recipe: on the alignment loss alone without texts.

    ``name`` is of the phase and of its folder within the recipe's output, where its checkpoints are.
    """
    recipe = setting.recipe
    steps = setting.steps if texts else setting.align_steps

    def collate(rows: list[tuple[LabelledText | None, TokenizedPair | None]]) -> dict[str, Any]:
        labelled = [text for text, _ in rows if text is not None]
        chosen = [pair for _, pair in rows if pair is not None][: recipe.align_batch_size]
        return {
            "labelled": setting.level.collate(labelled, setting.given) if labelled else None,
            "pairs": collate_pairs(chosen, setting.tokenizer, setting.given.device) if chosen else None,
        }

    arguments = TrainingArguments(
        output_dir=f"{recipe.output}/{name}",
        max_steps=steps,
        per_device_train_batch_size=recipe.batch_size if texts else recipe.align_batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        learning_rate=recipe.learning_rate if texts else recipe.align_learning_rate,
        warmup_steps=round(recipe.warmup_share * steps),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_gradient_norm,
        seed=recipe.seed,
        save_steps=max(1, steps // 4),
        save_total_limit=1,
        dataloader_drop_last=True,
        remove_unused_columns=False,
        ddp_find_unused_parameters=True,
        use_cpu=setting.given.device.type == "cpu",
    )
    weights = {"task": 1.0, "alignment": (recipe.option.weight or 0.0) if texts else 1.0}
    # labelled texts, each beside a translation pair; where one of the two is empty, the other alone
    data: Any = list(zip(texts, cycle(pairs or [None]), strict=False) if texts else product([None], pairs))
    return Trainer(WeightedLosses(losses, weights), arguments, collate, data)


def train_on(trainer: Trainer) -> None:
    """Train, from the last checkpoint where there is one; a phase that had ended is loaded as it was."""
    folder = str(trainer.args.output_dir)
    try:
        last = get_last_checkpoint(folder)
    except FileNotFoundError:
        last = None
    if last is not None and int(last.rpartition("-")[2]) >= trainer.args.max_steps:
        assert trainer.model is not None
        trainer.model.load_state_dict(load_file(f"{last}/model.safetensors"))  # train would go one further
        return
    trainer.train(resume_from_checkpoint=last)


def save_encoder(setting: Setting, losses: Losses, folder: str) -> None:
    """Write the trained encoder with its whole vocabulary, and its tokenizer."""
    with_full_table(losses.encoder, setting.given).base.save_pretrained(folder)
    setting.given.tokenizer.save_pretrained(folder)
