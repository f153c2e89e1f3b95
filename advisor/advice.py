"""The answer: a decision with its option, gain, reasons, doubts and provenance (``advice.json``)."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from advisor.decide import Basis, Confidence, Expected, Verdict
from advisor.options import NO_ALIGNMENT, Option
from probes.schema import Frozen, load_file
from probes.signals import Note

SCHEMA_VERSION: Literal[2] = 2

Finite = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Question(Frozen):
    """What was asked.

    ``model`` is a hub id, a path or the name of an offline encoder; ``pretrained_on`` the languages it saw
    and ``like`` the encoder it is like, where the user said so.
    """

    model: str
    source: str
    target: str
    task: str
    pretrained_on: tuple[str, ...] = ()
    like: str | None = None


class Gain(Frozen):
    """Predicted gain of an option over fine-tuning alone, in points (0-100) on target test data."""

    mean: Finite
    low: Finite
    high: Finite
    level: Finite = 0.8
    probability_positive: Probability
    probability_worthwhile: Probability
    """P(gain > min_gain)."""

    def of(self, option: Option, by: Basis, direct: int = 0) -> Expected:
        """What it says of an option, for the decision."""
        return Expected(
            option=option,
            mean=self.mean,
            low=self.low,
            high=self.high,
            positive=self.probability_positive,
            worthwhile=self.probability_worthwhile,
            direct=direct,
            by=by,
        )


class Reason(Frozen):
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


class Alternative(Frozen):
    """An option with its predicted gain and what that rests on.

    Attributes:
        basis: own runs of this question, a direct row of evidence, or neither.
        direct: rows of evidence that speak of it directly (encoder family, task, language group, loss).
        at_least: whether the expected gain lies at the cap up to which gains are predicted.
    """

    option: Option
    gain: Gain
    basis: Basis
    direct: int
    at_least: bool = False


class Worth(Frozen):
    """What a word of confidence was worth on cells that the findings had not seen.

    Attributes:
        right: share of the decisions with that word which were right.
        cells: how many there were.
    """

    right: Probability
    cells: int


class NextMove(Frozen):
    """Something to do that would tell more, with its price.

    Attributes:
        text: what it is and what it would tell.
        command: that does it.
        minutes: it takes, on the machine that asks.
        value: points that the answer is expected to gain by it.
    """

    text: str
    command: str | None = None
    minutes: Finite | None = None
    value: Finite | None = None


class EvidenceRow(Frozen):
    """One published or own effect near to the question; ``direct`` if it speaks of the question itself."""

    source_id: str
    citation: str
    url: str | None
    model: str
    task: str
    target: str
    option: str
    gain: Finite
    distance: Finite
    lab: str = ""
    direct: bool = False


class Support(Frozen):
    """How far the case lies from the evidence.

    ``distance`` is 0 when model, task and language have all been seen together and grows by 1 for each
    that was not; ``in_range`` says whether the decision may rest on the evidence at all.
    """

    nearest: tuple[EvidenceRow, ...]
    distance: Finite
    in_range: bool
    unseen: tuple[Literal["model", "task", "language"], ...]


class Provenance(Frozen):
    """What the advice was made from."""

    versions: dict[str, str]
    model_id: str
    model_sha256: str | None
    data_sha256: dict[str, str]
    findings_sha256: str
    seed: int | None
    device: str | None
    seconds: Finite


class Advice(Frozen):
    """The recommendation for one question.

    Attributes:
        decision: to align or not.
        confidence: how sure that is: ``likely``, ``leaning`` or ``open``.
        worth: what that word was worth on held-out cells, if that has been measured.
        summary: the decision in one sentence.
        option: the advised one; ``none`` where aligning is not advised.
        gain: of the advised option or, where aligning is not advised, of the alignment that promises most.
        evidence_only: the same option's gain as it was expected before anything was measured here; None where
            nothing was.
        train_steps: steps of fine-tuning that the gains are for; None stands for what published runs did.
        alternatives: every option, the advised one first, then by expected gain.
        next_moves: what would tell more, the best value for its time first.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    question: Question
    decision: Verdict
    confidence: Confidence
    worth: Worth | None = None
    summary: str
    option: Option
    gain: Gain | None
    evidence_only: Gain | None = None
    train_steps: int | None = None
    min_gain: Finite
    reasons: tuple[Reason, ...]
    warnings: tuple[Note, ...]
    next_moves: tuple[NextMove, ...] = ()
    alternatives: tuple[Alternative, ...]
    support: Support
    provenance: Provenance

    @model_validator(mode="before")
    @classmethod
    def _from_version_1(cls, data: Any) -> Any:
        """Version 1 could answer ``cannot-tell`` and named no option unless it was to align."""
        if not (isinstance(data, dict) and data.get("schema_version") == 1):
            return data
        try:
            return _updated(data)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("no advice of schema version 1 either") from error

    @property
    def aligns(self) -> bool:
        """Whether aligning is advised."""
        return self.decision == "align"

    @property
    def spoken_of(self) -> Alternative | None:
        """The advised option or, where aligning is not advised, the alignment that promises most."""
        aligning = (row for row in self.alternatives if row.option != NO_ALIGNMENT)
        return next(aligning, None)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an ``advice.json``; one of schema version 1 is brought up to date.

        Raises:
            InputError: if the file is missing or not of this schema.
        """
        return load_file(cls, path, "advice", SCHEMA_VERSION)


def _updated(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 of an advice as version 2: the same gains; what could not be told is open."""
    none = NO_ALIGNMENT.model_dump(mode="json")
    fields = {name: value for name, value in data.items() if name not in ("would_tell", "decision", "option")}
    rows = [
        {
            **{name: value for name, value in row.items() if name != "effects"},
            "direct": row.get("effects"),
            "basis": "measured-elsewhere" if row.get("effects") else "extrapolated",
        }
        for row in data.get("alternatives", ())
    ]
    rows.sort(key=lambda row: -row["gain"]["mean"])
    undecided = data.get("decision") == "cannot-tell"
    option = data.get("option") or none
    if undecided and rows and rows[0]["gain"]["mean"] > data.get("min_gain", 0.0):
        option = rows[0]["option"]
    rows.sort(key=lambda row: row["option"] != option)
    return fields | {
        "schema_version": SCHEMA_VERSION,
        "decision": "do-not-align" if option == none else "align",
        "confidence": "open" if undecided else "leaning",
        "option": option,
        "alternatives": rows,
        "next_moves": [{"text": data["would_tell"]}] if data.get("would_tell") else [],
    }
