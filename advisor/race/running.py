"""A race from start to end: what is run next, what it showed, and what is believed then."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from advisor.options import NO_ALIGNMENT, Schedule
from advisor.race.belief import Belief, Step, Stop, next_step, stop_reason
from advisor.race.course import Course
from advisor.race.errors import ErrorModel, Look
from advisor.race.labels import FEW, gain, guide_part, resampled_gains
from advisor.race.rungs import Rung, RungPlan, rungs_of
from advisor.race.start import prior_of
from advisor.race.store import (
    ALONE,
    DivergedError,
    LookRecord,
    RaceStore,
    Setup,
    StepRecord,
    align_state,
    tune_state,
)

if TYPE_CHECKING:
    from advisor.race.console import RaceWatcher
    from advisor.race.engine import Engine

Array = NDArray[np.float64]

_BEFORE = 0.75
"""Of a rung's fine-tuning: where it is looked at for the first time; one look swings by points."""
_SLOWER = (0.5, 3.0)
"""Bounds of what steps may have taken of what the timing run said."""


class Racer(Course):
    """A race under way. Made anew from its folder it stands where the last one was left.

    Attributes:
        counts: by arm (-1: fine-tuning alone), seed, rung: counts of every target text.
        guide: the texts that guide the race.
        elapsed: seconds that the race has taken, with those of earlier processes.
    """

    def __init__(self, setup: Setup, store: RaceStore, engine: "Engine", errors: ErrorModel) -> None:
        plan = RungPlan(setup.align_steps, setup.tune_steps)
        super().__init__(setup.options, plan, setup.seeds)
        self.setup, self.store, self.engine, self.errors = setup, store, engine, errors
        self.counts: dict[tuple[int, int, Rung], Array] = {}
        labels = engine.target_labels()
        self.few = len(labels) < FEW
        self.guide = np.ones(len(labels), bool) if self.few else guide_part(labels, seed=0)
        self.elapsed = setup.elapsed
        self._began = time.perf_counter()
        self._resampled: dict[Look, Array] = {}
        self._number = 0
        self._planned = self._taken = 0.0
        self._begun: tuple[int, int, Rung] | None = None
        for record in store.steps():
            self._put_down(record)

    # --- account -----------------------------------------------------------------------------------------

    def looks(self, arm: int, seed: int) -> Sequence[Look]:
        """Two at each rung of the ladder."""
        return [
            Look(arm, seed, Rung(rung.align, share))
            for rung in rungs_of(self.options[arm], self.setup.shares)
            for share in (_BEFORE * rung.tune, rung.tune)
        ]

    def cost(self, arm: int, seed: int, rung: Rung) -> float:
        """Seconds, by the timing run."""
        alone = 0.0
        if rung.tune > self.tuned_alone.get(seed, 0.0):
            alone = self.seconds(ALONE, Rung(1.0, rung.tune), self.rung_of(ALONE, seed))
        return alone + self.seconds(arm, rung, self.rung_of(arm, seed))

    def steps(self) -> list[Step]:
        """Those that end on a rung, not at the look before it."""
        ladder = set(self.setup.shares)
        return [step for step in super().steps() if step.looks[-1].rung.tune in ladder]

    def _shares(self, most: float) -> list[float]:
        """Shares of fine-tuning up to ``most`` that are looked at."""
        return [look for share in self.setup.shares for look in (_BEFORE * share, share) if share <= most]

    def rung_of(self, arm: int, seed: int) -> Rung | None:
        """How far a run (-1: of fine-tuning alone) has got; None if it has not begun."""
        if arm != ALONE:
            return self.reached.get((arm, seed))
        return Rung(1.0, self.tuned_alone[seed]) if seed in self.tuned_alone else None

    def seconds(self, arm: int, rung: Rung, reached: Rung | None) -> float:
        """Seconds that a run takes from one rung to another; fine-tuning alone is the last of the times."""
        times = self.setup.times
        further = reached is None or reached.align < rung.align
        align, tune = self.plan.steps(rung)
        aligned, tuned = (0, 0) if reached is None else self.plan.steps(reached)
        phased = arm != ALONE and times.align[arm] > 0
        seconds = (align - aligned) * times.align[arm] if phased else 0.0
        seconds += times.start * further
        looks = sum(share > reached.tune for share in self._shares(rung.tune)) if reached else 2
        return seconds + (tune - (0 if further else tuned)) * times.tune[arm] + looks * times.look

    # --- belief ------------------------------------------------------------------------------------------

    def belief(self, part: NDArray[np.bool_] | None = None) -> Belief:
        """What is believed after every look, on the texts that guide the race (None) or on others."""
        setup = self.setup
        prior = prior_of(setup.options, np.array(setup.mean), np.array(setup.sd), self.errors)
        looks = list(self.seen)
        scores = [gain(*self.both(look), self.guide if part is None else part) for look in looks]
        samples = [self._samples(look, part) for look in looks]
        sampling = np.atleast_2d(np.cov(np.array(samples))) if samples else None
        return Belief(*prior, self.errors, setup.level).after(looks, scores, sampling)

    def _samples(self, look: Look, part: NDArray[np.bool_] | None) -> Array:
        if part is not None:
            return resampled_gains(*self.both(look), part)
        if look not in self._resampled:
            self._resampled[look] = resampled_gains(*self.both(look), self.guide)
        return self._resampled[look]

    def both(self, look: Look) -> tuple[Array, Array]:
        """Counts of a look, and of fine-tuning alone at it."""
        alone = Rung(1.0, look.rung.tune)
        return self.counts[look.arm, look.seed, look.rung], self.counts[ALONE, look.seed, alone]

    # --- the race ----------------------------------------------------------------------------------------

    def run(self, watcher: "RaceWatcher") -> Stop:
        """Race until there is a reason to stop."""
        if self._begun is not None:  # killed after fine-tuning alone had been run on for it
            self.take(Step(self._on_the_way(*self._begun), 0.0))
            watcher.took(self)
        while True:
            belief = self.belief()
            self.store.keep_weights(set(self._weights()))
            budget = self.left / self.slower
            steps = self.steps()
            reason = stop_reason(belief, steps, budget, self.setup.min_gain)
            step = None if reason else next_step(belief, steps, budget)
            if step is None:
                return reason or "time"
            self.take(step)
            watcher.took(self)

    def take(self, step: Step) -> None:
        """Run an arm on, fine-tuning alone before it as far as the looks need it."""
        last = step.looks[-1]
        shares = [look.rung.tune for look in step.looks]
        # it cannot go back to what it passed: other arms may want any look of the ladder
        self._run(ALONE, last.seed, Rung(1.0, last.rung.tune), self._shares(last.rung.tune), last)
        self._run(last.arm, last.seed, last.rung, shares)

    def _run(
        self, arm: int, seed: int, rung: Rung, shares: Sequence[float], wanted_by: Look | None = None
    ) -> None:
        missing = [share for share in shares if (arm, seed, Rung(rung.align, share)) not in self.counts]
        if not missing:
            return
        reached = self.rung_of(arm, seed)
        option = NO_ALIGNMENT if arm == ALONE else self.options[arm]
        begin = time.perf_counter()
        error: str | None = None
        looks: tuple[LookRecord, ...] = ()
        try:
            counts = self.engine.run(_name(arm, seed), option, seed, self.plan, reached, rung, missing)
            looks = tuple(
                LookRecord(tune=share, counts=tuple((int(a), int(b)) for a, b in rows))
                for share, rows in zip(missing, counts, strict=True)
            )
        except DivergedError as problem:
            if arm == ALONE:
                raise
            error = " ".join(str(problem).split())
        seconds = time.perf_counter() - begin
        record = StepRecord(
            arm=arm,
            seed=seed,
            align=rung.align,
            tune=rung.tune,
            looks=looks,
            planned=self.seconds(arm, rung, reached),
            seconds=round(seconds, 3),
            elapsed=round(self.now, 3),
            error=error,
            for_arm=wanted_by.arm if wanted_by else None,
            for_align=wanted_by.rung.align if wanted_by else None,
        )
        self.store.add(self._number + 1, record)
        self._put_down(record)

    def _put_down(self, record: StepRecord) -> None:
        self._number += 1
        self.elapsed, self._began = record.elapsed, time.perf_counter()
        self._planned += record.planned
        self._taken += record.seconds
        self._begun = None
        if record.error is not None:
            self.lost[record.arm] = record.error
            return
        for look in record.looks:
            self.counts[record.arm, record.seed, Rung(record.align, look.tune)] = look.array
        if record.arm == ALONE:
            self.tuned_alone[record.seed] = record.tune
            if record.for_arm is not None and record.for_align is not None:
                self._begun = record.for_arm, record.seed, Rung(record.for_align, record.tune)
        else:
            taken = [Look(record.arm, record.seed, Rung(record.align, look.tune)) for look in record.looks]
            self.took(Step(tuple(taken), 0.0), [gain(*self.both(look), self.guide) for look in taken])
            self.drop(self.belief().best_probabilities().tolist())
        self.spent = self.elapsed

    @property
    def now(self) -> float:
        """Seconds that the race has taken up to now."""
        return self.elapsed + time.perf_counter() - self._began

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.setup.minutes * 60 - self.now

    @property
    def slower(self) -> float:
        """What steps took of what the timing run said."""
        ratio = self._taken / self._planned if self._planned else 1.0
        return min(max(ratio, _SLOWER[0]), _SLOWER[1])

    def state_of(self, arm: int) -> dict[str, Any]:
        """The states that a recipe goes on from: of an arm's first seed (-1: fine-tuning alone).

        Empty where it was not begun or is out.
        """
        seed = self.setup.seeds[0]
        name, rung = _name(arm, seed), self.rung_of(arm, seed)
        if rung is None or arm in self.dropped:
            return {}
        states = {"tune": self.store.load_weights(tune_state(name, self.plan, rung))}
        if arm != ALONE and self.options[arm].schedule is Schedule.SEQUENTIAL:
            states["align"] = self.store.load_weights(align_state(name, self.plan, rung))
        return states

    def _weights(self) -> Iterator[str]:
        """Names of the states that something may go on from."""
        for seed, tuned in self.tuned_alone.items():
            yield tune_state(_name(ALONE, seed), self.plan, Rung(1.0, tuned))
        for (arm, seed), rung in self.reached.items():
            if arm not in self.lost and arm not in self.dropped:
                yield tune_state(_name(arm, seed), self.plan, rung)
                yield align_state(_name(arm, seed), self.plan, rung)


def _name(arm: int, seed: int) -> str:
    return f"{'alone' if arm == ALONE else f'arm{arm}'}-seed{seed}"
