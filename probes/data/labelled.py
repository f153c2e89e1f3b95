"""Labelled data in any supported format, read and checked."""

from collections.abc import Callable, Iterator
from pathlib import Path

from probes.catalogue import METRICS, Task
from probes.data._conll import read_columns, read_conllu, read_intents
from probes.data._files import InputFile, open_file
from probes.data._hub import is_hub_spec, load_table
from probes.data._records import Dropped, Tally, check_limit
from probes.data.examples import Example, LabelledData
from probes.data.formats import LabelledFormat, labelled_format
from probes.data.tables import Columns, Table, labelled_rows, read_csv, read_jsonl, read_parquet, read_tsv
from probes.errors import InputError

__all__ = ["read_labelled"]

Records = Iterator[Example | Dropped]

_TABLES: dict[str, Callable[[InputFile], Table]] = {
    "tsv": read_tsv,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
}

_FEW_LABELS = 50
"""Up to here any number of distinct labels is believed; beyond it, texts outnumbering them is required."""


def read_labelled(
    spec: str | Path,
    task: Task,
    *,
    role: str,
    columns: Columns | None = None,
    limit: int | None = None,
) -> LabelledData:
    """Read the labelled examples of a file or data set.

    Args:
        spec: a path (see :mod:`probes.data.formats` for what is read), or ``hf:NAME[:CONFIG][:SPLIT]``.
        task: what the labels are about; its level says which type the examples have.
        role: what the data is for, as it is to appear in its facts (``train``, ``target-labels``).
        columns: names of the columns where the usual ones are not used.
        limit: keep at most so many examples, from the start; the rest is counted as dropped.

    Raises:
        InputError: if the data cannot be read, or is not fit to train or score a classifier: no usable
            example, a single label, labels that look like text, or no BIO tags where spans are scored.
    """
    check_limit(limit)
    chosen = columns or Columns()
    if is_hub_spec(spec):
        table, sha256 = load_table(str(spec))
        format, records = "datasets", labelled_rows(table, task, chosen)
    else:
        file = open_file(spec)
        format, sha256 = labelled_format(file, task), file.sha256
        records = _records(file, format, task, chosen)

    tally = Tally()
    examples: list[Example] = []
    for record in records:
        if isinstance(record, Dropped):
            tally.drop(record.reason)
        elif limit is not None and tally.kept >= limit:
            tally.drop(f"over the limit of {limit}")
        else:
            tally.kept += 1
            examples.append(record)
    _check_usable(examples, task, str(spec), tally)
    facts = tally.facts(role=role, spec=str(spec), format=format, sha256=sha256)
    return LabelledData(tuple(examples), task, facts)


def _records(file: InputFile, format: LabelledFormat, task: Task, columns: Columns) -> Records:
    if format == "conllu":
        return read_conllu(file.lines())
    if format == "conll" and task.level == "token":
        words, tags = (_number(name, file.spec) for name in (columns.words, columns.tags))
        return read_columns(file.lines(), file.spec, words, tags)
    if format == "conll":
        return read_intents(file.lines(), file.spec)
    return labelled_rows(_TABLES[format](file), task, columns)


def _number(name: str | None, spec: str) -> int | None:
    if name is None:
        return None
    if not (name.isascii() and name.isdigit() and 1 <= int(name) <= 100):
        raise InputError(
            f"The columns of {spec} have no names such as '{name}': give numbers, 1 for the first."
        )
    return int(name)


def _check_usable(examples: list[Example], task: Task, spec: str, tally: Tally) -> None:
    if not examples:
        raise InputError(
            f"{spec} holds no usable example for task {task.name} ({tally}): check that it is the right "
            "file and that its columns are the right ones."
        )
    all_labels = [label for example in examples for label in example.labels]
    labels = set(all_labels)
    if len(labels) == 1:
        raise InputError(
            f"All {tally.kept} examples kept from {spec} have the label '{labels.pop()}': "
            "give data with at least two labels."
        )
    if len(labels) > max(_FEW_LABELS, len(all_labels) // 2):
        raise InputError(
            f"{spec} has {len(labels)} different labels in {len(all_labels)}, which looks like text: "
            "check which column holds the label."
        )
    if METRICS[task.metric].spans and not any(label[:2] in ("B-", "I-", "S-", "U-") for label in labels):
        shown = ", ".join(f"'{label}'" for label in sorted(labels)[:5])
        raise InputError(
            f"The labels in {spec} are not BIO tags ({shown}): {task.name} is scored on spans, so write "
            "O, B-TYPE and I-TYPE."
        )
