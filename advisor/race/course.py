"""How far the arms have been run, what could be run next, and what that would cost."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from advisor.options import Option
from advisor.race.belief import Step
from advisor.race.errors import Look
from advisor.race.rungs import WHOLE, Rung, RungPlan

HOPELESS = 0.01
"""P(best) below which an arm is dropped."""


class Course(ABC):
    """Keeps account of a race. What arms have in common - fine-tuning alone - is run and paid for once.

    An arm gets the next seed when its run with the last is whole.

    Attributes:
        spent: so far, in the unit of the costs.
        seen: looks that were taken, in order, with the gains that they showed.
        lost: arms that failed, with the reason.
        dropped: arms that are as good as beaten; nothing more of them is run.
    """

    def __init__(self, options: Sequence[Option], plan: RungPlan, seeds: Sequence[int]) -> None:
        self.options = tuple(options)
        self.plan = plan
        self.seeds = tuple(seeds)
        self.spent = 0.0
        self.seen: dict[Look, float] = {}
        self.lost: dict[int, str] = {}
        self.dropped: set[int] = set()
        self.reached: dict[tuple[int, int], Rung] = {}
        self.tuned_alone: dict[int, float] = {}

    @abstractmethod
    def looks(self, arm: int, seed: int) -> Sequence[Look]:
        """Every look that a run can be given."""

    @abstractmethod
    def cost(self, arm: int, seed: int, rung: Rung) -> float:
        """What running an arm, and fine-tuning alone, to a rung takes from where they are."""

    def steps(self) -> list[Step]:
        """Everything that could be run next: each further rung of each arm."""
        return [
            Step(looks, self.cost(arm, seed, rung))
            for arm in range(len(self.options))
            if arm not in self.lost and arm not in self.dropped
            for seed in self._seeds_of(arm)
            for rung in sorted({look.rung for look in self.looks(arm, seed)})
            if (looks := self._on_the_way(arm, seed, rung)) and looks[-1].rung == rung
        ]

    def drop(self, chances: Sequence[float]) -> None:
        """Give up arms that will hardly be the best, given P(best) of fine-tuning alone and of each arm."""
        begun = {arm for arm, _ in self.reached}
        self.dropped |= {arm for arm in begun if chances[arm + 1] < HOPELESS}

    def took(self, step: Step, gains: Sequence[float]) -> None:
        """Put down what a step showed."""
        last = step.looks[-1]
        self.reached[last.arm, last.seed] = last.rung
        self.tuned_alone[last.seed] = max(self.tuned_alone.get(last.seed, 0.0), last.rung.tune)
        self.seen |= dict(zip(step.looks, gains, strict=True))

    def _on_the_way(self, arm: int, seed: int, rung: Rung) -> tuple[Look, ...]:
        """The new looks that running to a rung gives; none if that would be a step back."""
        reached = self.reached.get((arm, seed))
        if reached is not None and (rung.align < reached.align or rung == reached):
            return ()
        looks = (look for look in self.looks(arm, seed) if look not in self.seen)
        return tuple(
            sorted(
                (look for look in looks if look.rung.align == rung.align and look.rung.tune <= rung.tune),
                key=lambda look: look.rung,
            )
        )

    def _seeds_of(self, arm: int) -> Iterator[int]:
        for seed in self.seeds:
            yield seed
            if self.reached.get((arm, seed)) != WHOLE:
                return
