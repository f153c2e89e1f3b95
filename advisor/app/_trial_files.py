"""Trials that are on disk or that a visitor brings: the result, and the records behind it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError

from advisor.advice import Advice, Gain
from advisor.options import Option
from advisor.service import Limits, admit_path
from advisor.study import Record, TrialResult
from probes.errors import InputError

_RESULT = "trial.json"
_RECORDS = "records"
_MOST_FOUND = 30
_BINS = 40
"""Stretches of steps that a curve is averaged over: single batches are too noisy to compare."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial as far as its files are there.

    Attributes:
        result: its gains.
        records: those of its runs that were found, in the order of the runs.
        advice: what was advised beforehand, where that was given with it.
        strangers: how many records of other trials were left out.
    """

    result: TrialResult
    records: tuple[Record, ...] = ()
    advice: Advice | None = None
    strangers: int = 0


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A loss of one option, averaged over its seeds and a stretch of steps.

    Attributes:
        loss: ``task`` or ``alignment``.
        phase: of the training.
        step: in the middle of the stretch, counted within the phase.
        value: mean loss.
    """

    option: Option
    loss: str
    phase: str
    step: float
    value: float


def find_trials(limits: Limits) -> list[Path]:
    """Folders of trials in the allowed folders and right below them, the latest first."""
    written = {
        path.parent: path.stat().st_mtime
        for root in limits.roots
        for pattern in (_RESULT, f"*/{_RESULT}")
        for path in root.glob(pattern)
        if path.is_file()
    }
    return sorted(written, key=lambda folder: -written[folder])[:_MOST_FOUND]


def open_trial(folder: str, limits: Limits) -> Trial:
    """The trial in a folder: ``trial.json`` and those of its records that are beside it.

    Args:
        folder: as the visitor names it.
        limits: say where folders may be named.

    Raises:
        InputError: if it is not below an allowed folder, or holds no trial of this version.
    """
    place = admit_path(folder, limits, "folder")
    path = admit_path(str(place / _RESULT), limits, "trial")
    trial = read_trial([(_RESULT, _content(path, limits))])
    records = []
    for run in trial.result.runs:
        name = Path(run.record).name  # the file may have been tampered with
        if (place / _RECORDS / name).is_file():
            path = admit_path(str(place / _RECORDS / name), limits, "record")
            records.append((name, _content(path, limits)))
    return replace(trial, records=_records(trial.result, records)[0])


def read_trial(files: Iterable[tuple[str, bytes]]) -> Trial:
    """The trial that files make: its ``trial.json``, records of its runs, and the advice before it.

    Args:
        files: name and content of each, told apart by what is in them.

    Raises:
        InputError: if there is no result of a trial among them, there are two of a kind, or one is neither
            of the three.
    """
    results: list[TrialResult] = []
    advice: list[Advice] = []
    records: list[tuple[str, bytes]] = []
    for name, content in files:
        fields = _fields(content)
        try:
            if "verdict" in fields:
                results.append(TrialResult.model_validate_json(content))
            elif "decision" in fields:
                advice.append(Advice.model_validate_json(content))
            else:
                records.append((name, content))
        except ValidationError as error:
            raise InputError(f"{name} is not of this version: take one that this version wrote.") from error
    if len(results) != 1 or len(advice) > 1:
        raise InputError(
            "Those files make no trial: choose one trial.json, the records of its runs for learning curves, "
            "and the advice.json to compare with, if you have one."
        )
    own, strangers = _records(results[0], records)
    return Trial(results[0], own, advice[0] if advice else None, strangers)


def expected_gain(advice: Advice, option: Option) -> Gain | None:
    """What ``advice`` expects of the option, whatever the weight and the source of word pairs."""
    return next(
        (
            row.gain
            for row in advice.alternatives
            if (row.option.objective, row.option.schedule, row.option.frozen_layers)
            == (option.objective, option.schedule, option.frozen_layers)
        ),
        None,
    )


def learning_curves(records: Sequence[Record]) -> Iterator[CurveRow]:
    """The losses of every option by step, averaged over seeds and stretches of steps."""
    groups: defaultdict[tuple[Option, str, str], list[tuple[int, float]]] = defaultdict(list)
    for record in records:
        for point in record.curve:
            for loss, value in (("task", point.task), ("alignment", point.alignment)):
                if value is not None:
                    groups[record.configuration.option, loss, point.phase].append((point.step, value))
    for (option, loss, phase), points in groups.items():
        steps = 1 + max(step for step, _ in points)
        bins: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
        for step, value in points:
            bins[step * _BINS // steps].append((step, value))
        for _, stretch in sorted(bins.items()):
            yield CurveRow(
                option, loss, phase, fmean(step for step, _ in stretch), fmean(value for _, value in stretch)
            )


def _records(result: TrialResult, files: Sequence[tuple[str, bytes]]) -> tuple[tuple[Record, ...], int]:
    """The records of the result's runs, in their order, and how many others there were."""
    by_name: dict[str, Record] = {}
    for name, content in files:
        try:
            record = Record.model_validate_json(content)
        except ValidationError as error:
            raise InputError(
                f"{name} is no trial.json, record or advice.json of this version: choose what a trial wrote."
            ) from error
        by_name[f"{record.configuration.key}.json"] = record
    own = [run.record for run in result.runs if run.record in by_name]
    return tuple(by_name[name] for name in own), len(by_name.keys() - set(own))


def _content(path: Path, limits: Limits) -> bytes:
    if path.stat().st_size > limits.upload_bytes:
        raise InputError(f"{path.name} is larger than {limits.upload_mb:g} MiB: that is no file of a trial.")
    return path.read_bytes()


def _fields(content: bytes) -> Mapping[str, object]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
