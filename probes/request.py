"""What is asked of a probe: one validated type.

Command line, :func:`advisor.probe`, the HTTP body, the page's form and the recipe are made from the fields of
:class:`ProbeRequest`: their names, defaults, limits and descriptions stand here and nowhere else.
"""

import os
from dataclasses import fields as fields_of_dataclass
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from probes.budget import BudgetName
from probes.catalogue import TASKS
from probes.data import Columns
from probes.errors import InputError

Role = Literal["question", "data", "measuring"]
"""What a field belongs to: the question that is asked, the data it is asked on, or how it is measured."""

Precision = Literal["auto", "fp32", "bf16"]

Text = Annotated[str, Field(min_length=1, max_length=4000)]
Name = Annotated[str, Field(max_length=4000)]
"""Of a language or a model; what is none, whoever looks it up says in words of its own."""
_as_text = BeforeValidator(lambda value: os.fspath(value) if isinstance(value, os.PathLike) else value)
Spec = Annotated[Text, _as_text]
"""A path, or ``hf:NAME[:CONFIG][:SPLIT]``."""


def _called_something(name: str) -> str:
    if not name:
        raise ValueError("no model folder and no hub id is called that")
    return name


def _asked(label: str, description: str, default: Any = ..., **limits: Any) -> Any:
    """A field with its label in a form, and what it means."""
    return Field(default, title=label, description=description, **limits)


class Request(BaseModel):
    """What somebody asks for, made from keyword arguments."""

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """The request that has these fields.

        Raises:
            InputError: if there is no such request; it says what is wrong, in one sentence.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise InputError(problem_in(error)) from error


class ProbeRequest(Request):
    """What to probe, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Annotated[Name, _as_text, AfterValidator(_called_something)] = _asked(
        "Model",
        "Hub id, folder, or an offline encoder: bundled, or bundled-enpt (English and Portuguese only).",
    )
    source: Name = _asked(
        "Source language", "Language of the labelled data, in any common form: en, eng, eng_Latn ..."
    )
    target: Name = _asked("Target language", "Language the model is to be used in.")
    task: Text = _asked("Task", f"{TASKS.listed}.")
    train: Spec = _asked(
        "Labelled source data",
        "Labelled source-language data: CoNLL-U, CoNLL/BIO, TSV, CSV, JSONL, Parquet, or "
        "hf:NAME[:CONFIG][:SPLIT].",
    )
    bitext: Spec = _asked(
        "Bitext",
        "Translation pairs, source language first: TSV, TMX, PO, XLIFF, JSONL, Parquet, A,B or hf:...; join "
        "several with +.",
    )
    target_labels: Spec | None = _asked(
        "Labelled target data",
        "Labelled target-language data; a hundred sentences do, and nothing tells more.",
        None,
    )
    dictionary: Spec | None = _asked(
        "Bilingual dictionary",
        "Bilingual dictionary (TSV) to align words with; by default the encoder aligns them itself.",
        None,
    )
    word_links: Spec | None = _asked(
        "Word links", "Word links of the bitext in Pharaoh format, i-j, one line a pair.", None
    )
    columns: Columns | None = _asked(
        "Columns", "Names of table columns, where they are not the usual ones.", None
    )
    budget: BudgetName = _asked(
        "Budget",
        "How many sentences and rounds the probe may take: more of them narrow the intervals.",
        "standard",
    )
    device: Text = _asked(
        "Device",
        "auto, cpu, cuda, cuda:1 ...",
        "auto",
        pattern=r"^[a-z]+(:[0-9]{1,2})?$",
    )
    precision: Precision = _asked(
        "Precision",
        "Of the passes: fp32, bf16, or auto: bf16 where the hardware is made for it.",
        "auto",
    )
    seed: int = _asked(
        "Seed",
        "Of all sampling; the same seed on the same machine gives the same signals.",
        0,
        ge=0,
        lt=2**32,
    )
    min_gain: float = _asked(
        "Smallest gain",
        "Smallest gain of interest, in points, 0 or more.",
        0.25,
        ge=0,
        le=100,
        allow_inf_nan=False,
    )

    @classmethod
    def fields_of(cls, role: Role) -> dict[str, FieldInfo]:
        """The fields of a role, in their order."""
        return {name: field for name, field in cls.model_fields.items() if _role(name) == role}


COLUMNS: dict[str, str] = {
    field.name: get_args(field.type)[1].description for field in fields_of_dataclass(Columns)
}
"""What each column holds, by its name among :class:`probes.data.Columns`."""

_QUESTION = ("model", "source", "target", "task")
_DATA = ("train", "bitext", "target_labels", "dictionary", "word_links", "columns")


def _role(name: str) -> Role:
    return "question" if name in _QUESTION else "data" if name in _DATA else "measuring"


def plain_type(field: FieldInfo) -> Any:
    """The type of a field without its limits: what a signature shows."""
    limited = any(hasattr(part, "__metadata__") for part in get_args(field.annotation))
    return str | None if field.default is None and limited else field.annotation


def problem_in(error: ValidationError) -> str:
    """The first thing that is wrong, in one sentence."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    field = ProbeRequest.model_fields.get(where)
    if field is None or not isinstance(first["input"], str | int | float):
        return f"{where}: {said}." if where else f"{said}."
    return f"{where} cannot be {first['input']!r} ({said[0].lower()}{said[1:]}): {field.description}"
