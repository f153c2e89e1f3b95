"""A run: what was asked for, and how far it has come."""

import os
import re
import time
from typing import Annotated, Literal, Self

import psutil
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from advisor.decide import Verdict
from advisor.grid import AnswerCell
from probes.errors import InputError
from probes.request import ProbeRequest
from probes.schema import Frozen

Kind = Literal["probe", "grid", "trial", "race"]
"""What a run does: measure, measure many cells, align and fine-tune for real, or do that cut short."""

Status = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
"""``failed``: it could not finish, and ``error`` says why; ``interrupted``: its process ended under it."""

ACTIVE: frozenset[Status] = frozenset({"queued", "running"})
"""What a run is until it has ended."""

_RUN_ID = re.compile(r"[0-9a-f]{24}")


class UnknownRunError(InputError):
    """There is no run of that id."""


class TrialPlan(Frozen):
    """What a trial runs beside fine-tuning alone.

    Attributes:
        options: as :meth:`advisor.options.Option.parse` reads them.
        seeds: runs of each.
        steps: of each phase at most; None for three epochs.
    """

    options: tuple[str, ...] = Field(min_length=1, max_length=8)
    seeds: int = Field(default=3, ge=1, le=10, description="Runs of each; one cannot decide.")
    steps: int | None = Field(default=None, ge=1, le=100_000)


class RacePlan(Frozen):
    """What races against fine-tuning alone.

    Attributes:
        minutes: that it may take.
        options: as :meth:`advisor.options.Option.parse` reads them; none: what is expected to gain most.
        steps: of each phase of a whole run; None for three epochs.
    """

    minutes: float = Field(default=30.0, gt=0, le=24 * 60, allow_inf_nan=False)
    options: tuple[str, ...] = Field(default=(), max_length=8)
    steps: int | None = Field(default=None, ge=2, le=100_000)


_Short = Annotated[str, Field(max_length=200)]


class RunRequest(ProbeRequest):
    """What is asked of a run."""

    uploads: dict[_Short, _Short] = Field(
        default={},
        max_length=5000,
        description="Names for uploads, so that each target can have its own: with "
        '{"en-tr.tsv": "upload:ID", "en-de.tsv": "upload:ID"} a bitext may be upload:en-{target}.tsv.',
    )


class Job(Frozen):
    """What a run's process does.

    Attributes:
        cells: the request for each model and target, with its files found; a single one but for a grid.
        refused: cells of a grid that cannot be probed, each with the sentence that says why.
        trial, race: what to run for real; None for a probe.
    """

    cells: tuple[ProbeRequest, ...]
    refused: tuple[AnswerCell, ...] = ()
    trial: TrialPlan | None = None
    race: RacePlan | None = None

    @property
    def kind(self) -> Kind:
        """What it does."""
        return "trial" if self.trial else "race" if self.race else "grid" if self.size > 1 else "probe"

    @property
    def size(self) -> int:
        """How many cells were asked for."""
        return len(self.cells) + len(self.refused)


class Process(Frozen):
    """A process of this machine; its start keeps it apart from later ones with the same number."""

    pid: int
    started: float

    @classmethod
    def this(cls) -> Self:
        """The one that asks."""
        return cls(pid=os.getpid(), started=psutil.Process().create_time())

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < 1
        except psutil.Error:
            return False


class Cost(Frozen):
    """What was left to do at one moment, as the run itself timed it.

    Attributes:
        seconds: wall-clock time from then on.
        memory_gib: highest resident memory, if it is known.
        at: the moment, in seconds since 1970.
    """

    seconds: float
    memory_gib: float | None
    at: float


def _today(decision: object) -> object:
    """Runs of before schema 2 of advice could end as ``cannot-tell``, which is no decision."""
    return None if decision == "cannot-tell" else decision


class RunOutline(BaseModel):
    """What everybody who may see a run knows of it.

    Attributes:
        version: counts the changes.
        created: seconds since 1970.
        phase: one of ``probes.progress.PHASES``, or the option and seed that a trial is at; None before the
            first.
        step, total: within the phase.
        error: why it failed, in one sentence.
        decision, summary: of the advice, once done; of a trial, its verdict.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Kind = "probe"
    status: Status
    version: int = 0
    model: str
    source: str
    target: str
    task: str
    budget: str
    created: float
    phase: str | None = None
    step: int = 0
    total: int = 0
    error: str | None = None
    decision: Annotated[Verdict | None, BeforeValidator(_today)] = None
    summary: str | None = None

    @property
    def active(self) -> bool:
        """Whether it has not ended yet."""
        return self.status in ACTIVE

    @property
    def goes_on(self) -> bool:
        """Whether it is a race that can be gone on with, or may be some day."""
        return self.kind == "race" and self.status != "done"


class RunRecord(RunOutline):
    """What is kept of a run in ``state.json``.

    Attributes:
        started, finished: seconds since 1970.
        owner: whose it is; a digest, not the session itself.
        process: that runs it or has it queued.
    """

    started: float | None = None
    finished: float | None = None
    cost: Cost | None = None
    owner: str
    process: Process


class Run(RunOutline):
    """A run as a visitor sees it.

    Attributes:
        ahead: runs that come before it; 0 when it runs.
        seconds: it has taken so far, or took.
        seconds_left: known once the run has timed its first batch.
        memory_gib: expected highest memory, known at the same time.
    """

    ahead: int
    seconds: float
    seconds_left: float | None
    memory_gib: float | None

    @classmethod
    def of(cls, record: RunRecord, ahead: int) -> Self:
        """The visitor's view of ``record``, at this moment."""
        now, cost = record.finished or time.time(), record.cost
        return cls(
            **record.model_dump(include=set(RunOutline.model_fields)),
            ahead=ahead,
            seconds=max(0.0, now - record.started) if record.started else 0.0,
            seconds_left=max(0.0, cost.at + cost.seconds - now)
            if cost is not None and record.status == "running"
            else None,
            memory_gib=cost.memory_gib if cost else None,
        )


def check_run_id(run_id: str) -> str:
    """``run_id`` if it is of the form ids have, so that it can name a folder.

    Raises:
        UnknownRunError: otherwise.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise UnknownRunError("There is no such run: check the link, or start a new one.")
    return run_id
