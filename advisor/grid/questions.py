"""The questions of a grid: crossed from lists, or read from a file."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from advisor.recommend import Asked, listed
from probes.errors import InputError


def crossed(
    models: str | Sequence[str], targets: str | Sequence[str], tasks: str | Sequence[str], /, **shared: Any
) -> list[Asked]:
    """Every model on every target and task, a target's rows together; lists are given as ``A,B,C`` too."""
    return [
        Asked(model=model, target=target, task=task, **shared)
        for target, task, model in product(listed(targets), listed(tasks), listed(models))
    ]


def read_questions(path: str | Path, **defaults: Any) -> list[Asked]:
    """The questions of a file: TSV or CSV with a head line, or a JSON object a line.

    Args:
        path: columns are those of :class:`Asked`; ``model``, ``target`` and ``task`` may be lists.
        defaults: for what a line leaves out or empty.

    Raises:
        InputError: if the file cannot be read, is empty, or a line is no question.
    """
    questions: list[Asked] = []
    try:
        for number, row in _rows(Path(path)):
            fields = defaults | {name: value for name, value in row.items() if value not in ("", None)}
            lists = [fields.pop(name, "") for name in ("model", "target", "task")]
            try:
                questions += crossed(*lists, **fields)
            except ValidationError as error:
                first = error.errors()[0]
                name = str(first["loc"][0])
                meant = Asked.model_fields[name].description
                raise InputError(
                    f"{path}, line {number}: {name} cannot be {first['input']!r}: {meant}"
                ) from error
            if not all(map(listed, lists)):
                raise InputError(f"{path}, line {number}: it takes a model, a target and a task.")
    except OSError as error:
        raise InputError(
            f"Cannot read {path} ({error.strerror}): name a TSV, CSV or JSONL file of questions."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        what = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else "is no table"
        raise InputError(f"{path} {what}: save the questions as TSV, CSV or JSONL in UTF-8.") from error
    if not questions:
        raise InputError(
            f"{path} holds no question: give a head line model, target, task and lines below it."
        )
    return questions


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix.lower() in (".jsonl", ".json"):
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        row = json.loads(line)
                    except ValueError:
                        row = None
                    if not isinstance(row, dict):
                        raise InputError(f"{path}, line {number}: it is no JSON object.")
                    _check_columns(path, row)
                    yield number, row
            return
        reader = csv.DictReader(file, delimiter="," if path.suffix.lower() == ".csv" else "\t")
        _check_columns(path, reader.fieldnames or ())
        for row in reader:
            if None in row:
                raise InputError(f"{path}, line {reader.line_num}: it has more cells than the head line.")
            yield reader.line_num, row


def _check_columns(path: Path, names: Iterable[str]) -> None:
    for name in names:
        if name not in Asked.model_fields:
            raise InputError(
                f"{path} has a column '{name}': the columns are {', '.join(Asked.model_fields)}."
            )
