"""What a training run ends with: scores, weights, and the folder they are written to."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from advisor.training.config import Recipe
from advisor.training.data import LabelledTexts
from advisor.training.encoders import with_full_table
from probes.batches import LabelledText
from probes.encoder import Encoder
from probes.heads import Head, score_head
from probes.machine.versions import library_versions
from probes.signals import Estimate


def evaluate_on(
    encoder: Encoder, head: Head, items: Sequence[LabelledText], texts: LabelledTexts
) -> Estimate:
    """Points on texts of the task that ``texts`` belong to; words beyond the longest input count as wrong."""
    return score_head(encoder, head, items, texts.labels, texts.task.metric)


@dataclass(frozen=True)
class StepLog:
    """One optimiser step: the learning rate it used and its losses, each a mean over its batches."""

    phase: str
    step: int
    learning_rate: float
    losses: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes:
        trained: the encoder in evaluation mode, with the embeddings that training used.
        given: the encoder that was begun with.
        before: scores of a classifier on the untouched encoder's frozen features, by ``source`` and
            ``target``; ``after`` are those of the trained encoder and head.
        looks: scores on target labels on the way, by optimiser steps of fine-tuning taken.
        log: one entry an optimiser step.
        seconds: wall time.
    """

    recipe: Recipe
    trained: Encoder
    given: Encoder
    head: Head
    texts: LabelledTexts
    before: dict[str, Estimate]
    after: dict[str, Estimate]
    looks: dict[int, dict[str, Estimate]]
    log: tuple[StepLog, ...]
    seconds: float

    @cached_property
    def encoder(self) -> Encoder:
        """The trained encoder with its whole vocabulary."""
        return with_full_table(self.trained, self.given)

    @property
    def sizes(self) -> dict[str, int]:
        """How many texts were trained on (``train``), scored on (by name), and ``cut``."""
        scored = {name: len(items) for name, items in self.texts.scored.items()}
        return {"train": len(self.texts.train), **scored, "cut": self.texts.cut}

    def metrics(self) -> dict[str, Any]:
        """The run in numbers, ready for JSON."""
        return {
            "metric": self.texts.task.metric,
            "before": {name: points.model_dump(mode="json") for name, points in self.before.items()},
            "after": {name: points.model_dump(mode="json") for name, points in self.after.items()},
            "steps": dict(Counter(entry.phase for entry in self.log)),
            "texts": self.sizes,
            "seconds": self.seconds,
            "device": str(self.given.device),
            "start_sha256": self.given.sha256,
            "versions": library_versions(),
        }

    def save(self, folder: Path) -> None:
        """Write encoder, tokenizer, head, metrics and log into ``folder``, which exists."""
        self.encoder.base.save_pretrained(folder)
        self.encoder.tokenizer.save_pretrained(folder)
        about = {
            "task": self.texts.task.name,
            "labels": json.dumps(self.texts.labels, ensure_ascii=False),
            "pooling": self.given.pooling,
        }
        weights = {name: value.contiguous() for name, value in self.head.state_dict().items()}
        save_file(weights, folder / "head.safetensors", metadata=about)
        metrics = json.dumps(self.metrics(), indent=2, allow_nan=False)
        (folder / "metrics.json").write_text(metrics + "\n", encoding="utf-8")
        rows = "".join(json.dumps(asdict(entry)) + "\n" for entry in self.log)
        (folder / "log.jsonl").write_text(rows, encoding="utf-8")
