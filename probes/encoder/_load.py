"""From a name, or a live model, to an encoder that can be measured; its blocks are found by running it."""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from probes.batches import TextBatch
from probes.bundled import BUNDLED, is_encoder_file, load_bundled
from probes.encoder._checkpoint import load_checkpoint
from probes.encoder._encoder import EMBEDDINGS, Blocks, Encoder
from probes.encoder._layout import stated_pooling
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


def find_blocks(encoder: Encoder) -> Blocks:
    """Partition the encoder's parameters into ``embeddings`` and ``layer.0`` ... ``layer.N-1``.

    N is one less than the number of hidden states. A layer's parameters are those of the i-th entry of every
    outermost module list of length N. What stands outside the lists belongs to ``embeddings`` if the
    first layer's output depends on it, to the last layer if only the last state does (a final norm), and
    to no block otherwise (a pooler).

    Raises:
        InputError: if no module list has N entries (layers shared across depth), or if the first
            position's state ignores the later ones (a decoder).
    """
    base = encoder.base
    ids = harmless_batch(encoder)
    flags = {name: p.requires_grad for name, p in base.named_parameters()}
    try:
        base.requires_grad_(True)
        states = encoder.hidden_states(ids)
        _refuse_causal(encoder, ids, states[-1])
        depth = len(states) - 1
        stacks = [m for m in _outermost_lists(base) if len(m) == depth]
        if depth < 1 or not stacks:
            raise InputError(
                f"'{encoder.id}' ({type(base).__name__}) has no stack of {depth} separate layers, so that "
                "gradients cannot be told apart by layer: choose an encoder that does not share its layers."
            )
        name_of = {id(p): name for name, p in base.named_parameters()}
        layers = [[name_of[id(p)] for stack in stacks for p in stack[i].parameters()] for i in range(depth)]
        inside = {name for layer in layers for name in layer}
        outside = [name for name in name_of.values() if name not in inside]
        first, last = (_reached(base, outside, states[i]) for i in (1, -1))
        layers[-1] += [name for name in outside if name in last and name not in first]
    finally:
        for name, parameter in base.named_parameters():
            parameter.requires_grad_(flags[name])
    return {
        EMBEDDINGS: tuple(name for name in outside if name in first),
        **{f"layer.{i}": tuple(names) for i, names in enumerate(layers)},
    }


def harmless_batch(encoder: Encoder) -> TextBatch:
    """Eight harmless tokens, to see how the model is wired."""
    size = len(encoder.tokenizer)
    ids = torch.arange(size // 2, size // 2 + 8, device=encoder.device).remainder(size).unsqueeze(0)
    return TextBatch({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, ids)


def _refuse_causal(encoder: Encoder, batch: TextBatch, last: Tensor) -> None:
    ids = batch.inputs["input_ids"].clone()
    ids[0, -1] = ids[0, 0]
    with torch.no_grad():
        other = encoder.hidden_states(TextBatch({**batch.inputs, "input_ids": ids}, ids))[-1]
    if torch.equal(other[0, 0], last[0, 0]):
        raise InputError(
            f"'{encoder.id}' is a decoder (a word's state ignores the words after it): "
            "choose an encoder such as xlm-roberta-base."
        )


def _outermost_lists(module: nn.Module) -> Iterator[nn.ModuleList]:
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from _outermost_lists(child)


def _reached(base: PreTrainedModel, names: Sequence[str], state: Tensor) -> set[str]:
    """Which parameters ``state`` depends on, read off its graph: no gradient is formed."""
    seen: set[object] = set()
    reached: set[int] = set()
    queue = [state.grad_fn]
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):  # where a graph ends in a parameter
            reached.add(id(node.variable))
        queue.extend(parent for parent, _ in node.next_functions)
    return {name for name in names if id(base.get_parameter(name)) in reached}
