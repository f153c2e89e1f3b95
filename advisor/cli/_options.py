"""Options that commands share; those of a request are made from its fields."""

from collections.abc import Callable, Collection
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from advisor.grid import Sort
from advisor.sample import located
from advisor.trackers import Tracker
from probes.data import Columns
from probes.request import COLUMNS, ProbeRequest, plain_type

OwnTrial = Annotated[
    Path | None,
    typer.Option("--trial", help="Folder of an own trial of the same question: refines the answer."),
]
OwnRace = Annotated[
    Path | None,
    typer.Option("--race", help="Folder of an own race of the same question: its gains count as measured."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read the data, say what was read, and stop.")]
CsvFile = Annotated[Path | None, typer.Option("--csv", help="Also write a line a cell to this file.")]
HtmlFile = Annotated[
    Path | None, typer.Option("--html", help="Also write the table to this page; its cells open their cards.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 2 if a cell of a table has no answer.")]
Sorted = Annotated[Sort, typer.Option("--sort", help="Order of a table.")]
ReportTo = Annotated[
    Tracker | None, typer.Option("--report-to", help="Log parameters, numbers, curves and files there, too.")
]
AnswerFolder = Annotated[Path, typer.Option("--out", help="Folder for signals, advice, report and recipe.")]


def option(name: str) -> Any:
    """The option that stands for a field of a request, for commands that ask for a few of them."""
    return typer.Option(_flag(name), help=ProbeRequest.model_fields[name].description)


def asking(*, leave_out: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator of a command: spells its parameter ``request`` out as an option for every field.

    The model is an argument; columns become one option each; fields to ``leave_out`` keep their defaults.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        _, *others = signature(command, eval_str=True).parameters.values()
        own = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in others]
        asked = {n: field for n, field in ProbeRequest.model_fields.items() if n not in leave_out}
        parameters = [p for name, field in asked.items() for p in _parameters(name, field)]

        @wraps(command)
        def run(**given: Any) -> None:
            rest = {parameter.name: given.pop(parameter.name) for parameter in own}
            columns = {name: given.pop(_column(name), None) for name in COLUMNS}
            if any(columns.values()):
                given["columns"] = Columns(**columns)
            files = {
                name: located(value) if isinstance(value, str) and "{" not in value else value
                for name, value in given.items()
            }
            command(ProbeRequest.of(**files), **rest)

        run.__signature__ = Signature([*parameters, *own])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in (*parameters, *own)}
        return run

    return decorate


def _parameters(name: str, field: FieldInfo) -> list[Parameter]:
    if name == "columns":
        return [
            _parameter(_column(column), str | None, typer.Option(*_column_flags(column), help=text), None)
            for column, text in COLUMNS.items()
        ]
    if name == "model":
        return [_parameter(name, str, typer.Argument(help=field.description), Parameter.empty)]
    default = Parameter.empty if field.is_required() else field.default
    return [_parameter(name, plain_type(field), option(name), default)]


def _parameter(name: str, kind: Any, info: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info])


def _column(name: str) -> str:
    return f"{name}_column"


def _column_flags(column: str) -> list[str]:
    """The option of a column; that of the words is known in the singular too, as the others are."""
    return [_flag(_column(name)) for name in ((column, "word") if column == "words" else (column,))]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
