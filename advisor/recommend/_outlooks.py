"""What every option is expected to gain, and which of them is spoken of."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from advisor.advice import Gain
from advisor.decide import Basis, Decision, Expected, decide
from advisor.findings import Findings, Prediction
from advisor.findings.evidence import Case, of_trial
from advisor.findings.model import LEADING_SIGNALS, EffectModel, LeadingSignal
from advisor.options import NO_ALIGNMENT, Option, Schedule, joint_weight, option_space
from advisor.recommend._situation import Situation, kind
from probes.signals import TOTAL, Signals

__all__ = ["EVIDENCE_SOURCE", "Outlook", "choose", "moving_signal", "outlooks_of"]

EVIDENCE_SOURCE = "en"
"""The language that the pooled evidence transfers from."""
_OTHER_SOURCE_SD = 0.7
"""Added uncertainty, on the effect model's scale, when the labelled data is not in English. The evidence
cannot tell how much; this is about what one more task of a known model differs by."""
_LEVEL = 0.8
_NO_GAIN = Gain(
    mean=0.0, low=0.0, high=0.0, level=_LEVEL, probability_positive=0.0, probability_worthwhile=0.0
)


@dataclass(frozen=True, slots=True)
class Outlook:
    """One option with its predicted gain and what speaks for it.

    Attributes:
        option: with its weight, where it has one.
        case: the option on the question's model, task and language; None for ``none``.
        gain: predicted from everything that is known.
        before: predicted from the evidence alone, as if nothing had been measured here.
        direct: published or own effects that speak of it directly.
        basis: what the expectation rests on.
        centre: of the prediction, like all that follow on the effect model's scale.
        parts: of the centre, by term of the effect model.
        shift: how far the probe's leading signal moved the centre.
        by_trial: how far the own trial moved it.
    """

    option: Option
    case: Case | None
    gain: Gain
    before: Gain
    direct: int
    basis: Basis
    centre: float
    parts: Mapping[tuple[str, tuple[str, ...]], float]
    shift: float
    by_trial: float


def outlooks_of(situation: Situation) -> list[Outlook]:
    """Every available option, the highest expected gain first; ``none`` has gain 0 by definition."""
    signals = situation.signals
    space = option_space(situation.word_pairs, signals.unavailable if signals else ())
    options = [_with_weight(option, signals) for option in space if option != NO_ALIGNMENT]
    cases = [situation.case(option) for option in options]
    expected = situation.findings.effects.predict(cases)
    with_trial = _after_the_trial(situation).predict(cases)
    shift, shift_sd = np.array([_signal_shift(situation, option) for option in options]).T
    from_elsewhere = 0.0 if situation.source.code == EVIDENCE_SOURCE else _OTHER_SOURCE_SD
    prediction = with_trial.moved(shift, np.hypot(shift_sd, from_elsewhere))
    gains = _gains(prediction, situation.min_gain)
    before = _gains(
        expected.moved(np.zeros(len(cases)), np.full(len(cases), from_elsewhere)), situation.min_gain
    )
    counts = Counter(
        (effect.objective, effect.schedule, effect.frozen_layers)
        for effect in situation.findings.tables.pooled
    )
    grounded = _grounded_objectives(situation)
    tried = {kind(option) for option in situation.tried}
    outlooks = [
        Outlook(
            option=option,
            case=cases[i],
            gain=gains[i],
            before=before[i],
            direct=counts[kind(option)],
            basis=(
                "measured-here"
                if kind(option) in tried
                else "measured-elsewhere"
                if option.objective in grounded and counts[kind(option)]
                else "extrapolated"
            ),
            centre=float(prediction.centre[i]),
            parts=expected.parts[i],
            shift=float(shift[i]),
            by_trial=float(with_trial.centre[i] - expected.centre[i]),
        )
        for i, option in enumerate(options)
    ]
    none = Outlook(
        NO_ALIGNMENT, None, _NO_GAIN, _NO_GAIN, sum(counts.values()), "measured-elsewhere", 0.0, {}, 0.0, 0.0
    )
    return sorted([none, *outlooks], key=lambda outlook: -outlook.gain.mean)


def _after_the_trial(situation: Situation) -> EffectModel:
    """The effect model once the own trial is known, of which the signals explain a part."""
    effects = situation.findings.effects
    if not situation.tried:
        return effects
    measured = [of_trial(situation.case(option), gains) for option, gains in situation.tried.items()]
    explained = [_signal_shift(situation, option)[0] for option in situation.tried]
    return effects.given(measured, np.array(explained))


def _grounded_objectives(situation: Situation) -> set[str]:
    """Objectives measured on this encoder; of one without evidence, those measured on more than one."""
    models: defaultdict[str, set[str]] = defaultdict(set)
    for effect in situation.findings.tables.pooled:
        models[effect.objective].add(effect.model)
    known = any(situation.model in names for names in models.values())
    return {
        objective
        for objective, names in models.items()
        if (situation.model in names if known else len(names) > 1)
    }


def _with_weight(option: Option, signals: Signals | None) -> Option:
    if option.schedule is not Schedule.JOINT:
        return option
    ratio = None
    for row in signals.cosines if signals else ():
        if (row.point, row.task_gradient, row.block) == ("theta_warm", "source", TOTAL) and (
            row.objective == option.objective
        ):
            ratio = row.magnitude_ratio.value
    return option.model_copy(update={"weight": joint_weight(ratio)})


def _signal_shift(situation: Situation, option: Option) -> tuple[float, float]:
    findings, signals = situation.findings, situation.signals
    found = moving_signal(findings, signals, option.objective) if signals else None
    return (0.0, 0.0) if found is None else findings.signals[found[0]].shift(*found[1])


def moving_signal(
    findings: Findings, signals: Signals, objective: str
) -> tuple[LeadingSignal, tuple[float, float]] | None:
    """Of the validated signals that were measured for an objective the one that did best, and its value."""
    for signal in sorted(LEADING_SIGNALS, key=lambda signal: -findings.signals[signal].gain_in_score):
        value = signal.of_probe(signals, objective)
        if findings.signals[signal].validated and value is not None:
            return signal, value
    return None


def _gains(prediction: Prediction, min_gain: float) -> list[Gain]:
    columns = zip(
        prediction.mean.tolist(),
        prediction.quantile((1 - _LEVEL) / 2).tolist(),
        prediction.quantile((1 + _LEVEL) / 2).tolist(),
        prediction.probability_above(0.0).tolist(),
        prediction.probability_above(min_gain).tolist(),
        strict=True,
    )
    return [
        Gain(
            mean=mean,
            low=low,
            high=high,
            level=_LEVEL,
            probability_positive=positive,
            probability_worthwhile=worthwhile,
        )
        for mean, low, high, positive, worthwhile in columns
    ]


def choose(outlooks: Sequence[Outlook], min_gain: float) -> Decision:
    """The decision over all options."""
    return decide([_expected(row) for row in outlooks if row.option != NO_ALIGNMENT], min_gain=min_gain)


def _expected(outlook: Outlook) -> Expected:
    gain = outlook.gain
    return Expected(
        option=outlook.option,
        mean=gain.mean,
        low=gain.low,
        high=gain.high,
        positive=gain.probability_positive,
        worthwhile=gain.probability_worthwhile,
        direct=outlook.direct,
        by=outlook.basis,
    )
