"""What a probe run found: typed, finite, serialisable, and free of torch.

Every number that was estimated is an :class:`Estimate` and carries its interval. A number that could
not be told from noise has no value and a note that says why; NaN and infinity are refused.
Rows are flat, so that ``pandas.DataFrame([row.model_dump() for row in signals.cosines])`` works.
"""

from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from probes.schema import Frozen, load_file

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION: Literal[1] = 1

Finite = Annotated[float, Field(allow_inf_nan=False)]

Point = Literal["theta0", "theta_warm"]
"""Where a gradient was taken: the model as given, or after a short warm-up of task fine-tuning."""

TaskGradient = Literal["source", "target-labels", "target-projected"]
"""Which text and labels the task gradient stands on: labelled source text, target text with the
user's labels, or target text with labels projected from the source side of held-out bitext."""

TASK_GRADIENTS: tuple[TaskGradient, ...] = ("target-labels", "target-projected", "source")
"""All of them, those first that say most about transfer."""

TOTAL = "encoder"
"""The block name under which all layers together are reported (embeddings are left out)."""


class Estimate(Frozen):
    """One estimated number with its confidence interval.

    ``value`` is None when the data cannot tell it from noise; ``note`` then says why, and the bounds
    may still be given.
    """

    value: Finite | None
    low: Finite | None = None
    high: Finite | None = None
    level: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    note: str | None = None

    @property
    def resolved(self) -> bool:
        """Whether there is a value at all."""
        return self.value is not None

    @property
    def sign(self) -> int:
        """+1 or -1 when the whole interval lies on that side of zero, else 0."""
        if self.value is None or self.low is None or self.high is None:
            return 0
        return 1 if self.low > 0 else -1 if self.high < 0 else 0

    @property
    def error(self) -> float | None:
        """The standard error that the interval's width stands for, if there are a value and an interval."""
        if self.value is None or self.low is None or self.high is None:
            return None
        return (self.high - self.low) / (2 * NormalDist().inv_cdf((1 + self.level) / 2))

    def __str__(self) -> str:
        if self.value is None:
            return "unresolved"
        if self.low is None or self.high is None:
            return f"{self.value:.3g}"
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


class Note(Frozen):
    """Something that would make a careful person doubt, with a stable code for programs."""

    code: str
    text: str


Pooling = Literal["mean", "cls"]
"""How token states become a sentence vector, as sentence-transformers calls it."""


class ModelFacts(Frozen):
    """The encoder that was measured."""

    id: str
    sha256: str
    architecture: str
    layers: int
    hidden_size: int
    parameters: int
    encoder_parameters: int
    vocabulary: int
    pooling: Pooling
    mlm_head: bool


class TaskFacts(Frozen):
    """The task and its label set, as found in the source training data."""

    name: str
    level: str
    metric: str
    labels: tuple[str, ...]


class DataFacts(Frozen):
    """One input file or data set: what was read, what was dropped and why.

    Attributes:
        columns: where things were read from, by what they were taken for.
        scheme: of span tags as the file spells them; None for other labels.
        notes: what a careful person would look at.
    """

    role: str
    spec: str
    format: str
    sha256: str
    read: int
    kept: int
    dropped: dict[str, int] = Field(default_factory=dict)
    columns: dict[str, str] = Field(default_factory=dict)
    scheme: str | None = None
    notes: tuple[str, ...] = ()


class TransferFacts(Frozen):
    """Scores of the head fitted on frozen source features, in points (0-100).

    ``majority`` is what always answering the most frequent training label scores on source text.
    """

    source: Estimate
    target: Estimate | None
    majority: Finite
    train_fit: Finite
    regularisation: Finite


class LossRow(Frozen):
    """The gradient of one loss at one point, for one block.

    Attributes:
        loss: an objective's name, or a task gradient's (see ``TaskGradient``) prefixed ``task:``.
        squared_norm: of the expected gradient (unbiased, so it may come out below 0).
        ceiling: cosine between gradients of independent batches of this same loss: what a raw cosine
            with this loss can reach at most at this batch size.
        noise_scale: per-batch gradient variance over the squared norm, times the batch size: the batch
            size, in examples, at which noise and signal are equal (McCandlish et al. 2018).
        mean_loss: mean of the loss over the rounds.
    """

    point: Point
    loss: str
    block: str
    parameters: int
    squared_norm: Estimate
    ceiling: Estimate
    noise_scale: Estimate
    mean_loss: Finite


class CosineRow(Frozen):
    """A task gradient against an objective's gradient at one point, for one block.

    Attributes:
        cosine: noise-corrected; None when a squared norm is not clearly above 0.
        raw_cosine: of single-batch gradients, shrunk toward 0 by noise.
        null_cosine: the same with the pairs of the objective shuffled; None for objectives without pairs.
        null_sd: 1/sqrt(d), the spread of the cosine of independent random directions.
        magnitude_ratio: norm of the objective's expected gradient over the task's.
        magnitude_similarity: 2|a||b|/(|a|^2+|b|^2) (PCGrad, definition 2).
    """

    point: Point
    task_gradient: TaskGradient
    objective: str
    block: str
    cosine: Estimate
    raw_cosine: Estimate
    null_cosine: Estimate | None
    null_sd: Finite
    magnitude_ratio: Estimate
    magnitude_similarity: Estimate


class TargetCosine(Frozen):
    """Do the alignment gradients of two targets pull the same way, after the warm-up?

    Attributes:
        objective: the loss, on the bitext of each.
        block: where; ``encoder`` for all layers together.
        first, second: the targets.
        cosine: noise-corrected, of the gradients as training applies them.
        net: of what translations add to them: each less its gradient on shuffled pairs. Where the bitext's
            sides do not correspond nothing is left of it for a loss over sentences; for one over words what
            its links are worth without the sentences.
        null: of the gradients on shuffled pairs.
    """

    objective: str
    block: str
    first: str
    second: str
    cosine: Estimate
    net: Estimate | None
    null: Estimate | None


