"""What a training run is made of: the schema of ``recipe.yaml``."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import ConfigDict, Field, model_validator

from advisor.options import NO_ALIGNMENT, Option, Schedule, WordPairs, weighted
from probes.material.sampling import shuffled
from probes.request import ProbeRequest
from probes.schema import Frozen

ColumnName = Literal["text", "label", "second", "words", "tags"]
COLUMN_NAMES: tuple[ColumnName, ...] = get_args(ColumnName)
Precision = Literal["auto", "no", "tf32", "bf16"]

T = TypeVar("T")
HeadStart = Literal["fitted", "random"]
Pairing = Literal["translations", "shuffled", "same-text"]

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]

_REQUESTED = {"model", "source", "target", "task", "train", "bitext", "dictionary", "word_links"}
"""Fields that a recipe has from a request."""


def drawn(examples: Sequence[T], most: int | None) -> tuple[list[T], list[T]]:
    """The ``most`` examples that are scored on (None: all), the same whatever a run's seed; and the rest."""
    if most is None:
        return list(examples), []
    mixed = shuffled(examples, seed=0)
    return mixed[:most], mixed[most:]


def word_pairs_of(request: ProbeRequest) -> WordPairs:
    """Where the aligned words of a request come from."""
    if request.dictionary:
        return WordPairs.DICTIONARY
    return WordPairs.FILE if request.word_links else WordPairs.MUTUAL_ARGMAX


def align_learning_rate(model: str) -> float:
    """The published rates: 7.5e-6 for XLM-R and 2e-5 for mBERT and distilmBERT (Gaschi et al. 2023)."""
    return 7.5e-6 if Path(model).name.startswith("xlm-roberta") else 2e-5


def _asked(name: str) -> str:
    """What a field means that a recipe has from the request of a probe."""
    return str(ProbeRequest.model_fields[name].description)


class Experiment(Frozen):
    """Departures from a usual run: they tell apart what its gain is due to, or cut it short.

    Attributes:
        pairing: what the alignment loss is given: translations, sentences with another pair's translation, or
            every source sentence with itself (which dropout makes two of).
        refit_head: whether a fitted head is fitted anew on the features after sequential alignment.
        warm_steps: steps of fine-tuning, at the alignment's learning rate, that are taken in the place of
            alignment; then the head is fitted anew and fine-tuning begins.
        align_stop, stop: stop alignment and fine-tuning after so many steps of their schedules.
    """

    model_config = ConfigDict(strict=True)

    pairing: Pairing = "translations"
    refit_head: bool = True
    warm_steps: Count | None = None
    align_stop: Count | None = None
    stop: Count | None = None


