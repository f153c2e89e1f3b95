"""What to do next: each move with its command, its price in minutes and what it is worth in points.

A move is worth what the better decision after it is expected to gain over the one taken now, in points
beyond the least gain of interest (the expected value of sample information; Raiffa and Schlaifer 1961). Gains
are skewed: they are taken as normal on the effect model's scale, where the expectation will scatter by so
much once the move has told what it can. Where it tells all there is to know, that is the price of never
finding out.
"""

import math
import shlex
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, median

import numpy as np

from advisor.advice import NextMove
from advisor.decide import Decision
from advisor.findings import Findings
from advisor.findings.model import LEADING_SIGNALS, scale
from advisor.options import NO_ALIGNMENT, relative_cost
from advisor.recommend._outlooks import Outlook
from advisor.recommend._situation import Situation
from advisor.sample import named
from probes.catalogue import TASKS
from probes.signals import Signals

_MOST = 3
_SEEDS, _MANY_SEEDS = 3, 10
"""Seeds of a trial: what shows the noise, and what is worth its time."""
_SHORTEST_RACE, _USUAL_RACE = 5, 30
"""Minutes; the second where no probe has timed the encoder."""
_EPOCHS, _BATCH = 3, 32
"""Of a trial, as :class:`advisor.training.Recipe` has them."""
_NEGLIGIBLE = 0.05
"""Points; what is worth less is shown as 0.0, and not worth finding out."""
_SURE = 0.95
"""At which a race stops."""
_NORMAL = NormalDist()
_QUANTILES = np.array([_NORMAL.inv_cdf((i + 0.5) / 199) for i in range(199)])
_QUARTILES = 1.349
"""Between the quartiles of a standard normal: outliers of a signal should not set its price."""


@dataclass(frozen=True, slots=True)
class _Stake:
    """A decision and the gain that it is about.

    Attributes:
        aligns: what is decided.
        centre, sd: of the gain of the best option, on the effect model's scale.
        min_gain: smallest gain of interest, in points.
    """

    aligns: bool
    centre: float
    sd: float
    min_gain: float

    def worth(self, told: float) -> float:
        """Points that a decision is expected to gain once ``told`` of ``sd`` is resolved."""
        after = self.centre + min(told, self.sd) * _QUANTILES
        rest = math.sqrt(max(self.sd**2 - told**2, 0.0)) * _QUANTILES
        gains = scale.to_points(after[:, None] + rest).mean(axis=1) - self.min_gain
        other = (scale.to_points(after) > self.min_gain) != self.aligns
        return max(0.0, float(np.where(other, -gains if self.aligns else gains, 0.0).mean()))

    def settled(self, told: float) -> float:
        """Chance that the decision is sure, to :data:`_SURE`, once ``told`` of ``sd`` is resolved."""
        if told <= 0:
            return 0.0
        above = self.centre - float(scale.to_scale(np.array(self.min_gain)))
        needed = _NORMAL.inv_cdf(_SURE) * math.sqrt(max(self.sd**2 - told**2, 0.0))
        return _NORMAL.cdf((above - needed) / told) + _NORMAL.cdf((-above - needed) / told)


def next_moves(situation: Situation, decision: Decision, best: Outlook) -> tuple[NextMove, ...]:
    """The moves there are, the best value for its time first, at most three, where ``best`` is decided on."""
    aligns = decision.decision == "align"
    stake = _Stake(aligns=aligns, centre=best.centre, sd=best.sd, min_gain=situation.min_gain)
    regret = stake.worth(stake.sd)
    verb = "Align as advised" if aligns else "Fine-tune alone"
    if regret < _NEGLIGIBLE:
        return (NextMove(text=f"{verb}: finding out more is worth less than {_NEGLIGIBLE} points."),)
    default = NextMove(text=f"{verb}: the risk of being wrong costs {regret:.1f} points in expectation.")
    every = (
        _probe(situation, stake),
        _race(situation, best, stake),
        _more_seeds(situation, stake),
    )
    moves = [move for move in every if move and (move.value is None or move.value >= _NEGLIGIBLE)]
    moves.sort(key=lambda move: -(move.value or 0.0) / max(move.minutes or 1.0, 0.1))
    return (*moves, default)[:_MOST]


