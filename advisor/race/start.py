"""The start of a race: its arms and what is expected of them, its ladder and its estimate."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from advisor.advice import Advice
from advisor.decide import Expected
from advisor.findings.model import scale
from advisor.options import NO_ALIGNMENT, Option, weighted
from advisor.race.errors import ErrorModel
from advisor.race.rungs import SHARES, Rung, RungPlan
from advisor.race.store import Setup, TimesOfSteps
from probes.errors import InputError
from probes.request import ProbeRequest

if TYPE_CHECKING:
    from advisor.race.engine import Engine

Array = NDArray[np.float64]

_WIDTH = 2 * NormalDist().inv_cdf(0.9)
"""Of an 80 % interval, in standard deviations."""
_LEAST_SD = 0.1


@dataclass(frozen=True, slots=True)
class Arm:
    """An option that is run, for itself and for those that it cannot be told apart from (``alike``).

    ``mean`` and ``sd`` are of its gain as the findings expect it, in points.
    """

    option: Option
    mean: float
    sd: float
    alike: tuple[Option, ...] = ()


def prior_of(options: Sequence[Option], mean: Array, sd: Array, errors: ErrorModel) -> tuple[Array, Array]:
    """Means and covariance of the arms' gains on the model's scale: the findings', correlated as in studies.

    ``mean`` and ``sd`` are of each gain in points, shape (arms,); ``sd`` from an 80 % interval.
    """
    correlation = errors.correlation(
        [str(option.objective) for option in options], [str(option.schedule) for option in options]
    )
    # An interval of half a width h about z is 2 A cosh(z / A) sinh(h / A) points wide.
    half = scale.A * np.arcsinh(_WIDTH / 2 * sd * scale.unit(mean) / scale.A)
    spread = half / (_WIDTH / 2)
    return scale.to_scale(mean) + errors.shift, spread[:, None] * correlation * spread


_FIRST_LOOKS = 0.5
"""Of the time: what the first rungs of all arms may take."""
_FEWEST_STEPS = 8
"""Of a phase at the lowest rung."""
_MOST_ARMS = 6
SEEDS = (0, 1)
"""An arm gets the second once it was run to its end with the first."""


def without_weight(option: Option) -> Option:
    """The option as it is whatever its weight."""
    return option.model_copy(update={"weight": None})


def key_of(request: ProbeRequest, hashes: Sequence[str], **more: object) -> str:
    """A name for all that decides the numbers of a race."""
    asked = request.model_dump(mode="json", exclude={"budget", "device", "precision", "seed"})
    parts = json.dumps([asked, list(hashes), more], sort_keys=True, default=str)
    return hashlib.sha256(parts.encode()).hexdigest()[:20]


def arms_to_time(advice: Advice, options: Sequence[Option], unavailable: Sequence[str]) -> list[Arm]:
    """The arms to choose from, the most promising first: ``options``, or else whatever is worth it.

    Options of one objective and schedule share an arm where their expected gains differ by less than the
    smallest gain of interest: nothing that a race sees would tell them apart. The best of them is run.
    Objectives that are ``unavailable`` are those that the encoder cannot be trained with.
    """
    rows = {
        without_weight(row.option): row
        for row in advice.alternatives
        if row.option != NO_ALIGNMENT and row.option.objective not in unavailable
    }
    expected: list[Expected] = []
    for option in [option for option in options if option != NO_ALIGNMENT] or list(rows):
        row = rows.get(without_weight(option))
        if row is None:
            raise InputError(f"'{option}' cannot be raced with this encoder: leave it out.")
        expected.append(row.gain.of(weighted(option), row.basis, row.direct))
    apart = 0.0 if options else advice.min_gain  # who names options wants them told apart
    arms: list[Arm] = []
    for one in sorted(expected, key=lambda one: -one.mean):
        for i, arm in enumerate(arms):
            kin = (arm.option.objective, arm.option.schedule) == (one.option.objective, one.option.schedule)
            if kin and arm.mean - one.mean < apart:
                arms[i] = replace(arm, alike=(*arm.alike, one.option))
                break
        else:
            arms.append(Arm(one.option, one.mean, max(_LEAST_SD, (one.high - one.low) / _WIDTH)))
    return arms[:_MOST_ARMS]


def ladder_of(plan: RungPlan, times: TimesOfSteps, seconds: float) -> tuple[tuple[float, ...], int]:
    """Shares at which is looked, and how many arms the time lets begin.

    The lowest rung is an eighth of a run or, where that is too long for the time, as small a share as lets
    two arms take it in half of the time. Arms are in the order in which they would begin.
    """
    lowest, arms, shorter = SHARES[0], len(times.align), min(plan.align_steps, plan.tune_steps)
    seconds *= _FIRST_LOOKS
    while _first_rungs(plan, times, lowest, 2) > seconds and shorter * lowest / 2 >= _FEWEST_STEPS:
        lowest /= 2
    while arms > 1 and _first_rungs(plan, times, lowest, arms) > seconds:
        arms -= 1
    shares = [lowest]
    while shares[-1] < 1.0:
        shares.append(min(1.0, 2 * shares[-1]))
    steps = {round(share * plan.tune_steps): share for share in reversed(shares)}
    return tuple(sorted(share for count, share in steps.items() if count >= 2 or share == 1.0)), arms


def _first_rungs(plan: RungPlan, times: TimesOfSteps, share: float, arms: int) -> float:
    """Seconds until fine-tuning alone and so many arms have been looked at for the first time."""
    align, tune = plan.steps(Rung(share, share))
    spent = tune * times.tune[-1] + times.start + 2 * times.look
    for of_align, of_tune in list(zip(times.align, times.tune, strict=False))[:arms]:
        spent += align * of_align + tune * of_tune + times.start + 2 * times.look
    return spent


def set_up(
    engine: "Engine",
    arms: Sequence[Arm],
    advice: Advice,
    *,
    key: str,
    minutes: float,
    halvings: int,
    began: float,
) -> Setup:
    """Decide arms, of which as many begin as the time allows, and ladder from a short timing run.

    The race began at ``began`` on :func:`time.perf_counter`.
    """
    setting = engine.setting(NO_ALIGNMENT, 0)
    plan = RungPlan(setting.align_steps, setting.steps)
    times = engine.timed([arm.option for arm in arms])
    elapsed = time.perf_counter() - began
    shares, count = ladder_of(plan, times, minutes * 60 - elapsed)
    chosen = list(arms[:count])
    tune = (*times.tune[:count], times.tune[-1])
    task = setting.texts.task
    return Setup(
        **advice.question.model_dump(include={"model", "source", "target", "task"}),
        key=key,
        metric=task.metric,
        level=task.level,
        minutes=minutes,
        min_gain=advice.min_gain,
        options=tuple(arm.option for arm in chosen),
        mean=tuple(arm.mean for arm in chosen),
        sd=tuple(arm.sd for arm in chosen),
        alike=tuple(arm.alike for arm in chosen),
        left_out=tuple(arm.option for arm in arms[count:]),
        align_steps=plan.align_steps,
        tune_steps=plan.tune_steps,
        shares=shares,
        seeds=SEEDS,
        halvings=halvings,
        times=times.model_copy(update={"align": times.align[:count], "tune": tune}),
        elapsed=round(elapsed, 3),
    )
