"""Runs and uploads on disk.

Layout below the root::

    runs/<id>/state.json     the record; always whole, never half-written
              request.json   what was asked for
              job.json       the same with files found; gone after the run
              inputs/        uploaded files; back in uploads/ after the run
              log.txt        what the run's process printed
              cancel         present once somebody wants the run to stop
              signals.json, advice.json, report.html, recipe/; of a trial trial.json, records/;
              of a race live.json, result.json, race.json, steps/, weights/
    uploads/<owner>/<id>/<file>

Ids are random and long enough that knowing one is the right to see the run and its results, so that a link
shares them; a run is its owner's to cancel or remove. Only the process that has a run in its queue writes its
record; others may ask for a stop, and find out when that process has died.
"""

import io
import os
import re
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from advisor import sample
from advisor.files import replacement
from advisor.grid import spread
from advisor.service._admission import upload_ids
from advisor.service._runs import (
    Job,
    Process,
    RacePlan,
    Run,
    RunRecord,
    TrialPlan,
    UnknownRunError,
    check_run_id,
)
from advisor.service._uploads import Upload, UploadStore, owner_of
from probes.errors import InputError
from probes.request import ProbeRequest

ARTEFACTS = ("signals.json", "advice.json", "report.html", "trial.json", "result.json", "grid.json")
"""What a finished run offers, beside its recipe: the last three if it was a trial, a race or a grid."""
LIVE = "live.json"
"""What a race believes while it is under way."""

STOPPED = "The service stopped before this run had ended: start it again."
"""What is said of a run that a restart caught."""

_STATE, _REQUEST, _JOB, _LOG, _CANCEL, _INPUTS = (
    *("state.json", "request.json", "job.json"),
    *("log.txt", "cancel", "inputs"),
)
_JOBS = TypeAdapter(Job)


