"""The option space: what one can do about alignment, as typed values."""

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from probes.catalogue import OBJECTIVES, SIGNALS, value_of
from probes.errors import InputError
from probes.schema import Frozen

if TYPE_CHECKING:
    from probes.signals import Signals

NONE = "none"
"""The objective of fine-tuning alone."""

_PUBLISHED_WEIGHT = 0.1
"""Weight of the alignment loss in the published joint runs (Bakos et al. 2025)."""
_ALIGNMENT_SHARE = 0.5
"""What the weighted alignment gradient may be of the task gradient's norm."""


class _ObjectiveSchema:
    """Lists the objectives of the catalogue in JSON schemas, as they are when the schema is asked for."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "enum": [NONE, *OBJECTIVES]}


def _known(name: str) -> str:
    if name != NONE and name not in OBJECTIVES:
        raise ValueError(f"no objective is called '{name}': choose one of {NONE}, {', '.join(OBJECTIVES)}")
    return name


ObjectiveName = Annotated[str, AfterValidator(_known), _ObjectiveSchema]
"""An alignment loss of :data:`probes.catalogue.OBJECTIVES`, or ``none``: fine-tuning alone."""


Kind = tuple[str, str, str]
"""Objective, schedule and frozen layers: what the evidence tells options of one encoder apart by."""


class Schedule(StrEnum):
    """``sequential``: align, then fine-tune. ``joint``: one run on the weighted sum of both losses."""

    SEQUENTIAL = "sequential"
    JOINT = "joint"


class FrozenLayers(StrEnum):
    """Which half of the encoder's layers stays fixed during alignment."""

    NONE = "none"
    LOWER_HALF = "lower-half"
    UPPER_HALF = "upper-half"


class WordPairs(StrEnum):
    """Where aligned words come from."""

    DICTIONARY = "dictionary"
    MUTUAL_ARGMAX = "mutual-argmax"
    FILE = "file"


class Option(Frozen):
    """One point of the option space.

    Attributes:
        objective: an alignment loss of the catalogue, or ``none``.
        weight: factor of the alignment loss in joint training; None means not set yet.

    Raises:
        pydantic.ValidationError: if the attributes do not fit together (``none`` with a schedule, word
            pairs for a loss that uses none, a weight outside joint training).
    """

    objective: ObjectiveName
    schedule: Schedule | None = None
    frozen_layers: FrozenLayers = FrozenLayers.NONE
    word_pairs: WordPairs | None = None
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.aligns:
            if self.schedule or self.word_pairs or self.weight or self.frozen_layers is not FrozenLayers.NONE:
                raise ValueError("'none' takes no schedule, frozen layers, word pairs or weight")
            return self
        if self.schedule is None:
            raise ValueError(f"'{self.objective}' needs a schedule: sequential or joint")
        if bool(self.word_pairs) != self.uses_word_pairs:
            raise ValueError(
                f"'{self.objective}' {'needs' if self.uses_word_pairs else 'takes no'} word pairs"
            )
        if self.weight is not None and self.schedule is not Schedule.JOINT:
            raise ValueError("a weight belongs to joint training")
        return self

    @property
    def aligns(self) -> bool:
        """Whether there is an alignment loss at all."""
        return self.objective != NONE

    @property
    def uses_word_pairs(self) -> bool:
        """Whether the loss is taken over aligned words."""
        return self.aligns and OBJECTIVES[self.objective].word_pairs

    @property
    def needs_mlm_head(self) -> bool:
        """Whether the checkpoint must bring a masked-language-modelling head."""
        return self.aligns and OBJECTIVES[self.objective].mlm_head

    def __str__(self) -> str:
        if not self.aligns:
            return "none (fine-tune only)"
        parts = [self.objective, str(self.schedule)]
        if self.frozen_layers is not FrozenLayers.NONE:
            parts.append(f"{self.frozen_layers} frozen")
        if self.word_pairs:
            parts.append(f"{self.word_pairs} word pairs")
        if self.weight:
            parts.append(f"weight {self.weight:.2g}")
        return ", ".join(parts)

    @property
    def kind(self) -> Kind:
        """Its kind, whatever its word pairs and weight."""
        return self.objective, str(self.schedule or ""), self.frozen_layers.value

    @property
    def spec(self) -> str:
        """The option as :meth:`parse` reads it; word pairs are not in it."""
        if self.objective == NONE:
            return NONE
        frozen = "" if self.frozen_layers is FrozenLayers.NONE else self.frozen_layers.value
        weight = f"{self.weight:.3g}" if self.weight else ""
        return ":".join(filter(None, (self.objective, str(self.schedule), frozen, weight)))

    @classmethod
    def parse(cls, text: str, word_pairs: WordPairs = WordPairs.MUTUAL_ARGMAX) -> Self:
        """Read ``none`` or ``OBJECTIVE:SCHEDULE[:FROZEN_LAYERS][:WEIGHT]``.

        Args:
            text: for example ``token-contrastive:joint:0.1`` or ``tlm:sequential:lower-half``.
            word_pairs: used where the objective needs them.

        Raises:
            InputError: if a part is unknown or the parts do not fit together.
        """
        name, *rest = text.strip().split(":")
        fields: dict[str, object] = {"objective": name}
        for part in rest:
            if part in set(Schedule):
                fields["schedule"] = part
            elif part in set(FrozenLayers):
                fields["frozen_layers"] = part
            else:
                fields["weight"] = part
        if name in OBJECTIVES and OBJECTIVES[name].word_pairs:
            fields["word_pairs"] = word_pairs
        try:
            return cls.model_validate(fields)
        except ValueError as error:
            raise InputError(
                f"'{text}' is not an option: write none, or OBJECTIVE:SCHEDULE[:FROZEN_LAYERS][:WEIGHT] "
                "as in token-contrastive:joint:lower-half:0.1."
            ) from error


