"""The answer: a decision with its option, gain, reasons, doubts and provenance (``advice.json``)."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from advisor.options import Option
from probes._files import load_file
from probes.signals import Note

__all__ = [
    "SCHEMA_VERSION",
    "Advice",
    "Alternative",
    "Decision",
    "EvidenceRow",
    "Gain",
    "Provenance",
    "Question",
    "Reason",
    "Support",
]

SCHEMA_VERSION: Literal[1] = 1

Finite = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]
Decision = Literal["align", "do-not-align", "cannot-tell"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Question(_Frozen):
    """What was asked. ``model`` is a hub id, a path or the name of an offline encoder."""

    model: str
    source: str
    target: str
    task: str


class Gain(_Frozen):
    """Predicted gain of an option over fine-tuning alone, in points (0-100) on target test data."""

    mean: Finite
    low: Finite
    high: Finite
    level: Finite = 0.8
    probability_positive: Probability
    probability_worthwhile: Probability
    """P(gain > min_gain)."""


class Reason(_Frozen):
    """One term that moved the prediction, in words.

    Attributes:
        text: a sentence a practitioner understands.
        feature: the signal or the feature of the effect model it stands for.
        effect: points it added to the expected gain of the option spoken of.
        evidence: ids of the sources it rests on.
    """

    text: str
    feature: str
    effect: Finite
    evidence: tuple[str, ...]


class Alternative(_Frozen):
    """An option with its predicted gain and how many published or own effects speak of it directly."""

    option: Option
    gain: Gain
    effects: int


class EvidenceRow(_Frozen):
    """One published or own effect near to the question."""

    source_id: str
    citation: str
    url: str | None
    model: str
    task: str
    target: str
    option: str
    gain: Finite
    distance: Finite


class Support(_Frozen):
    """How far the case lies from the evidence.

    ``distance`` is 0 when model, task and language have all been seen together and grows by 1 for each
    that was not; ``in_range`` says whether the decision may rest on the evidence at all.
    """

    nearest: tuple[EvidenceRow, ...]
    distance: Finite
    in_range: bool
    unseen: tuple[Literal["model", "task", "language"], ...]


class Provenance(_Frozen):
    """What the advice was made from."""

    versions: dict[str, str]
    model_id: str
    model_sha256: str | None
    data_sha256: dict[str, str]
    findings_sha256: str
    seed: int | None
    device: str | None
    seconds: Finite


class Advice(_Frozen):
    """The recommendation for one question."""

    schema_version: Literal[1] = SCHEMA_VERSION
    question: Question
    decision: Decision
    summary: str
    """The decision in one sentence."""
    option: Option | None
    gain: Gain | None
    min_gain: Finite
    reasons: tuple[Reason, ...]
    warnings: tuple[Note, ...]
    would_tell: str | None
    """For ``cannot-tell``: the cheapest thing that would tell."""
    alternatives: tuple[Alternative, ...]
    support: Support
    provenance: Provenance

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an ``advice.json``.

        Raises:
            InputError: if the file is missing or not of this schema.
        """
        return load_file(cls, path, "advice", SCHEMA_VERSION)
