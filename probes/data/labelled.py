"""Labelled data in any supported format, read and checked."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from probes.catalogue import METRICS, Task
from probes.data._conll import read_intents, read_tagged
from probes.data._levels import labelled_rows
from probes.data._records import Dropped, LabelledRecords, Tally
from probes.data._rows import read_delimited, read_json, read_parquet
from probes.data._table import Columns, is_hub_spec, load_table
from probes.data.examples import (
    Example,
    LabelledData,
    PairExample,
    SentenceExample,
    SpanExample,
    TokenExample,
)
from probes.data.files import InputFile, expand, joint_sha256, open_file, split_spec
from probes.data.formats import LabelledFormat, labelled_format
from probes.data.spans import Scheme, SchemeError, recognise
from probes.errors import InputError
from probes.languages import Language

_JOINED = re.compile(r"\s*[|,;]\s*")
_FEW_LABELS = 50
"""Up to here any number of distinct labels is believed; beyond it, texts outnumbering them is required."""


def read_labelled(
    spec: str | Path,
    task: Task,
    *,
    role: str,
    language: Language | None = None,
    columns: Columns | None = None,
) -> LabelledData:
    """Read the labelled examples of a file or data set.

    Where spans are scored, the scheme of the tags is recognised from all of them, and BIO made of it.

    Args:
        spec: a path (see :mod:`probes.data.formats` for what is read), a pattern (``data/*.conllu``), several
            of them joined by ``+``, or ``hf:NAME[:CONFIG][:SPLIT]``.
        task: what the labels are about; its level says which type the examples have.
        role: what the data is for, as it is to appear in its facts (``train``, ``target-labels``).
        language: of the texts. Of a table with a column that says which language a row is in, only its rows
            are read; by default all are.
        columns: names or numbers of the columns where they are not found.

    Raises:
        InputError: if the data cannot be read, or is not fit to train or score a classifier: no usable
            example, a single label, labels that look like text, or no span tags where spans are scored.
    """
    format, sha256, parts = _open(str(spec), task, columns or Columns(), language)
    tally = Tally()
    examples: list[Example] = []
    labels: Counter[str] = Counter()
    for record in chain.from_iterable(part.examples for part in parts):
        if isinstance(record, Dropped):
            tally.drop(record.reason)
        else:
            labels.update(record.labels)
            tally.kept += 1
            examples.append(record)
    scheme = None
    if examples and METRICS[task.metric].spans:
        scheme = _scheme(labels, task, str(spec))
        examples = [_in_bio(example, scheme) for example in examples]
    _check_usable(examples, task, str(spec), tally)
    facts = tally.facts(
        role=role,
        spec=str(spec),
        format=format,
        sha256=sha256,
        columns=dict(parts[0].columns),
        scheme=scheme and scheme.name,
        notes=tuple(_notes(labels, scheme, examples)),
    )
    return LabelledData(tuple(examples), task, facts)


def as_row(example: Example, columns: Columns) -> dict[str, Any]:
    """An example as a line of JSONL, under the names that ``columns`` gives or the usual ones."""
    match example:
        case TokenExample():
            return {columns.words or "words": example.words, columns.tags or "tags": example.labels}
        case SentenceExample():
            return {columns.text or "text": example.text, columns.label or "label": example.label}
        case PairExample():
            first, second = columns.text or "sentence1", columns.second or "sentence2"
            return {first: example.first, second: example.second, columns.label or "label": example.label}
        case SpanExample():
            starts, texts = zip(*example.answers, strict=True) if example.answers else ((), ())
            question, passage = columns.text or "question", columns.second or "context"
            answers = {"text": texts, "answer_start": starts}
            return {question: example.question, passage: example.passage, columns.label or "answers": answers}
    raise TypeError(f"no line of JSONL for {type(example).__name__}")


def _open(
    spec: str, task: Task, columns: Columns, language: Language | None
) -> tuple[str, str, list[LabelledRecords]]:
    """Format, hash and records of everything that a spec names."""
    if is_hub_spec(spec):
        table, sha256 = load_table(spec)
        return "datasets", sha256, [labelled_rows(table, task, columns, language)]
    files = [open_file(name) for part in split_spec(spec, "+") for name in expand(part)]
    formats = [labelled_format(file, task) for file in files]
    records = [
        _records(file, format, task, columns, language) for file, format in zip(files, formats, strict=True)
    ]
    named = {tuple(part.columns.values()) for part in records}
    if len(named) > 1:
        raise InputError(
            f"The files of {spec} hold text and labels in different columns "
            f"({' and '.join(map(', '.join, named))}): "
            "write them in one layout."
        )
    sha256 = files[0].sha256 if len(files) == 1 else joint_sha256(*files)
    return ", ".join(dict.fromkeys(formats)), sha256, records


def _records(
    file: InputFile, format: LabelledFormat, task: Task, columns: Columns, language: Language | None
) -> LabelledRecords:
    if format in ("conllu", "conll"):
        if task.level == "token":
            return read_tagged(file, task, columns, conllu=format == "conllu")
        return read_intents(file)
    if format in ("tsv", "csv"):
        table = read_delimited(file, format, columns)
    else:
        table = read_json(file) if format == "json" else read_parquet(file)
    return labelled_rows(table, task, columns, language)


def _scheme(labels: Counter[str], task: Task, spec: str) -> Scheme:
    try:
        return recognise(labels)
    except SchemeError as error:
        raise InputError(
            f"The labels in {spec} are no span tags that can be told: {error}; {task.name} is scored on "
            "spans, as in O, B-TYPE and I-TYPE."
        ) from error


def _in_bio(example: Example, scheme: Scheme) -> Example:
    assert isinstance(example, TokenExample)
    return TokenExample(example.words, scheme.to_bio(example.labels))


def _notes(labels: Counter[str], scheme: Scheme | None, examples: list[Example]) -> Iterator[str]:
    """What a careful person would look at in a label set."""
    silent = sum(isinstance(example, SpanExample) and not example.answers for example in examples)
    if silent:
        yield f"{silent} of {len(examples)} questions have no answer in their passage"
    folded = Counter(label.casefold() for label in labels)
    variants = sorted(label for label in labels if folded[label.casefold()] > 1)
    if variants:
        yield f"labels that differ in case alone are taken as different: {', '.join(variants[:6])}"
    joined = [label for label in labels if (parts := _JOINED.split(label))[1:] and labels.keys() >= {*parts}]
    if joined:
        yield f"labels join others ({', '.join(joined[:6])}), and are taken as classes of their own"
    if {"True", "False"} & set(labels) and any(label.isdigit() for label in labels):
        yield "labels are partly true or false, partly numbers"
    if scheme is not None and scheme.stray:
        tags = ", ".join(list(scheme.stray)[:6])
        yield f"{sum(scheme.stray.values())} words have tags of no scheme, read as outside: {tags}"


def _check_usable(examples: list[Example], task: Task, spec: str, tally: Tally) -> None:
    if not examples:
        raise InputError(
            f"{spec} holds no usable example for task {task.name} ({tally}): check that it is the right "
            "file and that its columns are the right ones."
        )
    if all(isinstance(example, SpanExample) and not example.answers for example in examples):
        raise InputError(
            f"{spec} has {len(examples)} questions and not one answer to them: name data with answers, as in "
            '{"question": ..., "context": ..., "answers": {"text": [...], "answer_start": [...]}}.'
        )
    all_labels = [label for example in examples for label in example.labels]
    labels = set(all_labels)
    if len(labels) == 1:
        raise InputError(
            f"All {tally.kept} examples kept from {spec} ({tally}) have the label '{labels.pop()}': "
            "give data with at least two labels."
        )
    if len(labels) > max(_FEW_LABELS, len(all_labels) // 2):
        raise InputError(
            f"{spec} has {len(labels)} different labels in {len(all_labels)}, which looks like text: "
            "check which column holds the label."
        )
