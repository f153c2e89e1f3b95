"""What every option is expected to gain, and which of them is spoken of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from advisor.advice import Gain
from advisor.decide import Decision, Expected, decide
from advisor.findings import Findings
from advisor.findings.evidence import Case, direct, of_trial
from advisor.findings.model import (
    LEADING_SIGNALS,
    LEVEL,
    EffectModel,
    LeadingSignal,
    expectations,
    leading,
)
from advisor.options import NO_ALIGNMENT, Option, option_space, weighted
from advisor.recommend._situation import Situation
from probes.signals import Signals

EVIDENCE_SOURCE = "en"
"""The language that the pooled evidence transfers from."""
_OTHER_SOURCE_SD = 0.7
"""Added uncertainty, on the effect model's scale, when the labelled data is not in English. The evidence
cannot tell how much; this is about what one more task of a known model differs by."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """One option with its predicted gain and what speaks for it.

    Attributes:
        option: with its weight, where it has one.
        case: the option on the question's model, task and language.
        expected: from everything that is known.
        evidence_only: from evidence alone, without what was measured here.
        centre, sd: of the prediction, like all that follow on the effect model's scale.
        parts: of the centre, by term of the effect model.
        shift: how far the probe's leading signal moved the centre.
        by_trial: how far the own trial moved it.
    """

    option: Option
    case: Case
    expected: Expected
    evidence_only: Expected
    centre: float
    sd: float
    parts: Mapping[tuple[str, tuple[str, ...]], float]
    shift: float
    by_trial: float

    @property
    def gain(self) -> Gain:
        """What is expected, as advice holds it."""
        return gain_of(self.expected)

    @property
    def before(self) -> Gain:
        """The same from evidence alone."""
        return gain_of(self.evidence_only)


def outlooks_of(situation: Situation) -> list[Outlook]:
    """Every available option that aligns, in the order of the option space."""
    signals = situation.signals
    space = option_space(situation.word_pairs, signals.unavailable if signals else ())
    options = [weighted(option, signals) for option in space if option != NO_ALIGNMENT]
    cases = [situation.case(option) for option in options]
    evidence = situation.fit.predict(cases)
    updated = _after_the_trial(situation)
    with_trial = evidence if updated is situation.fit else updated.predict(cases)
    shift, shift_sd = np.array([_signal_shift(situation, option) for option in options]).T
    from_elsewhere = 0.0 if situation.source.code == EVIDENCE_SOURCE else _OTHER_SOURCE_SD
    prediction = with_trial.moved(shift, np.hypot(shift_sd, from_elsewhere))
    none = np.zeros(len(options))
    maker = situation.findings.cases
    rows = [effect for effect in situation.evidence if direct(cases[0], effect, maker)]
    first, counts = leading(cases[0], situation.evidence, rows), Counter(row.objective for row in rows)
    kinds = {option.kind for option in situation.tried}
    tried = [option for option in options if option.kind in kinds]
    now, before = (
        expectations(what, options, counts, first, situation.min_gain, tried)
        for what in (prediction, evidence.moved(none, none + from_elsewhere))
    )
    return [
        Outlook(
            option=options[i],
            case=cases[i],
            expected=now[i],
            evidence_only=before[i],
            centre=float(prediction.centre[i]),
            sd=float(prediction.sd[i]),
            parts=evidence.parts[i],
            shift=float(shift[i]),
            by_trial=float(with_trial.centre[i] - evidence.centre[i]),
        )
        for i in range(len(options))
    ]


def decide_on(situation: Situation, outlooks: Sequence[Outlook]) -> Decision:
    """The decision over all options."""
    return decide(
        [outlook.expected for outlook in outlooks],
        min_gain=situation.min_gain,
        measured=any(situation.task.name == task for _, task, _ in situation.measured)
        or bool(situation.tried),
        trusted=not situation.untrained,
    )


def gain_of(expected: Expected) -> Gain:
    """What is expected of an option, as advice holds it."""
    return Gain(
        mean=expected.mean,
        low=expected.low,
        high=expected.high,
        level=LEVEL,
        probability_positive=expected.positive,
        probability_worthwhile=expected.worthwhile,
    )


def _after_the_trial(situation: Situation) -> EffectModel:
    """The effect model once the own trial is known, of which the signals explain a part."""
    if not situation.tried:
        return situation.fit
    measured = [of_trial(situation.case(option), gains) for option, gains in situation.tried.items()]
    explained = [_signal_shift(situation, option)[0] for option in situation.tried]
    return situation.fit.given(measured, np.array(explained))


def _signal_shift(situation: Situation, option: Option) -> tuple[float, float]:
    findings, signals = situation.findings, situation.signals
    if signals is None or situation.untrained:
        return 0.0, 0.0
    moving = moving_signal(findings, signals, option.objective)
    return (0.0, 0.0) if moving is None else findings.signals[moving[0]].shift(*moving[1])


def moving_signal(
    findings: Findings, signals: Signals, objective: str
) -> tuple[LeadingSignal, tuple[float, float]] | None:
    """Of the validated signals that were measured for an objective the one that did best, and its value."""
    for signal in sorted(LEADING_SIGNALS, key=lambda signal: -findings.signals[signal].gain_in_score):
        value = signal.of_probe(signals, objective)
        if findings.signals[signal].validated and value is not None:
            return signal, value
    return None
