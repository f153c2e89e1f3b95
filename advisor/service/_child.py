"""The process of one run: ``python -m advisor.service._child FOLDER``.

It reads ``job.json`` in the folder, probes or tries, and writes the results there. On standard output it
prints one JSON object a line and nothing else::

    {"event": "phase", "name": "embed", "total": 7}
    {"event": "step"}
    {"event": "cost", "seconds": 41.0, "memory_gib": 1.2}
    {"event": "done", "decision": "align", "summary": "..."}
    {"event": "error", "text": "one sentence"}
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from advisor.files import write_files
from advisor.race.console import RaceWatcher
from advisor.service._runs import Job, RacePlan, TrialPlan
from advisor.service._store import LIVE, read_job
from advisor.service._uploads import without_paths
from advisor.study import Record, Watcher
from probes.cost import CostEstimate
from probes.errors import InputError, RunError
from probes.progress import Progress

if TYPE_CHECKING:
    from advisor.grid import AnswerCell, AnswerGrid, JointAnswer
    from advisor.race.running import Racer
    from advisor.race.store import Setup

Tell = Callable[[dict[str, Any]], None]


class _Relay(Progress):
    """Progress, told to the process that waits for it."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def phase(self, name: str, total: int) -> None:
        self._tell({"event": "phase", "name": name, "total": total})

    def advance(self) -> None:
        self._tell({"event": "step"})

    def estimate(self, cost: CostEstimate) -> None:
        self._tell({"event": "cost", "seconds": cost.seconds, "memory_gib": cost.memory_gib})


class _TrialRelay(Watcher):
    """A trial's course: its runs are the steps that are told, since a page looks once a second."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def planned(self, total: int, kept: int) -> None:
        self._tell({"event": "phase", "name": "trial", "total": total})

    def ended(self, record: Record, seconds_left: float) -> None:
        self._tell({"event": "step"})
        self._tell({"event": "cost", "seconds": seconds_left, "memory_gib": None})


class _RaceRelay(RaceWatcher):
    """A race's course: its time is what is told, and what it believes lies in a file of ``folder``."""

    def __init__(self, tell: Tell, folder: Path) -> None:
        self._tell = tell
        self._folder = folder
        self._told = 0

    def begins(self, setup: "Setup", steps: int) -> None:
        self._tell({"event": "phase", "name": "race", "total": 100})

    def took(self, racer: "Racer") -> None:
        from advisor.race.result import result_of

        write_files(self._folder, {LIVE: result_of(racer, "time").model_dump_json()})
        for _ in range(self._told, min(100, round(100 * racer.now / (60 * racer.setup.minutes)))):
            self._told += 1
            self._tell({"event": "step"})
        self._tell({"event": "cost", "seconds": max(0.0, racer.left), "memory_gib": None})


def _probe(folder: Path, job: Job, tell: Tell) -> tuple[str, str]:
    from advisor.recipe import recipe_files
    from advisor.recommend import recommend
    from advisor.report import Report
    from probes.run import run_probe  # torch takes seconds to import

    (request,), store = job.cells, _store_of(folder)
    signals = run_probe(request, _Relay(tell))
    facts = tuple(fact.model_copy(update={"spec": without_paths(fact.spec, store)}) for fact in signals.data)
    signals = signals.model_copy(update={"data": facts})
    report = Report(recommend(signals, min_gain=request.min_gain), signals)
    recipe = recipe_files(report.advice, request)
    report.write(folder, {name: without_paths(text, store, sample=False) for name, text in recipe.items()})
    return report.advice.decision, report.advice.summary


def _grid(folder: Path, job: Job, tell: Tell) -> tuple[str, str]:
    from advisor.grid import compare_targets, probe_cells, write_joint

    tell({"event": "phase", "name": "grid", "total": len(job.cells)})
    cells: list[AnswerCell] = []
    begun = time.monotonic()
    for cell in probe_cells(job.cells, folder):
        cells.append(cell)
        if cell.folder is not None:
            _hide_paths(folder, f"{cell.folder}/*.[hj]*")
            _hide_paths(folder, f"{cell.folder}/recipe/*.[ym]*", sample=False)
        _write_grid(folder, job, cells)
        each = (time.monotonic() - begun) / len(cells)
        tell({"event": "step"})
        tell({"event": "cost", "seconds": each * (len(job.cells) - len(cells)), "memory_gib": None})
    grid = _write_grid(folder, job, cells, list(compare_targets(job.cells, cells, folder)))
    write_joint(grid.joint, job.cells, cells, folder)
    _hide_paths(folder, "*/joint-*/recipe/*.[ym]*", sample=False)
    aligned = sum(cell.advice is not None and cell.advice.aligns for cell in cells)
    said = f"{aligned} of {job.size} cells align, {len(grid.failed)} without an answer."
    return "align" if aligned else "do-not-align", said


