"""The encoder inside a model that someone else owns and trains."""

from typing import Any, cast

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from probes.encoder._blocks import find_blocks
from probes.encoder._encoder import EMBEDDINGS, Encoder
from probes.encoder._layout import stated_pooling
from probes.errors import InputError


def encoder_within(model: nn.Module, tokenizer: Any) -> Encoder:
    """The encoder of a live model, not copied, with the blocks of its layers' trainable parameters.

    Embeddings are left out, as they are from the encoder's total; adapters (PEFT) count as what they adapt.

    Args:
        model: any module around one transformers encoder (with a head, of PEFT, of sentence-transformers, of
            Lightning), in eval mode.
        tokenizer: the encoder's fast tokenizer.

    Raises:
        InputError: if there is no encoder in it, nothing of it is trained, or the tokenizer is no fast one.
    """
    owner = next((module for module in model.modules() if isinstance(module, PreTrainedModel)), None)
    if owner is None:
        raise InputError(
            f"There is no transformers encoder inside {type(model).__name__}: give a model that has one."
        )
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            "Words can only be traced through a fast tokenizer: give the trainer one as processing_class."
        )
    pooling = next((module for module in model.modules() if type(module).__name__ == "Pooling"), None)
    name = str(owner.config.name_or_path or type(owner).__name__)
    encoder = Encoder(
        name,
        cast(PreTrainedModel, owner.base_model),
        cast(PreTrainedTokenizerFast, tokenizer),
        None,
        "it is not measured on a model in training",
        stated_pooling(name, cast(Any, pooling).get_config_dict() if pooling is not None else {}),
        "",
    )
    trained = {name for name, parameter in encoder.base.named_parameters() if parameter.requires_grad}
    blocks = {
        block: tuple(name for name in names if name in trained)
        for block, names in find_blocks(encoder).items()
        if block != EMBEDDINGS
    }
    encoder.blocks = {block: names for block, names in blocks.items() if names}
    if not encoder.blocks:
        raise InputError("No layer of the encoder is trained, so there are no gradients to compare.")
    return encoder
