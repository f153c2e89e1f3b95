"""What is killed or starved, and what must hold of the files afterwards."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from advisor.advice import Advice
from advisor.report import Report
from advisor.sample import sample_path
from advisor.study import TrialResult
from advisor.study._record import Record
from advisor.study._status import StudyStatus
from probes.errors import InputError
from probes.signals import Signals
from tests.factories import make_advice, make_signals
from tests.models import build
from tests.unit.study.plans import plan_file

__all__ = ["KILLED", "LIMITED", "DamageError", "Outcome", "Scenario"]

_ROOT = Path(__file__).parents[2]


class DamageError(AssertionError):
    """Something is neither as it was nor as it was to become."""


class Outcome(NamedTuple):
    """How a run under a limit ended."""

    damaged: bool
    text: str


def _environment(**more: str) -> dict[str, str]:
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONPATH": str(_ROOT)}
    return {**os.environ, **quiet, **more}


class Scenario(ABC):
    """A command that is killed again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lasts: float | None = None

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """What is run."""

    @abstractmethod
    def check(self) -> None:
        """Look at the files.

        Raises:
            DamageError: if one is half-written, lost or in a wrong place.
        """

    def before(self) -> None:  # noqa: B027 - not every command needs one
        """Make the files for the next run."""

    def finish(self) -> None:  # noqa: B027 - nor the other
        """After the last kill.

        Raises:
            DamageError: if the command cannot be brought to an end any more.
        """

    def run(self, until: float | None = None) -> bool:
        """Run the command, for so many seconds or to its end; returns whether it was killed."""
        process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env=_environment(XDG_CACHE_HOME=str(self.folder / "cache")),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(until)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        if process.returncode:
            raise DamageError(f"the command failed with exit code {process.returncode}")
        return False

    def kill(self, moments: random.Random) -> bool:
        """Start, kill at a random moment of the time a whole run takes, and check; whether it was in time."""
        if self._lasts is None:
            self.before()
            begin = time.perf_counter()
            self.run()
            self._lasts = time.perf_counter() - begin
        self.before()
        begin = time.perf_counter()
        killed = self.run(moments.uniform(0, self._lasts))
        if not killed:  # faster than the first one, which read everything from the disk
            self._lasts = time.perf_counter() - begin
        self.check()
        return killed


def _advisor(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "advisor", *arguments]


def _inputs(model: Path, task: str = "topic") -> list[str]:
    pattern = "topics.{}.tsv" if task == "topic" else "{}.conllu"
    return [
        *(str(model), "--source=en", "--target=tr", f"--task={task}"),
        f"--train={sample_path(pattern.format('en'))}",
        f"--bitext={sample_path('bitext.en-tr.tsv')}",
        f"--target-labels={sample_path(pattern.format('tr'))}",
    ]


def _check_answer(folder: Path, old: Mapping[str, str]) -> None:
    """The answer's files are old, or readable and whole; a folder that was not there is whole or absent."""
    readers: dict[str, Callable[[Path], object]] = {
        "advice.json": Advice.load,
        "signals.json": Signals.load,
        "report.html": _whole_page,
        "recipe/recipe.yaml": Path.read_text,
    }
    if not folder.exists():
        if old:
            raise DamageError(f"{folder.name} is gone")
        return
    for name, read in readers.items():
        path = folder / name
        if not path.exists():
            raise DamageError(f"{name} is missing")
        if path.read_text(encoding="utf-8") == old.get(name):
            continue
        try:
            read(path)
        except (InputError, OSError, ValueError) as error:
            raise DamageError(f"{name} is damaged: {error}") from error


def _whole_page(path: Path) -> None:
    if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise DamageError(f"{path.name} is cut short")


