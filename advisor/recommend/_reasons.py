"""Why a gain is expected: the terms that moved the prediction most, in words."""

from itertools import islice
from statistics import fmean

import numpy as np

from advisor.advice import Reason
from advisor.findings.evidence import OWN_RECORDS
from advisor.findings.model import scale
from advisor.recommend._causes import causes
from advisor.recommend._outlooks import Outlook, moving_signal
from advisor.recommend._situation import Situation
from probes.signals import Signals

_REASONS = 3


def reasons_for(situation: Situation, best: Outlook) -> tuple[Reason, ...]:
    """The terms that moved the prediction most, the largest first."""
    moved = causes(best.case, best.parts, best.centre, situation.evidence, situation.target.name)
    reasons = list(islice(moved, _REASONS))
    of_evidence = len(reasons)  # what was measured here is always told
    if best.by_trial:
        reasons.append(_trial_reason(situation, best))
    if best.shift and situation.signals is not None:
        reasons.append(_signal_reason(situation, situation.signals, best))
    of_here = len(reasons) - of_evidence
    if situation.signals is not None and not best.shift:
        # What was measured has its say also where it moved nothing.
        reasons.append(_measured_reason(situation, situation.signals, best))
        of_here += 1
    chosen = sorted(reasons[:of_evidence], key=_size)[: _REASONS - of_here] + reasons[of_evidence:]
    return tuple(sorted(chosen, key=_size))


def _size(reason: Reason) -> float:
    return -abs(reason.effect)


def _measured_reason(situation: Situation, signals: Signals, best: Outlook) -> Reason:
    """What the probe found that a careful person would look at first, without an effect of its own."""
    source, target = signals.transfer.source.value, signals.transfer.target
    if source is not None and target is not None and target.value is not None:
        gap = source - target.value
        return Reason(
            text=f"Measured: frozen features of this model score {source:.1f} on {situation.source.name}, "
            f"{target.value:.1f} on {situation.target.name}: a gap of {gap:.1f} points to fill.",
            feature="frozen-gap",
            effect=0.0,
            evidence=(),
        )
    gradient = signals.task_gradients[0] if signals.task_gradients else "source"
    cosine = signals.cosine(best.option.objective, gradient)
    where = situation.source.name if gradient == "source" else f"{situation.target.name}, projected labels,"
    return Reason(
        text=f"Measured: {best.option.objective} and the task on {where} have a cosine of "
        f"{cosine if cosine is not None else 'unknown size'}; without target labels that moves nothing.",
        feature="direction",
        effect=0.0,
        evidence=(),
    )


def _signal_reason(situation: Situation, signals: Signals, best: Outlook) -> Reason:
    objective, target = best.option.objective, situation.target.name
    moving = moving_signal(situation.findings, signals, objective)
    assert moving is not None
    moved = _in_points(best, best.shift)
    if moving[0].measure == "frozen-gap":
        what = f"frozen features score {moving[1][0]:.1f} points less on {target} than on the source"
    elif moving[0].measure == "cosine":
        way = "the same way" if best.shift > 0 else "less the same way than usual"
        what = f"{objective} and the task on {target} text pull {way}"
    else:
        way = "more" if best.shift > 0 else "less"
        what = f"a small step on {objective} helps the task on {target} text {way} than usual"
    return Reason(
        text=f"After the warm-up, {what}, which moves the expected gain by {moved:+.1f} points.",
        feature=f"{moving[0].measure}:{objective}",
        effect=moved,
        evidence=(OWN_RECORDS,),
    )


def _trial_reason(situation: Situation, best: Outlook) -> Reason:
    moved = _in_points(best, best.by_trial)
    tried = situation.tried.items()
    gains = [gain for option, row in tried if option.kind == best.option.kind for gain in row]
    what = (
        f"{fmean(gains):+.1f} points in your own trial of it, {len(gains)} seed{'s' * (len(gains) > 1)},"
        if gains
        else "Your own trial of other options"
    )
    verb = "raises" if moved > 0 else "lowers"
    return Reason(
        text=f"{what} {verb} the expected gain by {abs(moved):.1f} points.",
        feature="own-trial",
        effect=moved,
        evidence=(),
    )


def _in_points(best: Outlook, part: float) -> float:
    """What a part of the centre adds to the expected gain."""
    with_it, without = scale.to_points(np.array([best.centre, best.centre - part])).tolist()
    return float(with_it - without)
