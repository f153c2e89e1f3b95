"""An encoder as the probes see it: its passes, its blocks, and copies to work on."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import BaseModelOutput

from probes.batches import TextBatch
from probes.encoder._rows import RowEmbedding
from probes.encoder._unpadded import unpadded
from probes.machine.precision import PassPrecision
from probes.signals import ModelFacts, Pooling

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


def pooled(hidden: Tensor, attention: Tensor, pooling: Pooling) -> Tensor:
    """Sentence vectors of shape (batch, hidden).

    Args:
        hidden: token states, (batch, length, hidden).
        attention: 1 for tokens and 0 for padding, (batch, length).
        pooling: how.
    """
    if pooling == "cls":
        first = attention.argmax(1)  # padding may stand on the left
        return hidden[torch.arange(len(hidden), device=hidden.device), first]
    mask = attention.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)


EMBEDDINGS = "embeddings"
_GROUP = 8
"""Texts that share one forward pass on a CPU."""

Blocks = dict[str, tuple[str, ...]]
"""Block name -> names of its parameters within the encoder, in the model's own order."""


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
        left_out: kinds of modules that the checkpoint has behind the pooling, and that are not applied.
        blocks: the block partition of ``base``'s parameters.
        precision: of the passes; set for a stretch of code by :meth:`passes_in`.
    """

    id: str
    base: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    masked_lm: PreTrainedModel | None
    no_mlm_reason: str | None
    pooling: Pooling
    sha256: str
    blocks: Blocks = field(default_factory=dict)
    precision: PassPrecision = "fp32"
    left_out: tuple[str, ...] = ()

    @property
    def layers(self) -> int:
        """Number of layers N; ``hidden_states`` has N + 1 entries, the embedding output first."""
        return len(self.blocks) - 1

    @property
    def owner(self) -> PreTrainedModel:
        """The whole model: with its MLM head, if it has one."""
        return self.base if self.masked_lm is None else self.masked_lm

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

    @property
    def head_labels(self) -> tuple[str, ...]:
        """The labels of a classifier that the checkpoint brings beside the encoder; none if it names none."""
        config = self.base.config
        if not any(str(name).endswith("Classification") for name in config.architectures or ()):
            return ()
        names = tuple(map(str, (config.id2label or {}).values()))
        return () if all(name == f"LABEL_{i}" for i, name in enumerate(names)) else names

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

        On a CPU, where padding costs as much as text, texts of like length go through the encoder together
        and linear maps leave padding out. What stands at positions of padding means nothing.
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
        with unpadded(inputs["attention_mask"]) if self.device.type == "cpu" else nullcontext():
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
        return pooled(hidden, batch.inputs["attention_mask"], self.pooling)

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
        copied = self._copied({id(weight): nn.Parameter(weight.detach(), requires_grad=False)})
        name = next(n for n, p in self.base.named_parameters() if p is weight)
        rows = RowEmbedding(embedding, used_ids)
        copied._embed_with(rows)
        rows_name = next(n for n, p in copied.base.named_parameters() if p is rows.rows)
        copied.blocks = {
            block: tuple(rows_name if n == name else n for n in names) for block, names in self.blocks.items()
        }
        copied.owner.eval()
        copied.owner.requires_grad_(False)
        for parameter in copied.parameters():
            parameter.requires_grad_(True)
        return copied

    def duplicate(self) -> "Encoder":
        """A further working copy of a working copy; the full embedding table is shared."""
        tensors = (*self.owner.parameters(), *self.owner.buffers())
        return self._copied({id(t): t for t in tensors if not t.requires_grad})

    def with_rows(self, used_ids: Sequence[int], *, scale: float = 1.0) -> "Encoder":
        """A working copy with embedding rows for more ids, which shares all other weights with this one.

        Args:
            used_ids: what may be looked up beside what this one has rows for.
            scale: of the new rows, which are otherwise the user's model's.
        """
        copied = self._copied({id(t): t for t in (*self.owner.parameters(), *self.owner.buffers())})
        rows = self.rows.with_rows(used_ids)
        with torch.no_grad():
            rows.rows.mul_(scale)
            rows.rows[rows.places_of(self.rows)] = self.rows.rows
        copied._embed_with(rows)
        return copied

    def _copied(self, shared: dict[int, Any]) -> "Encoder":
        """A copy of all but the tensors that are shared, by id."""
        owner = copy.deepcopy(self.owner, shared)
        if self.masked_lm is None:
            return replace(self, base=owner)
        return replace(self, base=cast(PreTrainedModel, owner.base_model), masked_lm=owner)

    def _embed_with(self, rows: RowEmbedding) -> None:
        cast(Callable[[nn.Module], None], self.base.set_input_embeddings)(rows)

    @property
    def rows(self) -> RowEmbedding:
        """The input embedding of a working copy."""
        return cast(RowEmbedding, self.base.get_input_embeddings())

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