class Recipe(Frozen):
    """One training run: what is trained, on what, with which option and settings.

    The descriptions of the fields are the comments in ``recipe.yaml``. Defaults follow the published
    alignment runs where those say (Gaschi et al. 2023, arXiv:2306.02790; Bakos et al. 2025).
    """

    model_config = ConfigDict(strict=True)

    model: str = Field(description=_asked("model"))
    source: str = Field(description=_asked("source"))
    target: str = Field(description=_asked("target"))
    task: str = Field(description=_asked("task"))
    train: str = Field(description=_asked("train"))
    bitext: str | None = Field(default=None, description=f"{_asked('bitext')} Only read when aligning.")
    target_labels: str | None = Field(
        default=None, description=f"{_asked('target_labels')} Scored on, never trained on."
    )
    source_labels: str | None = Field(
        default=None,
        description="More labelled source-language data to score on; null: a share of the training data.",
    )
    also: dict[str, str] = Field(
        default_factory=dict,
        description="Bitexts of further target languages that are aligned in the same run, by language.",
    )
    also_labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labelled data of further target languages, by language. Scored on, never trained on.",
    )
    temperature: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = Field(
        default=3.33,
        description="How evenly the bitexts are drawn from: one of n pairs counts as n^(1/temperature). 1: "
        "by size; 3.33: as XLM-R was pretrained (arXiv:1911.02116).",
    )
    dictionary: str | None = Field(default=None, description=_asked("dictionary"))
    word_links: str | None = Field(default=None, description=_asked("word_links"))
    columns: dict[ColumnName, str] = Field(
        default_factory=dict,
        description=f"{_asked('columns')} Of: {', '.join(COLUMN_NAMES)}.",
    )

    option: Option = Field(
        default=NO_ALIGNMENT,
        description="What is done about alignment; for fine-tuning alone, objective: none without the rest.",
    )
    align_steps: Count | None = Field(
        default=None,
        description="Optimiser steps of sequential alignment; null: as many as of fine-tuning, as published.",
    )
    align_batch_size: Annotated[int, Field(ge=2)] = Field(
        default=16, description="Translation pairs in a batch (16 in the published runs)."
    )
    align_learning_rate: Rate = Field(
        default=2e-5,
        description="Peak learning rate of sequential alignment (published: 7.5e-6 for XLM-R, 2e-5 for "
        "mBERT and distilmBERT).",
    )

    epochs: Count = Field(default=3, description="Passes over the training data in fine-tuning.")
    max_steps: Count | None = Field(
        default=None, description="Upper bound on the optimiser steps of fine-tuning; null: none."
    )
    batch_size: Count = Field(default=32, description="Labelled texts in a batch.")
    gradient_accumulation: Count = Field(
        default=1, description="Batches that share one optimiser step; raise it when memory is short."
    )
    learning_rate: Rate = Field(
        default=2e-5, description="Peak learning rate of fine-tuning, and of everything in joint training."
    )

    head: HeadStart = Field(
        default="fitted",
        description="How the classifier starts: fitted (on frozen features, which keeps the first steps from "
        "spoiling what transfers; arXiv:2202.10054) or random (as in most published runs).",
    )

    warmup_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1,
        description="Share of the optimiser steps in which the learning rate climbs; then it falls to 0.",
    )
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.01, description="AdamW's weight decay; biases and norms are spared."
    )
    max_gradient_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        default=1.0, description="Longer gradients are clipped to this norm."
    )
    max_length: Annotated[int, Field(ge=8)] = Field(
        default=256, description="Longest input in subwords; what lies beyond is cut, and counted."
    )
    held_out_share: Annotated[float, Field(gt=0, le=0.5)] = Field(
        default=0.1,
        description="Share of the training data that is scored on instead, where there is no source_labels.",
    )
    most_scored: Count | None = Field(
        default=None, description="Most texts a language that are scored on, drawn at random; null: all."
    )
    mixed_precision: Precision = Field(
        default="auto",
        description="Of passes through the encoder; auto: bf16 where GPU or CPU have it in hardware. Else "
        "no, tf32 (fp32 whose matrix products a GPU takes in TF32) or bf16.",
    )
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="Of sampling, head and dropout.")
    goes_on_from: str | None = Field(
        default=None,
        description="File with the state of this run where a race left it, to be gone on with; null: none.",
    )
    output: str = Field(
        default="trained", description="Folder to create for the trained model and its scores."
    )
    experiment: Experiment | None = Field(
        default=None, description="What is done otherwise to learn what a gain is due to; null: nothing."
    )

    @classmethod
    def of(cls, request: ProbeRequest, option: Option, **settings: Any) -> Self:
        """The run of an option on what a request names, with the published weight and learning rate.

        The request's target labels, budget, precision and seed are not used; ``settings`` are the fields that
        are not to have their defaults.
        """
        columns = asdict(request.columns) if request.columns else {}
        fields: dict[str, Any] = {
            **{name: getattr(request, name) for name in cls.model_fields.keys() & _REQUESTED},
            "columns": {name: columns[name] for name in COLUMN_NAMES if columns.get(name) is not None},
            "option": weighted(option),
            "align_learning_rate": align_learning_rate(request.model),
        }
        return cls(**(fields | settings))

    @model_validator(mode="after")
    def _has_what_the_option_needs(self) -> Self:
        option = self.option
        if option.aligns and self.bitext is None:
            raise ValueError(f"'{option.objective}' needs a bitext")
        if option.schedule is Schedule.JOINT and option.weight is None:
            raise ValueError("joint training needs a weight, such as 0.1")
        if option.word_pairs is WordPairs.DICTIONARY and self.dictionary is None:
            raise ValueError("word_pairs: dictionary needs a dictionary")
        if option.word_pairs is WordPairs.FILE and self.word_links is None:
            raise ValueError("word_pairs: file needs word_links")
        if self.also and option.word_pairs in (WordPairs.DICTIONARY, WordPairs.FILE):
            raise ValueError("with several bitexts word_pairs can only be mutual-argmax")
        return self

    def at_most(self, steps: int) -> Self:
        """The same recipe with no phase longer than ``steps`` optimiser steps."""
        return self.model_copy(
            update={
                "max_steps": min(steps, self.max_steps or steps),
                "align_steps": self.align_steps and min(steps, self.align_steps),
            }
        )
