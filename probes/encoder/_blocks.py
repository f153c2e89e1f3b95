"""The blocks of an encoder, found by running it."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from probes.batches import TextBatch
from probes.encoder._encoder import EMBEDDINGS, Blocks, Encoder
from probes.errors import InputError


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
