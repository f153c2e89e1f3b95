"""The replay in numbers and as a picture: what ``advisor findings race`` prints."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from advisor.findings.reports import Figure, Resample, render
from advisor.race.errors import Look
from advisor.race.replay.fit import shift_of
from advisor.race.replay.play import BUDGETS, Playthrough, replay
from advisor.race.replay.priors import with_priors
from advisor.race.replay.traces import Trace, shipped_traces
from advisor.race.rungs import WHOLE, Rung
from probes.schema import Frozen

if TYPE_CHECKING:
    import altair as alt

Array = NDArray[np.float64]

_FEWEST = 20
"""Races in a band of P(best), and runs that were looked at, from which on what they were worth is printed."""
_DRAWS = 1000
_AT = BUDGETS.index(2.0)


class Way(Frozen):
    """A way of choosing.

    Attributes:
        regret: mean points lost at each budget, with a 95 % interval by a bootstrap over groups; None where
            it has no answer yet in some case.
        spent: whole runs until it stopped by itself, on average.
        cases: cells and seeds that it was tried on.
    """

    name: str
    cases: int
    regret: tuple[Figure | None, ...]
    spent: float

    @property
    def at_two(self) -> float:
        """Regret at two whole runs; infinite without an answer by then."""
        at = self.regret[_AT]
        return at.value if at else float("inf")


class Decile(Frozen):
    """Races in which a probability of the pick lay in a decile, at the end or for some moments."""

    low: float
    cases: int
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
        told: what P(best) was worth as a race told it when it stopped by itself.
        winning, best: what P(winning) and P(best) were worth on the way.
        shift: how much more was gained than expected, on the findings' scale.
        align_looks: runs whose alignment was cut short.
        run_minutes, probe_minutes: that a whole run and a probe take, in the middle.
        probe_regret: of the race at two whole runs: without a probe, with one that is paid
            for, with a free one.
        probe_worth: minutes of running that a free probe saves; None if no race without one gets as far.
    """

    cells: int
    groups: int
    cases: int
    judged_by_others: int
    budgets: tuple[float, ...]
    ways: tuple[Way, ...]
    told: tuple[Decile, ...]
    winning: tuple[Decile, ...]
    best: tuple[Decile, ...]
    rungs: tuple[RungWorth, ...]
    shift: float
    align_looks: int
    run_minutes: float
    probe_minutes: float | None
    probe_regret: tuple[float, float, float] | None
    probe_worth: float | None

    def markdown(self) -> str:
        """The tables."""
        return render("replay", root=Path(__file__).parent, report=self, at=_AT)


def race_report(jobs: int = 1, traces: Sequence[Trace] | None = None) -> RaceReport:
    """Replay the race on the shipped studies, or on other traces with their priors."""
    cells = with_priors(shipped_traces()) if traces is None else list(traces)
    cases = replay(cells, jobs)
    sure = [np.array(case.sure) for case in cases]
    probes = [trace.probe_seconds for trace in cells if trace.probe_seconds]
    run_minutes = float(np.median([trace.seconds for trace in cells if trace.seconds])) / 60
    ways = sorted(_ways(cases), key=lambda way: way.at_two)
    probed = [case.regret for case in cases if "race after a probe" in case.regret]
    return RaceReport(
        cells=len(cells),
        groups=len({trace.group for trace in cells}),
        cases=len(cases),
        judged_by_others=sum(case.by_others for case in cases),
        budgets=BUDGETS,
        ways=tuple(ways),
        told=tuple(_bands([moments[-1:, [0, 2]] for moments in sure])),
        winning=tuple(_bands([moments[:, [1, 2]] for moments in sure])),
        best=tuple(_bands([moments[:, [0, 2]] for moments in sure])),
        rungs=tuple(_rungs(cells)),
        shift=shift_of(cells),
        align_looks=sum(look.rung.align < 1 for trace in cells for look in trace.gains),
        run_minutes=run_minutes,
        probe_minutes=float(np.median(probes)) / 60 if probes else None,
        probe_regret=_probe_regret(probed) if probed else None,
        probe_worth=_probe_worth(probed, run_minutes) if probed else None,
    )


