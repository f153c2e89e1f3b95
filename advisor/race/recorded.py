"""Recorded runs as cells: what studies and trials saw on the way, paired by seed with fine-tuning alone."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import median, mode
from typing import Any

from advisor.options import NO_ALIGNMENT, Option, Schedule
from advisor.race.errors import Look
from advisor.race.rungs import WHOLE, Rung, RungPlan
from advisor.race.traces import Trace
from advisor.study import Record
from probes.catalogue import TASKS

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
                record.device,
            )
            run = cells[key].setdefault((made.option, made.seed, _plan(record).align_steps), {})
            run |= _looks(record, target)
            if made.option != NO_ALIGNMENT:
                seconds[key].append(record.seconds)
            if made.option.schedule is Schedule.SEQUENTIAL:
                lengths[key].append(_plan(record).align_steps)
    found = []
    for key, by_length in cells.items():
        model, _, task, target, steps, _ = key
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
            found.append(Trace((model, task), target, level, plan, options, gains, seconds=usual))
    return sorted(found, key=lambda trace: (trace.group, trace.target))


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
    settings = record.configuration.settings
    experiment = settings.get("experiment") or {}
    plan = _plan(record)
    assert isinstance(experiment, dict)
    assert record.scores is not None
    align = int(str(experiment.get("align_stop") or plan.align_steps)) / plan.align_steps
    end = int(str(experiment.get("stop") or plan.tune_steps))
    scores = {entry.step: entry.targets[target].value for entry in record.early}
    scores[end] = record.scores.targets[target].value
    return {Rung(align, step / plan.tune_steps): value for step, value in scores.items() if value is not None}
