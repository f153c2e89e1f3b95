"""The race and its rivals on recorded cells, whose groups neither findings nor error model had seen."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from advisor.options import Option
from advisor.race.errors import ErrorModel
from advisor.race.replay import rivals
from advisor.race.replay.fit import fit_errors
from advisor.race.replay.rivals import NONE, Moment, Runner, race
from advisor.race.replay.traces import Trace
from advisor.race.rungs import WHOLE
from advisor.race.start import prior_of

Array = NDArray[np.float64]

BUDGETS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""In whole runs of a sequential option, by passes."""
_DRAWS = 8
"""Of what PriorBand samples, a cell."""

Policy = Callable[[float], Iterator[Moment]]


@dataclass(frozen=True, slots=True)
class Curve:
    """Regret of a way of choosing against what it may spend.

    Attributes:
        name: of the way.
        regret: points lost against the best in hindsight, for each cell and seed and each of
            :data:`BUDGETS`; NaN where the way needs more than that to answer; shape (cases, budgets).
        spent: in whole runs until it stopped by itself, shape (cases,); None if it does not.
    """

    name: str
    regret: Array
    spent: Array | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it.

    Attributes:
        curves: by name, a way each.
        groups: of every case, for intervals that know that cases of a group are alike.
        judged_by_others: whether the case was judged by seeds that the race did not see.
        sure: (P(best), whether it was) of every moment of the race.
        seconds: of a whole run, the median of the cells.
    """

    curves: Mapping[str, Curve]
    groups: tuple[tuple[str, str], ...]
    judged_by_others: NDArray[np.bool_]
    sure: Array
    seconds: float


def replay(traces: Sequence[Trace], jobs: int = 1) -> Replay:
    """Play every cell with every seed.

    Args:
        traces: with expectations that do not know their groups.
        jobs: processes.
    """
    groups = sorted({trace.group for trace in traces})
    whole = fit_errors(traces)
    played = Parallel(n_jobs=jobs)(
        delayed(_play_group)(
            [trace for trace in traces if trace.group == group],
            [trace for trace in traces if trace.group != group],
            whole,
        )
        for group in groups
    )
    cases = [case for group in played for case in group]
    names = list(dict.fromkeys(name for case in cases for name in case.regret))
    blank = np.full(len(BUDGETS), np.nan)
    return Replay(
        {
            name: Curve(
                name,
                np.array([case.regret.get(name, blank) for case in cases]),
                np.array([case.spent.get(name, np.nan) for case in cases]),
            )
            for name in names
        },
        tuple(case.group for case in cases),
        np.array([case.by_others for case in cases]),
        np.array([moment for case in cases for moment in case.sure]),
        float(np.median([trace.seconds for trace in traces if trace.seconds])),
    )


@dataclass(frozen=True, slots=True)
class _Case:
    group: tuple[str, str]
    by_others: bool
    regret: dict[str, Array]
    spent: dict[str, float]
    sure: list[tuple[float, float]]


def _play_group(inside: Sequence[Trace], outside: Sequence[Trace], start: ErrorModel) -> list[_Case]:
    errors = fit_errors(outside, start, steps=15)
    return [_play(trace, seed, errors) for trace in inside for seed in trace.seeds]


def _play(trace: Trace, seed: int, errors: ErrorModel) -> _Case:
    others = [other for other in trace.seeds if other != seed]
    judged = np.append(trace.final(others or [seed]), 0.0)  # the last: NONE
    best = max(0.0, float(trace.final(trace.seeds).max()))
    unit = trace.plan.passes(_longest(trace), WHOLE)
    regret, spent = {}, {}
    sure: list[tuple[float, float]] = []
    for name, (policy, anytime) in _policies(trace, seed, errors).items():
        if anytime:
            moments = list(policy(np.inf))
            picks = [_at(moments, budget * unit) for budget in BUDGETS]
            spent[name] = moments[-1].spent / unit
        else:
            picks = [_at(list(policy(budget * unit)), budget * unit) for budget in BUDGETS]
        regret[name] = np.array([best - judged[pick] if pick is not None else np.nan for pick in picks])
        if name == "race":
            winner = int(np.append(trace.final(trace.seeds), 0.0).argmax())
            sure = [
                (moment.sure, float(moment.pick % len(judged) == winner))
                for moment in moments
                if moment.sure is not None
            ]
    return _Case(trace.group, bool(others), regret, spent, sure)


def _policies(trace: Trace, seed: int, errors: ErrorModel) -> dict[str, tuple[Policy, bool]]:
    """Every way, and whether what it does is the same whatever the budget."""
    vague = np.zeros(len(trace.options))
    everything = Runner(trace, (seed,))
    ways: dict[str, tuple[Policy, bool]] = {
        "race without prior": (partial(_race, trace, seed, errors, vague, None), True),
        "halving without prior": (lambda budget: rivals.halving(Runner(trace, (seed,)), None, budget), False),
        "every option, whole": (lambda _: rivals.every_option(everything), True),
    }
    mean, sd, probed = trace.expected, trace.expected_sd, trace.signalled
    if mean is not None and sd is not None:
        ways |= {
            "race": (partial(_race, trace, seed, errors, mean, sd), True),
            "halving with prior": (
                lambda budget: rivals.halving(Runner(trace, (seed,)), mean, budget),
                False,
            ),
            "paired pruner (Wilcoxon)": (lambda _: rivals.paired_pruner(Runner(trace, (seed,)), mean), True),
            "PriorBand": (
                lambda budget: rivals.sampled_bands(
                    Runner(trace, (seed,)), mean, budget, np.random.default_rng(seed)
                ),
                False,
            ),
            "one run of the favourite": (lambda _: rivals.favourite(Runner(trace, (seed,)), mean), True),
            "evidence alone": (lambda _: _alone(mean, 0.0), True),
        }
    if probed is not None and sd is not None and trace.probe_seconds and trace.seconds:
        paid = trace.probe_seconds / trace.seconds * trace.plan.passes(_longest(trace), WHOLE)
        ways |= {
            "probe alone": (lambda _: _alone(probed, paid), True),
            "race after a probe": (lambda _: _race(trace, seed, errors, probed, sd, paid), True),
        }
    return ways


def _race(
    trace: Trace, seed: int, errors: ErrorModel, mean: Array, sd: Array | None, paid: float
) -> Iterator[Moment]:
    """The race with one seed; ``paid`` passes were spent before it began."""
    width = np.full(len(mean), errors.spread()) if sd is None else sd
    runner = Runner(trace, (seed,))
    runner.spent = 0.0 if np.isinf(paid) else paid
    return race(runner, prior_of(trace.options, mean, width, errors), errors)


def _alone(mean: Array, paid: float) -> Iterator[Moment]:
    yield Moment(paid, int(mean.argmax()) if mean.max() > 0 else NONE)


def _at(moments: Sequence[Moment], budget: float) -> int | None:
    affordable = [moment for moment in moments if moment.spent <= budget * (1 + 1e-9)]
    return affordable[-1].pick if affordable else None


def _longest(trace: Trace) -> Option:
    return max(trace.options, key=lambda option: trace.plan.passes(option, WHOLE))
