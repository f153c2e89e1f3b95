"""From a name to an encoder that can be measured."""

import inspect
from typing import cast

import torch
from torch import nn

from probes.bundled import BUNDLED, is_encoder_file, load_bundled
from probes.encoder._blocks import find_blocks, harmless_batch
from probes.encoder._checkpoint import load_checkpoint
from probes.encoder._encoder import Encoder
from probes.errors import InputError


def load_encoder(name: str, device: str | torch.device = "cpu") -> Encoder:
    """Load an encoder by bundled name, local folder or hub id; weights from safetensors only.

    Args:
        name: ``bundled``, ``bundled-enpt``, a folder, a Hugging Face id, or a trimmed copy of an offline
            encoder (see :func:`probes.bundled.trim_bundled`).
        device: where to put it.

    Raises:
        InputError: if it cannot be found, has no safetensors weights, lacks encoder weights, is a
            decoder, computes what is not a number, has no fast tokenizer, or has no single stack of layers.
    """
    if name in BUNDLED or is_encoder_file(name):
        model, tokenizer, sha256 = load_bundled(name)
        encoder = Encoder(
            name, model, tokenizer, None, "the offline encoder's file carries no MLM head", "mean", sha256
        )
    else:
        encoder = load_checkpoint(name)
    _drop_needless_segments(encoder)
    cast(nn.Module, encoder.owner.eval()).to(device)
    _refuse_broken(encoder)
    encoder.blocks = find_blocks(encoder)
    return encoder


def _drop_needless_segments(encoder: Encoder) -> None:
    """A generic tokenizer announces segment ids whether or not the model knows what to do with them."""
    takes_segments = "token_type_ids" in inspect.signature(encoder.base.forward).parameters
    if not takes_segments or getattr(encoder.base.config, "type_vocab_size", 2) < 2:
        names = encoder.tokenizer.model_input_names
        encoder.tokenizer.model_input_names = [name for name in names if name != "token_type_ids"]


def _refuse_broken(encoder: Encoder) -> None:
    tensors = [tensor for tensor in encoder.base.state_dict().values() if tensor.is_floating_point()]
    with torch.no_grad():
        tensors.append(encoder.hidden_states(harmless_batch(encoder))[-1])
    if not all(torch.isfinite(tensor).all() for tensor in tensors):
        raise InputError(
            f"'{encoder.id}' holds or computes values that are not numbers, so its weights are damaged or "
            "beyond single precision: download or save it again."
        )
