"""Encoders of well-known shapes with random weights, and real text for them."""

from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import TypeVar

import torch
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

from probes.batches import LabelledText, TokenizedPair, Tokenizer
from probes.context import ModelAt
from probes.encoder import Encoder, find_blocks, load_encoder
from probes.gradients.rounds import RoundBatches
from probes.heads import Head
from probes.machine.vectors import VectorPool
from probes.objectives import AlignmentLoss, available
from probes.signals import TaskGradient
from probes.tasks import level_called
from tests.models import fast_tokenizer, sample_items, sample_pairs

__all__ = ["SHAPES", "Case", "load_shape", "make_case"]

T = TypeVar("T")

SHAPES = {
    "e5-small": (12, 384, 12),
    "xlm-r-base": (12, 768, 12),
    "xlm-r-large": (24, 1024, 16),
}
"""Layers, hidden size and heads. The vocabulary is a few hundred pieces: rows that no text uses take no part
in a gradient round, they only take memory. The MLM head's output layer is as much smaller."""


@dataclass(frozen=True)
class Case:
    """Everything that gradient rounds need, and the memory that they leave to the next ones."""

    model: ModelAt
    objectives: dict[str, AlignmentLoss]
    batches: RoundBatches
    pool: VectorPool = field(default_factory=VectorPool)

    @property
    def encoder(self) -> Encoder:
        """Whose gradients are taken."""
        return self.model.encoder


def load_shape(name: str, device: str = "cpu") -> Encoder:
    """The encoder of a shape, or the offline one."""
    if name not in SHAPES:
        return load_encoder(name, device)
    layers, hidden, heads = SHAPES[name]
    tokenizer = fast_tokenizer("xlm-r")
    torch.manual_seed(0)
    model = XLMRobertaForMaskedLM(
        XLMRobertaConfig(
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * hidden,
            max_position_embeddings=514,
            type_vocab_size=1,
        )
    ).eval()
    encoder = Encoder(name, model.base_model, tokenizer, model.to(device), None, "mean", "")
    encoder.blocks = find_blocks(encoder)
    return encoder


def make_case(name: str, device: str, rounds: int, batch: int, length: int) -> Case:
    """A working copy with batches of the repository's sample: three task gradients and every objective.

    Args:
        name: a shape, or an offline encoder.
        device: where it is.
        rounds: how many rounds to make batches for; texts are used again when they run out.
        batch: texts, and pairs, in a batch.
        length: longest input in subwords.
    """
    encoder = load_shape(name, device)
    tokenizer = Tokenizer(encoder.tokenizer, length)
    languages: dict[TaskGradient, str] = {"source": "en", "target-labels": "tr", "target-projected": "de"}
    tasks: dict[TaskGradient, list[list[LabelledText]]] = {}
    classes = 0
    for task, language in languages.items():
        items, labels = sample_items(tokenizer, "token", 120, language)
        tasks[task] = _deal(items, rounds, batch)
        classes = max(classes, len(labels))
    pairs: list[list[TokenizedPair]] = _deal(sample_pairs(tokenizer, 120), rounds, batch)
    ids = {i for batches in tasks.values() for texts in batches for item in texts for i in item.text.ids}
    ids |= {i for some in pairs for pair in some for side in (pair.source, pair.target) for i in side.ids}
    start = encoder.working_copy(sorted(ids | set(encoder.tokenizer.all_special_ids)))
    generator = torch.Generator().manual_seed(0)
    weight = 0.05 * torch.randn(classes, start.hidden_size, generator=generator)
    head = Head(weight.to(device), torch.zeros(classes, device=device), level_called("token"))
    objectives, _ = available(start, has_links=True)
    return Case(ModelAt("theta0", start, head, tokenizer), objectives, RoundBatches(tasks, pairs))


def _deal(items: list[T], rounds: int, size: int) -> list[list[T]]:
    stream = cycle(items)
    return [list(islice(stream, size)) for _ in range(rounds)]
