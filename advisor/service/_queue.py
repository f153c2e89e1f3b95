"""One run at a time, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any

from advisor.grid import AnswerCell, spread
from advisor.service._admission import admit, check_size, upload_ids
from advisor.service._limits import Limits
from advisor.service._preview import Preview, look
from advisor.service._runs import Cost, Job, RacePlan, Run, RunRecord, RunRequest, TrialPlan
from advisor.service._store import STOPPED, RunStore
from advisor.service._uploads import UPLOAD_PREFIX
from probes.errors import InputError
from probes.request import ProbeRequest

_TICK = 0.25
"""Seconds between two looks for a wish to stop; progress is relayed at once."""
_GRACE = 10.0
"""Seconds a process gets to end when it is asked to."""


class QueueFullError(InputError):
    """As many runs wait as may."""


class RunQueue:
    """Takes runs and works through them, one at a time.

    A thread starts the process of each run and writes its progress into the store; another stops it when
    that is wanted or its time is up. The process ends by itself when this one does.

    Args:
        store: where runs are kept.
        limits: what visitors may name and spend.
        command: what runs a probe, given the run's folder as last argument; see ``advisor.service._child``
            for what it must print.
    """

    def __init__(self, store: RunStore, limits: Limits, command: Sequence[str] | None = None) -> None:
        self.store = store
        self.limits = limits
        self._command = tuple(command or (sys.executable, "-m", "advisor.service._child"))
        self._waiting: list[str] = []
        self._current: str | None = None
        self._changed = Condition()
        self._closed = False
        self._worker: Thread | None = None

    def submit(self, request: ProbeRequest, session: str, plan: TrialPlan | RacePlan | None = None) -> Run:
        """Queue a probe, a grid where several models or targets are named, or what ``plan`` runs for real.

        Raises:
            InputError: if something named is not allowed or not there.
            QueueFullError: if as many runs wait as may.
        """
        if plan is not None and request.target_labels is None:
            what = "trial" if isinstance(plan, TrialPlan) else "race"
            raise InputError(f"A {what} is scored on labelled target data: name some as target labels.")
        if isinstance(plan, RacePlan) and plan.minutes > self.limits.run_minutes:
            raise InputError(f"A run may take {self.limits.run_minutes:g} minutes here: lower the minutes.")
        with self._changed:
            job = self._admit(request, session)
            if plan is not None and job.size > 1:
                raise InputError("A trial or a race takes one model and one target: start one for each.")
            self._make_room()
            if plan is not None:
                job = job.model_copy(update={"trial" if isinstance(plan, TrialPlan) else "race": plan})
            run = self.store.create(request, session, job)
            self._enqueue(run.id)
        return run

    def preview(self, request: ProbeRequest, session: str) -> Preview:
        """What the first cell of a run would read and may cost, and how many cells there are.

        Raises:
            InputError: if something named is not allowed or not there, or does not fit together.
        """
        job = self._admit(request, session)
        refused = tuple(f"{cell.model}, {cell.target}: {cell.problem}" for cell in job.refused)
        seen = look(job.cells[0], self.store.as_called)
        return seen.model_copy(update={"cells": job.size, "refused": refused})

    def _admit(self, request: ProbeRequest, session: str) -> Job:
        """The cells of a request with their files found; those that ``session`` may not name say why."""
        check_size([(request.model, request.target)])
        named = request.uploads if isinstance(request, RunRequest) else {}

        def find(name: str) -> Path:
            try:
                return self.store.upload(session, named.get(name, name).removeprefix(UPLOAD_PREFIX)).path
            except InputError as error:
                if name in named or not named:
                    raise
                raise InputError(
                    f"No upload is named {name}: send that file, over HTTP with its id in 'uploads'."
                ) from error

        cells: dict[str, list[ProbeRequest]] = {}
        refused: list[AnswerCell] = []
        for asked in self._spread(request):
            try:
                cell = admit(asked, self.limits, find)
                cells.setdefault(asked.model, []).append(cell)
            except InputError as error:
                names = asked.model_dump(include={"model", "source", "target", "task"})
                refused.append(AnswerCell(**names, problem=str(error)))
        if not cells:
            raise InputError(str(refused[0].problem))
        called = {model: admitted[0].model for model, admitted in cells.items()}  # a folder's whole path
        return Job(
            cells=tuple(cell for admitted in cells.values() for cell in admitted),
            refused=tuple(
                cell.model_copy(update={"model": called.get(cell.model, cell.model)}) for cell in refused
            ),
        )

    @staticmethod
    def _spread(request: ProbeRequest) -> list[ProbeRequest]:
        try:
            return spread(request)
        except InputError as error:
            if not upload_ids(request):
                raise
            raise InputError(
                f'{error} Uploads are named so by a request: upload:en-{{target}}.tsv, with "uploads": '
                '{"en-tr.tsv": "upload:ID", ...} in it.'
            ) from error

    def resume(self, run_id: str) -> Run:
        """Go on with a race that was stopped, from its last step.

        Raises:
            InputError: if it is no race, has not stopped short, or as many runs wait as may.
        """
        with self._changed:
            self._make_room()
            self.store.requeue(run_id)
            self._enqueue(run_id)
        return self.store.run(run_id)

    def _make_room(self) -> None:
        if len(self._waiting) >= self.limits.queue_length:
            raise QueueFullError(
                f"{len(self._waiting)} runs are waiting, as many as may: try again in some minutes."
            )
        if self.limits.keep_days is not None:
            self.store.remove_older(86_400 * self.limits.keep_days)

    def _enqueue(self, run_id: str) -> None:
        self._waiting.append(run_id)
        if self._worker is None:
            self._worker = Thread(target=self._work, name="runs", daemon=True)
            self._worker.start()
        self._changed.notify_all()

    def cancel(self, run_id: str) -> Run:
        """Stop a run, or take it out of the queue; nothing happens to one that has ended.

        Returns:
            The run. One under way takes a moment to stop, longer if another process has it.
        """
        record = self.store.record(run_id)
        if record.active:
            with self._changed:
                if run_id in self._waiting:
                    self._waiting.remove(run_id)
                    self.store.finish(record, "cancelled")
                else:
                    self.store.ask_to_stop(run_id)
        return self.store.run(run_id)

    def close(self) -> None:
        """Stop the current run and take no more; it and what waits is put down as interrupted."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, []
            for run_id in waiting:
                self.store.finish(self.store.record(run_id), "interrupted", error=STOPPED)
            if self._current is not None:
                self.store.ask_to_stop(self._current)
            self._changed.notify_all()
            worker = self._worker
        if worker is not None:
            worker.join(_GRACE + 5)

    def _work(self) -> None:
        while (record := self._next()) is not None:
            try:
                self._run(record)
            except Exception as error:  # a full disk, say: the next run may fare better
                said = f"The run could not be carried out ({error}): see that the disk has room."
                with suppress(Exception):
                    self.store.finish(self.store.record(record.id), "failed", error=said)

    def _next(self) -> RunRecord | None:
        """The next run, once there is one; None when the queue is closed."""
        with self._changed:
            self._current = None
            while not self._closed:
                for run_id in filter(self.store.stop_is_wanted, list(self._waiting)):  # another process asked
                    self._waiting.remove(run_id)
                    self.store.finish(self.store.record(run_id), "cancelled")
                if self._waiting:
                    self._current = self._waiting.pop(0)
                    record = self.store.record(self._current)
                    return self.store.change(record, status="running", started=time.time())
                self._changed.wait(timeout=4 * _TICK)
        return None

    def _run(self, record: RunRecord) -> None:
        """Start the process of a run, follow what it tells, and write down how it ended.

        Its standard input is a pipe that nobody writes to: it ends when this process does, however that
        happens, and the child ends with it.
        """
        folder = self.store.folder(record.id)
        with self.store.log(record.id).open("wb") as log:
            process = subprocess.Popen(
                (*self._command, str(folder)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
                start_new_session=True,  # Ctrl-C in the server's terminal is the server's to handle
            )
        stopper = _Stopper(process, self.store, record.id, self.limits.run_minutes)
        ending: dict[str, Any] = {}
        assert process.stdin is not None
        assert process.stdout is not None
        with stopper, process.stdin, process.stdout:
            for line in process.stdout:
                match json.loads(line):
                    case {"event": "phase", "name": name, "total": total}:
                        record = self.store.change(record, phase=name, step=0, total=total)
                    case {"event": "step"}:
                        record = self.store.change(record, step=record.step + 1)
                    case {"event": "cost", "seconds": seconds, "memory_gib": memory}:
                        cost = Cost(seconds=seconds, memory_gib=memory, at=time.time())
                        record = self.store.change(record, cost=cost)
                    case {"event": "done" | "error"} as last:
                        ending = last
            code = process.wait()
        self._finish(record, code, stopper.reason, ending)

    def _finish(self, record: RunRecord, code: int, stopped: str | None, ending: dict[str, Any]) -> None:
        status, error = "failed", ending.get("text")
        if ending.get("event") == "done" and code == 0:
            self.store.finish(record, "done", decision=ending["decision"], summary=ending["summary"])
            return
        if stopped == "unwanted":
            status, error = ("interrupted", STOPPED) if self._closed else ("cancelled", None)
        elif stopped == "overdue":
            error = (
                f"Stopped after {self.limits.run_minutes:g} minutes, the longest a run may take here: choose "
                "a smaller budget or model."
            )
        elif error is None and code < 0:
            status = "interrupted"
            error = (
                f"Its process was killed (signal {-code}), which is what happens when memory runs out: start "
                "it again, with a smaller budget or model if it happens twice."
            )
        elif error is None:
            error = f"Its process ended early (code {code}): see log.txt in the run's folder."
        if record.kind == "grid" and error is not None:
            error += " The cells that were finished are kept."
        self.store.finish(record, status, error=error)


class _Stopper(Thread):
    """Ends the process of a run and its own children once that is wanted or its time is up.

    Attributes:
        reason: ``unwanted`` or ``overdue`` once it has been asked to end.
    """

    def __init__(
        self, process: "subprocess.Popen[bytes]", store: RunStore, run_id: str, minutes: float
    ) -> None:
        super().__init__(daemon=True)
        self.reason: str | None = None
        self._process, self._store, self._run_id, self._seconds = process, store, run_id, 60 * minutes
        self._ended = Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def run(self) -> None:
        """Look every moment until the process has ended."""
        deadline = time.monotonic() + self._seconds
        while self.reason is None and not self._ended.wait(_TICK):
            if self._store.stop_is_wanted(self._run_id):
                self.reason = "unwanted"
            elif time.monotonic() > deadline:
                self.reason = "overdue"
        if self.reason is not None:
            self._signal(signal.SIGTERM)
            if not self._ended.wait(_GRACE):
                self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, number)
            else:
                self._process.terminate()
