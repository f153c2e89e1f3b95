"""What the parts of a plan are made of."""

from collections.abc import Callable, Collection
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from advisor.options import Option, Schedule, weighted
from advisor.training import ColumnName, Count, Experiment, HeadStart, Precision, Rate
from probes.budget import BudgetName
from probes.errors import InputError
from probes.languages import parse_language
from probes.schema import Frozen

_NORMS = "norms"


def as_value_error(text: str, check: Callable[[str], object]) -> str:
    """Let pydantic name the key of what ``check`` refuses."""
    try:
        check(text)
    except InputError as error:
        raise ValueError(str(error).rstrip(".")) from error
    return text


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]
Language = Annotated[str, AfterValidator(lambda text: as_value_error(text, parse_language))]
Seeds = Annotated[int, Field(ge=0)]


class Strict(Frozen):
    model_config = ConfigDict(strict=True)


def read_option(text: str) -> Option:
    """Read an option as :meth:`Option.parse` does; joint training without a weight gets 0.1, as published.

    With ``norms`` in its place the weight stays open: it comes from the gradient norms of the cell's probe.
    """
    parts = text.strip().split(":")
    option = Option.parse(":".join(part for part in parts if part != _NORMS))
    if _NORMS not in parts:
        return weighted(option)
    if not waits_for_probe(option):
        raise InputError(f"'{text}' is not an option: norms stands for the weight of joint training.")
    return option


def waits_for_probe(option: Option) -> bool:
    """Whether a planned option gets its weight from the gradient norms of the cell's probe."""
    return option.schedule is Schedule.JOINT and option.weight is None


WrittenOption = Annotated[str, AfterValidator(lambda text: as_value_error(text, read_option))]


class ContinuedMlm(Strict):
    """Continued masked language modelling on single sentences of several languages."""

    bitext: Annotated[list[str], Field(min_length=1)] = Field(
        description="Bitexts whose sentences are trained on, each side by itself."
    )
    steps: Count = Field(default=300, description="Optimiser steps.")
    batch_size: Count = Field(default=32, description="Sentences in a batch.")
    learning_rate: Rate = Field(default=5e-5, description="Peak learning rate.")
    seed: Seeds = Field(default=0, description="Of the new head, the masks and the order.")


class FineTuned(Strict):
    """Fine-tuning on a task before the study begins; its head is thrown away."""

    task: str = Field(description="What is learned first.")
    train: str = Field(description="Labelled data of any language.")
    steps: Count = Field(default=300, description="Optimiser steps.")
    batch_size: Count = Field(default=16, description="Labelled texts in a batch.")
    learning_rate: Rate = Field(default=5e-5, description="Peak learning rate.")
    max_length: Annotated[int, Field(ge=8)] = Field(default=64, description="Longest input in subwords.")
    columns: dict[ColumnName, str] = Field(
        default_factory=dict, description="Names of table columns that are not the usual ones."
    )
    seed: Seeds = Field(default=0, description="Of head, dropout and order.")


class Mixed(Strict):
    """Weight interpolation with another encoder of the same shape and vocabulary."""

    other: Name = Field(description="Another model of this plan.")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(description="Of the other's weights.")


class Derived(Strict):
    """An encoder made of another one; what is asked for is done from top to bottom."""

    base: str = Field(
        description="Hub id, folder, an offline encoder (bundled, bundled-enpt), or another model here."
    )
    layers: Count | None = Field(default=None, description="Keep only so many layers, from the bottom.")
    continued_mlm: ContinuedMlm | None = Field(
        default=None,
        description="Give it a masked-language-modelling head and train both: sentence alignment that the "
        "base owes to contrastive training wears off.",
    )
    fine_tuned: FineTuned | None = Field(default=None, description="Fine-tune it on another task first.")
    mixed_with: Mixed | None = Field(
        default=None, description="Take the mean of its weights and those of another model, by their shares."
    )

    @model_validator(mode="after")
    def _differs(self) -> Self:
        if not any((self.layers, self.continued_mlm, self.fine_tuned, self.mixed_with)):
            raise ValueError(
                "say what differs from the base: layers, continued_mlm, fine_tuned or mixed_with"
            )
        return self

    def made_of(self, names: Collection[str]) -> list[str]:
        """The models among ``names`` that it is made of."""
        parts = [self.base, *([self.mixed_with.other] if self.mixed_with else [])]
        return [part for part in parts if part in names]


