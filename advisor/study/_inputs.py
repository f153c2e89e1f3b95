"""What a plan names, read and checked before anything is run; with the hashes that its records quote."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from advisor.files import write_files
from advisor.study._grid import Grid
from advisor.study._schema import Derived, FineTuned
from advisor.training import drawn
from probes.catalogue import TASKS
from probes.data import (
    Columns,
    LabelledData,
    Reading,
    as_row,
    keep_known_labels,
    read_bitext,
    read_labelled,
    reading_of,
)
from probes.errors import InputError
from probes.languages import Language, parse_language

_FILE = "inputs.json"
_ANY_TWO = [Language("und", name, "Zyyy", spaced=True) for name in ("one language", "the other")]


class GridInputs(BaseModel):
    """Hashes of everything a plan names.

    Attributes:
        sha256: by file, data set or bitext as the plan names it; joined by ``+`` for one of several parts.
        probe_labels: by ``task target``: labelled target-language text for the probe, none of which is
            scored on; no entry where there is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: dict[str, str]
    probe_labels: dict[str, str]


def read_inputs(grid: Grid, say: Callable[[Reading], None], folder: Path | None = None) -> GridInputs:
    """Read every file that the cells need.

    Args:
        grid: names the files.
        say: told what was read, input by input.
        folder: of the study. What ``most_scored`` leaves of a test set is written below it for the probe, and
            the result to ``inputs.json``; None: nothing is written.

    Raises:
        InputError: if something is missing, malformed, or does not fit together.
    """
    files: dict[str, str | bytes | None] = {}
    sha256: dict[str, str] = {}
    labels: dict[str, str] = {}
    for task, source, targets in _tasks(grid):
        sha256 |= _read_task(grid, task, source, targets, labels, files, say, folder)
    bitexts = [
        (pair.bitext, [parse_language(pair.source), parse_language(pair.target)])
        for pair in map(grid.pair, grid.cells)
    ]
    for spec, languages in (*bitexts, *((spec, _ANY_TWO) for spec in mlm_bitexts(grid))):
        if spec not in sha256:
            bitext = read_bitext(spec, *languages)
            say(reading_of(bitext))
            sha256[spec] = "+".join(fact.sha256 for fact in bitext.facts)
    for first in first_tasks(grid):
        data = read_labelled(
            first.train, TASKS.find(first.task), role="train", columns=Columns(**first.columns)
        )
        say(reading_of(data))
        sha256[first.train] = data.facts.sha256
    inputs = GridInputs(sha256=sha256, probe_labels=labels)
    if folder is not None:
        earlier = _stored(folder)
        if earlier is not None:  # of cells that are not selected this time
            inputs = GridInputs(sha256=earlier.sha256 | sha256, probe_labels=earlier.probe_labels | labels)
        write_files(folder, files | {_FILE: inputs.model_dump_json(indent=1) + "\n"})
    return inputs


def mlm_bitexts(grid: Grid) -> Iterator[str]:
    """The bitexts whose sentences the grid's models are trained on further."""
    for name in grid.models:
        spec = grid.plan.models[name]
        if isinstance(spec, Derived) and spec.continued_mlm is not None:
            yield from spec.continued_mlm.bitext


def first_tasks(grid: Grid) -> Iterator[FineTuned]:
    """The fine-tuning that the grid's models have behind them."""
    for name in grid.models:
        spec = grid.plan.models[name]
        if isinstance(spec, Derived) and spec.fine_tuned is not None:
            yield spec.fine_tuned


def read_sentences(bitexts: Iterable[str]) -> list[str]:
    """Every sentence of some bitexts once, of both sides, whatever their languages."""
    sentences: dict[str, None] = {}
    for spec in bitexts:
        for pair in read_bitext(spec, *_ANY_TWO).pairs:
            sentences.update(dict.fromkeys(pair))
    return list(sentences)


def load_inputs(folder: Path) -> GridInputs:
    """What :func:`read_inputs` wrote.

    Raises:
        InputError: if there is no study in ``folder``.
    """
    inputs = _stored(folder)
    if inputs is None:
        raise InputError(f"{folder} holds no study that was begun: name the --out of 'advisor study run'.")
    return inputs


def _stored(folder: Path) -> GridInputs | None:
    try:
        return GridInputs.model_validate_json((folder / _FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def _tasks(grid: Grid) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Task and source language with all target languages that fine-tuning alone is scored on."""
    by_task: dict[tuple[str, str], dict[str, None]] = {}
    for model, task, source in dict.fromkeys((cell.model, cell.task, cell.source) for cell in grid.cells):
        targets = by_task.setdefault((task, source), {})
        targets.update(dict.fromkeys(grid.targets(model, task, source)))
    for (task, source), wanted in by_task.items():
        yield task, source, tuple(wanted)


def _read_task(
    grid: Grid,
    task_name: str,
    source: str,
    targets: tuple[str, ...],
    labels: dict[str, str],
    files: dict[str, str | bytes | None],
    say: Callable[[Reading], None],
    folder: Path | None,
) -> dict[str, str]:
    task = TASKS.find(task_name)
    sha256: dict[str, str] = {}

    def read(spec: str, role: str, code: str, train: LabelledData | None = None) -> LabelledData:
        data = read_labelled(spec, task, role=role, language=parse_language(code), columns=columns)
        if train is not None:
            data = keep_known_labels(train, data)
        if spec not in sha256:
            say(reading_of(data))
        sha256[spec] = data.facts.sha256
        return data

    shared = grid.data(task_name, source, None)
    columns = Columns(**shared.columns)
    train = read(shared.train, "train", source)
    if shared.source_test is not None:
        read(shared.source_test, "source-labels", source, train)
    most = grid.plan.training.most_scored
    for target in targets:
        spec = grid.data(task_name, source, target)
        test = read(spec.target_test, "target-labels", target, train)
        key = f"{task_name} {target}"
        if spec.target_labels is not None:
            read(spec.target_labels, "target-labels", target, train)
            labels[key] = spec.target_labels
            continue
        _, left = drawn(test.examples, most)
        if left and folder is not None:
            name = f"labels/{task_name}.{target}.jsonl"
            written = "".join(
                json.dumps(as_row(example, columns), ensure_ascii=False) + "\n" for example in left
            )
            files[name], labels[key] = written, str((folder / name).absolute())
            sha256[labels[key]] = hashlib.sha256(written.encode()).hexdigest()
    return sha256
