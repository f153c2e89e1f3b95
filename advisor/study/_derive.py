"""Encoders made of others: cut to their lower layers, trained further, or mixed."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import nn
from transformers import AutoModelForMaskedLM, PreTrainedModel, get_linear_schedule_with_warmup

from advisor.study._inputs import read_sentences
from advisor.study._schema import ContinuedMlm, Derived, FineTuned
from advisor.training import Recipe, Shared, train
from probes.batches import TokenizedText, Tokenizer, collate_texts
from probes.encoder import Encoder, find_blocks, load_encoder
from probes.errors import InputError
from probes.machine.precision import choose_precision
from probes.material.sampling import shuffled
from probes.objectives.masking import masked_lm_loss

_MAX_LENGTH = 128
_WARMUP_SHARE = 0.1
_SHARE = 0.15
"""Of subwords that are predicted (Devlin et al. 2019, arXiv:1810.04805)."""


def derive(
    recipe: Derived, folder: Path, device: torch.device, others: Mapping[str, str] | None = None
) -> None:
    """Make an encoder and save it, with its tokenizer and its recipe, so that ``load_encoder`` reads it.

    On a CPU the same recipe gives the same weights. ``others`` is what ``load_encoder`` takes for the models
    of the plan that it is made of, by name.
    """
    others = others or {}
    encoder = load_encoder(others.get(recipe.base, recipe.base), device)
    with torch.random.fork_rng():
        if recipe.layers is not None:
            encoder = keep_layers(encoder, recipe.layers)
        if recipe.continued_mlm is not None:
            encoder = continue_mlm(encoder, recipe.continued_mlm)
        if recipe.fine_tuned is not None:
            encoder = fine_tune(encoder, recipe.fine_tuned)
    if recipe.mixed_with is not None:
        other = load_encoder(others[recipe.mixed_with.other], device)
        encoder = mix(encoder, other, recipe.mixed_with.share)
    save_encoder(encoder, folder)
    (folder / "recipe.json").write_text(recipe.model_dump_json(indent=1) + "\n", encoding="utf-8")


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write an encoder with its tokenizer, and its head if it has one, for ``load_encoder``."""
    model = encoder.masked_lm if encoder.masked_lm is not None else encoder.base
    model.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    if encoder.pooling != "mean":
        (folder / "1_Pooling").mkdir()
        stated = json.dumps({"pooling_mode": encoder.pooling})
        (folder / "1_Pooling" / "config.json").write_text(stated, encoding="utf-8")


def keep_layers(encoder: Encoder, layers: int) -> Encoder:
    """The encoder's embeddings and its first ``layers`` layers; an MLM head stays where it was."""
    if layers >= encoder.layers:
        raise InputError(
            f"'{encoder.id}' has {encoder.layers} layers, which a cut to {layers} leaves as they are: keep "
            "fewer."
        )
    for module in list(encoder.base.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ModuleList) and len(child) == encoder.layers:
                setattr(module, name, child[:layers])
    encoder.base.config.num_hidden_layers = layers
    cut = replace(encoder, blocks={})
    return replace(cut, blocks=find_blocks(cut))


def continue_mlm(encoder: Encoder, plan: ContinuedMlm) -> Encoder:
    """The encoder after continued masked language modelling, with the head.

    A head that it does not have is made as its architecture has it, tied to the embeddings. Every batch
    mixes the sentences of all languages, and no sentence is shown with its translation.
    """
    torch.manual_seed(plan.seed)
    encoder = _with_head(encoder)
    encoder.precision = choose_precision("auto", encoder.device)
    assert encoder.masked_lm is not None
    model = encoder.masked_lm.train()
    tokenizer = Tokenizer(encoder.tokenizer, min(_MAX_LENGTH, encoder.max_length))
    texts = [text for text in map(tokenizer.text, read_sentences(plan.bitext)) if len(text.ids) > 2]
    adam = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, fused=True)
    schedule = get_linear_schedule_with_warmup(adam, round(_WARMUP_SHARE * plan.steps), plan.steps)
    for step, batch in zip(range(plan.steps), _batches(texts, plan.batch_size, plan.seed), strict=False):
        text = collate_texts(batch, encoder.tokenizer, encoder.device)
        loss = masked_lm_loss(encoder, text, _SHARE, seed=plan.seed * plan.steps + step)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        schedule.step()
    model.eval()
    return replace(encoder, precision="fp32")


def fine_tune(encoder: Encoder, plan: FineTuned) -> Encoder:
    """The encoder after fine-tuning on a task; it loses its MLM head, which that has left behind."""
    shared = Shared()
    recipe = Recipe(
        model=encoder.id,
        source="en",
        target="en",
        task=plan.task,
        train=plan.train,
        columns=plan.columns,
        epochs=plan.steps,  # no fewer than the steps take, whatever the data
        max_steps=plan.steps,
        batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        max_length=plan.max_length,
        seed=plan.seed,
    )
    shared.get("encoder", (recipe.model, encoder.device), lambda: encoder)
    return train(recipe, shared=shared, targets={}).encoder


@torch.no_grad()
def mix(encoder: Encoder, other: Encoder, share: float) -> Encoder:
    """The encoder with the mean of both encoders' weights, without an MLM head, which only one may have."""
    mine, theirs = encoder.base.state_dict(), other.base.state_dict()
    shapes = [{name: value.shape for name, value in state.items()} for state in (mine, theirs)]
    if shapes[0] != shapes[1] or encoder.tokenizer.get_vocab() != other.tokenizer.get_vocab():
        raise InputError(
            f"'{encoder.id}' and '{other.id}' differ in shape or vocabulary, so that their weights cannot be "
            "mixed: mix states of one encoder."
        )
    encoder.base.load_state_dict({name: value.lerp(theirs[name], share) for name, value in mine.items()})
    return replace(encoder, masked_lm=None, no_mlm_reason="mixing left its MLM head behind")


def _with_head(encoder: Encoder) -> Encoder:
    if encoder.tokenizer.mask_token_id is None:
        raise InputError(f"The tokenizer of '{encoder.id}' has no mask token: choose another base.")
    if encoder.masked_lm is not None:
        return encoder
    config = copy.deepcopy(encoder.base.config)
    config.tie_word_embeddings = True
    try:
        model = cast(PreTrainedModel, AutoModelForMaskedLM.from_config(config))
    except ValueError as error:
        raise InputError(
            f"The architecture of '{encoder.id}' has no MLM head in transformers: choose another base."
        ) from error
    base = cast(PreTrainedModel, model.base_model)
    missing, _ = base.load_state_dict(encoder.base.state_dict(), strict=False)  # it may have had a pooler
    assert not missing
    model.tie_weights()
    cast(nn.Module, model).to(encoder.device)
    return replace(encoder, base=base, masked_lm=model, no_mlm_reason=None)


def _batches(texts: Sequence[TokenizedText], size: int, seed: int) -> Iterator[list[TokenizedText]]:
    """Batches without end, in a new order each time round."""
    while True:
        mixed = shuffled(texts, seed)
        for start in range(0, max(1, len(mixed) - size + 1), size):
            yield mixed[start : start + size]
        seed += 1
