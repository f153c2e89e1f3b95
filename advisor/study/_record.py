"""Runs as immutable records, what was run apart from what came of it; a study's records as one archive."""

import hashlib
import json
import lzma
import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, JsonValue, ValidationError, model_validator

from advisor.files import write_files, write_or_rescue
from advisor.options import Option
from probes.errors import InputError
from probes.schema import Frozen
from probes.signals import Estimate, Signals

M = TypeVar("M", bound=BaseModel)
Finite = Annotated[float, Field(allow_inf_nan=False)]

Status = Literal["done", "failed", "diverged"]
"""``diverged``: a loss or a weight was not finite any more. ``failed``: anything else that stopped it."""


class Configuration(Frozen):
    """All that decides how a run comes out, and nothing else.

    Attributes:
        data_sha256: by role, of the files that the option reads.
        source: code of the language of the labelled data.
        target: code of the language that is aligned with it; None for fine-tuning alone.
        scored: code of every language that is scored on, with the SHA-256 of its labels.
        settings: the hyper-parameters and column names of the recipe that the option uses.
    """

    model_sha256: str
    data_sha256: dict[str, str]
    source: str
    target: str | None
    scored: dict[str, str]
    task: str
    option: Option
    seed: int
    settings: dict[str, JsonValue]

    @property
    def key(self) -> str:
        """A name for this configuration and no other: 80 bits of the SHA-256 of its canonical JSON."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:20]


class Scores(Frozen):
    """Points (0-100) on source text that was not trained on, and on target labels by language.

    The intervals are of a bootstrap over the test sentences; they say nothing of the seeds.
    """

    source: Estimate
    targets: dict[str, Estimate]


class CurvePoint(Frozen):
    """One optimiser step: the learning rate it used and its losses (None: not part of this phase)."""

    phase: str
    step: int
    learning_rate: Finite
    task: Finite | None = None
    alignment: Finite | None = None


class EarlyScores(Frozen):
    """Points on target labels, by language, after so many optimiser steps of fine-tuning."""

    step: int
    targets: dict[str, Estimate]


class Record(Frozen):
    """One run of one option with one seed.

    Attributes:
        model, files: as they were named, files by role.
        error: one sentence, unless it is done.
        scores: of the trained encoder and head; None unless it is done.
        before: of a classifier on the untouched encoder's frozen features.
        curve: losses, one entry an optimiser step.
        texts: how many texts were trained on (``train``), scored on (``source``, languages) and ``cut``.
        seconds: wall time, loading and evaluation included.
        block: of the plan that asked for it; None for the grid itself.
        finished: when it ended (ISO 8601, UTC).
        versions: of Python and of the packages that decide the numbers.
    """

    schema_version: Literal[2] = 2
    configuration: Configuration
    model: str
    files: dict[str, str]
    status: Status
    error: str | None = None
    metric: str
    scores: Scores | None = None
    before: Scores | None = None
    early: tuple[EarlyScores, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    texts: dict[str, int] = Field(default_factory=dict)
    device: str
    threads: int
    seconds: Finite
    finished: str
    versions: dict[str, str]
    block: str | None = None

    @property
    def outcome(self) -> str:
        """How it ended, in words: its scores in points, or what stopped it."""
        if self.scores is None:
            return f"{self.status} ({self.error})"
        points = {**self.scores.targets, "source": self.scores.source}
        return ", ".join(f"{name} {score.value:.1f}" for name, score in points.items())

    @model_validator(mode="after")
    def _ended_one_way(self) -> Self:
        done = self.status == "done"
        if done != (self.scores is not None) or done != (self.error is None):
            raise ValueError("a record that is done has scores, and any other an error")
        return self


class Records:
    """The records of one folder, a file each, named by the key of their configuration."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, configuration: Configuration) -> Record | None:
        """The record of ``configuration``, if it was run; an error if the file of that name is another's."""
        path = self._folder / f"{configuration.key}.json"
        record = read_record(path)
        if record is not None and record.configuration.key != path.stem:
            raise InputError(
                f"{path} is not the record that its name says: delete it to have that run done again."
            )
        return record

    def save(self, record: Record) -> None:
        """Write a record in one move: no reader and no crash ever meets half of it."""
        files = {f"{record.configuration.key}.json": record.model_dump_json(indent=1) + "\n"}
        write_or_rescue(self._folder, lambda folder: write_files(folder, files))


def seconds_for(waiting: Iterable[Hashable], spent: Iterable[tuple[Hashable, float]]) -> float | None:
    """How long runs of these kinds will take in all: each as long as its kind did, or else as all did.

    ``spent`` has kind and seconds of the runs that have ended; with none of them nothing is known.
    """
    ended = list(spent)
    if not ended:
        return None
    by_kind: defaultdict[Hashable, list[float]] = defaultdict(list)
    for kind, seconds in ended:
        by_kind[kind].append(seconds)
    usual = mean(seconds for _, seconds in ended)
    return sum(mean(by_kind.get(kind, [usual])) for kind in waiting)


