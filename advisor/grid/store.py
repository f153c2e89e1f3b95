"""A grid's folder: where each cell lies, and whether what lies there is still what would be measured."""

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.advice import Advice
from advisor.recipe import recipe_files
from advisor.recommend import recommend
from advisor.report import Report, rescued
from probes.errors import InputError, RunError
from probes.machine.versions import library_versions
from probes.request import ProbeRequest
from probes.schema import Frozen
from probes.signals import DataFacts, Signals

if TYPE_CHECKING:
    from probes.gradients.between import Pulls

_RECORD, _PULLS = "cell.json", "pulls.npz"
_LONGEST = 80
"""Characters of a folder's name: file systems take 255 bytes."""


class _CellRecord(Frozen):
    """What a cell's files were measured from, and what they then held."""

    request: ProbeRequest
    version: str
    weights: str
    signals: str
    pulls: str


def folder_of(request: ProbeRequest, out: Path) -> Path:
    """Where a cell's report lies below the grid's folder; no two models or targets share one."""
    return out / _folder_name(request.model) / _folder_name(request.target)


def _folder_name(name: str) -> str:
    """The name itself where it can be one, ``organisation--name`` of a hub's; else its end with a hash."""
    if re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name, re.ASCII) and "--" not in name and len(name) <= _LONGEST:
        return name.replace("/", "--")
    end = re.sub(r"\W+", "_", re.split(r"[/\\]", name.rstrip("/\\"))[-1]).strip("_")[:_LONGEST]
    return f"{end}--{_sha256(name.encode())[:8]}"


def write_cell(folder: Path, report: Report, pulls: "Pulls", request: ProbeRequest) -> str | None:
    """Write a cell's report, all or nothing; says why that could not be done, and where it is instead."""
    assert report.signals is not None
    sketches = pulls.to_bytes()
    record = _record_of(request, report.signals, sketches)
    extra: dict[str, str | bytes | None] = {**recipe_files(report.advice, request)}
    extra |= {_PULLS: sketches, _RECORD: record.model_dump_json()}
    return _written(lambda place: report.write(place, extra), folder)


def kept_cell(
    folder: Path, request: ProbeRequest, data: tuple[DataFacts, ...]
) -> tuple[Report, str | None] | None:
    """The answer from what an earlier run measured of the same request on the same weights and data.

    It is given anew, since findings may have changed; its files then are, too.

    Returns:
        The report, and the sentence that says why its files could not be renewed; None if there is none.
    """
    signals = _kept_signals(folder, request)
    if signals is None or signals.data != data:
        return None
    report = Report(recommend(signals, min_gain=request.min_gain), signals)
    with suppress(InputError, OSError):
        before = Advice.load(folder / "advice.json")
        if _timeless(before) == _timeless(report.advice):
            return Report(before, signals), None
    extra = {**recipe_files(report.advice, request)}
    return report, _written(lambda place: report.write(place, extra), folder)


def _kept_signals(folder: Path, request: ProbeRequest) -> Signals | None:
    """What was measured, if it is all there and still of the same request, weights and version."""
    with suppress(InputError, OSError, ValueError):
        signals = Signals.load(folder / "signals.json")
        now = _record_of(request, signals, (folder / _PULLS).read_bytes())
        if _CellRecord.model_validate_json((folder / _RECORD).read_text("utf-8")) == now:
            return signals
    return None


def _record_of(request: ProbeRequest, signals: Signals, pulls: bytes) -> _CellRecord:
    return _CellRecord(
        request=request,
        version=library_versions()["alignment-advisor"],
        weights=_weights_of(request.model),
        signals=_sha256(signals.model_dump_json().encode()),
        pulls=_sha256(pulls),
    )


def _timeless(advice: Advice) -> Advice:
    """The advice without how long it took to give."""
    return advice.model_copy(update={"provenance": advice.provenance.model_copy(update={"seconds": 0.0})})


def load_pulls(request: ProbeRequest, out: Path) -> "Pulls":
    """The sketches of a cell that was written.

    Raises:
        OSError, ValueError, KeyError, zipfile.BadZipFile: if they are not there.
    """
    from probes.gradients.between import Pulls

    return Pulls.load(folder_of(request, out) / _PULLS)


def _written(write: Callable[[Path], object], folder: Path) -> str | None:
    try:
        write(folder)
    except (InputError, RunError, OSError) as error:
        rescue = rescued(write)
        where = f"its results are in {rescue}" if rescue else "its results are only in this table"
        return f"{str(error).rstrip('.')}; {where}."
    return None


def _weights_of(model: str) -> str:
    """What tells a checkpoint from the one that had its name before: its files, or the hub's commit."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        facts = [(str(p.relative_to(folder)), p.stat()) for p in sorted(folder.rglob("*")) if p.is_file()]
        listed = "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in facts)
        return _sha256(listed.encode())
    from huggingface_hub import try_to_load_from_cache  # takes a while to import

    with suppress(ValueError):  # of names that no hub has, the offline encoders' among them
        cached = try_to_load_from_cache(model, "config.json")
        if isinstance(cached, str):
            return Path(cached).parent.name
    return ""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
