"""Checkpoints in a folder or on the hub: safetensors only, and never code of their own."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForTextEncoding,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES,
)
from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from probes.encoder._encoder import Encoder
from probes.encoder._layout import (
    check_files,
    find_pooling,
    left_out,
    refuse_unconverted,
    transformer_folder,
)
from probes.errors import InputError

_FEWEST_PIECES = 0.75
"""Share of the embeddings that a tokenizer must know; some models have spare rows, but not so many."""
_PADDING = 2048
"""Spare rows that any model may have."""


def load_checkpoint(name: str) -> Encoder:
    """The encoder of a checkpoint in any of the layouts that it is saved in."""
    check_files(name)
    inner = transformer_folder(name)
    encoder = _load(inner)
    encoder.id, encoder.pooling, encoder.left_out = name, find_pooling(name), left_out(name)
    return encoder


def _load(name: str) -> Encoder:
    config = _load_config(name)
    with _quiet():
        tokenizer = _load_tokenizer(name)
    masked_lm, info = None, None
    no_mlm_reason: str | None = f"the architecture '{config.model_type}' has none in transformers"
    with _quiet():
        if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
            masked_lm, info = _from_pretrained(AutoModelForMaskedLM, name, config)
            base = cast(PreTrainedModel, masked_lm.base_model)
            prefix = masked_lm.base_model_prefix + "."
            missing = {key for key in info["missing_keys"] if key.startswith(prefix)}
            head = sorted(info["missing_keys"] - missing)
            no_mlm_reason = None
            if head:
                no_mlm_reason = f"the checkpoint brings no MLM head ({head[0]} is missing)"
            elif tokenizer.mask_token_id is None:
                no_mlm_reason = "its tokenizer has no mask token"
            if no_mlm_reason is not None:
                masked_lm = None
        else:
            base, info = _from_pretrained(AutoModelForTextEncoding, name, config)
            missing = set(info["missing_keys"])
    if missing:
        raise InputError(
            f"'{name}' lacks {len(missing)} of the encoder's weights ({min(missing)} first), which would be "
            "random: point at a complete checkpoint."
        )
    _check_vocabulary(name, tokenizer, cast(Tensor, base.get_input_embeddings().weight).shape[0])
    return Encoder(name, base, tokenizer, masked_lm, no_mlm_reason, "mean", _hash_weights(base))


def _load_config(name: str) -> PretrainedConfig:
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # a value of the wrong type surfaces as an error of the hub's own
        raise InputError(_why_not_found(name, error)) from error
    kind = config.model_type
    if kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and config.is_encoder_decoder:
        why = "is an encoder with a decoder that transformers loads as one"
    elif kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES or kind in MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES:
        return cast(PretrainedConfig, config)
    elif kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        why = "is a decoder, and alignment of encoders is what is measured here"
    else:
        why = "is of a type that transformers cannot load as a text encoder"
    raise InputError(f"'{name}' ('{kind}') {why}: choose an encoder such as xlm-roberta-base.")


def _why_not_found(name: str, error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return f"'{name}' needs code of its own to load, which is never run here: choose another encoder."
    if Path(name).exists():
        return f"'{name}' is no model folder (no usable config.json): name a folder with a saved model."
    return (
        f"Cannot find a model called '{name}' in this folder, in the local cache or on the hub: check the "
        "spelling and the network, or use the offline encoder 'bundled'."
    )


def _load_tokenizer(name: str) -> PreTrainedTokenizerFast:
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, use_fast=True)
    except Exception as error:  # a missing conversion library surfaces as any of a dozen types
        refuse_unconverted(name)
        raise InputError(
            f"The tokenizer of '{name}' cannot be loaded as a fast tokenizer: save one beside the model "
            "(tokenizer.json)."
        ) from error
    ordinary = set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)
    problem = None
    if not getattr(tokenizer, "is_fast", False):
        problem = "has no fast tokenizer, so subwords cannot be traced to words"
    elif not any(character.isalnum() for piece in ordinary for character in piece):
        # Without its files, transformers makes an empty tokenizer of the architecture's usual class.
        problem = "has no tokenizer"
    if problem:
        refuse_unconverted(name)
        raise InputError(f"'{name}' {problem}: save one beside the model (tokenizer.json).")
    return cast(PreTrainedTokenizerFast, tokenizer)


def _from_pretrained(
    loader: type, name: str, config: PretrainedConfig
) -> tuple[PreTrainedModel, Mapping[str, set[str]]]:
    try:
        return cast(
            tuple[PreTrainedModel, Mapping[str, set[str]]],
            loader.from_pretrained(  # type: ignore[attr-defined]
                name,
                config=config,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,  # the default keeps a half-precision checkpoint's type
                output_loading_info=True,
            ),
        )
    except SafetensorError as error:
        raise InputError(
            f"The safetensors file of '{name}' is damaged ({error}): download or save it again."
        ) from error
    except OSError as error:
        raise InputError(
            f"'{name}' lacks readable weights, or a part of them, in safetensors format, the only one that "
            "is loaded: download it again, or convert it with model.save_pretrained(folder)."
        ) from error
    except Exception as error:  # sizes that make no sense fail in any way
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise  # not the checkpoint's fault
        raise InputError(
            f"The weights of '{name}' do not fit its config: point at a checkpoint saved in one piece."
        ) from error


def _check_vocabulary(name: str, tokenizer: PreTrainedTokenizerFast, rows: int) -> None:
    """Refuse a tokenizer that was not made for these embeddings."""
    vocabulary, pieces = tokenizer.get_vocab(), len(tokenizer)
    beyond = {token for token, i in vocabulary.items() if i >= rows}
    if beyond and beyond <= set(tokenizer.get_added_vocab()):
        raise InputError(
            f"'{name}' has {len(beyond)} tokens added to its tokenizer ({min(beyond)} first) for which "
            "there are no embeddings: call model.resize_token_embeddings(len(tokenizer)) and save both again."
        )
    if beyond or (pieces < _FEWEST_PIECES * rows and rows - pieces > _PADDING):
        raise InputError(
            f"'{name}' has a tokenizer of {pieces:,} pieces for {rows:,} embeddings: the tokenizer belongs "
            "to another model, so save the right one beside it."
        )


def _hash_weights(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers' bar and table: what they would say is said here, in one sentence."""
    logger = logging.getLogger("transformers")
    level, bar = logger.level, is_progress_bar_enabled()
    logger.setLevel(logging.CRITICAL)
    disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bar:
            enable_progress_bar()
