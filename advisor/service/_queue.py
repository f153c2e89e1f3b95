"""One run at a time, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition, Thread
from typing import IO, Any

from advisor.grid import spread
from advisor.service._admission import admit, upload_ids
from advisor.service._limits import Limits
from advisor.service._runs import Cost, RacePlan, Run, RunRecord, TrialPlan
from advisor.service._store import STOPPED, RunStore
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

    A thread watches the process of the current run, writes its progress into the store and stops it
    when that is wanted or its time is up. The process ends by itself when this one does.

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
        """Queue a run; its uploads become its own.

        Args:
            request: what to probe; several models or targets by commas make a grid.
            session: whose run it is, and whose uploads it may name.
            plan: what to run for real on it, in place of a probe.

        Raises:
            InputError: if something named is not allowed or not there.
            QueueFullError: if as many runs wait as may.
        """
        if plan is not None and request.target_labels is None:
            what = "trial" if isinstance(plan, TrialPlan) else "race"
            raise InputError(f"A {what} is scored on labelled target data: name some as target labels.")
        if isinstance(plan, RacePlan) and plan.minutes > self.limits.run_minutes:
            raise InputError(f"A run may take {self.limits.run_minutes:g} minutes here: lower the minutes.")
        cells = spread(request)
        if plan is not None and len(cells) > 1:
            raise InputError("A trial or a race takes one model and one target: start one for each.")
        for cell in cells:
            admit(cell, self.limits, lambda upload_id: self.store.upload(session, upload_id).path)
        with self._changed:
            if len(self._waiting) >= self.limits.queue_length:
                raise QueueFullError(
                    f"{len(self._waiting)} runs are waiting, as many as may: try again in some minutes."
                )
            if self.limits.keep_days is not None:
                self.store.remove_older(86_400 * self.limits.keep_days)
            run = self.store.create(request, session, plan)
            try:
                taken = {
                    upload_id: self.store.take_upload(run.id, self.store.upload(session, upload_id))
                    for upload_id in upload_ids(request)
                }
                admitted = [admit(cell, self.limits, taken.__getitem__) for cell in cells]
                self.store.prepare(run.id, admitted, plan)
            except BaseException as error:
                self.store.finish(self.store.record(run.id), "failed", error=str(error))
                self.store.remove(run.id)
                raise
            self._enqueue(run.id)
        return run

    def resume(self, run_id: str) -> Run:
        """Go on with a race that was stopped, from its last step.

        Raises:
            UnknownRunError: if there is no such run.
            InputError: if it is no race, has not stopped short, or as many runs wait as may.
        """
        with self._changed:
            if len(self._waiting) >= self.limits.queue_length:
                raise QueueFullError("As many runs are waiting as may: try again in some minutes.")
            self.store.requeue(run_id)
            self._enqueue(run_id)
        return self.store.run(run_id)

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

        Raises:
            UnknownRunError: if there is no such run.
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
        while True:
            with self._changed:
                self._current = None
                while not self._waiting and not self._closed:
                    self._changed.wait(timeout=4 * _TICK)
                    self._drop_unwanted()
                if self._closed:
                    return
                self._drop_unwanted()
                if not self._waiting:
                    continue
                self._current = self._waiting.pop(0)
                record = self.store.change(
                    self.store.record(self._current), status="running", started=time.time()
                )
            try:
                self._supervise(record)
            except Exception as error:  # a full disk, say: the next run may fare better
                with suppress(Exception):
                    self.store.finish(
                        self.store.record(record.id),
                        "failed",
                        error=f"The run could not be carried out ({error}): see that the disk has room.",
                    )

    def _drop_unwanted(self) -> None:
        """Take out those that another process has been asked to cancel."""
        for run_id in [run_id for run_id in self._waiting if self.store.stop_is_wanted(run_id)]:
            self._waiting.remove(run_id)
            self.store.finish(self.store.record(run_id), "cancelled")

    def _supervise(self, record: RunRecord) -> None:
        folder = self.store.folder(record.id)
        deadline = time.monotonic() + 60 * self.limits.run_minutes
        child = _Child((*self._command, str(folder)), folder, self.store.log(record.id))
        stopped: str | None = None
        ending: dict[str, Any] = {}
        for event in child.events():
            match event:
                case None:
                    if stopped is None and self.store.stop_is_wanted(record.id):
                        stopped = "cancelled"
                    elif stopped is None and time.monotonic() > deadline:
                        stopped = "overdue"
                    if stopped is not None:
                        child.stop()
                case {"event": "phase", "name": name, "total": total}:
                    record = self.store.change(record, phase=name, step=0, total=total)
                case {"event": "step"}:
                    record = self.store.change(record, step=record.step + 1)
                case {"event": "cost", "seconds": seconds, "memory_gib": memory}:
                    cost = Cost(seconds=seconds, memory_gib=memory, at=time.time())
                    record = self.store.change(record, cost=cost)
                case {"event": "done" | "error"}:
                    ending = event
        self._finish(record, child.wait(), stopped, ending)

    def _finish(self, record: RunRecord, code: int, stopped: str | None, ending: dict[str, Any]) -> None:
        if ending.get("event") == "done" and code == 0:
            self.store.finish(record, "done", decision=ending["decision"], summary=ending["summary"])
        elif stopped == "cancelled" and self._closed:
            self.store.finish(record, "interrupted", error=STOPPED)
        elif stopped == "cancelled":
            self.store.finish(record, "cancelled")
        elif stopped == "overdue":
            self.store.finish(
                record,
                "failed",
                error=f"Stopped after {self.limits.run_minutes:g} minutes, the longest a run may take here: "
                "choose a smaller budget or model.",
            )
        elif ending.get("event") == "error":
            self.store.finish(record, "failed", error=ending["text"])
        elif code < 0:
            self.store.finish(
                record,
                "interrupted",
                error=f"Its process was killed (signal {-code}), which is what happens when memory runs out: "
                "start it again, with a smaller budget or model if it happens twice.",
            )
        else:
            self.store.finish(
                record,
                "failed",
                error=f"Its process ended early (code {code}): see log.txt in the run's folder.",
            )


class _Child:
    """The process of one run.

    Its standard input is a pipe that nobody writes to: it ends when this process does, however that
    happens, and the child ends with it.
    """

    def __init__(self, command: Sequence[str], folder: Path, log: Path) -> None:
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=folder,
                start_new_session=True,  # Ctrl-C in the server's terminal is the server's to handle
            )
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._asked: float | None = None
        assert self._process.stdout is not None
        Thread(target=self._pump, args=(self._process.stdout,), daemon=True).start()

    def _pump(self, output: IO[bytes]) -> None:
        for line in output:
            self._lines.put(line)
        self._lines.put(None)

    def events(self) -> Iterator[dict[str, Any] | None]:
        """What the child reports, and None whenever a moment has passed."""
        last = time.monotonic()
        while True:
            try:
                line = self._lines.get(timeout=_TICK)
            except Empty:
                line = b""
            if line is None:
                return
            if line:
                yield json.loads(line)
            if time.monotonic() - last >= _TICK:
                last = time.monotonic()
                yield None

    def stop(self) -> None:
        """Ask the process and its own children to end, and make them if they do not."""
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
            self._signal(signal.SIGTERM)
        elif now - self._asked > _GRACE:
            self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def wait(self) -> int:
        """The exit code; the process has closed its output already."""
        assert self._process.stdin is not None
        code = self._process.wait()
        self._process.stdin.close()
        return code

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, number)
            else:
                self._process.terminate()
