"""What a plan names, read and checked before anything is run; with the hashes that its records quote."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from pydantic import ValidationError

from advisor.files import write_files
from advisor.study._grid import Grid
from advisor.study._schema import FineTuned
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
from probes.schema import Frozen

_FILE = "inputs.json"
_ANY_TWO = [Language("und", name, "Zyyy", spaced=True) for name in ("one language", "the other")]


class GridInputs(Frozen):
    """Hashes of everything a plan names.

    Attributes:
        sha256: by file, data set or bitext as the plan names it; joined by ``+`` for one of several parts.
        probe_labels: by ``task target``: labelled target-language text for the probe, none of which is
            scored on; no entry where there is none.
    """

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
    sha256: dict[str, str] = {}
    left: dict[str, str] = {}
    labels: dict[str, str] = {}
    for task, source, targets in _tasks(grid):
        _read_task(grid, (task, source), targets, say, sha256, labels, left)
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
        columns = Columns(**first.columns)
        data = read_labelled(first.train, TASKS.find(first.task), role="train", columns=columns)
        say(reading_of(data))
        sha256[first.train] = data.facts.sha256
    if folder is None:
        return GridInputs(sha256=sha256, probe_labels=labels)
    for key, written in left.items():
        labels[key] = str((folder / _left_of(key)).absolute())
        sha256[labels[key]] = hashlib.sha256(written.encode()).hexdigest()
    earlier = _stored(folder)
    if earlier is not None:  # of cells that are not selected this time
        sha256, labels = earlier.sha256 | sha256, earlier.probe_labels | labels
    inputs = GridInputs(sha256=sha256, probe_labels=labels)
    files = {_left_of(key): written for key, written in left.items()}
    write_files(folder, {**files, _FILE: inputs.model_dump_json(indent=1) + "\n"})
    return inputs


def _left_of(key: str) -> str:
    """Where the labels that no run is scored on are, below the study's folder."""
    return f"labels/{key.replace(' ', '.')}.jsonl"


def mlm_bitexts(grid: Grid) -> list[str]:
    """The bitexts whose sentences the grid's models are trained on further."""
    return [spec for model in grid.derived if model.continued_mlm for spec in model.continued_mlm.bitext]


def first_tasks(grid: Grid) -> list[FineTuned]:
    """The fine-tuning that the grid's models have behind them."""
    return [model.fine_tuned for model in grid.derived if model.fine_tuned]


def read_sentences(bitexts: Iterable[str]) -> list[str]:
    """Every sentence of some bitexts once, of both sides, whatever their languages."""
    pairs = chain.from_iterable(read_bitext(spec, *_ANY_TWO).pairs for spec in bitexts)
    return list(dict.fromkeys(chain.from_iterable(pairs)))


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
    of: tuple[str, str],
    targets: Iterable[str],
    say: Callable[[Reading], None],
    sha256: dict[str, str],
    labels: dict[str, str],
    left: dict[str, str],
) -> None:
    """Read the files of a task and source language, and put down their hashes, where the labels for the
    probe are, and what becomes of those that are left."""
    task, source = TASKS.find(of[0]), of[1]
    said: set[str] = set()
    shared = grid.data(*of, None)
    columns = Columns(**shared.columns)

    def read(spec: str, role: str, code: str, train: LabelledData | None = None) -> LabelledData:
        data = read_labelled(spec, task, role=role, language=parse_language(code), columns=columns)
        if train is not None:
            data = keep_known_labels(train, data)
        if spec not in said:
            say(reading_of(data))
        said.add(spec)
        sha256[spec] = data.facts.sha256
        return data

    train = read(shared.train, "train", source)
    if shared.source_test is not None:
        read(shared.source_test, "source-labels", source, train)
    for target in targets:
        spec = grid.data(*of, target)
        test = read(spec.target_test, "target-labels", target, train)
        if spec.target_labels is not None:
            read(spec.target_labels, "target-labels", target, train)
            labels[f"{of[0]} {target}"] = spec.target_labels
        elif unused := drawn(test.examples, grid.plan.training.most_scored)[1]:
            rows = (json.dumps(as_row(example, columns), ensure_ascii=False) for example in unused)
            left[f"{of[0]} {target}"] = "".join(f"{row}\n" for row in rows)
