"""What own trials answer to the questions that probes are taken for, in sentences made of figures."""

from collections.abc import Iterator, Sequence
from statistics import median

from advisor.findings.reports._choosing import NEVER, TRIAL, Choice
from advisor.findings.reports._signal_rows import Geometry, SignalRow
from probes.catalogue import SIGNALS

_SIGNIFICANT = 0.05


def claims(
    rows: Sequence[SignalRow],
    geometry: Sequence[Geometry],
    choices: Sequence[Choice],
) -> list[str]:
    """One sentence for each question that the records can say something about."""
    by_signal = {row.signal: row for row in rows}
    return [
        *_distances([row for name, row in by_signal.items() if SIGNALS[name].kind == "distance"]),
        *_orthogonal(geometry),
        *_survivors(rows),
        *_probe_or_trial(choices),
    ]


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
