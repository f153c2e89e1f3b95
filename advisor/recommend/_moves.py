"""What to do next: each move with its command, its price in minutes and what it is worth in points.

A move is worth what the better decision after it is expected to gain. With m and s the mean and standard
deviation of the gain that is decided on, and v the standard deviation of what m will be once the move has
told what it can, that is v phi(m / v) - |m| Phi(-|m| / v) (the expected value of sample information; Raiffa
and Schlaifer 1961). With v = s it is the price of never finding out.
"""

import math
import shlex
from functools import lru_cache
from statistics import NormalDist, median

import numpy as np

from advisor.advice import NextMove
from advisor.decide import Decision
from advisor.findings import Findings
from advisor.findings.model import LEADING_SIGNALS
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
"""Points; below that nothing is worth finding out."""
_SURE = 0.95
"""At which a race stops."""
_NORMAL = NormalDist()
_QUARTILES = 1.349
"""Between the quartiles of a standard normal: outliers of a signal should not set its price."""


def next_moves(situation: Situation, decision: Decision, best: Outlook) -> tuple[NextMove, ...]:
    """The moves there are, the best value for its time first, at most three, where ``best`` is decided on."""
    gain = best.gain
    width = 2 * _NORMAL.inv_cdf((1 + gain.level) / 2)
    sd = (gain.high - gain.low) / width
    regret = _value(gain.mean, sd)
    verb = "Align as advised" if decision.decision == "align" else "Fine-tune alone"
    default = NextMove(text=f"{verb}: costs {regret:.1f} points in expectation if that is wrong.")
    if regret < _NEGLIGIBLE:
        return (default,)
    moves = [
        move
        for move in (
            _probe(situation, gain.mean, sd),
            _race(situation, best, sd),
            _more_seeds(situation, best, sd),
        )
        if move is not None and (move.value is None or move.value >= _NEGLIGIBLE / 2)
    ]
    moves.sort(key=lambda move: -(move.value or 0.0) / max(move.minutes or 1.0, 0.1))
    return (*moves, default)[:_MOST]


def _value(mean: float, told: float) -> float:
    """Expected gain of a better decision, in points, once ``told`` of the uncertainty is resolved."""
    if told <= 0:
        return 0.0
    z = abs(mean) / told
    return told * _NORMAL.pdf(z) - abs(mean) * _NORMAL.cdf(-z)


def _settled(mean: float, sd: float, told: float) -> float:
    """Chance that the sign of the gain is sure, to :data:`_SURE`, once ``told`` of ``sd`` is resolved."""
    if told <= 0:
        return 0.0
    needed = _NORMAL.inv_cdf(_SURE) * math.sqrt(max(sd**2 - told**2, 0.0))
    return _NORMAL.cdf((mean - needed) / told) + _NORMAL.cdf((-mean - needed) / told)


def _probe(situation: Situation, mean: float, sd: float) -> NextMove | None:
    """A first probe, or one with target labels; None where there is nothing left for it to tell."""
    signals, target = situation.signals, situation.target.name
    if situation.task.name not in TASKS:
        return NextMove(text=f"Try it once for real: no probe reads {situation.task.name}.")
    if signals is not None and any(row.task_gradient == "target-labels" for row in signals.cosines):
        return None
    told = min(sd, _signal_spread(situation.findings))
    command = _command(situation, "probe")
    if signals is not None:
        return NextMove(
            text=f"Label about a hundred {target} sentences and probe again: the gap and the direction on "
            "target text are what moves this answer.",
            command=command,
            minutes=signals.run.seconds / 60,
            value=_value(mean, told) or None,
        )
    seconds = [record.probe_seconds for record in situation.findings.tables.records if record.probe_seconds]
    return NextMove(
        text=f"Measure your model with a bitext, best with a hundred labelled {target} sentences.",
        command=command,
        minutes=median(seconds) / 60 if seconds else None,
        value=_value(mean, told) or None,
    )


def _race(situation: Situation, best: Outlook, sd: float) -> NextMove | None:
    """Options run for real against fine-tuning alone; None where they were."""
    signals = situation.signals
    if situation.tried or situation.task.name not in TASKS:
        return None
    noise = [record.gain_sd for record in situation.findings.tables.records if record.gain_sd]
    error = (median(noise) if noise else sd) / math.sqrt(_SEEDS)
    minutes = _USUAL_RACE
    if signals is not None:
        minutes = max(_SHORTEST_RACE, math.ceil(_trial_minutes(signals, relative_cost(best.option)) or 0))
    told = sd**2 / math.hypot(sd, error)
    settled = round(10 * _settled(best.gain.mean, sd, told))
    return NextMove(
        text="Race the options against fine-tuning alone: real runs, cut short where they lose. In about "
        f"{settled} of 10 such cases that settles it.",
        command=f"{_command(situation, 'race')} --minutes {minutes}",
        minutes=minutes,
        value=_value(best.gain.mean, told) or None,
    )


def _more_seeds(situation: Situation, best: Outlook, sd: float) -> NextMove | None:
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
        value=_value(best.gain.mean, sd * math.sqrt(1 - done / seeds)) or None,
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
