"""What the findings would have expected of recorded cells, had they never seen the cell's model and task."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from advisor.findings import load_tables
from advisor.findings.evidence import OWN, CaseMaker, OwnRecord, Tables, observations
from advisor.findings.model import LEADING_SIGNALS, EffectModel, LeadingSignal, SignalStage, fit_stages
from advisor.options import Option
from advisor.race.replay.traces import Trace

Array = NDArray[np.float64]

_WIDTH = 2 * NormalDist().inv_cdf(0.9)
_NO_MOVE = (0.0, 0.0)


def with_priors(traces: Sequence[Trace]) -> list[Trace]:
    """Traces with expectations of findings that are refitted without the own records of their group."""
    tables = load_tables()
    expecting = []
    for group in dict.fromkeys(trace.group for trace in traces):
        name = tables.name_of(group[0])
        rest = _without(tables, name, group[1])
        maker = CaseMaker(rest)
        model = EffectModel.fit(observations(rest.strata[OWN], maker))
        stages = fit_stages(rest, maker, model)
        records = [row for row in tables.records if (row.model, row.task) == (name, group[1])]
        for trace in (trace for trace in traces if trace.group == group):
            cases = [
                maker.case(option, model=name, task=group[1], target=trace.target) for option in trace.options
            ]
            expected = model.predict(cases)
            shifts = np.array([_shift(stages, records, trace, option) for option in trace.options])
            moved = expected.moved(shifts[:, 0], shifts[:, 1])
            sd = (expected.quantile(0.9) - expected.quantile(0.1)) / _WIDTH
            seconds = [row.probe_seconds for row in records if row.target == trace.target]
            expecting.append(
                replace(
                    trace,
                    expected=np.asarray(expected.mean),
                    expected_sd=np.asarray(sd),
                    signalled=np.asarray(moved.mean) if shifts.any() else None,
                    probe_seconds=next((value for value in seconds if value), None),
                )
            )
    return expecting


def _without(tables: Tables, model: str, task: str) -> Tables:
    """The tables without own records of a model and a task; what others published stays."""

    def other(row: object) -> bool:
        return (getattr(row, "model", ""), getattr(row, "task", "")) != (model, task)

    ids = {f"records.csv, {row.id}" for row in tables.records}
    return replace(
        tables,
        effects=tuple(row for row in tables.effects if row.locator not in ids or other(row)),
        records=tuple(filter(other, tables.records)),
    )


def _shift(
    stages: Mapping[LeadingSignal, SignalStage], records: Iterable[OwnRecord], trace: Trace, option: Option
) -> tuple[float, float]:
    """How far the best of the validated signals moves the expectation, and that move's error."""
    for record in records:
        same = (record.target, record.objective, record.schedule)
        if same != (trace.target, option.objective, option.schedule):
            continue
        for signal in sorted(LEADING_SIGNALS, key=lambda signal: -stages[signal].gain_in_score):
            value = float(signal.of_records([record])[0])
            if stages[signal].validated and np.isfinite(value):
                return stages[signal].shift(value, 0.0)
    return _NO_MOVE
