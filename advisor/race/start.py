"""The start of a race: its arms, its ladder and its estimate, from a short timing run."""

import hashlib
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from advisor.advice import Advice
from advisor.decide import Expected
from advisor.options import NO_ALIGNMENT, Option
from advisor.race.arms import Arm, arms_of
from advisor.race.rungs import SHARES, Rung, RungPlan
from advisor.race.store import Setup, TimesOfSteps
from advisor.training import weighted
from probes.errors import InputError
from probes.request import ProbeRequest

if TYPE_CHECKING:
    from advisor.race.engine import Engine

_FIRST_LOOKS = 0.5
"""Of the time: what the first rungs of all arms may take."""
_FEWEST_STEPS = 8
"""Of a phase at the lowest rung."""
_MOST_ARMS = 6


def key_of(request: ProbeRequest, hashes: Sequence[str], **more: object) -> str:
    """A name for all that decides the numbers of a race."""
    asked = request.model_dump(mode="json", exclude={"budget", "device", "precision", "seed"})
    parts = json.dumps([asked, list(hashes), more], sort_keys=True, default=str)
    return hashlib.sha256(parts.encode()).hexdigest()[:20]


def arms_to_time(advice: Advice, options: Sequence[Option], unavailable: Sequence[str]) -> list[Arm]:
    """The arms to choose from, the most promising first.

    Args:
        advice: what is expected of every option.
        options: the only ones to race; none: whatever is expected to be worth it.
        unavailable: objectives that the encoder cannot be trained with.

    Raises:
        InputError: if one of ``options`` is unknown to the advice or cannot be run.
    """
    rows = {
        row.option.model_copy(update={"weight": None}): row
        for row in advice.alternatives
        if row.option != NO_ALIGNMENT and row.option.objective not in unavailable
    }
    wanted = [weighted(option) for option in options if option != NO_ALIGNMENT] or list(rows)
    expected = []
    for option in wanted:
        row = rows.get(option.model_copy(update={"weight": None}))
        if row is None:
            raise InputError(f"'{option}' cannot be raced with this encoder: leave it out.")
        gain = row.gain
        expected.append(
            Expected(
                option=weighted(option),
                mean=gain.mean,
                low=gain.low,
                high=gain.high,
                positive=gain.probability_positive,
                worthwhile=gain.probability_worthwhile,
                direct=row.direct,
                by=row.basis,
            )
        )
    alike = 0.0 if options else advice.min_gain  # who names options wants them told apart
    return arms_of(expected, alike)[:_MOST_ARMS]


def ladder_of(plan: RungPlan, times: TimesOfSteps, seconds: float) -> tuple[tuple[float, ...], int]:
    """Shares at which is looked, and how many arms the time lets begin.

    The lowest rung is an eighth of a run or, where that is too long for the time, as small a share as lets
    two arms take it in half of the time.

    Args:
        plan: the length of a whole run.
        times: of steps; arms in the order in which they would begin.
        seconds: that the race may take.
    """
    lowest = SHARES[0]
    while _first_rungs(plan, times, lowest, 2) > _FIRST_LOOKS * seconds and _halves(plan, lowest):
        lowest /= 2
    arms = len(times.align)
    while arms > 1 and _first_rungs(plan, times, lowest, arms) > _FIRST_LOOKS * seconds:
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


def _halves(plan: RungPlan, share: float) -> bool:
    return min(plan.align_steps, plan.tune_steps) * share / 2 >= _FEWEST_STEPS


def set_up(
    engine: "Engine",
    arms: Sequence[Arm],
    *,
    key: str,
    advice: Advice,
    minutes: float,
    halvings: int,
    seeds: Sequence[int],
    began: float,
) -> Setup:
    """Decide arms and ladder from a short timing run.

    Args:
        engine: that will run them.
        arms: the most promising first; as many begin as the time allows.
        key: of the race.
        advice: what the findings expect.
        minutes: that the race may take.
        halvings: of the batch, so far.
        seeds: that may be used.
        began: when it did, on :func:`time.perf_counter`.
    """
    setting = engine.setting(NO_ALIGNMENT, 0)
    plan = RungPlan(setting.align_steps, setting.steps)
    times = engine.timed([arm.option for arm in arms])
    elapsed = time.perf_counter() - began
    shares, count = ladder_of(plan, times, minutes * 60 - elapsed)
    chosen = list(arms[:count])
    times = TimesOfSteps(
        align=times.align[:count],
        tune=(*times.tune[:count], times.tune[-1]),
        look=times.look,
        start=times.start,
    )
    question, task = advice.question, setting.texts.task
    return Setup(
        key=key,
        model=question.model,
        source=question.source,
        target=question.target,
        task=question.task,
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
        seeds=tuple(seeds),
        halvings=halvings,
        times=times,
        elapsed=round(elapsed, 3),
    )
