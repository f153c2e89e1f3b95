"""What own trials answer to the questions that probes are taken for, in sentences made of figures."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from advisor.findings.model import LEADING_SIGNALS, LeadingSignal
from advisor.findings.reports._choosing import NEVER, TRIAL, Choice
from advisor.findings.reports._geometry import Geometry
from advisor.findings.reports._signal_rows import Part, SignalRow
from probes.catalogue import SIGNALS
from probes.signals import TaskGradient

__all__ = ["claims"]

_SIGNIFICANT = 0.05


class _Bar(NamedTuple):
    """What a leading signal would have to reach to be relied on."""

    signs: float
    """Per cent of clear gains."""
    correlation: float
    """Partial rank correlation, over all and in each part."""
    at_least: float | None
    """The lower end of its interval."""


_BARS: Mapping[TaskGradient, _Bar] = {
    "target-labels": _Bar(90, 0.7, 0.5),
    "target-projected": _Bar(80, 0.5, None),
}


def claims(
    rows: Sequence[SignalRow],
    parts: Sequence[Part],
    geometry: Sequence[Geometry],
    choices: Sequence[Choice],
) -> list[str]:
    """One Markdown bullet for each question that the records can say something about.

    Args:
        rows: every signal over all records.
        parts: the leading ones in one encoder, or one level of tasks, at a time.
        geometry: of gradients.
        choices: what following signals is worth beside other ways.
    """
    by_signal = {row.signal: row for row in rows}
    found = [
        *_distances([row for name, row in by_signal.items() if SIGNALS[name].kind == "distance"]),
        *_orthogonal(geometry),
        *(
            line
            for signal in LEADING_SIGNALS
            for line in _predicts(signal, by_signal.get(signal.column), parts)
        ),
        *_survivors(rows),
        *_probe_or_trial(choices),
    ]
    return [f"- {line}" for line in found]


def _distances(rows: Sequence[SignalRow]) -> Iterator[str]:
    known = [row for row in rows if row.partial is not None]
    if not known:
        return
    best = max(known, key=lambda row: abs(row.partial.value) if row.partial else 0.0)
    clear = [row for row in known if row.p_adjusted is not None and row.p_adjusted < _SIGNIFICANT]
    count = f"{len(clear)} of {len(known)} distance measures"
    yield (
        f"**Do distances tell gains?** After correction for multiple tests, {count} correlate with the gain "
        f"within model, task and option; the strongest is `{best.signal}` with {_interval(best)}."
    )


def _orthogonal(geometry: Sequence[Geometry]) -> Iterator[str]:
    warm = [g for g in geometry if g.at == "theta_warm" and g.gradient in ("source", "target-labels")]
    if not warm:
        return
    parts = []
    for gradient in dict.fromkeys(g.gradient for g in warm):
        these = [g for g in warm if g.gradient == gradient]
        text = "source" if gradient == "source" else "target"
        low, high = min(g.lowest for g in these), max(g.highest for g in these)
        parts.append(
            f"{median(g.absolute for g in these):.2f} with the task on {text} text (from {low:+.2f} to "
            f"{high:+.2f})"
        )
    ceilings = [g.ceiling for g in warm if g.ceiling is not None]
    nulls = [g.null for g in warm if g.null is not None]
    beside = [f"the ceiling is {median(ceilings):.2f}"] if ceilings else []
    beside += [f"shuffled pairs give {median(nulls):.2f}"] if nulls else []
    yield (
        "**Are the gradients orthogonal?** After the warm-up and corrected for noise, the median absolute "
        f"cosine is {' and '.join(parts)}{'; ' if beside else ''}{', '.join(beside)}."
    )


def _predicts(signal: LeadingSignal, row: SignalRow | None, parts: Sequence[Part]) -> Iterator[str]:
    if row is None or row.partial is None:
        return
    bar = _BARS[signal.gradient]
    right = (
        f"it has the sign of {100 * row.sign_right.value:.0f} % of the {row.clear} clear gains"
        if row.sign_right is not None
        else "no gain is clear enough to score signs"
    )
    apart = {
        part.where: part.row.partial.value
        for part in parts
        if part.row.signal == signal.column and part.row.partial is not None
    }
    reached = (
        row.sign_right is not None
        and 100 * row.sign_right.value >= bar.signs
        and min([row.partial.value, *apart.values()]) >= bar.correlation
        and (bar.at_least is None or row.partial.low > bar.at_least)
    )
    bound = "" if bar.at_least is None else f" with its interval above {bar.at_least:g}"
    each = ", ".join(f"{value:+.2f} ({where})" for where, value in apart.items())
    yield (
        f"**Does the {_name(signal)} tell gains?** Its partial rank "
        f"correlation with the gain is {_interval(row)}, and {right}.{f' Apart: {each}.' if each else ''} To "
        f"be relied on it would have to reach {bar.correlation:g}{bound}, the same in every encoder and "
        f"level of tasks, and {bar.signs:g} % of signs: it does{'' if reached else ' not'}."
    )


def _name(signal: LeadingSignal) -> str:
    what = (
        "Adam-scaled lookahead on the target task"
        if signal.measure == "lookahead"
        else "cosine with the target task's gradient"
    )
    labels = "target labels" if signal.gradient == "target-labels" else "projected labels"
    return f"{what} ({labels})"


def _survivors(rows: Sequence[SignalRow]) -> Iterator[str]:
    tested = [row for row in rows if row.p_adjusted is not None]
    clear = [row.signal for row in tested if row.p_adjusted is not None and row.p_adjusted < _SIGNIFICANT]
    if tested:
        names = ", ".join(f"`{name}`" for name in clear) if clear else "None"
        yield f"**Which of {len(tested)} signals survive correction for multiple tests?** {names}."


def _probe_or_trial(choices: Sequence[Choice]) -> Iterator[str]:
    """What the time of a probe would buy if it were spent on short trials."""
    ways = {choice.name: choice for choice in choices}
    never = ways.get(NEVER)
    probe = min((way for way in choices if way.probed), key=lambda way: way.regret.value, default=None)
    if probe is None or probe.cost is None or never is None:
        return
    trials = sorted(
        (way for way in choices if way.name.startswith(TRIAL) and way.cost), key=lambda way: way.cost or 0.0
    )
    if not trials:
        return
    affordable = [trial for trial in trials if trial.cost is not None and trial.cost <= probe.cost]
    shown = dict.fromkeys((*affordable[-1:], trials[-1]))
    verdict = "No trial costs as little as a probe"
    if affordable:
        trial = affordable[-1]
        better = (
            "the trial"
            if trial.probe_regret is not None and trial.regret.value < trial.probe_regret.value
            else "the probe"
        )
        verdict = f"At equal cost {better} chooses better"
    described = "; ".join(
        f"{way.name} costs {way.cost:.2g} runs and loses {way.regret} where the probe loses "
        f"{way.probe_regret} ({way.cells} cells)"
        for way in shown
    )
    yield (
        f"**A probe, or short trials?** {verdict}. Points lost a cell against the best option in hindsight: "
        f"a probe ({probe.name}) costs {probe.cost:.2g} runs and loses {probe.regret} ({probe.cells} cells); "
        f"{described}; never aligning loses {never.regret}. Costs are wall time of runs as short as these: "
        "a probe's stays, and a trial's grows with the training that it is to tell of."
    )


def _interval(row: SignalRow) -> str:
    assert row.partial is not None
    return f"{row.partial.value:+.2f} [{row.partial.low:+.2f}, {row.partial.high:+.2f}]"