def read_record(path: Path) -> Record | None:
    """The record in a file; None if there is no such file.

    Raises:
        InputError: if it cannot be read as a record.
    """
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} cannot be read as a record of a trial: delete it to have that run done again."
        ) from error


SUFFIX = ".study.xz"
_DIGITS = 8
"""Significant digits of a signal in an archive; tables hold six."""

Kind = Literal["plan", "record", "signals"]


class ArchiveReport(Frozen):
    """What an archive holds, and its size."""

    records: int
    probes: int
    kib: float

    def markdown(self) -> str:
        """The counts in words."""
        return f"{self.records} records and {self.probes} probes in {self.kib:.0f} KiB.\n"


def archive_study(folder: str | Path, out: str | Path) -> ArchiveReport:
    """Write the plan, the records and the signals of a study, or of another archive, into one file.

    Records are kept to the last digit; signals to eight significant digits.

    Raises:
        InputError: if the folder holds no records, one of them is damaged, or the name of ``out`` does not
            end in ``.study.xz``.
    """
    out = Path(out)
    if not out.name.endswith(SUFFIX):
        raise InputError(f"An archive's name ends in {SUFFIX}: name it so with --out.")
    records = sorted(read_records(folder), key=lambda record: (record.model, record.configuration.key))
    signals = sorted(read_signals(folder), key=lambda named: named[0])
    lines = [
        *(_line("plan", "plan.yaml", text) for text in _plans(Path(folder))),
        *(_line("record", record.configuration.key, record.model_dump(mode="json")) for record in records),
        *(_line("signals", name, _shortened(of_probe.model_dump(mode="json"))) for name, of_probe in signals),
    ]
    packed = lzma.compress("".join(lines).encode(), preset=9 | lzma.PRESET_EXTREME)
    write_files(out.parent, {out.name: packed})
    return ArchiveReport(records=len(records), probes=len(signals), kib=len(packed) / 1024)


def read_records(source: str | Path) -> Iterator[Record]:
    """The records of a study, in its folder or its archive.

    Raises:
        InputError: if there are none, or one cannot be read.
    """
    source = Path(source)
    if source.is_file():
        records = _archived(Record, source, "record")
    else:
        files = map(read_record, sorted((source / "records").glob("*.json")))
        records = (("", record) for record in files if record is not None)
    empty = True
    for _, record in records:
        empty = False
        yield record
    if empty:
        raise InputError(f"{source} holds no records: name the --out of 'advisor study run'.")


def read_signals(source: str | Path) -> Iterator[tuple[str, Signals]]:
    """The signals of a study with their names, in its folder or its archive.

    Raises:
        InputError: if something there cannot be read as signals.
    """
    source = Path(source)
    if source.is_file():
        yield from _archived(Signals, source, "signals")
        return
    probes = source / "probes"
    for file in sorted([*probes.glob("*.json"), *probes.glob("*.json.gz")]):
        yield file.name.split(".json")[0], Signals.load(file)


def _archived(model: type[M], archive: Path, kind: Kind) -> Iterator[tuple[str, M]]:
    for name, content in _contents(archive, kind):
        try:
            yield name, model.model_validate_json(json.dumps(content))
        except ValidationError as error:
            raise InputError(f"{archive} holds something at {name} that is no {kind}.") from error


def _plans(source: Path) -> Iterable[str]:
    if source.is_file():
        return [content for _, content in _contents(source, "plan")]
    files = [source / "plan.yaml", *sorted((source / "plans").glob("*.yaml"))]
    return [_anonymous(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def _anonymous(plan: str) -> str:
    """A plan without the name of the data folder on the machine where it was run."""
    folder = re.search(r"^data: (/.+)$", plan, re.MULTILINE)
    return plan if folder is None else plan.replace(f"{folder[1]}/", "").replace(folder[0], "data: data")


def _contents(file: Path, kind: Kind) -> Iterator[tuple[str, Any]]:
    try:
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith(f'{{"kind":"{kind}"'):
                    entry = json.loads(line)
                    yield entry["name"], entry["content"]
    except (OSError, lzma.LZMAError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"{file} cannot be read as the archive of a study.") from error


def _line(kind: Kind, name: str, content: Any) -> str:
    entry = {"kind": kind, "name": name, "content": content}
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"


def _shortened(value: Any) -> Any:
    match value:
        case dict():
            return {key: _shortened(item) for key, item in value.items()}
        case list():
            return [_shortened(item) for item in value]
        case float():
            return float(f"{value:.{_DIGITS}g}")
        case _:
            return value
