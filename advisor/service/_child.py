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
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from advisor.files import write_files
from advisor.race.console import RaceWatcher
from advisor.sample import sample_path
from advisor.service._runs import Job, RacePlan, TrialPlan
from advisor.service._store import LIVE, read_job
from advisor.study import Record, Watcher
from probes.cost import CostEstimate
from probes.errors import InputError, RunError
from probes.progress import Progress
from probes.signals import Signals

if TYPE_CHECKING:
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


def _run(folder: Path, job: Job, tell: Tell) -> None:
    from advisor.recipe import recipe_files
    from advisor.recommend import recommend
    from advisor.report import Report
    from probes.run import run_probe  # torch takes seconds to import

    measured = run_probe(job.request, _Relay(tell))
    signals = _as_called(measured, job)
    report = Report(recommend(signals, min_gain=job.request.min_gain), signals)
    recipe = recipe_files(report.advice, job.request)
    report.write(folder, {name: _hide(text, job) for name, text in recipe.items()})
    tell({"event": "done", "decision": report.advice.decision, "summary": report.advice.summary})


def _grid(folder: Path, job: Job, tell: Tell) -> None:
    from advisor.files import write_files
    from advisor.grid import AnswerGrid, compare_targets, grid_page, probe_cells

    tell({"event": "phase", "name": "grid", "total": len(job.cells)})
    cells = []
    for cell in probe_cells(job.cells, folder):
        cells.append(cell.model_copy(update={"problem": cell.problem and _hide(cell.problem, job)}))
        tell({"event": "step"})
    grid = AnswerGrid.of(cells, compare_targets(job.cells, cells, folder))
    write_files(folder, {"grid.json": grid.to_json(), "report.html": grid_page(grid)})
    aligned = sum(cell.advice is not None and cell.advice.aligns for cell in cells)
    said = f"{aligned} of {len(cells)} cells align, {len(grid.failed)} without an answer."
    tell({"event": "done", "decision": "align" if aligned else "do-not-align", "summary": said})


class _TrialRelay(Watcher):
    """A trial's course: its runs are the steps that are told, since a page looks once a second."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def planned(self, total: int, kept: int) -> None:
        self._tell({"event": "phase", "name": "trial", "total": total})

    def ended(self, record: Record, seconds_left: float) -> None:
        self._tell({"event": "step"})
        self._tell({"event": "cost", "seconds": seconds_left, "memory_gib": None})


def _try(folder: Path, job: Job, plan: TrialPlan, tell: Tell) -> None:
    from advisor.recommend import ask
    from advisor.study import run_trial

    request = job.request
    result = run_trial(
        request, plan.options, seeds=plan.seeds, steps=plan.steps, out=folder, watcher=_TrialRelay(tell)
    )
    question = request.model_dump(include={"model", "source", "target", "task", "min_gain"})
    advice = ask(**question, trial=result)
    tell({"event": "done", "decision": advice.decision, "summary": result.verdict})


class _RaceRelay(RaceWatcher):
    """A race's course: its time is what is told, and what it believes lies in a file.

    Args:
        folder: of the run.
    """

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


def _race(folder: Path, job: Job, plan: RacePlan, tell: Tell) -> None:
    from advisor.race import run_race

    result = run_race(
        job.request,
        plan.options,
        minutes=plan.minutes,
        steps=plan.steps,
        out=folder,
        watcher=_RaceRelay(tell, folder),
    )
    texts = (folder / "recipe").glob("*.[ym]*")
    write_files(folder, {f"recipe/{path.name}": _hide(path.read_text("utf-8"), job) for path in texts})
    tell({"event": "done", "decision": result.decision, "summary": result.summary})


def _as_called(signals: Signals, job: Job) -> Signals:
    """The signals with uploads and the sample under names that do not tell where this server keeps them."""
    sample = str(sample_path("en.conllu").parent) + os.sep
    facts = tuple(
        fact.model_copy(update={"spec": _hide(fact.spec, job).replace(sample, "")}) for fact in signals.data
    )
    return signals.model_copy(update={"data": facts})


def _hide(text: str, job: Job) -> str:
    return re.sub(re.escape(job.uploads + os.sep) + r"[0-9a-f]{32}" + re.escape(os.sep), "", text)


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

    job = read_job(folder)
    try:
        if job.race is not None:
            _race(folder, job, job.race, tell)
        elif job.trial is not None:
            _try(folder, job, job.trial, tell)
        elif job.cells:
            _grid(folder, job, tell)
        else:
            _run(folder, job, tell)
    except (InputError, RunError) as error:
        tell({"event": "error", "text": _hide(str(error), job)})
        return 1
    except Exception as error:  # the last line of defence; the traceback goes to the log
        traceback.print_exc()
        sentence = " ".join(f"{type(error).__name__}: {error}".split())
        tell({"event": "error", "text": _hide(f"{sentence} - this is a fault of the program.", job)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
