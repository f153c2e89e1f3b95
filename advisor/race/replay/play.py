"""The race and its rivals on recorded cells, whose groups neither findings nor error model had seen."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from advisor.race.errors import ErrorModel
from advisor.race.replay import rivals
from advisor.race.replay.fit import fit_errors
from advisor.race.replay.rivals import NONE, Moment, Runner
from advisor.race.replay.traces import Trace
from advisor.race.rungs import WHOLE
from advisor.race.start import prior_of

Array = NDArray[np.float64]

BUDGETS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""In whole runs of a sequential option, by passes."""

Policy = Callable[[float], Iterator[Moment]]


@dataclass(frozen=True, slots=True)
class Playthrough:
    """What came of one cell, played with one seed.

    Attributes:
        by_others: whether it was judged by seeds that no way of choosing saw.
        regret: points lost against the best in hindsight, of each way at each of :data:`BUDGETS`; NaN where
            the way needs more than that to answer.
        spent: in whole runs, by each way where time does not matter.
        sure: (P(best), P(winning), share of the win) of every moment of the race, time no matter.
    """

    group: tuple[str, str]
    by_others: bool
    regret: Mapping[str, Array]
    spent: Mapping[str, float]
    sure: Sequence[tuple[float, float, float]]


def replay(traces: Sequence[Trace], jobs: int = 1) -> list[Playthrough]:
    """Play every cell with every seed; the traces' expectations do not know their groups."""
    whole = fit_errors(traces)
    played = Parallel(n_jobs=jobs)(
        delayed(_play_group)(
            [trace for trace in traces if trace.group == group],
            [trace for trace in traces if trace.group != group],
            whole,
        )
        for group in sorted({trace.group for trace in traces})
    )
    return [case for group in played for case in group]


def _play_group(inside: Sequence[Trace], outside: Sequence[Trace], start: ErrorModel) -> list[Playthrough]:
    errors = fit_errors(outside, start, steps=15)
    return [_play(trace, seed, errors) for trace in inside for seed in trace.seeds]


def _play(trace: Trace, seed: int, errors: ErrorModel) -> Playthrough:
    others = [other for other in trace.seeds if other != seed]
    judged = np.append(trace.final(others or [seed]), 0.0)  # the last: NONE
    every = np.append(trace.final(trace.seeds), 0.0)
    won = (every == every.max()) / (every == every.max()).sum()  # who draws has won in part
    unit = _whole_run(trace)
    regret, spent = {}, {}
    sure: list[tuple[float, float, float]] = []
    for name, policy in _policies(trace, seed, errors).items():
        moments = list(policy(inf))
        spent[name] = moments[-1].spent / unit
        picks = [
            # whatever needs less than a budget does the same with it
            _pick(moments if spent[name] <= budget else list(policy(budget * unit)), budget * unit)
            for budget in BUDGETS
        ]
        regret[name] = np.array([np.nan if pick is None else every.max() - judged[pick] for pick in picks])
        if name == "race":
            sure = [(moment.sure, moment.winning, won[moment.pick]) for moment in moments]
    return Playthrough(trace.group, bool(others), regret, spent, sure)


def _policies(trace: Trace, seed: int, errors: ErrorModel) -> dict[str, Policy]:
    """Every way of choosing, by what it may spend, in passes."""

    nothing = np.zeros(len(trace.options))

    def race(mean: Array, sd: Array, paid: float = 0.0) -> Policy:
        knows = errors if mean is not nothing else replace(errors, shift=0.0)
        prior = prior_of(trace.options, mean, sd, knows)
        return lambda budget: rivals.race(Runner(trace, (seed,), paid), prior, errors, budget)

    def runner() -> Runner:
        return Runner(trace, (seed,))

    mean, sd, probed = trace.expected, trace.expected_sd, trace.signalled
    ways: dict[str, Policy] = {
        "race without prior": race(nothing, nothing + errors.spread()),
        "halving without prior": lambda budget: rivals.halving(runner(), None, budget),
        "every option, whole": lambda _: rivals.every_option(runner()),
    }
    if mean is not None and sd is not None:
        ways |= {
            "race": race(mean, sd),
            "halving with prior": lambda budget: rivals.halving(runner(), mean, budget),
            "paired pruner (Wilcoxon)": lambda _: rivals.paired_pruner(runner(), mean),
            "PriorBand": lambda budget: rivals.sampled_bands(
                runner(), mean, budget, np.random.default_rng(seed)
            ),
            "one run of the favourite": lambda _: rivals.favourite(runner(), mean),
            "evidence alone": lambda _: _alone(mean, 0.0),
        }
    if probed is not None and sd is not None and trace.probe_seconds and trace.seconds:
        paid = trace.probe_seconds / trace.seconds * _whole_run(trace)
        ways |= {
            "probe alone": lambda _: _alone(probed, paid),
            "race after a probe": race(probed, sd, paid),
            "race after a free probe": race(probed, sd),
        }
    return ways


def _alone(mean: Array, paid: float) -> Iterator[Moment]:
    yield Moment(paid, int(mean.argmax()) if mean.max() > 0 else NONE)


def _pick(moments: Sequence[Moment], budget: float) -> int | None:
    affordable = [moment for moment in moments if moment.spent <= budget * (1 + 1e-9)]
    return affordable[-1].pick if affordable else None


def _whole_run(trace: Trace) -> float:
    """Passes of the dearest option."""
    return max(trace.plan.passes(option, WHOLE) for option in trace.options)
