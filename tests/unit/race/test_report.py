import numpy as np
import pytest

from advisor.options import NO_ALIGNMENT
from advisor.race.replay.report import race_report, regret_chart
from advisor.race.replay.traces import Trace, shipped_traces, traces_of
from advisor.race.rungs import WHOLE
from tests.unit.race.simulation import OPTIONS, cell


@pytest.fixture(scope="module")
def traces() -> list[Trace]:
    """Cells of four groups with priors that are right but vague."""
    generator = np.random.default_rng(5)
    found = []
    for i in range(8):
        mean = generator.normal(1.0, 2.0, len(OPTIONS))
        trace, _ = cell(generator, mean)
        found.append(
            Trace(
                (f"model{i % 4}", "pos"),
                "xx",
                "token",
                trace.plan,
                OPTIONS,
                trace.gains,
                expected=mean,
                expected_sd=np.full(len(OPTIONS), 4.0),
                signalled=mean,
                probe_seconds=30.0,
                seconds=60.0,
            )
        )
    return found


@pytest.mark.slow
def test_the_replay_compares_every_way_at_every_budget(traces: list[Trace]) -> None:
    report = race_report(traces=traces)
    ways = {way.name: way for way in report.ways}
    at_two = report.budgets.index(2.0)
    assert {"race", "race without prior", "halving with prior", "PriorBand", "probe alone"} <= set(ways)
    race, halving = ways["race"].regret[at_two], ways["halving without prior"].regret[at_two]
    assert race is not None and halving is not None  # noqa: PT018 - for the types
    assert race.value < halving.value
    assert ways["evidence alone"].spent == 0.0
    assert report.groups == 4
    assert report.probe_minutes == pytest.approx(0.5)
    table = report.markdown()
    assert sum(band.cases for band in report.told) <= report.cases, "a race is one case"
    assert sum(band.cases for band in report.told) <= sum(band.cases for band in report.best)
    assert table.count("| P(best) |") == 2, "when it stopped, and on the way"
    assert "A probe takes 0.5 min here, a whole run 1.0 min." in table
    assert "alignment was cut short" in table
    assert "race" in str(regret_chart(report).to_dict())


@pytest.mark.slow
def test_shipped_runs_become_cells_paired_with_fine_tuning_alone() -> None:
    traces = shipped_traces()
    assert len(traces) >= 18
    assert all(NO_ALIGNMENT not in trace.options for trace in traces)
    assert all(any(look.rung == WHOLE for look in trace.gains) for trace in traces)
    assert traces_of([]) == []
