"""What a training run ends with: scores, weights, and the folder they are written to."""

import json
import secrets
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
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
from probes.errors import InputError, RunError
from probes.heads import Head, score_head
from probes.machine.versions import library_versions
from probes.signals import Estimate


def evaluate(
    encoder: Encoder, head: Head, texts: LabelledTexts, sets: Collection[str] | None = None
) -> dict[str, Estimate]:
    """Points on sets of scored texts (None: all); words beyond the longest input count as wrong."""
    names = texts.scored if sets is None else sets
    return {name: evaluate_on(encoder, head, texts.scored[name], texts) for name in names}


def evaluate_on(
    encoder: Encoder, head: Head, items: Sequence[LabelledText], texts: LabelledTexts
) -> Estimate:
    """Points on one set of texts of the task that ``texts`` belong to."""
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
        recipe: what was run.
        trained: the encoder in evaluation mode, with the embeddings that training used.
        given: the encoder that was begun with.
        head: the task's classifier.
        texts: what it was trained and scored on.
        before: scores of a classifier on the untouched encoder's frozen features, by ``source`` and
            ``target``.
        after: scores of the trained encoder and head, likewise.
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
        phases = dict.fromkeys(entry.phase for entry in self.log)
        return {
            "metric": self.texts.task.metric,
            "before": {name: points.model_dump(mode="json") for name, points in self.before.items()},
            "after": {name: points.model_dump(mode="json") for name, points in self.after.items()},
            "steps": {phase: sum(entry.phase == phase for entry in self.log) for phase in phases},
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


@contextmanager
def staged(output: Path) -> Iterator[Path]:
    """A hidden folder that becomes ``output`` if all goes well, and goes away if not.

    Raises:
        InputError: if ``output`` is there already or cannot be made, before anything runs.
        RunError: if the disk fails.
    """
    if output.exists():
        raise InputError(f"{output} is there already: name another folder with --output.")
    hidden = output.with_name(f".{output.name}-{secrets.token_hex(4)}")
    try:
        hidden.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"Cannot create {output} ({error.strerror or error}): name a folder you may write to."
        ) from error
    try:
        yield hidden
        hidden.rename(output)
    except OSError as error:
        raise RunError(
            f"Writing {output} failed ({error.strerror or error}): free or change the disk and run again."
        ) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
