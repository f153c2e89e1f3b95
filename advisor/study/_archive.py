"""A study as one file: plan, records and signals, a line each, compressed as a whole and read as it is."""

import json
import lzma
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from advisor.files import write_files
from advisor.study._record import Record, read_record
from probes.errors import InputError
from probes.signals import Signals

SUFFIX = ".study.xz"
_DIGITS = 8
"""Significant digits of a signal in an archive; tables hold six."""

Kind = Literal["plan", "record", "signals"]


class ArchiveReport(BaseModel):
    """What an archive holds.

    Attributes:
        kib: its size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    records: int
    probes: int
    kib: float

    def markdown(self) -> str:
        """The counts in words."""
        return f"{self.records} records and {self.probes} probes in {self.kib:.0f} KiB.\n"


def archive_study(folder: str | Path, out: str | Path) -> ArchiveReport:
    """Write the plan, the records and the signals of a study into one file.

    Records are kept to the last digit; signals to eight significant digits.

    Args:
        folder: of the study, or another archive.
        out: the file; its name ends in ``.study.xz``.

    Raises:
        InputError: if the folder holds no records, one of them is damaged, or ``out`` has another name.
    """
    out = Path(out)
    if not out.name.endswith(SUFFIX):
        raise InputError(f"An archive's name ends in {SUFFIX}: name it so with --out.")
    records = sorted(read_records(folder), key=lambda record: (record.model, record.configuration.key))
    signals = sorted(read_signals(folder), key=lambda named: named[0])
    lines = [_line("plan", "plan.yaml", text) for text in _plans(Path(folder))]
    lines += [_line("record", record.configuration.key, record.model_dump(mode="json")) for record in records]
    lines += [_line("signals", name, _shortened(found.model_dump(mode="json"))) for name, found in signals]
    packed = lzma.compress("".join(lines).encode(), preset=9 | lzma.PRESET_EXTREME)
    write_files(out.parent, {out.name: packed})
    return ArchiveReport(records=len(records), probes=len(signals), kib=len(packed) / 1024)


def read_records(source: str | Path) -> Iterator[Record]:
    """The records of a study.

    Args:
        source: its folder, or its archive.

    Raises:
        InputError: if there are none, or one cannot be read.
    """
    source = Path(source)
    count = 0
    if source.is_file():
        for name, content in _contents(source, "record"):
            count += 1
            try:
                yield Record.model_validate(content)
            except ValidationError as error:
                raise InputError(f"{source} holds something at {name} that is no record.") from error
    else:
        for file in sorted((source / "records").glob("*.json")):
            record = read_record(file)
            if record is not None:
                count += 1
                yield record
    if not count:
        raise InputError(f"{source} holds no records: name the --out of 'advisor study run'.")


def read_signals(source: str | Path) -> Iterator[tuple[str, Signals]]:
    """The signals of a study with their names.

    Args:
        source: its folder, or its archive.

    Raises:
        InputError: if something there cannot be read as signals.
    """
    source = Path(source)
    if source.is_file():
        for name, content in _contents(source, "signals"):
            try:
                yield name, Signals.model_validate_json(json.dumps(content))
            except ValidationError as error:
                raise InputError(f"{source} holds something at {name} that is no signals.") from error
    else:
        probes = source / "probes"
        for file in sorted([*probes.glob("*.json"), *probes.glob("*.json.gz")]):
            yield file.name.split(".json")[0], Signals.load(file)


def _plans(source: Path) -> Iterable[str]:
    if source.is_file():
        return [content for _, content in _contents(source, "plan")]
    files = [source / "plan.yaml", *sorted((source / "plans").glob("*.yaml"))]
    return [_anonymous(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def _anonymous(plan: str) -> str:
    """A plan without the name of the data folder on the machine where it was run."""
    found = re.search(r"^data: (/.+)$", plan, re.MULTILINE)
    return plan if found is None else plan.replace(f"{found[1]}/", "").replace(found[0], "data: data")


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