class RunStore(UploadStore):
    """The runs and uploads below one folder, which is created where it does not exist.

    Several processes of one machine may share it.

    Args:
        root: the folder; only its owner may read what is in it.

    Raises:
        InputError: if the folder cannot be made or written to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._process = Process.this()
        self._private = re.compile(
            rf"{re.escape(str(self._root))}/(uploads/[0-9a-f]{{24}}|runs/[0-9a-f]{{24}}/inputs)/[0-9a-f]{{32}}/"
            rf"|{re.escape(str(Path(sample.__file__).parent))}/"
        )
        try:
            for folder in (self._root, self._runs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            super().__init__(self._root)
            if not os.access(self._root, os.W_OK | os.X_OK):
                raise PermissionError(None, "no permission to write there")
        except OSError as error:
            raise InputError(
                f"Cannot keep runs in {root} ({error.strerror}): "
                "set ADVISOR_STORE to a folder you may write to."
            ) from error

    @property
    def _runs(self) -> Path:
        return self._root / "runs"

    def as_called(self, text: str) -> str:
        """``text`` with the paths of uploads and of the sample cut down to file names."""
        return self._private.sub("", text)

    # --- runs --------------------------------------------------------------------------------------------

    def create(self, request: ProbeRequest, session: str, plan: TrialPlan | RacePlan | None = None) -> Run:
        """Begin the record of a queued run; what it is to do comes with :meth:`prepare`."""
        record = RunRecord(
            id=secrets.token_hex(12),
            kind=_job(request, "", plan).kind if len(spread(request)) == 1 else "grid",
            status="queued",
            **request.model_dump(include={"model", "source", "target", "task", "budget"}),
            created=time.time(),
            owner=owner_of(session),
            process=self._process,
        )
        folder = self._runs / record.id
        folder.mkdir(mode=0o700)
        _write(folder / _REQUEST, request.model_dump_json(indent=2))
        self._save(record)
        return self.run(record.id)

    def take_upload(self, run_id: str, upload: Upload) -> Path:
        """Make an upload the run's own."""
        place = self.inputs(run_id) / upload.id
        place.parent.mkdir(mode=0o700, exist_ok=True)
        upload.path.parent.rename(place)
        return place / upload.name

    def prepare(
        self, run_id: str, cells: Sequence[ProbeRequest], plan: TrialPlan | RacePlan | None = None
    ) -> None:
        """Write down what the run's process is to do; several cells make a grid."""
        job = _job(cells[0], str(self.inputs(run_id)), plan)
        job = replace(job, cells=tuple(cells) if len(cells) > 1 else ())
        _write(self.folder(run_id) / _JOB, _JOBS.dump_json(job).decode())

    def run(self, run_id: str) -> Run:
        """The run as it stands.

        Raises:
            UnknownRunError: if there is none of that id.
        """
        return self._shown(self.record(run_id))

    def runs(self, session: str | None = None) -> list[Run]:
        """The runs of a session, or all of them; the newest first."""
        shown = [
            self._shown(record)
            for record in self._records()
            if session is None or record.owner == owner_of(session)
        ]
        return sorted(shown, key=lambda run: run.created, reverse=True)

    def owns(self, session: str, run_id: str) -> bool:
        """Whether the run was started by ``session``.

        Raises:
            UnknownRunError: if there is no such run.
        """
        return self.record(run_id).owner == owner_of(session)

    def request(self, run_id: str) -> ProbeRequest:
        """What was asked for.

        Raises:
            UnknownRunError: if there is no such run.
        """
        self.record(run_id)
        return ProbeRequest.model_validate_json((self.folder(run_id) / _REQUEST).read_bytes())

    def artefact(self, run_id: str, name: str) -> Path:
        """Where a result of a finished run lies.

        Args:
            run_id: of the run.
            name: one of ``ARTEFACTS``.

        Raises:
            UnknownRunError: if there is no such run, or no such result of it (yet).
        """
        run = self.run(run_id)
        path = self.folder(run_id) / name
        if name not in ARTEFACTS or run.status != "done" or not path.is_file():
            raise UnknownRunError(f"This run is {run.status} and has no {name}: see how it ended.")
        return path

    def recipe_zip(self, run_id: str) -> bytes:
        """The recipe of a finished run, packed.

        Raises:
            UnknownRunError: if there is no such run, or it has no recipe (yet).
        """
        recipe = self.folder(run_id) / "recipe"
        run = self.run(run_id)
        if run.status != "done" or not recipe.is_dir():
            raise UnknownRunError(f"This run is {run.status} and has no recipe: see how it ended.")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(recipe.rglob("*")):
                if path.is_file() and path.suffix != ".pt":
                    archive.write(path, path.relative_to(recipe.parent))
        return packed.getvalue()

    def race(self, run_id: str) -> bytes | None:
        """The result of a race, or what it believes so far; None before its first step.

        Raises:
            UnknownRunError: if there is no such run.
        """
        self.record(run_id)
        folder = self.folder(run_id)
        results = (path for name in ("result.json", LIVE) if (path := folder / name).is_file())
        return next((path.read_bytes() for path in results), None)

    def requeue(self, run_id: str) -> RunRecord:
        """Put a race that was stopped down as queued again, with what it has.

        Raises:
            UnknownRunError: if there is no such run.
            InputError: if it is no race, or has not stopped short.
        """
        record = self.record(run_id)
        if record.kind != "race" or record.active or record.status == "done":
            raise InputError("Only a race that was stopped can be gone on with.")
        if not (self.folder(run_id) / _JOB).is_file():
            raise InputError("What this race was about is not kept any more: start it anew.")
        (self.folder(run_id) / _CANCEL).unlink(missing_ok=True)
        return self.change(
            record, status="queued", finished=None, started=None, error=None, process=self._process
        )

    def remove(self, run_id: str) -> None:
        """Forget a run that has ended.

        Raises:
            UnknownRunError: if there is no such run.
            InputError: if it has not ended.
        """
        if self.record(run_id).active:
            raise InputError("This run has not ended: cancel it before you remove it.")
        with suppress(OSError, ValueError):
            for upload_id in upload_ids(self.request(run_id)):
                self.remove_upload_of(self.record(run_id).owner, upload_id)
        shutil.rmtree(self.folder(run_id), ignore_errors=True)

    def remove_older(self, seconds: float) -> None:
        """Forget the runs that ended longer ago than ``seconds``."""
        for record in self._records():
            if record.finished is not None and time.time() - record.finished > seconds:
                self.remove(record.id)

    # --- for the queue -----------------------------------------------------------------------------------

    def folder(self, run_id: str) -> Path:
        """The run's folder, whether it exists or not.

        Raises:
            UnknownRunError: if ``run_id`` is no id.
        """
        return self._runs / check_run_id(run_id)

    def inputs(self, run_id: str) -> Path:
        """Where the run's uploads are."""
        return self.folder(run_id) / _INPUTS

    def log(self, run_id: str) -> Path:
        """Where the run's process prints to."""
        return self.folder(run_id) / _LOG

    def job(self, run_id: str) -> Job:
        """What the run's process is to do."""
        return read_job(self.folder(run_id))

    def ask_to_stop(self, run_id: str) -> None:
        """Leave word that the run is to stop; the process that has it in its queue looks for it."""
        (self.folder(run_id) / _CANCEL).touch()

    def stop_is_wanted(self, run_id: str) -> bool:
        """Whether somebody wants the run to stop."""
        return (self.folder(run_id) / _CANCEL).exists()

    def record(self, run_id: str) -> RunRecord:
        """What is on disk; a run whose process has died is put down as interrupted first.

        Raises:
            UnknownRunError: if there is none of that id.
        """
        try:
            record = RunRecord.model_validate_json((self.folder(run_id) / _STATE).read_bytes())
        except (OSError, ValidationError) as error:
            raise UnknownRunError("There is no such run: check the link, or start a new one.") from error
        if record.active and not record.process.alive:
            return self.finish(record, "interrupted", error=STOPPED)
        return record

    def change(self, record: RunRecord, **changes: Any) -> RunRecord:
        """Write a changed record; returns it."""
        changed = record.model_copy(update={**changes, "version": record.version + 1})
        self._save(changed)
        return changed

    def finish(self, record: RunRecord, status: str, **changes: Any) -> RunRecord:
        """Clean up after a run, then write how it ended; its uploads wait for another run of their owner."""
        folder = self.folder(record.id)
        goes_on = record.kind == "race" and status != "done"  # with its data, until it is removed
        if not goes_on:
            self.give_back(record.owner, self.inputs(record.id))
        for leftover in (*([] if goes_on else [folder / _INPUTS]), *folder.glob(".advisor-*")):
            shutil.rmtree(leftover, ignore_errors=True)
        for name in (_CANCEL, *([] if goes_on else [_JOB, LIVE])):
            (folder / name).unlink(missing_ok=True)
        return self.change(record, status=status, finished=time.time(), **changes)

    def _save(self, record: RunRecord) -> None:
        _write(self._runs / record.id / _STATE, record.model_dump_json(indent=2))

    def _records(self) -> Iterator[RunRecord]:
        for folder in self._runs.iterdir():
            with suppress(UnknownRunError):  # being created or removed by somebody else
                yield self.record(folder.name)

    def _shown(self, record: RunRecord) -> Run:
        before = (
            other
            for other in (self._records() if record.status == "queued" else ())
            if other.active and other.process == record.process and other.created < record.created
        )
        return Run.of(record, sum(1 for _ in before))


def _job(request: ProbeRequest, uploads: str, plan: TrialPlan | RacePlan | None) -> Job:
    trial = plan if isinstance(plan, TrialPlan) else None
    return Job(request, uploads, trial, plan if isinstance(plan, RacePlan) else None)


def read_job(folder: Path) -> Job:
    """What the process of the run in ``folder`` is to do."""
    return _JOBS.validate_json((folder / _JOB).read_bytes())


def _write(path: Path, text: str) -> None:
    with replacement(path) as new:
        new.write_text(text, encoding="utf-8")
