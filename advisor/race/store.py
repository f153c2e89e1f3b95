"""A race on disk: what it is, every step that was taken, and the weights of runs that may go on.

::

    race.json       what is raced on what, as decided at the start
    steps/0001.json a step each, in order: what was run, its looks by sentence, how long it took
    weights/        states of runs, replaced in one move
    result.json     what came of it

A step counts when its file is there. Whatever a killed process left half done is done again from the weights
of the step before, to the same digits.
"""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from advisor.files import replacement, write_files
from advisor.options import Option
from advisor.race.rungs import Rung, RungPlan
from probes.errors import InputError, RunError
from probes.schema import Frozen

T = TypeVar("T", bound=BaseModel)
Finite = Annotated[float, Field(allow_inf_nan=False)]
WINNER = "state.pt"
"""What the recipe goes on from, beside it."""
ALONE = -1
"""The place of fine-tuning alone among the arms."""


class TimesOfSteps(Frozen):
    """Seconds from a short timing run.

    Attributes:
        align: of an alignment step of each arm; 0 for joint training.
        tune: of a fine-tuning step of each arm, of fine-tuning alone last.
        look: of scoring the target labels once.
        start: of a fit on frozen features, with which fine-tuning begins.
    """

    align: tuple[float, ...]
    tune: tuple[float, ...]
    look: float
    start: float


class Raced(Frozen):
    """What is raced, as both its setup and its result have it.

    Attributes:
        left_out: options that the time did not allow.
        halvings: how often the batch was halved for want of memory.
    """

    schema_version: Literal[1] = 1
    model: str
    source: str
    target: str
    task: str
    metric: str
    min_gain: Finite
    minutes: Finite
    align_steps: int
    tune_steps: int
    left_out: tuple[Option, ...]
    halvings: int


class Setup(Raced):
    """What a race is, as decided at its start.

    Attributes:
        key: of everything that decides its numbers, so that a folder is not gone on with by another race.
        options, mean, sd: the arms with what was expected of them; ``alike`` are those they stand for.
        minutes: that it may take.
        shares: of the ladder.
        elapsed: seconds that it took to get ready.
    """

    key: str
    level: str
    options: tuple[Option, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    alike: tuple[tuple[Option, ...], ...]
    shares: tuple[float, ...]
    seeds: tuple[int, ...]
    times: TimesOfSteps
    elapsed: float


class LookRecord(Frozen):
    """Counts by target text at a share of fine-tuning; see :mod:`advisor.race.labels`."""

    tune: float
    counts: tuple[tuple[int, int], ...]

    @property
    def array(self) -> NDArray[np.float64]:
        """The counts, shape (texts, 2)."""
        return np.array(self.counts, dtype=np.float64)


class StepRecord(Frozen):
    """A step that was taken.

    Attributes:
        arm: its place, or -1 for fine-tuning alone.
        align, tune: shares of the phases that it ran to.
        planned, seconds: it was to take, and took.
        elapsed: of the race when it ended, what killed processes lost not counted.
        error: why the arm is out, if it is.
        for_arm, for_align: which arm fine-tuning alone was run on for, and to which share of alignment: a
            race that is killed between the two finishes what it had decided on.
    """

    arm: int
    seed: int
    align: float
    tune: float
    looks: tuple[LookRecord, ...]
    planned: float
    seconds: float
    elapsed: float
    error: str | None = None
    for_arm: int | None = None
    for_align: float | None = None


class DivergedError(RunError):
    """A loss or a weight is not finite any more."""


def align_state(name: str, plan: RungPlan, rung: Rung) -> str:
    """Name of the state of an alignment phase at a rung."""
    return f"{name}-align-{plan.steps(rung)[0]}"


def tune_state(name: str, plan: RungPlan, rung: Rung) -> str:
    """Name of the state of fine-tuning at a rung."""
    return f"{name}-tune-{'-'.join(map(str, plan.steps(rung)))}"


class RaceStore:
    """The folder of a race, created with the first file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def setup(self) -> Setup | None:
        """What the race is; None before it has begun."""
        return self._read(Setup, self.folder / "race.json")

    def begin(self, setup: Setup) -> None:
        """Write down what the race is; steps of an attempt that ran out of memory go."""
        for name in ("steps", "weights"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.change(setup)

    def change(self, setup: Setup) -> None:
        """Write down that it may take another time."""
        self._write("race.json", setup)

    def steps(self) -> list[StepRecord]:
        """The steps that were taken, in order."""
        files = sorted((self.folder / "steps").glob("*.json"))
        return [step for file in files if (step := self._read(StepRecord, file)) is not None]

    def add(self, number: int, step: StepRecord) -> None:
        """Put down a step."""
        self._write(f"steps/{number:04d}.json", step)

    def finish(self, result: BaseModel, files: Mapping[str, str]) -> None:
        """Write the result, and files beside it."""
        write_files(self.folder, {"result.json": result.model_dump_json(indent=2) + "\n", **files})

    def save_weights(self, name: str, state: dict[str, Any]) -> None:
        """Keep a state in the place of an earlier one of that name."""
        import torch

        path = self._weights(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacement(path) as new:
                torch.save(state, new)
        except (OSError, RuntimeError) as error:  # torch says RuntimeError of a full disk
            raise RunError(
                f"Writing {path} failed ({error}): free or change the disk, then the same command goes on."
            ) from error

    def load_weights(self, name: str) -> dict[str, Any]:
        """A state that was kept."""
        import torch

        try:
            state: dict[str, Any] = torch.load(self._weights(name), weights_only=True)
        except (OSError, EOFError, RuntimeError) as error:
            raise RunError(
                f"{self._weights(name)} cannot be read ({error}): delete {self.folder} and race anew."
            ) from error
        return state

    def keep_weights(self, names: Collection[str]) -> None:
        """Remove all states but these."""
        for path in (self.folder / "weights").glob("*.pt"):
            if path.stem not in names:
                path.unlink(missing_ok=True)

    def save_winner(self, state: dict[str, Any]) -> None:
        """Keep what the recipe goes on from beside the recipe."""
        self.save_weights("winner", state)
        (self.folder / "recipe").mkdir(exist_ok=True)
        self._weights("winner").replace(self.folder / "recipe" / WINNER)

    def _weights(self, name: str) -> Path:
        return self.folder / "weights" / f"{name}.pt"

    def _write(self, name: str, content: BaseModel) -> None:
        write_files(self.folder, {name: content.model_dump_json() + "\n"})

    def _read(self, kind: type[T], path: Path) -> T | None:
        try:
            return kind.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read as part of a race: use another --out, or delete this one."
            ) from error