def _probe(situation: Situation, stake: _Stake) -> NextMove | None:
    """A first probe, or one with target labels; None where there is nothing left for it to tell."""
    signals, target = situation.signals, situation.target.name
    if situation.task.name not in TASKS:
        return NextMove(text=f"Try it once for real: no probe reads {situation.task.name}.")
    if signals is not None and any(row.task_gradient == "target-labels" for row in signals.cosines):
        return None
    value = stake.worth(min(stake.sd, _signal_spread(situation.findings)))
    command = _command(situation, "probe")
    if signals is not None:
        return NextMove(
            text=f"Label about a hundred {target} sentences and probe again: the gap and the direction on "
            "target text are what moves this answer.",
            command=command,
            minutes=signals.run.seconds / 60,
            value=value,
        )
    seconds = [record.probe_seconds for record in situation.findings.tables.records if record.probe_seconds]
    return NextMove(
        text=f"Measure your model with a bitext, best with a hundred labelled {target} sentences.",
        command=command,
        minutes=median(seconds) / 60 if seconds else None,
        value=value,
    )


def _race(situation: Situation, best: Outlook, stake: _Stake) -> NextMove | None:
    """Options run for real against fine-tuning alone; None where they were."""
    signals = situation.signals
    if situation.tried or situation.task.name not in TASKS:
        return None
    noise = [record.gain_sd for record in situation.findings.tables.records if record.gain_sd]
    a_point = float(scale.unit(np.array(best.gain.mean)))
    error = (a_point * median(noise) if noise else stake.sd) / math.sqrt(_SEEDS)
    minutes = _USUAL_RACE
    if signals is not None:
        minutes = max(_SHORTEST_RACE, math.ceil(_trial_minutes(signals, relative_cost(best.option)) or 0))
    told = stake.sd**2 / math.hypot(stake.sd, error)
    settled = round(10 * stake.settled(told))
    return NextMove(
        text="Race the options against fine-tuning alone: real runs, cut short where they lose. In about "
        f"{settled} of 10 such cases that settles it.",
        command=f"{_command(situation, 'race')} --minutes {minutes}",
        minutes=minutes,
        value=stake.worth(told),
    )


def _more_seeds(situation: Situation, stake: _Stake) -> NextMove | None:
    """More of a trial that is there; None where more of it would not tell."""
    trial = situation.trial
    if trial is None or not situation.tried:
        return None
    done = 1 + max(run.seed for run in trial.runs)
    wanted = max(row.seeds_needed or _SEEDS for row in trial.options if row.option != NO_ALIGNMENT)
    seeds = min(wanted, _MANY_SEEDS)
    if seeds <= done:
        return NextMove(text="Try another option, or train longer: more seeds of this trial would not tell.")
    seconds = [run.seconds for run in trial.runs]
    return NextMove(
        text="Go on with your trial: the same command keeps the runs that are done.",
        command=f"{_command(situation, 'trial')} --seeds {seeds}",
        minutes=sum(seconds) / done * (seeds - done) / 60,
        value=stake.worth(stake.sd * math.sqrt(1 - done / seeds)),
    )


def _trial_minutes(signals: Signals, cost: float) -> float | None:
    """From what a step of the warm-up took: its batches are the probe's, a trial's are larger."""
    run = signals.run
    texts = sum(data.kept for data in signals.data if data.role == "train")
    if not (run.warm_up_steps and "warm-up" in run.phases and texts):
        return None
    step = run.phases["warm-up"] / run.warm_up_steps * _BATCH / run.batch_size
    steps = math.ceil(texts / _BATCH) * _EPOCHS
    return _SEEDS * (1 + cost) * steps * step / 60


@lru_cache(maxsize=4)
def _signal_spread(findings: Findings) -> float:
    """How far the signals of a probe with target labels move the mean from one study cell to the next."""
    spreads = [0.0]
    for signal in LEADING_SIGNALS:
        values = signal.of_records(findings.tables.records)
        finite = values[np.isfinite(values)]
        if len(finite) and signal.gradient == "target-labels":
            quarter, three_quarters = np.percentile(finite, (25, 75)).tolist()
            spreads.append(abs(findings.signals[signal].slope) * (three_quarters - quarter) / _QUARTILES)
    return max(spreads)


def _command(situation: Situation, name: str) -> str:
    """A command for this question, with the files of the probe where there was one."""
    question, signals = situation.question, situation.signals
    roles = {"train": "TRAIN", "bitext": "PAIRS", "target-labels": "LABELS"}
    words = ["advisor", name, question.model]
    words += ["--source", question.source, "--target", question.target, "--task", question.task]
    for role, missing in roles.items():
        specs = [named(data.spec) for data in signals.data if data.role == role] if signals else []
        words += [f"--{role}", "+".join(specs) or missing]
    return shlex.join(words)
