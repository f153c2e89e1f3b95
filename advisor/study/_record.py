"""One run, one immutable JSON file: what was run, apart from what came of it."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from advisor.files import write_files
from advisor.options import Option
from probes.errors import InputError
from probes.schema import Frozen
from probes.signals import Estimate

Finite = Annotated[float, Field(allow_inf_nan=False)]

Status = Literal["done", "failed", "diverged"]
"""``diverged``: a loss or a weight was not finite any more. ``failed``: anything else that stopped it."""

_KEY_LENGTH = 20
"""Hexadecimal digits of a key: 80 bits, so that no two configurations will ever share one."""


class Configuration(Frozen):
    """All that decides how a run comes out, and nothing else.

    Attributes:
        model_sha256: of the encoder's weights.
        data_sha256: by role, of the files that the option reads.
        source: code of the language of the labelled data.
        target: code of the language that is aligned with it; None for fine-tuning alone.
        scored: code of every language that is scored on, with the SHA-256 of its labels.
        task: a name from :data:`probes.catalogue.TASKS`.
        option: what was done about alignment.
        seed: of sampling, head and dropout.
        settings: the hyper-parameters and column names of the recipe that the option uses.
    """

    model_sha256: str
    data_sha256: dict[str, str]
    source: str
    target: str | None
    scored: dict[str, str]
    task: str
    option: Option
    seed: int
    settings: dict[str, JsonValue]

    @property
    def key(self) -> str:
        """A name for this configuration and no other: the start of the SHA-256 of its canonical JSON."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:_KEY_LENGTH]


class Scores(Frozen):
    """Points (0-100) on source text that was not trained on, and on target labels by language.

    The intervals are of a bootstrap over the test sentences; they say nothing of the seeds.
    """

    source: Estimate
    targets: dict[str, Estimate]


class CurvePoint(Frozen):
    """One optimiser step: the learning rate it used and its losses (None: not part of this phase)."""

    phase: str
    step: int
    learning_rate: Finite
    task: Finite | None = None
    alignment: Finite | None = None


class EarlyScores(Frozen):
    """Points on target labels, by language, after so many optimiser steps of fine-tuning."""

    step: int
    targets: dict[str, Estimate]


class Record(Frozen):
    """One run of one option with one seed.

    Attributes:
        configuration: what was run.
        model: the encoder as it was named.
        files: the data as it was named, by role.
        status: how it ended.
        error: one sentence, unless it is done.
        metric: what the scores are: ``accuracy`` or ``span-f1``.
        scores: of the trained encoder and head; None unless it is done.
        before: of a classifier on the untouched encoder's frozen features.
        early: scores on the way.
        curve: losses, one entry an optimiser step.
        texts: how many texts were trained on (``train``), scored on (``source``, languages) and ``cut``.
        device: where it ran.
        threads: CPU threads of torch.
        seconds: wall time, loading and evaluation included.
        block: of the plan that asked for it; None for the grid itself.
        finished: when it ended (ISO 8601, UTC).
        versions: of Python and of the packages that decide the numbers.
    """

    schema_version: Literal[2] = 2
    configuration: Configuration
    model: str
    files: dict[str, str]
    status: Status
    error: str | None = None
    metric: Literal["accuracy", "span-f1"]
    scores: Scores | None = None
    before: Scores | None = None
    early: tuple[EarlyScores, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    texts: dict[str, int] = Field(default_factory=dict)
    device: str
    threads: int
    seconds: Finite
    finished: str
    versions: dict[str, str]
    block: str | None = None

    @model_validator(mode="after")
    def _ended_one_way(self) -> Self:
        done = self.status == "done"
        if done != (self.scores is not None) or done != (self.error is None):
            raise ValueError("a record that is done has scores, and any other an error")
        return self


class Records:
    """The records of one folder, a file each, named by the key of their configuration.

    Args:
        folder: created with the first record.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, configuration: Configuration) -> Path:
        """Where the record of ``configuration`` is or will be."""
        return self._folder / f"{configuration.key}.json"

    def find(self, configuration: Configuration) -> Record | None:
        """The record of ``configuration``, if it was run.

        Raises:
            InputError: if the file that bears its name is not its record.
        """
        path = self.path(configuration)
        record = read_record(path)
        if record is not None and record.configuration.key != configuration.key:
            raise InputError(
                f"{path} is not the record that its name says: delete it to have that run done again."
            )
        return record

    def save(self, record: Record) -> Path:
        """Write a record in one move: no reader and no crash ever meets half of it.

        Raises:
            InputError: if the folder may not be written to.
            RunError: if the disk is full, read-only or broken.
        """
        path = self.path(record.configuration)
        write_files(self._folder, {path.name: record.model_dump_json(indent=1) + "\n"})
        return path


def read_record(path: Path) -> Record | None:
    """The record in a file; None if there is no such file.

    Raises:
        InputError: if it cannot be read as a record.
    """
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} cannot be read as a record of a trial: delete it to have that run done again."
        ) from error