class ConflictRow(Frozen):
    """Share of layer blocks whose cosine interval lies wholly below 0."""

    point: Point
    task_gradient: TaskGradient
    objective: str
    share: Finite
    blocks: int
    resolved: int


class LookaheadRow(Frozen):
    """Relative change of the task loss after one small step on an objective (TAG, arXiv:2109.04617).

    ``change`` is 1 - L_task(after) / L_task(before), in per cent: positive means the step helped.
    ``scaling`` says whether the step followed the raw gradient or Adam's preconditioned one.
    """

    point: Point
    objective: str
    on: TaskGradient
    scaling: Literal["raw", "adam"]
    step: Finite
    change: Estimate


class DistanceRow(Frozen):
    """An embedding distance between the two languages at one depth.

    ``layer`` is an index into the model's hidden states: 0 is the embedding output, ``layers`` the last.
    """

    layer: int
    unit: Literal["sentence", "word"]
    measure: Literal[
        "matched-cosine",
        "random-cosine",
        "cosine-gap",
        "retrieval-forward",
        "retrieval-backward",
        "retrieval-strict",
        "retrieval-csls",
        "cka",
    ]
    value: Estimate
    chance: Finite | None = None


class TextFacts(Frozen):
    """What tokenisation does to the two languages.

    ``fertility``: subwords a word (characters that are not space, where words are not spaced).
    ``unknown_rate``: share of subwords that are the unknown token, 0-1.
    """

    source_fertility: Finite
    target_fertility: Finite
    source_unknown_rate: Finite
    target_unknown_rate: Finite
    source_script: str
    target_script: str
    fertility_unit: Literal["word", "character"]


class ProjectionFacts(Frozen):
    """How the labels of the ``target-projected`` task gradient came about."""

    sentences: int
    coverage: Finite
    word_alignment: str | None
    cosine_with_labels: Estimate | None


class RunFacts(Frozen):
    """How and with what the probe ran.

    ``rounds`` are those taken, ``stopped`` says why there are no more: the leading signals were resolved, or
    the budget was spent. ``dtype`` is the type that gradients were computed in. ``processes`` are those
    that shared out the rounds. ``used`` says how many sentences or pairs went into each part of the run.
    """

    budget: str
    rounds: int
    stopped: Literal["resolved", "budget"] | None = None
    batch_size: int
    warm_up_steps: int
    seed: int
    device: str
    dtype: str
    threads: int
    processes: int = 1
    seconds: Finite
    phases: dict[str, Finite]
    peak_memory_gib: Finite | None
    versions: dict[str, str]
    used: dict[str, int] = Field(default_factory=dict)


class Signals(Frozen):
    """Everything one probe run measured."""

    schema_version: Literal[1] = SCHEMA_VERSION
    model: ModelFacts
    source: str
    target: str
    task: TaskFacts
    word_pairs: Literal["dictionary", "mutual-argmax", "file"]
    data: tuple[DataFacts, ...]
    transfer: TransferFacts
    losses: tuple[LossRow, ...]
    cosines: tuple[CosineRow, ...]
    conflicts: tuple[ConflictRow, ...]
    lookahead: tuple[LookaheadRow, ...]
    distances: tuple[DistanceRow, ...]
    text: TextFacts
    projection: ProjectionFacts | None
    unavailable: dict[str, str]
    """Objectives that could not be measured on this model, each with the reason."""
    notes: tuple[Note, ...]
    run: RunFacts

    def cosine(
        self,
        objective: str,
        task_gradient: TaskGradient = "source",
        point: Point = "theta_warm",
        block: str = TOTAL,
    ) -> Estimate | None:
        """The noise-corrected cosine asked for, or None if it was not measured."""
        for row in self.cosines:
            if (row.objective, row.task_gradient, row.point, row.block) == (
                objective,
                task_gradient,
                point,
                block,
            ):
                return row.cosine
        return None

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the objectives that were measured, in the order of the registry."""
        return tuple(dict.fromkeys(row.objective for row in self.cosines))

    @property
    def task_gradients(self) -> tuple[TaskGradient, ...]:
        """Those that cosines were measured with, the one first that says most about transfer."""
        measured = {row.task_gradient for row in self.cosines}
        return tuple(name for name in TASK_GRADIENTS if name in measured)

    def to_frame(self) -> "pd.DataFrame":
        """Every estimate as a row: what was measured, where, with which labels, and its interval.

        Columns: ``signal``, ``point``, ``labels``, ``objective``, ``block`` (a block, or the index of a
        hidden state), ``value``, ``low``, ``high``, ``note``; one that does not apply is empty.
        """
        import pandas as pd

        rows: list[dict[str, object]] = []
        for row in (*self.cosines, *self.losses, *self.lookahead, *self.distances, self.transfer):
            fields = dict(row)
            where = {
                "point": fields.get("point"),
                "labels": fields.get("task_gradient", fields.get("on")),
                "objective": fields.get("objective", fields.get("loss")),
                "block": fields.get("block", fields.get("layer")),
            }
            named = ":".join(str(fields[part]) for part in ("unit", "measure", "scaling") if part in fields)
            for name, estimate in fields.items():
                if isinstance(estimate, Estimate):
                    rows.append({"signal": f"{named}:{name}".strip(":"), **where, **dict(estimate)})
        return pd.DataFrame(rows).drop(columns="level")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a ``signals.json``.

        Raises:
            InputError: if the file is missing, is no JSON, or is not of this schema.
        """
        return load_file(cls, path, "signals", SCHEMA_VERSION)
