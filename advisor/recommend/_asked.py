"""What is asked of the evidence: one validated type, for a question alone and for a line of a grid."""

import os.path
from collections.abc import Sequence
from itertools import chain
from typing import Annotated

from pydantic import BeforeValidator, Field

from advisor.decide import DEFAULT_MIN_GAIN
from probes.request import Request
from probes.schema import Frozen


def listed(text: str | Sequence[str]) -> tuple[str, ...]:
    """The parts of ``A,B,C``, each once; what exists on disk under that very name is one."""
    if not isinstance(text, str):
        return tuple(text) if isinstance(text, Sequence) else (text,)  # which is refused as what it is
    whole = "," not in text or os.path.exists(text)
    return tuple(
        dict.fromkeys([text] if whole else [part.strip() for part in text.split(",") if part.strip()])
    )


def _languages(codes: str | Sequence[str]) -> tuple[str, ...]:
    parts = (listed(code.strip()) if isinstance(code, str) else (code,) for code in listed(codes))
    return tuple(dict.fromkeys(chain.from_iterable(parts)))


class Asked(Frozen, Request):
    """A question that evidence answers, without measuring anything."""

    model: str = Field(
        min_length=1,
        description="A hub id, a folder or the name of an offline encoder; evidence is matched by its last "
        "part.",
    )
    source: str = Field(
        default="en", description="Language of the labelled data, in any common form (en, eng, eng_Latn)."
    )
    target: str = Field(min_length=1, description="Language the model is to be used in.")
    task: str = Field(
        min_length=1, description="One of `probes.catalogue.TASKS`; a benchmark's name will do."
    )
    word_pairs: str | None = Field(
        default=None,
        description="Where aligned words would come from; by default as in the trial, else a dictionary.",
    )
    min_gain: float = Field(
        default=DEFAULT_MIN_GAIN, description="Smallest gain of interest, in points, at least 0."
    )
    pretrained_on: Annotated[tuple[str, ...], BeforeValidator(_languages)] = Field(
        default=(),
        description="All languages that the model was pretrained on, where the evidence does not know it.",
    )
    like: str | None = Field(
        default=None, description="An encoder that the evidence knows and that the model is like."
    )
    train_steps: int | None = Field(
        default=None,
        description="Of fine-tuning; by default as many as published runs of the task took.",
    )