NO_ALIGNMENT = Option(objective=NONE)
"""Fine-tuning alone: the option with gain 0 by definition."""


def option_space(
    word_pairs: WordPairs = WordPairs.MUTUAL_ARGMAX,
    unavailable: Collection[str] = (),
) -> Iterator[Option]:
    """Every option, ``none`` first, in a fixed order; weights are left open.

    Args:
        word_pairs: how the user finds aligned words.
        unavailable: objectives to leave out (no MLM head, say).
    """
    yield NO_ALIGNMENT
    for name, objective in OBJECTIVES.items():
        if name in unavailable:
            continue
        for schedule in Schedule:
            for frozen_layers in FrozenLayers:
                yield Option(
                    objective=name,
                    schedule=schedule,
                    frozen_layers=frozen_layers,
                    word_pairs=word_pairs if objective.word_pairs else None,
                )


_SIDES = 2
"""A step of an alignment loss reads both languages."""
_BACKWARD = {FrozenLayers.NONE: 2.0, FrozenLayers.LOWER_HALF: 1.0, FrozenLayers.UPPER_HALF: 1.5}
"""Cost of a backward pass in forward passes: as much again for the gradients of activations and of weights;
none below the last trained layer, and none of weights in a frozen one."""


def relative_cost(option: Option) -> float:
    """Training of an option over fine-tuning alone, if it aligns for as many steps as it fine-tunes."""
    if option == NO_ALIGNMENT:
        return 1.0
    return 1.0 + _SIDES * (1.0 + _BACKWARD[option.frozen_layers]) / (1.0 + _BACKWARD[FrozenLayers.NONE])


def weighted(option: Option, signals: "Signals | None" = None) -> Option:
    """The option, with the :func:`joint_weight` that a probe gives where joint training leaves it open."""
    if option.schedule is not Schedule.JOINT or option.weight is not None:
        return option
    ratio = SIGNALS["source_magnitude_ratio"].read(signals, option.objective) if signals else None
    return option.model_copy(update={"weight": joint_weight(value_of(ratio))})


def joint_weight(magnitude_ratio: float | None) -> float:
    """Weight of the alignment loss in joint training.

    The weighted alignment gradient gets half the task gradient's norm: ``0.5 / magnitude_ratio``, kept
    between 0.01 and 1; 0.1, as in the published joint runs, when the ratio is not known.

    Args:
        magnitude_ratio: norm of the objective's expected gradient over the task's, at ``theta_warm``.
    """
    if magnitude_ratio is None or magnitude_ratio <= 0:
        return _PUBLISHED_WEIGHT
    return float(f"{min(1.0, max(0.01, _ALIGNMENT_SHARE / magnitude_ratio)):.2g}")
