"""Recorded runs as cells: what studies saw on the way, paired by seed with fine-tuning alone."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, mode
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor import findings
from advisor.options import NO_ALIGNMENT, Option, Schedule
from advisor.race.errors import Look
from advisor.race.rungs import WHOLE, Rung, RungPlan
from advisor.study import Record, curve_of, read_records
from probes.catalogue import TASKS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """Everything that was seen in one cell.

    Attributes:
        group: the model and the task.
        level: of the task.
        plan: the length of its runs.
        options: the arms, fine-tuning alone not among them.
        gains: by look, in points.
        expected, expected_sd: of each arm, by findings that never saw the group; shape (arms,).
        signalled: ``expected`` moved by what a probe of the cell measured.
        probe_seconds: what that probe took.
        seconds: of a whole aligned run, usually.
    """

    group: tuple[str, str]
    target: str
    level: str
    plan: RungPlan
    options: tuple[Option, ...]
    gains: Mapping[Look, float]
    expected: Array | None = None
    expected_sd: Array | None = None
    signalled: Array | None = None
    probe_seconds: float | None = None
    seconds: float | None = None
    _looks: dict[tuple[int, int], list[Look]] = field(default_factory=dict, init=False, compare=False)

    def __post_init__(self) -> None:
        by_run: defaultdict[tuple[int, int], list[Look]] = defaultdict(list)
        for look in self.gains:
            by_run[look.arm, look.seed].append(look)
        self._looks.update(by_run)

    def looks(self, arm: int, seed: int) -> Sequence[Look]:
        """Where a run was looked at."""
        return self._looks.get((arm, seed), ())

    @property
    def seeds(self) -> list[int]:
        """Seeds with which every arm was run to its end."""
        seeds = sorted({look.seed for look in self.gains})
        whole = range(len(self.options))
        return [seed for seed in seeds if all(Look(arm, seed, WHOLE) in self.gains for arm in whole)]

    def final(self, seeds: Sequence[int]) -> Array:
        """Final gain of each arm, the mean over ``seeds``; shape (arms,)."""
        arms = range(len(self.options))
        return np.array([np.mean([self.gains[Look(arm, seed, WHOLE)] for seed in seeds]) for arm in arms])


_CUT = {"align_stop", "stop"}
"""What may be different about a run that is the beginning of another."""


def traces_of(records: Iterable[Record]) -> list[Trace]:
    """The cells of records: of runs as anybody would do them, and of such runs cut short.

    Args:
        records: of any studies; those of controls and of runs that did not end are passed over.
    """
    cells: defaultdict[tuple[Any, ...], dict[tuple[Option, int, int], dict[Rung, float]]] = defaultdict(dict)
    lengths: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    seconds: defaultdict[tuple[Any, ...], list[float]] = defaultdict(list)
    for record in records:
        if record.scores is None or not _as_usual(record):
            continue
        made = record.configuration
        for target in record.scores.targets:
            key = (
                record.model,
                made.model_sha256,
                made.task,
                target,
                _plan(record).tune_steps,
                made.settings.get("learning_rate"),
                record.device,
            )
            run = cells[key].setdefault((made.option, made.seed, _plan(record).align_steps), {})
            run |= _looks(record, target)
            if made.option != NO_ALIGNMENT:
                seconds[key].append(record.seconds)
            if made.option.schedule is Schedule.SEQUENTIAL:
                lengths[key].append(_plan(record).align_steps)
    traces = []
    for key, by_length in cells.items():
        model, _, task, target, steps, *_ = key
        plan = RungPlan(mode(lengths[key] or [steps]), steps)
        runs = {
            (option, seed): looks
            for (option, seed, length), looks in by_length.items()
            if option.schedule is not Schedule.SEQUENTIAL or length == plan.align_steps
        }
        options = tuple(sorted({option for option, _ in runs if option != NO_ALIGNMENT}, key=str))
        gains = {
            Look(options.index(option), seed, rung): score - alone[baseline]
            for (option, seed), looks in runs.items()
            if option != NO_ALIGNMENT and (alone := runs.get((NO_ALIGNMENT, seed)))
            for rung, score in looks.items()
            if (baseline := Rung(1.0, rung.tune)) in alone
        }
        if any(look.rung == WHOLE for look in gains):
            level = TASKS[task].level
            usual = median(seconds[key])
            traces.append(Trace((model, task), target, level, plan, options, gains, seconds=usual))
    return sorted(traces, key=lambda trace: (trace.group, trace.target))


def _as_usual(record: Record) -> bool:
    """Whether nothing about the run is an experiment, but that it may have been cut short."""
    experiment = record.configuration.settings.get("experiment") or {}
    assert isinstance(experiment, dict)
    usual = {"pairing": "translations", "refit_head": True}
    return all(
        value is None or name in _CUT or usual.get(name) == value for name, value in experiment.items()
    )


def _plan(record: Record) -> RungPlan:
    settings = record.configuration.settings
    tune = settings.get("max_steps")
    assert isinstance(tune, int)
    align = settings.get("align_steps") or tune
    return RungPlan(int(str(align)), tune)


def _looks(record: Record, target: str) -> dict[Rung, float]:
    """Scores by rung. A run that was cut short ends before the whole."""
    experiment = record.configuration.settings.get("experiment") or {}
    assert isinstance(experiment, dict)
    plan = _plan(record)
    align = int(str(experiment.get("align_stop") or plan.align_steps)) / plan.align_steps
    return {Rung(align, step / plan.tune_steps): score for step, score in curve_of(record, target).items()}


def shipped_traces() -> list[Trace]:
    """The cells of the studies that the findings rest on."""
    studies = sorted((Path(findings.__file__).parent / "study").glob("*.study.xz"))
    return traces_of(record for study in studies for record in read_records(study))
