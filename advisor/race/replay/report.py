"""The replay in numbers and as a picture: what ``advisor findings race`` prints."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from advisor.race.errors import Look
from advisor.race.replay.play import BUDGETS, Replay, replay
from advisor.race.replay.priors import with_priors
from advisor.race.replay.traces import Trace, shipped_traces
from advisor.race.rungs import WHOLE, Rung
from probes.schema import Frozen

if TYPE_CHECKING:
    import altair as alt

Array = NDArray[np.float64]

_FEWEST = 20
"""Moments in a band of P(best) from which on its worth is printed."""
_DRAWS = 1000


class Way(Frozen):
    """A way of choosing.

    Attributes:
        regret: mean points lost at each budget; None where it has no answer yet in some case.
        low, high: 95 % interval of that, by a bootstrap over groups.
        spent: whole runs until it stopped by itself, on average.
        cases: cells and seeds that it was tried on.
    """

    name: str
    cases: int
    regret: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    spent: float | None


class Decile(Frozen):
    """Moments at which P(best) of the pick lay in a decile."""

    low: float
    moments: int
    said: float
    right: float


class RungWorth(Frozen):
    """How well a look tells the end: correlation with the final gain of the same run, and what it costs."""

    align: float
    tune: float
    runs: int
    correlation: float
    slope: float
    error: float
    cost: float


class RaceReport(Frozen):
    """What the replay found.

    Attributes:
        cells, groups: played.
        judged_by_others: cases judged by seeds that the race did not see; the others by their own end.
        budgets: in whole runs of a sequential option, by passes.
        run_minutes, probe_minutes: that a whole run and a probe take, in the middle.
        probe_regret: of the race at two whole runs, without and with a probe that is paid for.
    """

    cells: int
    groups: int
    cases: int
    judged_by_others: int
    budgets: tuple[float, ...]
    ways: tuple[Way, ...]
    bands: tuple[Decile, ...]
    rungs: tuple[RungWorth, ...]
    run_minutes: float
    probe_minutes: float | None
    probe_regret: tuple[float, float] | None

    def markdown(self) -> str:
        """The tables."""
        return "\n".join(_lines(self)) + "\n"


def race_report(jobs: int = 1, traces: Sequence[Trace] | None = None) -> RaceReport:
    """Replay the race on the shipped studies.

    Args:
        jobs: processes.
        traces: others than those of the shipped studies, with their priors.
    """
    cells = with_priors(shipped_traces()) if traces is None else list(traces)
    played = replay(cells, jobs)
    probes = [trace.probe_seconds for trace in cells if trace.probe_seconds]
    return RaceReport(
        cells=len(cells),
        groups=len({trace.group for trace in cells}),
        cases=len(played.groups),
        judged_by_others=int(played.judged_by_others.sum()),
        budgets=BUDGETS,
        ways=tuple(_ways(played)),
        bands=tuple(_bands(played.sure)),
        rungs=tuple(_rungs(cells)),
        run_minutes=played.seconds / 60,
        probe_minutes=float(np.median(probes)) / 60 if probes else None,
        probe_regret=_probe_regret(played),
    )


def _ways(played: Replay) -> Iterator[Way]:
    for name, curve in played.curves.items():
        tried = np.asarray(~np.isnan(curve.regret).all(axis=1))
        if not tried.any():  # dearer than the largest budget
            continue
        regret = curve.regret[tried]
        groups = [group for group, was_tried in zip(played.groups, tried, strict=True) if was_tried]
        mean = regret.mean(axis=0)
        low, high = _interval(regret, groups)
        stops = [] if curve.spent is None else [spent for spent in curve.spent[tried] if np.isfinite(spent)]
        yield Way(
            name=name,
            cases=len(regret),
            regret=_numbers(mean),
            low=_numbers(low),
            high=_numbers(high),
            spent=float(np.mean(stops)) if stops else None,
        )


def _interval(regret: Array, groups: Sequence[tuple[str, str]]) -> tuple[Array, Array]:
    """Bootstrap over groups, whose cases are alike."""
    names = sorted(set(groups))
    rows = [np.array([group == name for group in groups]) for name in names]
    sums = np.array([regret[row].sum(axis=0) for row in rows])
    counts = np.array([row.sum() for row in rows])
    drawn = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), _DRAWS)
    means = drawn @ sums / (drawn @ counts)[:, None]
    return np.quantile(means, 0.025, axis=0), np.quantile(means, 0.975, axis=0)


def _numbers(values: Array) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else round(float(value), 4) for value in values)


def _bands(sure: Array) -> Iterator[Decile]:
    for tenth in range(10):
        low = tenth / 10
        inside = sure[(sure[:, 0] >= low) & (sure[:, 0] < low + 0.1 + 1e-9 * (tenth == 9))]
        if len(inside) >= _FEWEST:
            said, right = inside.mean(axis=0)
            yield Decile(low=low, moments=len(inside), said=float(said), right=float(right))


def _rungs(traces: Sequence[Trace]) -> Iterator[RungWorth]:
    """Every rung that was recorded, by what it costs."""
    pairs: dict[Rung, list[tuple[float, float, float]]] = {}
    for trace in traces:
        for look, gain in trace.gains.items():
            final = trace.gains.get(Look(look.arm, look.seed, WHOLE))
            option = trace.options[look.arm]
            if final is None or look.rung == WHOLE or str(option.schedule) != "sequential":
                continue
            cost = trace.plan.passes(option, look.rung) / trace.plan.passes(option, WHOLE)
            pairs.setdefault(look.rung, []).append((gain, final, cost))
    for rung, rows in sorted(pairs.items(), key=lambda item: np.mean([row[2] for row in item[1]])):
        if len(rows) < _FEWEST:
            continue
        gain, final, cost = np.array(rows).T
        slope = float(gain @ final / (gain @ gain))
        yield RungWorth(
            align=rung.align,
            tune=rung.tune,
            runs=len(rows),
            correlation=float(np.corrcoef(gain, final)[0, 1]),
            slope=slope,
            error=float(np.sqrt(np.mean((final - slope * gain) ** 2))),
            cost=float(cost.mean()),
        )


def _probe_regret(played: Replay) -> tuple[float, float] | None:
    """Regret at two whole runs of the race without and with a probe, paid for, on the same cases."""
    curves = played.curves
    if "race after a probe" not in curves or "race" not in curves:
        return None
    at = BUDGETS.index(2.0)
    without, probed = curves["race"].regret[:, at], curves["race after a probe"].regret[:, at]
    both = ~np.isnan(without) & ~np.isnan(probed)
    return (float(without[both].mean()), float(probed[both].mean())) if both.any() else None


def _lines(report: RaceReport) -> Iterator[str]:
    yield (
        f"{report.cases} races over {report.cells} cells of {report.groups} groups; findings and error model "
        f"had not seen the group. {report.judged_by_others} are judged by seeds that no race saw, the "
        "others by the end of their own run. Regret: points lost against the best option in hindsight, "
        "fine-tuning alone among them; budgets in whole sequential runs, by passes of both phases."
    )
    yield ""
    yield f"| way | races | {' | '.join(f'{budget:g}' for budget in report.budgets)} | stops at |"
    yield f"|---|---:|{'---:|' * len(report.budgets)}---:|"
    for way in sorted(report.ways, key=lambda way: _at_two(report, way)):
        cells = " | ".join("" if value is None else f"{value:.2f}" for value in way.regret)
        yield f"| {way.name} | {way.cases} | {cells} | {'' if way.spent is None else f'{way.spent:.2f}'} |"
    at = report.budgets.index(2.0)
    yield ""
    yield "At 2 whole runs, with 95 % intervals (bootstrap over groups):"
    yield ""
    for way in sorted(report.ways, key=lambda way: _at_two(report, way)):
        if way.regret[at] is not None:
            yield f"- {way.name}: {way.regret[at]:.2f} [{way.low[at]:.2f} to {way.high[at]:.2f}]"
    yield ""
    yield "| P(best) of the race | moments | said | right |"
    yield "|---|---:|---:|---:|"
    for band in report.bands:
        upto = f"{band.low:.1f} to {band.low + 0.1:.1f}"
        yield f"| {upto} | {band.moments} | {band.said:.2f} | {band.right:.2f} |"
    yield ""
    yield "What a look at a sequential run tells of its end:"
    yield ""
    yield "| alignment | fine-tuning | runs | correlation | end per point seen | off by | cost in runs |"
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    for rung in report.rungs:
        yield (
            f"| {rung.align:.2f} | {rung.tune:.2f} | {rung.runs} | {rung.correlation:.2f} | {rung.slope:.2f} "
            f"| {rung.error:.1f} | {rung.cost:.2f} |"
        )
    yield ""
    yield _probe_line(report)


def _at_two(report: RaceReport, way: Way) -> float:
    value = way.regret[report.budgets.index(2.0)]
    return float("inf") if value is None else value


def _probe_line(report: RaceReport) -> str:
    if report.probe_regret is None or report.probe_minutes is None:
        return "No probe of these cells moves an expectation, so a probe saves a race no time."
    without, probed = report.probe_regret
    better = without - probed
    verdict = f"saves {better:.2f} points" if better > 0 else f"loses {-better:.2f} points"
    return (
        f"A probe takes {report.probe_minutes:.1f} min here, a whole run {report.run_minutes:.1f} min. Its "
        f"time taken off, a probe before the race {verdict} of regret at 2 whole runs "
        f"({without:.2f} without, {probed:.2f} with)."
    )


def regret_chart(report: RaceReport, *, width: int = 640) -> "alt.LayerChart":
    """Regret against budget, a line a way."""
    import altair as alt

    from advisor.report.charts import COLOURS, INKS

    values = [
        {"way": way.name, "budget": budget, "regret": value}
        for way in report.ways
        for budget, value in zip(report.budgets, way.regret, strict=True)
        if value is not None
    ]
    names = [way.name for way in sorted(report.ways, key=lambda way: _at_two(report, way))]
    palette = [*COLOURS.values(), INKS["ink"], INKS["muted"], INKS["line"], "#000000", "#777777"]
    base = alt.Chart(alt.InlineData(values=values)).encode(
        x=alt.X("budget:Q", title="budget, whole runs (passes of both phases)"),
        y=alt.Y("regret:Q", title="regret, points", scale=alt.Scale(type="symlog", constant=0.1)),
        color=alt.Color("way:N", sort=names, scale=alt.Scale(domain=names, range=palette), title=None),
        strokeDash=alt.StrokeDash("way:N", sort=names, title=None),
    )
    layers = [base.mark_line(interpolate="step-after"), base.mark_point(size=24)]
    return alt.LayerChart(layer=layers, width=width, height=280)
