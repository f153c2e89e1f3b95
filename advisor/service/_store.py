"""Runs and uploads on disk.

Layout below the root::

    runs/<id>/state.json     the record; always whole, never half-written
              request.json   what was asked for
              job.json       the same with files found; gone after the run
              log.txt        what the run's process printed
              cancel         present once somebody wants the run to stop
              signals.json, advice.json, report.html, recipe/; of a trial trial.json, records/;
              of a race live.json, result.json, race.json, steps/, weights/; of a grid grid.json,
              report.html, <model>/<target>/ for every cell, <model>/joint-<number>/
    uploads/<owner>/<id>/<file>

Ids are random and long enough that knowing one is the right to see the run and its results, so that a link
shares them; a run is its owner's to cancel or remove. Only the process that has a run in its queue writes its
record; others may ask for a stop, and find out when that process has died.
"""

import io
import os
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from advisor.files import replacement
from advisor.grid import AnswerGrid
from advisor.service._admission import upload_ids
from advisor.service._runs import Job, Process, Run, RunRecord, RunRequest, UnknownRunError, check_run_id
from advisor.service._uploads import Upload, UploadStore, owner_of, without_paths
from probes.errors import InputError
from probes.request import ProbeRequest

ARTEFACTS = ("signals.json", "advice.json", "report.html", "trial.json", "result.json", "grid.json")
"""What a finished run offers, beside its recipe: the last three if it was a trial, a race or a grid."""
LIVE = "live.json"
"""What a race believes while it is under way."""

STOPPED = "The service stopped before this run had ended: start it again."
"""What is said of a run that a restart caught."""

_STATE, _REQUEST, _JOB, _LOG, _CANCEL = "state.json", "request.json", "job.json", "log.txt", "cancel"