def _write_grid(
    folder: Path, job: Job, cells: Sequence["AnswerCell"], joint: Sequence["JointAnswer"] = ()
) -> "AnswerGrid":
    """Write the table as far as it goes, so that a run which is stopped keeps what it has."""
    from advisor.grid import AnswerCell, AnswerGrid, grid_page

    names = {"model", "source", "target", "task"}
    waiting = [AnswerCell(**request.model_dump(include=names)) for request in job.cells[len(cells) :]]
    grid = AnswerGrid.of([*cells, *waiting, *job.refused], joint)
    grid = AnswerGrid.model_validate_json(without_paths(grid.to_json(), _store_of(folder)))
    write_files(folder, {"grid.json": grid.to_json(), "report.html": grid_page(grid)})
    return grid


def _hide_paths(folder: Path, pattern: str, *, sample: bool = True) -> None:
    """Cut the paths of uploads, and of the sample, in the texts of that pattern down to file names."""
    store = _store_of(folder)
    texts = {
        path.relative_to(folder).as_posix(): without_paths(path.read_text("utf-8"), store, sample=sample)
        for path in folder.glob(pattern)
    }
    write_files(folder, texts)


def _try(folder: Path, job: Job, plan: TrialPlan, tell: Tell) -> tuple[str, str]:
    from advisor.recommend import Asked, ask
    from advisor.study import run_trial

    (request,) = job.cells
    result = run_trial(
        request, plan.options, seeds=plan.seeds, steps=plan.steps, out=folder, watcher=_TrialRelay(tell)
    )
    question = request.model_dump(include={"model", "source", "target", "task", "min_gain"})
    return ask(Asked(**question), result).decision, result.verdict


def _race(folder: Path, job: Job, plan: RacePlan, tell: Tell) -> tuple[str, str]:
    from advisor.race import run_race

    (request,) = job.cells
    watcher = _RaceRelay(tell, folder)
    result = run_race(
        request, plan.options, minutes=plan.minutes, steps=plan.steps, out=folder, watcher=watcher
    )
    _hide_paths(folder, "recipe/*.[ym]*", sample=False)
    return result.decision, result.summary


def _store_of(folder: Path) -> Path:
    """The root of the store that a run's folder lies in."""
    return folder.parents[1]


def carry_out(folder: Path, job: Job, tell: Tell) -> int:
    """Do the job, write what came of it into ``folder``, and tell how it goes; returns the exit code."""
    try:
        if job.race is not None:
            decision, summary = _race(folder, job, job.race, tell)
        elif job.trial is not None:
            decision, summary = _try(folder, job, job.trial, tell)
        else:
            decision, summary = (_probe if job.kind == "probe" else _grid)(folder, job, tell)
    except Exception as error:
        said = str(error)
        if not isinstance(error, InputError | RunError):  # the traceback goes to the log
            traceback.print_exc()
            said = f"{' '.join(f'{type(error).__name__}: {error}'.split())} - this is a fault of the program."
        tell({"event": "error", "text": without_paths(said, _store_of(folder))})
        return 1
    tell({"event": "done", "decision": decision, "summary": summary})
    return 0


def _end_with_parent() -> None:
    # Not sys.stdin: a thread that holds its lock makes the interpreter abort on the way out.
    os.read(0, 1)  # returns when the other end is closed, which nobody does on purpose
    os._exit(1)


def main(folder: Path) -> int:
    """Carry out the run in ``folder``; returns the exit code."""
    # Libraries print what they like; the channel is ours alone.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # the page needs the processor, too
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

    def tell(event: dict[str, Any]) -> None:
        channel.write(json.dumps(event) + "\n")

    return carry_out(folder, read_job(folder), tell)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