class Probe(Scenario):
    """Every other time the folder of the answer is there already, with older files."""

    _OLD: Mapping[str, str] = dict.fromkeys(
        ("advice.json", "signals.json", "report.html", "recipe/recipe.yaml"), "old"
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._model = build("bert", folder / "model")
        self._old: Mapping[str, str] = {}

    @property
    def command(self) -> list[str]:
        """A small probe that writes a whole answer."""
        return _advisor("probe", *_inputs(self._model), "--budget=quick", "--out=answer")

    def before(self) -> None:
        """Old files, or none."""
        shutil.rmtree(self.folder / "answer", ignore_errors=True)
        self._old = {} if self._old else self._OLD
        for name, content in self._old.items():
            path = self.folder / "answer" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def check(self) -> None:
        """Old or new, and in a new folder all or nothing."""
        _check_answer(self.folder / "answer", self._old)


class Resumed(Scenario):
    """A command that is killed and resumed all the time; a record that is there once stays as it is."""

    records: str
    """Where they are, below the folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.model = build("bert", folder / "model")
        self._known: dict[str, str] = {}

    def kill(self, moments: random.Random) -> bool:
        """Kill within the time that loading and a few runs take."""
        killed = self.run(moments.uniform(0, 20))
        self.check()
        return killed

    def check(self) -> None:
        """Every record is whole, and none is lost or changed."""
        found = {
            path.name: path.read_text(encoding="utf-8") for path in (self.folder / self.records).glob("[!.]*")
        }
        for name, content in found.items():
            try:
                Record.model_validate_json(content)
            except ValidationError as error:
                raise DamageError(f"record {name} is damaged: {error}") from error
        if changed := [name for name, content in self._known.items() if found.get(name) != content]:
            raise DamageError(f"records are lost or changed: {', '.join(changed)}")
        self._known = found

    def resume(self, command: Sequence[str]) -> str:
        """Run to the end; returns what was printed.

        Raises:
            DamageError: if it fails, or a record was lost on the way.
        """
        done = subprocess.run(
            command, cwd=self.folder, env=_environment(), capture_output=True, text=True, check=False
        )
        self.check()
        if done.returncode:
            raise DamageError(f"it cannot be resumed: {done.stderr}")
        return done.stdout


class Trial(Resumed):
    """Two options with many seeds, so that no kill comes too late; in the end as many as there are."""

    records = "trial/records"

    @property
    def command(self) -> list[str]:
        """With seeds for ever."""
        return self._with(400)

    def _with(self, seeds: int) -> list[str]:
        options = ["--option=sentence-contrastive:joint:0.1", f"--seeds={seeds}", "--steps=3"]
        return _advisor("trial", *_inputs(self.model), *options, "--out=trial", "--json")

    def finish(self) -> None:
        """What was killed so often comes to its end with all of its records."""
        seeds = max(1, len(list((self.folder / self.records).glob("[!.]*"))) // 2)
        result = TrialResult.model_validate_json(self.resume(self._with(seeds)))
        if len(result.runs) != 2 * seeds or {run.status for run in result.runs} != {"done"}:
            raise DamageError("the resumed trial lacks runs")


class Study(Resumed):
    """A study of two workers and two targets."""

    records = "study/records"
    _SEEDS = 80

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        plan_file(folder, self.model, seeds=list(range(self._SEEDS)))

    @property
    def command(self) -> list[str]:
        """All of it; after a kill it goes on from there."""
        return _advisor("study", "run", "plan.yaml", "--jobs=2", "--json")

    def finish(self) -> None:
        """Nothing is left to do, and nothing has failed."""
        status = StudyStatus.model_validate_json(self.resume(self.command))
        runs = status.runs
        if (runs.done, runs.failed, runs.left) != (3 * self._SEEDS, 0, 0):
            raise DamageError(f"the resumed study has {runs}")


class Refit(Scenario):
    """The fit of the findings, which is kept in the user's cache."""

    @property
    def command(self) -> list[str]:
        """Ask, which fits if there is nothing in the cache."""
        return _advisor("ask", "--model=xlm-roberta-base", "--target=tr", "--task=pos", "--json")

    def before(self) -> None:
        """An empty cache."""
        shutil.rmtree(self.folder / "cache", ignore_errors=True)

    def check(self) -> None:
        """Whatever is in the cache, the next question is answered."""
        self.run()


class Writer(Scenario):
    """A process that does nothing but write the files of a report, over and over."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.run_once()

    @property
    def command(self) -> list[str]:
        """Write without end."""
        return [sys.executable, "-m", "tests.faults.writer", str(self.folder / "answer")]

    def run_once(self) -> None:
        """Something to replace."""
        Report(make_advice(), make_signals()).write(
            self.folder / "answer", {"recipe/recipe.yaml": "model: bundled\n"}
        )

    def kill(self, moments: random.Random) -> bool:
        """Kill it while it writes: it says when it begins."""
        process = subprocess.Popen(self.command, cwd=_ROOT, env=_environment(), stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        self.check()
        return True

    def check(self) -> None:
        """One of its contents or another, but whole."""
        _check_answer(self.folder / "answer", {"no": "old"})


KILLED: dict[str, Callable[[Path], Scenario]] = {
    "probe": Probe,
    "trial": Trial,
    "study": Study,
    "findings": Refit,
    "report": Writer,
}
"""Commands that are killed, by name."""


# --- real limits -------------------------------------------------------------------------------------------


def _probed(
    folder: Path, out: str | Path, first: Callable[[], None] | None = None
) -> tuple[subprocess.CompletedProcess[str], str]:
    """A probe in a process that does ``first``, and the error that it printed."""
    done = subprocess.run(
        _advisor("probe", *_inputs(folder / "model"), "--budget=quick", f"--out={out}"),
        cwd=folder,
        env=_environment(XDG_CACHE_HOME=str(folder / "cache")),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=first,
    )
    return done, " ".join(done.stderr.partition("Error:")[2].split())


def _limited(folder: Path, limit: int, most: int) -> Outcome:
    """A probe under a resource limit: it ends with one sentence and nothing half-written, or well."""
    shutil.rmtree(folder / "answer", ignore_errors=True)
    done, said = _probed(folder, "answer", lambda: resource.setrlimit(limit, (most, most)))
    damaged = "Traceback" in done.stderr
    try:
        _check_answer(folder / "answer", {})
    except DamageError as damage:
        damaged, said = True, f"{damage}; {said}"
    if done.returncode not in (0, 1):
        said = f"died: {' '.join(done.stderr.split())[-200:]}"
    return Outcome(damaged, f"exit code {done.returncode}. {said}")


def disk(folder: Path) -> Iterator[Outcome]:
    """No file may grow beyond so many bytes."""
    build("bert", folder / "model")
    for kib in (1, 30, 200):
        damaged, text = _limited(folder, resource.RLIMIT_FSIZE, kib * 1024)
        yield Outcome(damaged, f"{kib} KiB a file: {text}")


def full(folder: Path) -> Iterator[Outcome]:
    """A file system of its own that is too small (needs the right to mount one)."""
    build("bert", folder / "model")
    small = folder / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        yield Outcome(False, "not tried, for want of the right to mount a file system")
        return
    try:
        done, said = _probed(folder, small / "answer")
        damaged = done.returncode != 1 or "Traceback" in done.stderr or any(small.iterdir())
        yield Outcome(damaged, f"64 KiB in all: exit code {done.returncode}. {said}")
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        done, said = _probed(folder, small / "answer")
        damaged = done.returncode not in (1, 2) or "Traceback" in done.stderr
        yield Outcome(damaged, f"read-only: exit code {done.returncode}. {said}")
    finally:
        subprocess.run(["umount", str(small)], check=True)


def memory(folder: Path) -> Iterator[Outcome]:
    """No more than so much address space."""
    build("bert", folder / "model")
    for mib in (300, 700, 1500, 3000):
        damaged, text = _limited(folder, resource.RLIMIT_AS, mib * 2**20)
        yield Outcome(damaged, f"{mib} MiB: {text}")


LIMITED: dict[str, Callable[[Path], Iterator[Outcome]]] = {"disk": disk, "full": full, "memory": memory}
"""Runs that are starved, by name."""
