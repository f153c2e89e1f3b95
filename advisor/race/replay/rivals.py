"""The race and what it is measured against, on runs that are there already and with the same account."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from advisor.decide import DEFAULT_MIN_GAIN
from advisor.race.belief import Belief, Step, next_step, stop_reason
from advisor.race.course import Course
from advisor.race.errors import ErrorModel, Look
from advisor.race.replay.traces import Trace
from advisor.race.rungs import WHOLE, Rung

Array = NDArray[np.float64]

NONE = -1
"""The pick that stands for fine-tuning alone; other picks are the arms' places."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a policy would answer after spending so much.

    Attributes:
        spent: in passes.
        pick: an arm's place, or -1 for fine-tuning alone.
        sure: P(best) of the pick, from policies that have one.
        winning: P that the pick is the best at the end of all its cell's runs, whose luck counts, likewise.
    """

    spent: float
    pick: int
    sure: float = 0.0
    winning: float = 0.0


class Runner(Course):
    """Plays a trace; costs are passes.

    Args:
        trace: whose runs these are.
        seeds: that may be used, in this order.
        spent: before it begins.
    """

    def __init__(self, trace: Trace, seeds: Sequence[int], spent: float = 0.0) -> None:
        super().__init__(trace.options, trace.plan, seeds)
        self.trace = trace
        self.spent = spent

    def looks(self, arm: int, seed: int) -> Sequence[Look]:
        """Those that were recorded."""
        return self.trace.looks(arm, seed)

    def cost(self, arm: int, seed: int, rung: Rung) -> float:
        """Passes, those of fine-tuning alone included."""
        alone = max(0.0, rung.tune - self.tuned_alone.get(seed, 0.0)) * self.plan.tune_steps
        return alone + self.plan.passes(self.options[arm], rung, self.reached.get((arm, seed)))

    def step(self, arm: int, seed: int, rung: Rung) -> Step:
        """What running an arm to a rung would show and cost."""
        return Step(self._on_the_way(arm, seed, rung), self.cost(arm, seed, rung))

    def take(self, step: Step) -> list[float]:
        """Run a step: what its looks showed."""
        self.spent += step.cost
        gains = [self.trace.gains[look] for look in step.looks]
        self.took(step, gains)
        return gains


def race(
    runner: Runner,
    prior: tuple[Array, Array],
    errors: ErrorModel,
    budget: float = float("inf"),
    min_gain: float = DEFAULT_MIN_GAIN,
) -> Iterator[Moment]:
    """The race of this product, until it stops by itself; costs and budget are in passes."""
    belief = Belief(*prior, errors, runner.trace.level)
    finals = [Look(arm, seed, WHOLE) for arm in range(len(runner.options)) for seed in runner.trace.seeds]
    while True:
        mean, chances = belief.expected, belief.best_probabilities()
        pick = int(mean.argmax()) if mean.max() > 0 else NONE
        sure = float(chances[pick + 1]), float(belief.winning_probabilities(finals)[pick + 1])
        yield Moment(runner.spent, pick, *sure)
        runner.drop(chances.tolist())
        steps, left = runner.steps(), budget - runner.spent
        if stop_reason(belief, steps, left, min_gain):
            return
        step = next_step(belief, steps, left)
        if step is None:
            return
        belief = belief.after(step.looks, runner.take(step))


_ETA = 2
"""Of successive halving: one arm in so many goes on to the next rung."""


def favourite(runner: Runner, prior: Array) -> Iterator[Moment]:
    """One whole run of what the prior likes best: it is taken if it beats fine-tuning alone."""
    arm = int(prior.argmax())
    yield Moment(0.0, arm if prior[arm] > 0 else NONE)
    gain = runner.take(runner.step(arm, runner.seeds[0], WHOLE))[-1]
    yield Moment(runner.spent, arm if gain > 0 else NONE)


def every_option(runner: Runner) -> Iterator[Moment]:
    """Everything to its end with one seed: what no race with that seed can do better than, but by luck."""
    gains = [runner.take(runner.step(arm, runner.seeds[0], WHOLE))[-1] for arm in range(len(runner.options))]
    best = int(np.argmax(gains))
    yield Moment(runner.spent, best if gains[best] > 0 else NONE)


def halving(runner: Runner, prior: Array | None, budget: float) -> Iterator[Moment]:
    """Successive halving (Jamieson and Talwalkar 2016).

    As many arms begin as the budget takes to the first rung: the best of the prior or, without one, the
    first in the order of the options.
    """
    order = list(range(len(runner.trace.options)))
    if prior is None:
        yield Moment(0.0, NONE)
    else:
        order.sort(key=lambda arm: -prior[arm])
        yield Moment(0.0, order[0] if prior[order[0]] > 0 else NONE)
    yield from _halve(runner, order, budget)


def sampled_bands(
    runner: Runner, prior: Array, budget: float, generator: np.random.Generator
) -> Iterator[Moment]:
    """Successive halving over arms that PriorBand draws (Mallik et al. 2023): the prior's mode first, then
    each from the prior with probability eta / (1 + eta), else at random.
    """
    arms = len(prior)
    weights = np.exp((prior - prior.max()) / max(1.0, float(prior.std())))
    chosen = [int(prior.argmax())]
    while len(chosen) < (arms + 1) // 2 + 1 and len(chosen) < arms:
        left = [arm for arm in range(arms) if arm not in chosen]
        odds = weights[left] if generator.random() < _ETA / (1 + _ETA) else np.ones(len(left))
        chosen.append(int(generator.choice(left, p=odds / odds.sum())))
    yield Moment(0.0, chosen[0] if prior[chosen[0]] > 0 else NONE)
    yield from _halve(runner, chosen, budget)


def paired_pruner(runner: Runner, prior: Array, level: float = 0.1) -> Iterator[Moment]:
    """Arms one after the other, the best of the prior first; one is pruned where a signed-rank test over the
    looks that it shares with the best so far says that it is behind (Optuna's ``WilcoxonPruner``).
    """
    seed, champion = runner.seeds[0], NONE
    best: dict[Rung, float] = {}
    yield Moment(0.0, int(prior.argmax()) if prior.max() > 0 else NONE)
    for arm in np.argsort(-prior).tolist():
        own: dict[Rung, float] = {}
        for rung in _rungs(runner, arm, seed):
            step = runner.step(arm, seed, rung)
            if rung.align < 1 or not step.looks:
                continue
            own |= dict(zip((look.rung for look in step.looks), runner.take(step), strict=True))
            behind = [own[rung] - best.get(rung, 0.0) for rung in own]
            if any(behind) and wilcoxon(behind, alternative="less").pvalue < level:
                break
        if own.get(WHOLE, -np.inf) > best.get(WHOLE, 0.0):
            best, champion = own, arm
        yield Moment(runner.spent, champion)


def _halve(runner: Runner, arms: Sequence[int], budget: float) -> Iterator[Moment]:
    """All arms to one rung, the better part of them to the next, as far as the budget goes."""
    seed = runner.seeds[0]
    ladder = sorted({rung.tune for arm in arms for rung in _rungs(runner, arm, seed)})
    alive = _affordable(runner, arms, seed, ladder, budget)
    for rung in ladder:
        shown: dict[int, float] = {}
        for arm in alive:
            step = runner.step(arm, seed, _nearest(runner, arm, seed, rung))
            if not step.looks:
                continue
            if runner.spent + step.cost > budget:
                return
            shown[arm] = runner.take(step)[-1]
        if not shown:
            return
        alive = sorted(shown, key=lambda arm: -shown[arm])
        yield Moment(runner.spent, alive[0] if shown[alive[0]] > 0 else NONE)
        alive = alive[: -(-len(alive) // _ETA)]


def _rungs(runner: Runner, arm: int, seed: int) -> list[Rung]:
    return sorted({look.rung for look in runner.looks(arm, seed)})


def _nearest(runner: Runner, arm: int, seed: int, share: float) -> Rung:
    """The rung with that share of fine-tuning and, of those, as little alignment above it as was recorded."""
    rungs = [rung for rung in _rungs(runner, arm, seed) if rung.tune == share]
    return min(rungs, key=lambda rung: (rung.align < share, rung.align)) if rungs else WHOLE


def _affordable(
    runner: Runner, arms: Sequence[int], seed: int, ladder: Sequence[float], budget: float
) -> list[int]:
    """As many arms as the budget takes to the first rung."""
    spent, count = 0.0, 0
    for arm in arms:
        spent += runner.step(arm, seed, _nearest(runner, arm, seed, ladder[0])).cost
        if spent > budget:
            break
        count += 1
    return list(arms[:count])
