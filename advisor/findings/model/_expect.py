"""From predictions of the effect model to what a decision needs."""

from collections import Counter
from collections.abc import Collection, Sequence

from advisor.decide import Basis, Expected
from advisor.findings.evidence import Case, Effect
from advisor.findings.model._prediction import Prediction
from advisor.options import Kind, Option

LEVEL = 0.8
"""Of the intervals that are shown."""
_LESS = 1e-6
"""Points; what nobody ran is named after what somebody did."""
_SURE = 0.95
"""Where no row speaks directly of an option, nothing is surer than this, either way."""


def leading(case: Case, effects: Sequence[Effect], direct: Sequence[Effect]) -> frozenset[Kind]:
    """The kinds of option that evidence puts first: those that direct rows are of, else those that were
    measured on the task, else those of the objective that was measured most."""
    rows = direct or [effect for effect in effects if effect.task == case.task]
    if not rows and effects:
        ((most, _),) = Counter(effect.objective for effect in effects).most_common(1)
        rows = [effect for effect in effects if effect.objective == most]
    return frozenset((effect.objective, effect.schedule, effect.frozen_layers) for effect in rows)


def expectations(
    prediction: Prediction,
    options: Sequence[Option],
    direct: Counter[str],
    first: Collection[Kind],
    min_gain: float,
    tried: Collection[Option] = (),
) -> list[Expected]:
    """What is expected of each option.

    An option of any other kind is expected to gain less than the best of the leading ones, of its objective
    where that has any: what the model says of it rests on other encoders, tasks or languages, and the highest
    of many such guesses is mostly a lucky one. In the same way no option is expected to gain more than one
    that was run here and gained.

    Args:
        prediction: of the options' gains, shape (n,).
        options: n of them.
        direct: rows of evidence that speak directly of the question, by objective.
        first: the ``leading`` kinds of option.
        min_gain: smallest gain of interest, in points.
        tried: options that were run here.
    """
    columns = zip(
        options,
        prediction.mean.tolist(),
        prediction.quantile((1 - LEVEL) / 2).tolist(),
        prediction.quantile((1 + LEVEL) / 2).tolist(),
        prediction.probability_above(0.0).tolist(),
        prediction.probability_above(min_gain).tolist(),
        strict=True,
    )
    means = prediction.mean.tolist()
    leaders = [(option, mean) for option, mean in zip(options, means, strict=True) if option.kind in first]
    best_first = max((mean for _, mean in leaders), default=float("inf"))
    best_of = {
        name: max(m for o, m in leaders if o.objective == name) for name in {o.objective for o, _ in leaders}
    }
    best_here = max(
        (mean for option, mean in zip(options, means, strict=True) if option in tried and mean > min_gain),
        default=float("inf"),
    )
    rows = []
    for option, mean, low, high, positive, worthwhile in columns:
        count = direct[option.objective]
        by: Basis = "measured-here" if option in tried else "measured-elsewhere" if count else "extrapolated"
        least, most = (1 - _SURE, _SURE) if by == "extrapolated" else (0.0, 1.0)
        expected = mean if by == "measured-here" else min(mean, best_here)
        if by != "measured-here" and option.kind not in first:
            expected = min(expected, best_of.get(option.objective, best_first) - _LESS)
        rows.append(
            Expected(
                option=option,
                mean=expected,
                low=min(low, expected),
                high=max(high, expected),
                positive=min(max(positive, least), most),
                worthwhile=min(max(worthwhile, least), most),
                direct=count,
                by=by,
            )
        )
    return rows
