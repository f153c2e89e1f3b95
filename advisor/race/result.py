"""What a race ends with."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from advisor.advice import Gain
from advisor.decide import Basis, Confidence, Expected, Verdict, decide
from advisor.options import Option
from advisor.race.belief import Stop
from advisor.race.errors import Look
from advisor.race.labels import gain, guide_part, resampled_gains
from advisor.race.rungs import WHOLE
from advisor.race.running import Racer
from advisor.race.store import ALONE, Finite, Raced
from advisor.report.words import took
from probes.metrics import points
from probes.schema import Frozen, load_file
from probes.signals import Estimate

Array = NDArray[np.float64]
RESULT_FILE = "result.json"
_MANY_UNKNOWN = 0.02
"""Share of unknown subwords from which they are worth a note."""
_SPLITS = 20
"""Ways to keep half of few labels back."""
_INTERVAL = (0.1, 0.9)


class LookResult(Frozen):
    """A score on all target labels in points, with its gain, at shares of the two phases."""

    seed: int
    align: Finite
    tune: Finite
    score: Finite
    gain: Finite


class ArmResult(Frozen):
    """One option, and those ``alike`` that it stands for.

    Attributes:
        expected: mean gain, before anything was run.
        measured: gain at the last look on the texts that guided the race, as it was seen.
        gain: what is believed in the end, with the luck of the draw taken off.
        best: P(best of all, fine-tuning alone among them).
        error: why it is out, if it is.
    """

    option: Option
    alike: tuple[Option, ...]
    expected: Finite
    measured: Finite | None
    gain: Gain
    best: Finite
    looks: tuple[LookResult, ...]
    error: str | None = None

    @property
    def reach(self) -> float:
        """How far it was run: the smaller share of its two phases."""
        return _reach(self.looks)

    @property
    def basis(self) -> Basis:
        """Whether it was run here, or is told of by arms that were."""
        return "measured-here" if self.looks else "measured-elsewhere"


def _expected(arms: Sequence[ArmResult]) -> list[Expected]:
    return [arm.gain.of(arm.option, arm.basis) for arm in arms if arm.error is None]


def _reach(looks: Sequence[LookResult]) -> float:
    return max((min(look.align, look.tune) for look in looks), default=0.0)


class RaceResult(Raced):
    """A whole race.

    Attributes:
        option: the advised one; ``none`` for fine-tuning alone.
        probability: of being right, as :func:`advisor.decide.decide` has it.
        best_alone: P(best) of fine-tuning alone.
        kept_back: the advised option's gain on labels that had no say in the choice, its interval of 95 %
            from the choice of sentences; without a value where nothing was kept back.
        agreement: where labels were few, the share of 20 splits in whose halves the same option won.
        labels: target texts scored.
        stopped: why the race ended.
        minutes, minutes_whole: it took, and whole runs of all arms would have taken.
    """

    decision: Verdict
    confidence: Confidence
    probability: Finite
    option: Option
    arms: tuple[ArmResult, ...]
    alone: tuple[LookResult, ...]
    best_alone: Finite
    kept_back: Estimate
    agreement: Finite | None
    labels: int
    stopped: Stop
    minutes_whole: Finite
    notes: tuple[str, ...]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what a race wrote: its folder, or the file in it.

        Raises:
            InputError: if the file is missing or not of this schema.
        """
        path = Path(path)
        if path.is_dir():
            path /= RESULT_FILE
        return load_file(cls, path, "race", 1, writer="race", file=RESULT_FILE)

    @property
    def winner(self) -> ArmResult | None:
        """The advised arm; None for fine-tuning alone."""
        return next((arm for arm in self.arms if arm.option == self.option), None)

    @property
    def expected(self) -> list[Expected]:
        """What the decision is made of: every arm that did not fail."""
        return _expected(self.arms)

    @property
    def reach_alone(self) -> float:
        """How far fine-tuning alone was run."""
        return _reach(self.alone)

    @property
    def summary(self) -> str:
        """The answer in one sentence."""
        if self.winner is None:
            return f"Fine-tune alone: no option is likely to gain {self.min_gain:g} points or more."
        gain = self.winner.gain
        how = "measured here" if self.winner.looks else "told by options like it that were run here"
        return (
            f"Align with {self.option}: expect {gain.mean:+.1f} points "
            f"(80 % interval {gain.low:+.1f} to {gain.high:+.1f}), {how} in {took(self.minutes)}."
        )