class PairPlan(Strict):
    """A language pair and its bitext."""

    source: Language = Field(default="en", description="Language of the labelled data.")
    target: Language = Field(description="Language to be reached.")
    bitext: str = Field(description="Translation pairs, source language first; + joins several files.")


class TaskPlan(Strict):
    """The data of a task; {source} and {target} in a file's name stand for the languages."""

    train: str = Field(description="Labelled source-language data.")
    source_test: str | None = Field(
        default=None, description="Source-language data to score on; null: a tenth of train is held out."
    )
    target_test: str = Field(description="Target-language data to score on; never trained on.")
    target_labels: str | None = Field(
        default=None,
        description="Target-language data for the probe; null: what most_scored leaves of target_test.",
    )
    targets: list[Language] | None = Field(
        default=None, description="Targets that have data for the task; null: those of all pairs."
    )
    columns: dict[ColumnName, str] = Field(
        default_factory=dict, description="Names of table columns that are not the usual ones."
    )

    @property
    def files(self) -> dict[str, str]:
        """The files that are named, by field."""
        names = ("train", "source_test", "target_test", "target_labels")
        return {name: spec for name in names if (spec := getattr(self, name)) is not None}

    def renamed(self, name: Callable[[str], str]) -> Self:
        """The same with other names for its files."""
        return self.model_copy(update={field: name(spec) for field, spec in self.files.items()})


class TrainingPlan(Strict):
    """Settings of every run."""

    steps: Count = Field(default=120, description="Optimiser steps of fine-tuning.")
    align_steps: Count | None = Field(
        default=None, description="Optimiser steps of sequential alignment; null: as many as of fine-tuning."
    )
    batch_size: Count = Field(default=16, description="Labelled texts in a batch.")
    align_batch_size: Annotated[int, Field(ge=2)] = Field(
        default=16, description="Translation pairs in a batch."
    )
    learning_rate: Rate = Field(
        default=2e-5, description="Peak learning rate of fine-tuning and of joint training."
    )
    align_learning_rate: Rate = Field(default=2e-5, description="Peak learning rate of sequential alignment.")
    head: HeadStart = Field(
        default="fitted", description="How the classifier starts: fitted (on frozen features) or random."
    )
    max_length: Annotated[int, Field(ge=8)] = Field(
        default=128, description="Longest input in subwords; what lies beyond is cut, and counted."
    )
    most_scored: Count | None = Field(
        default=250, description="Most texts a language that are scored on, drawn at random; null: all."
    )
    precision: Precision = Field(
        default="auto",
        description="Of passes through the encoder; auto: bf16 where GPU or CPU have it in hardware.",
    )
    looks: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        default=[0.125, 0.25, 0.5, 0.75],
        description="Shares of fine-tuning after which the targets are scored as well.",
    )


class Changes(Strict):
    """Settings of a block's runs that differ from the plan's training; null: they do not."""

    steps: Count | None = Field(default=None, description="Optimiser steps of fine-tuning.")
    align_steps: Count | None = Field(default=None, description="Optimiser steps of sequential alignment.")
    learning_rate: Rate | None = Field(default=None, description="Peak learning rate of fine-tuning.")
    align_learning_rate: Rate | None = Field(default=None, description="Peak learning rate of alignment.")
    head: HeadStart | None = Field(default=None, description="How the classifier starts.")


class Block(Strict):
    """Further runs in some of the cells: more options there, or controls under changed settings."""

    name: Name = Field(description="What they are for.")
    only: Annotated[list[str], Field(min_length=1)] = Field(
        description="Cells, as in model=bundled,task=pos,target=wo; those of all filters together."
    )
    options: Annotated[list[WrittenOption], Field(min_length=1)] = Field(
        description="As for the whole plan; none is run only if it is named."
    )
    seeds: list[Seeds] | None = Field(default=None, description="null: the plan's.")
    training: Changes = Field(default=Changes(), description="What is set otherwise.")
    experiment: Experiment | None = Field(default=None, description="What is done otherwise.")

    @property
    def planned_options(self) -> list[Option]:
        """What is run."""
        return [*map(read_option, self.options)]


class ProbePlan(Strict):
    """Settings of the probe taken on every cell before its trials."""

    budget: BudgetName = Field(default="standard", description="quick, standard or thorough.")
    seed: Seeds = Field(default=0, description="Of all sampling.")
