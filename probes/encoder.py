"""Loading the user's encoder and finding its parts from the model itself.

Depth, blocks and pooling are read off the loaded module, never off a list of model names, so a new
architecture works as soon as transformers can load it.
"""

import copy
import hashlib
import inspect
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForTextEncoding,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES,
)
from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from probes.batches import TextBatch
from probes.bundled import BUNDLED, is_encoder_file, load_bundled, load_encoder_file
from probes.errors import InputError
from probes.precision import PassPrecision
from probes.signals import ModelFacts

__all__ = ["EMBEDDINGS", "Blocks", "Encoder", "RowEmbedding", "find_blocks", "load_encoder"]

EMBEDDINGS = "embeddings"
_GROUP = 8
"""Texts that share one forward pass on a CPU."""

Blocks = dict[str, tuple[str, ...]]
"""Block name -> names of its parameters within the encoder, in the model's own order."""


class RowEmbedding(nn.Module):
    """An input embedding that holds as parameters only the rows a data set uses.

    A multilingual vocabulary has up to a million rows, nearly all with gradient zero. With this module in
    its place a gradient has ``used`` rows, and the full table is shared with the user's model, unchanged.

    Args:
        embedding: the encoder's own input embedding.
        used: ids that will be looked up, in any order; any other id raises IndexError.

    Attributes:
        rows: trainable copy of the used rows, shape (used, hidden).
        weight: the full table, shape (vocabulary, hidden), without gradient (MLM heads tie to it).
    """

    def __init__(self, embedding: nn.Module, used: Sequence[int]) -> None:
        super().__init__()
        table = cast(Tensor, embedding.weight).detach()
        ids = torch.tensor(sorted(set(used)), device=table.device)
        position = torch.full((table.shape[0],), len(ids), device=table.device)
        position[ids] = torch.arange(len(ids), device=table.device)
        self.rows = nn.Parameter(table[ids].clone())
        self.register_buffer("position", position, persistent=False)
        self.register_buffer("weight", table, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ``ids`` of any shape; returns that shape with the hidden size appended."""
        return nn.functional.embedding(cast(Tensor, self.position)[ids], self.rows)

    @torch.no_grad()
    def full_table(self) -> Tensor:
        """A copy of the full table with the trained rows in their places, shape (vocabulary, hidden)."""
        table = cast(Tensor, self.weight).clone()
        # the used ids in ascending order, as the rows are
        table[cast(Tensor, self.position) < len(self.rows)] = self.rows
        return table


@dataclass
class Encoder:
    """A user's encoder without heads, and what the probes need to know of it.

    Attributes:
        id: hub id, path or bundled name, as the user gave it.
        base: the transformers model whose forward returns ``hidden_states``.
        tokenizer: a fast tokenizer.
        masked_lm: the model with its masked-language-modelling head around ``base``, or None.
        no_mlm_reason: why there is no head; None when there is one.
        pooling: how token states become a sentence vector.
        sha256: hash of the weights.
        blocks: the block partition of ``base``'s parameters.
        precision: of the passes; set for a stretch of code by :meth:`passes_in`.
    """

    id: str
    base: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    masked_lm: PreTrainedModel | None
    no_mlm_reason: str | None
    pooling: Literal["mean", "cls"]
    sha256: str
    blocks: Blocks = field(default_factory=dict)
    precision: PassPrecision = "fp32"

    @property
    def layers(self) -> int:
        """Number of layers N; ``hidden_states`` has N + 1 entries, the embedding output first."""
        return len(self.blocks) - 1

    @property
    def hidden_size(self) -> int:
        """Width of a hidden state."""
        return int(self.base.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.base.device

    @property
    def max_length(self) -> int:
        """Longest input, in subwords, that the position embeddings allow (at most 512)."""
        positions = getattr(self.base.config, "max_position_embeddings", None) or 512
        return int(min(self.tokenizer.model_max_length, positions - 2, 512))

    def parameters(self, blocks: Sequence[str] | None = None) -> Iterator[nn.Parameter]:
        """The parameters of the named blocks (all of them by default), in a fixed order."""
        for block in blocks if blocks is not None else self.blocks:
            for name in self.blocks[block]:
                yield self.base.get_parameter(name)

    def block_parameters(self) -> dict[str, list[nn.Parameter]]:
        """Block name -> its parameters."""
        return {block: list(self.parameters([block])) for block in self.blocks}

    def hidden_states(self, batch: TextBatch) -> tuple[Tensor, ...]:
        """All N + 1 hidden states of ``batch``, each of shape (batch, length, hidden).

        On a CPU, texts of like length go through the encoder together, since padding costs as much as text
        there; positions of padding then hold zeros.
        """
        with self._cast():  # around all groups, so that weights are cast once
            return self._hidden_states(batch)

    def _hidden_states(self, batch: TextBatch) -> tuple[Tensor, ...]:
        if self.device.type != "cpu" or len(batch) <= _GROUP:
            return self._forward(batch.inputs)
        lengths = batch.inputs["attention_mask"].sum(1)
        order = lengths.argsort()
        width = batch.words.shape[1]
        groups = []
        for rows in order.split(_GROUP):
            longest = int(lengths[rows].max())
            states = self._forward({name: value[rows, :longest] for name, value in batch.inputs.items()})
            groups.append([nn.functional.pad(state, (0, 0, 0, width - longest)) for state in states])
        back = order.argsort()
        return tuple(torch.cat(parts)[back] for parts in zip(*groups, strict=True))

    def _forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        states = self.base(**inputs, output_hidden_states=True, return_dict=True).hidden_states
        return tuple(state.float() for state in states)

    @contextmanager
    def passes_in(self, precision: PassPrecision) -> Iterator[None]:
        """Run all passes in ``precision`` for as long as the context lasts.

        States and logits come out in fp32 either way, and so do gradients. Weights that have been cast once
        are reused within the context, so they must not change there.
        """
        before, self.precision = self.precision, precision
        try:
            with torch.autocast(self.device.type, enabled=False):  # the outermost context holds the casts
                yield
        finally:
            self.precision = before

    @contextmanager
    def _cast(self) -> Iterator[None]:
        if self.precision == "fp32":
            yield
            return
        gradients = torch.is_grad_enabled()
        with ExitStack() as stack:
            if gradients and self.device.type == "cpu":
                # The fused kernel's bf16 backward takes six times as long on a CPU at a sentence's length.
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            # A cast that was made without a graph must not serve a pass with one.
            stack.enter_context(torch.autocast(self.device.type, torch.bfloat16, cache_enabled=gradients))
            yield

    def pool(self, hidden: Tensor, batch: TextBatch) -> Tensor:
        """Sentence vectors of shape (batch, hidden) from one hidden state."""
        if self.pooling == "cls":
            return hidden[:, 0]
        mask = batch.inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)

    def mlm_logits(self, hidden: Tensor) -> Tensor:
        """Vocabulary logits of the MLM head for states of shape (..., hidden).

        The whole ``masked_lm`` forward is run with the encoder's result put in place, so that every
        architecture's head works without knowing its name.
        """
        assert self.masked_lm is not None
        flat = hidden.reshape(1, -1, hidden.shape[-1])
        base = self.base
        base.forward = lambda *_args, **_kwargs: BaseModelOutput(last_hidden_state=flat)
        try:
            dummy = torch.zeros(flat.shape[:2], dtype=torch.long, device=flat.device)
            with self._cast():
                logits = self.masked_lm(input_ids=dummy).logits
        finally:
            del base.forward  # uncovers the class's own
        return cast(Tensor, logits).float().reshape(*hidden.shape[:-1], -1)

    def working_copy(self, used_ids: Sequence[int]) -> "Encoder":
        """A trainable copy to measure on, in eval mode; this encoder stays as it is whatever happens.

        The full embedding table is shared (it is never written); the rows of ``used_ids`` become
        parameters of their own, see :class:`RowEmbedding`. The output side of an MLM head that is tied to the
        embeddings stays fixed.
        """
        embedding = self.base.get_input_embeddings()
        weight = cast(Tensor, embedding.weight)
        shared = nn.Parameter(weight.detach(), requires_grad=False)
        owner = self.masked_lm if self.masked_lm is not None else self.base
        duplicate = copy.deepcopy(owner, {id(weight): shared})
        base = cast(PreTrainedModel, duplicate.base_model if self.masked_lm is not None else duplicate)
        name = next(n for n, p in self.base.named_parameters() if p is weight)
        row_module = RowEmbedding(embedding, used_ids)
        cast(Callable[[nn.Module], None], base.set_input_embeddings)(row_module)
        rows = next(n for n, p in base.named_parameters() if p is row_module.rows)
        blocks = {
            block: tuple(rows if n == name else n for n in names) for block, names in self.blocks.items()
        }
        result = Encoder(
            self.id,
            base,
            self.tokenizer,
            duplicate if self.masked_lm is not None else None,
            self.no_mlm_reason,
            self.pooling,
            self.sha256,
            blocks,
            self.precision,
        )
        duplicate.eval()
        duplicate.requires_grad_(False)
        for parameter in result.parameters():
            parameter.requires_grad_(True)
        return result

    def duplicate(self) -> "Encoder":
        """A further working copy of a working copy; the full embedding table is shared."""
        owner = self.masked_lm if self.masked_lm is not None else self.base
        shared = {id(t): t for t in (*owner.parameters(), *owner.buffers()) if not t.requires_grad}
        duplicate = copy.deepcopy(owner, shared)
        return replace(
            self,
            base=cast(PreTrainedModel, duplicate.base_model if self.masked_lm is not None else duplicate),
            masked_lm=duplicate if self.masked_lm is not None else None,
        )

    def facts(self) -> ModelFacts:
        """What a reader of the signals needs to know about this encoder."""
        count = sum(p.numel() for p in self.base.parameters())
        inner = [block for block in self.blocks if block != EMBEDDINGS]
        return ModelFacts(
            id=self.id,
            sha256=self.sha256,
            architecture=type(self.base).__name__,
            layers=self.layers,
            hidden_size=self.hidden_size,
            parameters=count,
            encoder_parameters=sum(p.numel() for p in self.parameters(inner)),
            vocabulary=len(self.tokenizer),
            pooling=self.pooling,
            mlm_head=self.masked_lm is not None,
        )


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
        model, tokenizer, sha256 = load_bundled(name) if name in BUNDLED else load_encoder_file(name)
        encoder = Encoder(
            name, model, tokenizer, None, "the offline encoder's file carries no MLM head", "mean", sha256
        )
    else:
        encoder = _load_checkpoint(name)
    _drop_needless_segments(encoder)
    encoder.base.eval()
    if encoder.masked_lm is not None:
        encoder.masked_lm.eval()
    cast(nn.Module, encoder.masked_lm or encoder.base).to(device)
    _refuse_broken(encoder)
    encoder.blocks = find_blocks(encoder)
    return encoder


def _drop_needless_segments(encoder: Encoder) -> None:
    """A generic tokenizer announces segment ids whether or not the model knows what to do with them."""
    known = "token_type_ids" in inspect.signature(encoder.base.forward).parameters
    if not known or getattr(encoder.base.config, "type_vocab_size", 2) < 2:
        names = encoder.tokenizer.model_input_names
        encoder.tokenizer.model_input_names = [name for name in names if name != "token_type_ids"]


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
    ids = _probe_ids(encoder)
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


def _probe_ids(encoder: Encoder) -> TextBatch:
    """Eight harmless tokens, to see how the model is wired."""
    size = len(encoder.tokenizer)
    ids = torch.arange(size // 2, size // 2 + 8, device=encoder.device).remainder(size).unsqueeze(0)
    return TextBatch({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, ids)


def _refuse_broken(encoder: Encoder) -> None:
    tensors = [tensor for tensor in encoder.base.state_dict().values() if tensor.is_floating_point()]
    with torch.no_grad():
        tensors.append(encoder.hidden_states(_probe_ids(encoder))[-1])
    if not all(torch.isfinite(tensor).all() for tensor in tensors):
        raise InputError(
            f"'{encoder.id}' holds or computes values that are not numbers, so its weights are damaged or "
            "beyond single precision: download or save it again."
        )


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


def _load_checkpoint(name: str) -> Encoder:
    config = _load_config(name)
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
    if len(tokenizer) > cast(Tensor, base.get_input_embeddings().weight).shape[0]:
        raise InputError(
            f"'{name}' has a tokenizer of {len(tokenizer):,} pieces but fewer embeddings: "
            "the tokenizer belongs to another model."
        )
    return Encoder(name, base, tokenizer, masked_lm, no_mlm_reason, _find_pooling(name), _hash_weights(base))


def _load_config(name: str) -> PretrainedConfig:
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # a value of the wrong type surfaces as an error of the hub's own
        raise InputError(_why_not_found(name, error)) from error
    kind = config.model_type
    if kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and config.is_encoder_decoder:
        raise InputError(
            f"'{name}' ('{kind}') is an encoder with a decoder that transformers loads as one: "
            "choose an encoder such as xlm-roberta-base."
        )
    if kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES or kind in MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES:
        return cast(PretrainedConfig, config)
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise InputError(
            f"'{name}' is a decoder ('{kind}'), and alignment of encoders is what is measured here: "
            "choose an encoder such as xlm-roberta-base."
        )
    raise InputError(
        f"'{name}' is of type '{kind}', which transformers cannot load as a text encoder: "
        "choose an encoder such as xlm-roberta-base."
    )


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
        raise InputError(
            f"The tokenizer of '{name}' cannot be loaded as a fast tokenizer: save one beside the model "
            "(tokenizer.json)."
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"'{name}' has no fast tokenizer, so subwords cannot be traced to words: "
            "save one beside the model (tokenizer.json)."
        )
    ordinary = set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)
    if not any(character.isalnum() for piece in ordinary for character in piece):
        # Without its files, transformers makes an empty tokenizer of the architecture's usual class.
        raise InputError(f"'{name}' has no tokenizer: save one beside the model (tokenizer.json).")
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
            f"'{name}' has no readable weights in safetensors format, the only one that is loaded: convert "
            "it with model.save_pretrained(folder)."
        ) from error
    except Exception as error:  # sizes that make no sense fail in any way
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise  # not the checkpoint's fault
        raise InputError(
            f"The weights of '{name}' do not fit its config: point at a checkpoint saved in one piece."
        ) from error


def _find_pooling(name: str) -> Literal["mean", "cls"]:
    """The pooling a sentence-transformers checkpoint states beside its weights; else mean."""
    path = Path(name) / "1_Pooling" / "config.json"
    if not path.exists() and not Path(name).exists():
        cached = try_to_load_from_cache(name, "1_Pooling/config.json")
        path = Path(cached) if isinstance(cached, str) else path
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "mean"
    return "cls" if stated.get("pooling_mode_cls_token") else "mean"


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
