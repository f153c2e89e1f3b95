"""Ways of choosing an option for a cell, scored on own records: predictions, probes and short trials."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import EARLY, OwnRecord
from advisor.findings.model import LEADING_SIGNALS, HeldOut, LeadingSignal
from advisor.findings.reports._figures import Figure, Resample
from probes.schema import Frozen

Array = NDArray[np.float64]

NEVER, TRIAL = "never", "one seed of every option"
"""Names of ways, and how those of all trials begin."""
_BY_LABELS = tuple(signal for signal in LEADING_SIGNALS if signal.gradient == "target-labels")
_TRIALS = {**EARLY, "whole": 1.0}
"""Shares of fine-tuning after which a trial of one seed may be looked at."""


class Choice(Frozen):
    """A way of choosing an option for each cell, with that cell's group held out.

    Attributes:
        name: of the way.
        cells: that it could be tried on.
        cost: of choosing, in runs of an aligned option; None if it is not known.
        regret: mean points lost against the best option in hindsight, fine-tuning alone among them.
        kept: mean points gained.
        probed: whether it needs a probe with target labels.
        probe_regret: regret, on the same cells, of that way with a probe which has the least over all.
    """

    name: str
    cells: int
    cost: float | None
    regret: Figure
    kept: Figure
    probed: bool
    probe_regret: Figure | None


def choose(held: HeldOut, records: Sequence[OwnRecord], draws: int) -> tuple[Choice, ...]:
    """What each way of choosing gets, the best first; ``held`` never saw a record's group in own records."""
    cells = [np.array(rows) for rows in cells_of(records).values()]
    gains = np.array([record.outcome for record in records])
    best = np.array([max(0.0, gains[rows].max()) for rows in cells])
    resample = Resample([records[rows[0]].target for rows in cells], draws)
    probed = _cost_of_a_probe(records)
    choices = []
    for name, (scores, probes) in _predictions(held, records).items():
        tops = [rows[scores[rows].argmax()] for rows in cells]
        got = np.array([gains[top] if scores[top] > 0 else 0.0 for top in tops])
        choices.append((name, probed if probes else 0.0, got, probes))
    for share, of_all in _TRIALS.items():
        runs = np.mean([1 + len(rows) for rows in cells])
        got = np.array([_by_trial([records[i] for i in rows], share) for rows in cells])
        choices.append((f"{TRIAL}, {share} run", float(runs * of_all), got, False))
    by_probe = max((got for *_, got, probes in choices if probes), key=lambda got: float(got.mean()))
    found = []
    for name, cost, got, probes in choices:
        regret, kept = resample.mean(best - got), resample.mean(got)
        if regret is not None and kept is not None:
            tried = np.isfinite(got)
            there = resample.mean(np.where(tried, best - by_probe, np.nan))
            found.append(
                Choice(
                    name=name,
                    cells=int(tried.sum()),
                    cost=cost,
                    regret=regret,
                    kept=kept,
                    probed=probes,
                    probe_regret=there,
                )
            )
    return tuple(sorted(found, key=lambda choice: choice.regret.value))


def _predictions(held: HeldOut, records: Sequence[OwnRecord]) -> Mapping[str, tuple[Array, bool]]:
    """Scores of the records, above 0 where aligning is preferred, and whether they need a probe."""
    by_signal = {signal: signal.of_records(records) for signal in _BY_LABELS}
    averages, shifts = np.zeros(len(records)), np.zeros(len(records))
    for group in set(held.groups):
        out = np.array([name == group for name in held.groups])
        shifts[out] = _best_shifts(held, by_signal, out)
        averages[out] = [_average(records, i) for i in np.flatnonzero(out).tolist()]
    return {
        "evidence alone": (held.centre, False),
        "evidence and leading signal": (held.centre + shifts, True),
        "best on average in other groups": (averages, False),
        **{f"{signal}, alone": (np.nan_to_num(values), True) for signal, values in by_signal.items()},
        NEVER: (np.full(len(records), -1.0), False),
    }


def _best_shifts(held: HeldOut, by_signal: Mapping[LeadingSignal, Array], out: NDArray[np.bool_]) -> Array:
    """How far records left out are moved by the signal that did best on the others."""
    stages = {signal: held.slope_on(values, ~out) for signal, values in by_signal.items()}
    best = max(stages, key=lambda signal: stages[signal].gain_in_score)
    values = by_signal[best][out]
    return np.array([stages[best].shift(x, 0.0)[0] if np.isfinite(x) else 0.0 for x in values.tolist()])


def _by_trial(options: Sequence[OwnRecord], share: str) -> float:
    """What a trial of one seed gets in a cell: it chooses by that seed and gets what the others gained.

    The mean over the seeds; NaN where they are too few, or no score was taken then.
    """
    found = []
    seeds = min(len(record.aligned_scores) for record in options)
    for seed in range(seeds) if seeds > 1 else ():
        seen = [_gains(record, share) for record in options]
        if any(len(gains) < seeds for gains in seen):
            return float("nan")
        top = int(np.argmax([gains[seed] for gains in seen]))
        others = np.delete(_gains(options[top], "whole")[:seeds], seed)
        found.append(float(others.mean()) if seen[top][seed] > 0 else 0.0)
    return float(np.mean(found)) if found else float("nan")


def _gains(record: OwnRecord, share: str) -> Array:
    """The gain of every seed after a share of fine-tuning; empty where it was not scored then."""
    before, after = record.baseline_scores, record.aligned_scores
    if share != "whole":
        before, after = record.early_scores.get(share, ((), ()))
    return np.asarray(np.array(after) - np.array(before))


def _cost_of_a_probe(records: Sequence[OwnRecord]) -> float | None:
    """Median seconds of a probe over those of a run."""
    costs = [r.probe_seconds / r.run_seconds for r in records if r.probe_seconds and r.run_seconds]
    return float(np.median(costs)) if costs else None


def _average(records: Sequence[OwnRecord], row: int) -> float:
    """Mean gain of the same option in other groups; 0 if there is none."""
    this = records[row]
    same = [
        record.outcome
        for record in records
        if option_of(record) == option_of(this) and (record.model, record.task) != (this.model, this.task)
    ]
    return float(np.mean(same)) if same else 0.0


def option_of(record: OwnRecord) -> tuple[object, ...]:
    """What was done, as far as options differ in own records."""
    return record.objective, record.schedule, record.frozen_layers, record.weight


def cells_of(records: Sequence[OwnRecord]) -> dict[tuple[str, str, str], list[int]]:
    """The rows of every model, task and target."""
    cells: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        cells[record.model, record.task, record.target].append(i)
    return dict(cells)
