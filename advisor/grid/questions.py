"""The questions of a grid: crossed from lists, or read from a file."""

import csv
import json
import os.path
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from advisor.findings import load_findings
from advisor.findings.evidence import find_encoder
from advisor.recommend import Asked, listed
from probes.errors import InputError
from probes.languages import parse_language

_HOMES = ("distilbert", "facebookai", "google-bert")
"""Where the hub keeps encoders that were released under a bare name."""


def named_once(
    models: str | Sequence[str], targets: str | Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """The models and targets of two lists, each under the first of its names, and a note on further names.

    ``tr,tur,Turkish`` is one target; scripts of a language are several. ``xlm-roberta-base`` and
    ``FacebookAI/xlm-roberta-base`` are one model; a folder, or what another organisation has under a known
    name, is one of its own. The note is blank where every name is of something else.
    """
    kept, notes = [], []
    for names, meaning in ((listed(models), _encoder), (listed(targets), _language)):
        first: dict[object, str] = {}
        notes += [
            f"{name} is {before}"
            for name in names
            if (before := first.setdefault(meaning(name), name)) != name
        ]
        kept.append(tuple(first.values()))
    return kept[0], kept[1], f"{', '.join(notes)} under another name: asked once." if notes else ""


def _language(name: str) -> object:
    try:
        language = parse_language(name)
    except InputError:
        return name  # its cell says what is wrong with it
    return language.code, language.script


def _encoder(name: str) -> object:
    if os.path.isdir(name):  # unlike that of a path it takes any text
        return os.path.realpath(name)
    try:
        encoder = find_encoder(name, load_findings().tables.encoders)
    except InputError:
        return name
    home = name.rpartition("/")[0].lower()
    return (encoder.name, "" if home in _HOMES else home) if encoder.known else name


def crossed(
    models: str | Sequence[str], targets: str | Sequence[str], tasks: str | Sequence[str], /, **shared: Any
) -> list[Asked]:
    """Every model on every target and task, a target's rows together; lists are given as ``A,B,C`` too.

    What is named twice is asked once (:func:`named_once`).
    """
    asked = [
        Asked(model=model, target=target, task=task, **shared)
        for target, task, model in product(listed(targets), listed(tasks), listed(models))
    ]
    models, targets, _ = named_once(models, targets)
    return [question for question in asked if question.model in models and question.target in targets]


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