class RunStore(UploadStore):
    """The runs and uploads below one folder, which is created where it does not exist.

    Several processes of one machine may share it. Whatever takes the id of a run raises UnknownRunError if
    there is no such run.

    Args:
        root: the folder; only its owner may read what is in it.

    Raises:
        InputError: if the folder cannot be made or written to.
    """

    def __init__(self, root: Path) -> None:
        self._runs = root.absolute() / "runs"
        self._process = Process.this()
        try:
            for folder in (root.absolute(), self._runs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            super().__init__(root.absolute())
            if not os.access(root, os.W_OK | os.X_OK):
                raise PermissionError(None, "no permission to write there")
        except OSError as error:
            raise InputError(
                f"Cannot keep runs in {root} ({error.strerror}): "
                "set ADVISOR_STORE to a folder you may write to."
            ) from error
        self.sweep_uploads(self._in_use())

    def as_called(self, text: str) -> str:
        """``text`` with the paths of uploads and of the sample cut down to file names."""
        return without_paths(text, self._runs.parent)

    def save_upload(self, session: str, name: str, chunks: Iterable[bytes], most: int) -> Upload:
        """Keep a file as :class:`UploadStore` does, once those that nobody uses any more are gone."""
        self.sweep_uploads(self._in_use())
        return super().save_upload(session, name, chunks, most)

    # --- runs --------------------------------------------------------------------------------------------

    def create(self, request: ProbeRequest, session: str, job: Job | None = None) -> Run:
        """Write down a run, queued: the request in the visitor's words, and the job with its files found."""
        owner = owner_of(session)
        job = job or Job(cells=(request,))
        record = RunRecord(
            id=secrets.token_hex(12),
            kind=job.kind,
            status="queued",
            **request.model_dump(include={"model", "source", "target", "task", "budget"}),
            created=time.time(),
            owner=owner,
            process=self._process,
        )
        folder = self.folder(record.id)
        folder.mkdir(mode=0o700)
        try:
            _write(folder / _REQUEST, request.model_dump_json(indent=2))
            _write(folder / _JOB, job.model_dump_json())
            self._save(record)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self.run(record.id)

    def run(self, run_id: str) -> Run:
        """The run as it stands."""
        return self._shown(self.record(run_id))

    def runs(self, session: str | None = None) -> list[Run]:
        """The runs of a session, or all of them; the newest first."""
        owner = None if session is None else owner_of(session)
        shown = (self._shown(record) for record in self._records() if owner in (None, record.owner))
        return sorted(shown, key=lambda run: run.created, reverse=True)

    def owns(self, session: str, run_id: str) -> bool:
        """Whether the run was started by ``session``."""
        return self.record(run_id).owner == owner_of(session)

    def request(self, run_id: str) -> RunRequest:
        """What was asked for."""
        self.record(run_id)
        return RunRequest.model_validate_json((self.folder(run_id) / _REQUEST).read_bytes())

    def has_result(self, run: Run) -> bool:
        """Whether it has ended well, or is a grid some of whose cells are there."""
        return run.status == "done" or (run.kind == "grid" and (self.folder(run.id) / "grid.json").exists())

    def artefact(self, run_id: str, name: str, cell: str | None = None) -> Path:
        """Where a result of a finished run lies, or of what a grid has finished so far.

        Args:
            name: one of ``ARTEFACTS``, or ``recipe``.
            cell: folder of a grid's cell whose result it is, as its grid names it.

        Raises:
            UnknownRunError: if there is no such result of it (yet).
        """
        run = self.run(run_id)
        path = self.folder(run_id) / (cell or "") / name
        offered = name in (*ARTEFACTS, "recipe") and self.has_result(run)
        if cell is not None:
            offered = offered and any(cell == other.folder for other in self.grid(run_id).cells)
        if not offered or not path.exists():
            raise UnknownRunError(f"This run is {run.status} and has no {name}: see how it ended.")
        return path

    def grid(self, run_id: str) -> AnswerGrid:
        """The cells of a grid, as far as they are finished.

        Raises:
            UnknownRunError: if the run is no grid, or has finished no cell yet.
        """
        try:
            return AnswerGrid.model_validate_json(self.artefact(run_id, "grid.json").read_bytes())
        except ValidationError as error:
            raise UnknownRunError("This grid is of another version: start it again.") from error

    def recipe_zip(self, run_id: str) -> bytes:
        """The recipe of a finished run, packed; of a grid all there are, joint ones too."""
        folder = self.folder(run_id)
        several = self.record(run_id).kind == "grid"
        recipes = list(folder.glob("*/*/recipe")) if several else [self.artefact(run_id, "recipe")]
        if not recipes:
            raise UnknownRunError("This grid has no recipe yet: wait for its first cell.")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for recipe in recipes for path in recipe.rglob("*")):
                if path.is_file() and path.suffix != ".pt":
                    archive.write(path, path.relative_to(folder))
        return packed.getvalue()

    def race(self, run_id: str) -> bytes | None:
        """The result of a race, or what it believes so far; None before its first step."""
        self.record(run_id)
        results = (self.folder(run_id) / name for name in ("result.json", LIVE))
        return next((path.read_bytes() for path in results if path.is_file()), None)

    def requeue(self, run_id: str) -> RunRecord:
        """Put a race that was stopped down as queued again, with what it has.

        Raises:
            InputError: if it is no race, or has not stopped short.
        """
        record = self.record(run_id)
        if record.active or not record.goes_on:
            raise InputError("Only a race that was stopped can be gone on with.")
        (self.folder(run_id) / _CANCEL).unlink(missing_ok=True)
        return self.change(
            record, status="queued", finished=None, started=None, error=None, process=self._process
        )

    def remove(self, run_id: str) -> None:
        """Forget a run that has ended, with the uploads that no other run needs.

        Raises:
            InputError: if it has not ended.
        """
        record = self.record(run_id)
        if record.active:
            raise InputError("This run has not ended: cancel it before you remove it.")
        named = self._uploads_named(run_id)
        shutil.rmtree(self.folder(run_id), ignore_errors=True)
        self.remove_uploads(record.owner, named - self._in_use())

    def remove_older(self, seconds: float) -> None:
        """Forget the runs that ended longer ago than ``seconds``."""
        for record in self._records():
            if record.finished is not None and time.time() - record.finished > seconds:
                self.remove(record.id)

    # --- for the queue -----------------------------------------------------------------------------------

    def folder(self, run_id: str) -> Path:
        """The run's folder, whether it exists or not."""
        return self._runs / check_run_id(run_id)

    def log(self, run_id: str) -> Path:
        """Where the run's process prints to."""
        return self.folder(run_id) / _LOG

    def ask_to_stop(self, run_id: str) -> None:
        """Leave word that the run is to stop; the process that has it in its queue looks for it."""
        (self.folder(run_id) / _CANCEL).touch()

    def stop_is_wanted(self, run_id: str) -> bool:
        """Whether somebody wants the run to stop."""
        return (self.folder(run_id) / _CANCEL).exists()

    def record(self, run_id: str) -> RunRecord:
        """What is on disk; a run whose process has died is put down as interrupted first."""
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
        ended = record.model_copy(update={"status": status, "finished": time.time(), **changes})
        folder = self.folder(record.id)
        self.renew_uploads(record.owner, self._uploads_named(record.id))
        for leftover in [*folder.rglob(".advisor-*")]:  # of a grid's cells, too
            shutil.rmtree(leftover, ignore_errors=True)
        for name in (_CANCEL, *(() if ended.goes_on else (_JOB, LIVE))):
            (folder / name).unlink(missing_ok=True)
        return self.change(ended)

    def _uploads_named(self, run_id: str) -> set[str]:
        """The uploads that a run was asked to use."""
        with suppress(OSError, ValueError):
            request = (self.folder(run_id) / _REQUEST).read_bytes()
            return set(upload_ids(RunRequest.model_validate_json(request)))
        return set()

    def _in_use(self) -> set[str]:
        """The uploads of the runs that are under way or can be gone on with."""
        records = (record for record in self._records() if record.active or record.goes_on)
        return {name for record in records for name in self._uploads_named(record.id)}

    def _save(self, record: RunRecord) -> None:
        _write(self.folder(record.id) / _STATE, record.model_dump_json(indent=2))

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


def read_job(folder: Path) -> Job:
    """What the process of the run in ``folder`` is to do."""
    return Job.model_validate_json((folder / _JOB).read_bytes())


def _write(path: Path, text: str) -> None:
    with replacement(path) as new:
        new.write_text(text, encoding="utf-8")
