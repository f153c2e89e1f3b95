"""The test that was registered before the runs it is made on: do four signals tell what aligning gains?

``findings/study/REGISTERED.md`` has its wording. A gain is predicted from the mean gain of the same option in
the other groups (an encoder state and a task), and from that plus a straight line in the signal, by least
squares, by fits that have not seen its group or, as the harder hold-out, any group of its encoder state.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import LONG, OwnRecord
from advisor.findings.model import LEADING_SIGNALS, LeadingSignal
from advisor.findings.reports._choosing import option_of
from advisor.findings.reports._figures import Figure, Resample, centred, figure_of
from probes.schema import Frozen

Array = NDArray[np.float64]

_DRAWS = 2000
_LEAST_ROWS, _LEAST_GROUPS = 12, 4
_CHANGE = {"target-labels": -1.5, "target-projected": -1.0}
"""Points that the error must fall by to count as a success."""
_WITHIN = 0.5
"""Correlation within groups and options that it takes as well."""


class RegisteredTest(Frozen):
    """What the test says of one signal.

    Attributes:
        signal: its name.
        rows, groups, states: that have it.
        error: root mean squared error without the signal, in points, one group left out.
        by_group: change of the error by the signal with one group left out; groups are drawn.
        by_state: the same with one encoder state left out; None where there is only one.
        within: correlation of signal and gain within groups and options.
        slope: points a unit of the signal, over all rows.
        verdict: ``success``, ``partial`` or ``failure``, as registered.
        counts: whether these are rows that the test is of; those measured before it was registered are not.
    """

    signal: str
    rows: int
    groups: int
    states: int
    error: float
    by_group: Figure
    by_state: Figure | None
    within: Figure | None
    slope: float
    verdict: str
    counts: bool


def registered_rows(records: Sequence[OwnRecord]) -> list[OwnRecord]:
    """The rows that the test is of: fine-tuned for 300 steps or more."""
    return [record for record in records if (record.steps or 0) >= LONG]


def registered_test(records: Sequence[OwnRecord]) -> tuple[RegisteredTest, ...]:
    """The test of every registered signal that enough rows have.

    Where no run is long enough to be of the test, it is made on the shorter ones, and says so.
    """
    of_test = registered_rows(records)
    found = (_test(signal, of_test or records, counts=bool(of_test)) for signal in LEADING_SIGNALS)
    return tuple(test for test in found if test is not None)


def _test(signal: LeadingSignal, records: Sequence[OwnRecord], *, counts: bool) -> RegisteredTest | None:
    values = signal.of_records(records)
    rows = [record for record, value in zip(records, values.tolist(), strict=True) if np.isfinite(value)]
    x = values[np.isfinite(values)]
    groups = [f"{record.model}, {record.task}" for record in rows]
    if len(rows) < _LEAST_ROWS or len(set(groups)) < _LEAST_GROUPS:
        return None
    y = np.array([record.outcome for record in rows])
    options = [str(option_of(record)) for record in rows]
    states = [record.model for record in rows]
    resample = Resample(groups, _DRAWS)
    plain, with_signal = _errors(x, y, options, groups, groups)
    by_group = _change(resample, plain, with_signal)
    by_state = None
    if len(set(states)) > 1:
        by_state = _change(resample, *_errors(x, y, options, groups, states))
    within = [f"{group}: {option}" for group, option in zip(groups, options, strict=True)]
    correlation = resample.correlation(centred(x, within), centred(y, within))
    slope = float(np.polyfit(centred(x, options), centred(y, options), 1)[0])
    return RegisteredTest(
        signal=str(signal),
        rows=len(rows),
        groups=len(set(groups)),
        states=len(set(states)),
        error=float(plain.mean()) ** 0.5,
        by_group=by_group,
        by_state=by_state,
        within=correlation,
        slope=slope,
        verdict=_verdict(signal, by_group, by_state, correlation, slope),
        counts=counts,
    )


def _errors(
    x: Array, y: Array, options: Sequence[str], groups: Sequence[str], held: Sequence[str]
) -> tuple[Array, Array]:
    """Squared errors without and with the signal, each row predicted by a fit without what is held out."""
    plain, with_signal = np.zeros(len(y)), np.zeros(len(y))
    option_of_row, group_of_row, held_of_row = np.array(options), np.array(groups), np.array(held)
    for name in sorted(set(held)):
        out = held_of_row == name
        rest = ~out
        # the mean gain of the same option in the groups other than the row's, of those that may be seen
        level = np.array([_level(y, option_of_row, group_of_row, rest, row) for row in range(len(y))])
        design = np.column_stack([np.ones(len(y)), x])
        line, *_ = np.linalg.lstsq(design[rest], (y - level)[rest], rcond=None)
        plain[out] = (y - level)[out] ** 2
        with_signal[out] = (y - level - design @ line)[out] ** 2
    return plain, with_signal


def _level(
    y: Array,
    options: NDArray[np.str_],
    groups: NDArray[np.str_],
    rest: NDArray[np.bool_],
    row: int,
) -> float:
    others = rest & (groups != groups[row])
    same = others & (options == options[row])
    return float(y[same].mean() if same.any() else y[others].mean() if others.any() else 0.0)


def _change(resample: Resample, plain: Array, with_signal: Array) -> Figure:
    """Change of the root mean squared error, groups drawn with replacement."""
    weights = resample.weights
    total = weights.sum(axis=1)
    drawn = np.sqrt(weights @ with_signal / total) - np.sqrt(weights @ plain / total)
    return figure_of(float(np.sqrt(with_signal.mean()) - np.sqrt(plain.mean())), drawn)


def _verdict(
    signal: LeadingSignal, by_group: Figure, by_state: Figure | None, within: Figure | None, slope: float
) -> str:
    """As registered; a slope of the other sign is a failure, whatever it explains."""
    changes = [by_group] if by_state is None else [by_group, by_state]
    if slope <= 0 or any(change.high >= 0 for change in changes):
        return "failure"
    enough = all(change.value <= _CHANGE[signal.gradient] for change in changes)
    return "success" if enough and within is not None and abs(within.value) >= _WITHIN else "partial"