def _ways(cases: Sequence[Playthrough]) -> Iterator[Way]:
    for name in dict.fromkeys(name for case in cases for name in case.regret):
        tried = [case for case in cases if name in case.regret and not np.isnan(case.regret[name]).all()]
        if not tried:  # dearer than the largest budget
            continue
        regret = np.array([case.regret[name] for case in tried])
        resample = Resample([", ".join(case.group) for case in tried], _DRAWS)  # cases of a group are alike
        yield Way(
            name=name,
            cases=len(tried),
            regret=tuple(None if np.isnan(at).any() else resample.mean(at) for at in regret.T),
            spent=float(np.mean([case.spent[name] for case in tried])),
        )


def _bands(races: Sequence[Array]) -> Iterator[Decile]:
    """Of moments, (probability, share of the win), shape (moments, 2) each.

    A race counts once in a band, however long it stays there: its moments are no cases of their own.
    """
    for tenth in range(10):
        inside = [moments[np.minimum(9, (10 * moments[:, 0]).astype(int)) == tenth] for moments in races]
        cases = np.array([moments.mean(axis=0) for moments in inside if len(moments)])
        if len(cases) >= _FEWEST:
            said, right = cases.mean(axis=0)
            yield Decile(low=tenth / 10, cases=len(cases), said=float(said), right=float(right))


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
        if len(rows) < (_FEWEST if rung.align == 1 else 3):
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


def _probe_regret(probed: Sequence[Mapping[str, Array]]) -> tuple[float, float, float]:
    """Regret at two whole runs without a probe, with one and with a free one, on the same cases."""
    names = "race", "race after a probe", "race after a free probe"
    rows = [[regret[name][_AT] for name in names] for regret in probed]
    without, paid, free = np.nanmean(rows, axis=0).tolist()
    return without, paid, free


def _probe_worth(probed: Sequence[Mapping[str, Array]], run_minutes: float) -> float | None:
    """Minutes more that the race takes to be as good as with a free probe after two whole runs."""
    curve = np.minimum.accumulate(np.mean([regret["race"] for regret in probed], axis=0))
    aim = float(np.mean([regret["race after a free probe"][_AT] for regret in probed]))
    if aim < curve[-1]:
        return None
    needed = np.interp(-aim, -curve, BUDGETS)
    return float(needed - BUDGETS[_AT]) * run_minutes


def regret_chart(report: RaceReport, *, width: int = 640) -> "alt.LayerChart":
    """Regret against budget, a line a way that has a figure at every budget."""
    import altair as alt

    from advisor.report.charts import COLOURS, INKS

    lines = [way for way in report.ways if None not in way.regret]
    values = [
        {"way": way.name, "budget": budget, "regret": value.value}
        for way in lines
        for budget, value in zip(report.budgets, way.regret, strict=True)
        if value is not None
    ]
    names = [way.name for way in lines]
    colours = alt.Scale(domain=names, range=[*COLOURS.values(), INKS["ink"], INKS["muted"], "#777777"])
    chart = alt.Chart(alt.InlineData(values=values)).encode(
        x=alt.X("budget:Q", title="budget, whole runs (passes of both phases)"),
        y=alt.Y("regret:Q", title="regret, points", scale=alt.Scale(type="symlog", constant=0.1)),
        color=alt.Color(
            "way:N",
            scale=colours,
            title=None,
            legend=alt.Legend(symbolType="stroke", symbolStrokeWidth=3, labelLimit=0),
        ),
        strokeWidth=alt.condition(alt.datum.way == "race", alt.value(4), alt.value(1.5)),
    )
    return alt.LayerChart(layer=[chart.mark_line(interpolate="step-after")], width=width, height=280)