def result_of(racer: Racer, stopped: Stop) -> RaceResult:
    """What a race has found so far."""
    setup = racer.setup
    belief = racer.belief()
    draws, chances = belief.draws(), belief.best_probabilities()
    arms = [
        ArmResult(
            option=option,
            alike=setup.alike[i],
            expected=setup.mean[i],
            measured=None if (look := _last(racer, i)) is None else racer.seen[look],
            gain=_gain(draws[:, i + 1], setup.min_gain),
            best=0.0 if i in racer.lost else float(chances[i + 1]),
            looks=tuple(_looks(racer, i)),
            error=racer.lost.get(i),
        )
        for i, option in enumerate(setup.options)
    ]
    decision = decide(_expected(arms), min_gain=setup.min_gain)
    place = next((i for i, arm in enumerate(arms) if arm.option == decision.option), None)
    return RaceResult(
        **setup.model_dump(include=Raced.model_fields.keys() - {"minutes"}),
        decision=decision.decision,
        confidence=decision.confidence,
        probability=decision.probability,
        option=decision.option,
        arms=tuple(sorted(arms, key=lambda arm: (arm.option != decision.option, -arm.gain.mean))),
        alone=tuple(_looks(racer, ALONE)),
        best_alone=float(chances[0]),
        kept_back=_kept_back(racer, place),
        agreement=_agreement(racer) if racer.few else None,
        labels=len(racer.guide),
        stopped=stopped,
        minutes=racer.now / 60,
        minutes_whole=_whole(racer) / 60,
        notes=tuple(_notes(racer)),
    )


def _gain(draws: Array, min_gain: float) -> Gain:
    low, high = np.quantile(draws, _INTERVAL)
    return Gain(
        mean=float(np.median(draws)),
        low=float(low),
        high=float(high),
        probability_positive=float((draws > 0).mean()),
        probability_worthwhile=float((draws > min_gain).mean()),
    )


def _last(racer: Racer, arm: int) -> Look | None:
    """The look that got furthest."""
    looks = [look for look in racer.seen if look.arm == arm]
    return max(looks, key=lambda look: (look.rung.align, look.rung.tune), default=None)


def _looks(racer: Racer, arm: int) -> Iterator[LookResult]:
    every = np.ones(len(racer.guide), dtype=bool)
    for place, seed, rung in sorted(racer.counts):
        if place == arm:
            counts = racer.both(Look(arm, seed, rung))
            score = float(points(counts[0].sum(axis=0)))
            yield LookResult(
                seed=seed, align=rung.align, tune=rung.tune, score=score, gain=gain(*counts, every)
            )


def _kept_back(racer: Racer, arm: int | None) -> Estimate:
    if arm is None:
        return Estimate(value=None, note="nothing is aligned")
    if racer.few:
        return Estimate(value=None, note="with so few labels none was kept back")
    look = _last(racer, arm)
    if look is None:
        return Estimate(value=None, note="the option was not run")
    counts = racer.both(look)
    low, high = np.quantile(resampled_gains(*counts, ~racer.guide), [0.025, 0.975])
    return Estimate(value=gain(*counts, ~racer.guide), low=float(low), high=float(high), level=0.95)


def _agreement(racer: Racer) -> float:
    """How often the half of the labels that is left out would have chosen as the other half does."""
    labels = racer.engine.target_labels()
    same = []
    for split in range(_SPLITS):
        part = guide_part(labels, seed=split)
        one, other = (np.append(0.0, racer.belief(half).expected).argmax() for half in (part, ~part))
        same.append(one == other)
    return float(np.mean(same))


def _whole(racer: Racer) -> float:
    """Seconds that whole runs of all arms and of fine-tuning alone would take."""
    runs = [racer.seconds(arm, WHOLE, None) for arm in (*range(len(racer.options)), ALONE)]
    return sum(runs) * racer.slower


def _notes(racer: Racer) -> list[str]:
    notes = []
    if racer.few:
        notes.append(
            f"With {len(racer.guide)} labelled target texts none could be kept back for a final check: the "
            "gain is corrected for having been picked, and 200 texts would confirm it."
        )
    if racer.setup.halvings:
        notes.append(
            f"Memory was short: the batch was halved {racer.setup.halvings} times, for every arm alike."
        )
    unknown = racer.engine.unknown_share()
    if unknown > _MANY_UNKNOWN:
        notes.append(
            f"{unknown:.0%} of the target texts' subwords are unknown to the encoder's tokenizer: neither "
            "alignment nor fine-tuning teaches it to read them."
        )
    notes += [f"{racer.options[arm]} is out: {why}" for arm, why in racer.lost.items()]
    return notes
