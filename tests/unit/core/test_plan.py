"""What a run may spend, how data are dealt out, what it will cost and how it is told."""

from collections import Counter
from dataclasses import replace

import pytest

from probes.budget import BUDGETS, Budget, find_budget
from probes.cost import CostEstimate, PassTimes, Workload, estimate_cost
from probes.errors import InputError
from probes.material.sampling import batch_size_for, deal, shuffled, split_source
from probes.progress import PHASES, Progress, Stopwatch


@pytest.mark.parametrize("name", BUDGETS)
def test_budgets_are_found_by_name(name: str) -> None:
    budget = find_budget(name)
    assert budget.name == name
    assert budget.rounds >= 4  # fewer groups make no jackknife interval


def test_budgets_grow_in_every_respect() -> None:
    quick, standard, thorough = BUDGETS.values()
    for smaller, larger in ((quick, standard), (standard, thorough)):
        for attribute in Budget.__slots__:
            if attribute != "name":
                assert getattr(smaller, attribute) < getattr(larger, attribute), attribute


def test_an_unknown_budget_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"'fast': choose one of quick, standard, thorough\."):
        find_budget("fast")


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
@pytest.mark.parametrize("available", [48, 61, 120, 400, 4000, 100_000])
def test_the_parts_of_the_source_data_are_disjoint_and_complete(budget: Budget, available: int) -> None:
    if available < 8 * budget.rounds:
        with pytest.raises(InputError, match="gradient rounds need at least"):
            split_source(range(available), budget)
        return
    split = split_source(range(available), budget)
    in_rounds = [item for batch in split.rounds for item in batch]
    counts = Counter([*split.fit, *in_rounds, *split.held_out])
    assert counts == Counter(range(available))
    assert len(split.rounds) == budget.rounds
    assert len({len(batch) for batch in split.rounds}) == 1
    assert 2 <= len(split.rounds[0]) <= budget.batch_size
    assert len(split.held_out) <= budget.held_out_sentences
    assert len(split.fit) >= available // 2


def test_batches_shrink_before_data_are_refused() -> None:
    budget = replace(BUDGETS["standard"], rounds=8, batch_size=16)
    assert batch_size_for(1000, budget, "pairs") == 16
    assert batch_size_for(8 * 16 - 1, budget, "pairs") == 15
    assert batch_size_for(16, budget, "pairs") == 2
    with pytest.raises(InputError, match="There are 15 pairs, and 8 gradient rounds need at least 16"):
        batch_size_for(15, budget, "pairs")


def test_dealing_takes_from_the_front_in_order() -> None:
    assert deal("abcdefgh", 3, 2) == [["a", "b"], ["c", "d"], ["e", "f"]]


def test_shuffling_depends_on_the_seed_alone() -> None:
    items = list(range(50))
    assert shuffled(items, 3) == shuffled(items, 3) != shuffled(items, 4)
    assert sorted(shuffled(items, 3)) == items == list(range(50))


TIMES = PassTimes(
    forward=0.001,
    lookahead=0.0005,
    labelled=0.004,
    aligned=0.009,
    walks=0.54,
    step=0.2,
    labelled_bytes=2**28,
    pair_bytes=2**29,
)
WORK = Workload(
    processes=1,
    rounds=8,
    tasks=3,
    task_subwords=1000,
    pair_subwords=500,
    warm_up_steps=60,
    warm_up_subwords=20_000,
    forward_subwords=30_000,
    lookahead_subwords=10_000,
    resident_bytes=2**30,
    peak_bytes=2**30,
    gradient_bytes=2**28,
    sum_bytes=5 * 2**27 + 2**26,
)


def test_seconds_add_up() -> None:
    a_round = 1000 * 0.004 + 500 * 0.009 + 0.54
    rest = 20_000 * 0.004 + 60 * 0.2 + 30_000 * 0.001 + 10_000 * 0.0005
    assert estimate_cost(TIMES, WORK).seconds == pytest.approx(2 * 8 * a_round + rest)
    assert estimate_cost(TIMES, replace(WORK, rounds=0)).seconds == pytest.approx(rest)
    shared = replace(WORK, rounds=7, processes=2)  # one of the two takes four rounds
    assert estimate_cost(TIMES, shared).seconds == pytest.approx(2 * 4 * a_round + rest)
    without = replace(WORK, warm_up_subwords=0, warm_up_steps=0, forward_subwords=0, lookahead_subwords=0)
    assert estimate_cost(TIMES, without).seconds == pytest.approx(2 * 8 * a_round)


def test_memory_is_that_of_the_phase_that_needs_most() -> None:
    # In the rounds: copy, scale, three references; five sums of half the size; sketches; the graph.
    assert estimate_cost(TIMES, WORK).memory_gib == pytest.approx(1 + (5 + 2.5 + 0.25 + 2) / 4)
    # Warming up: copy, gradient and two moments, and a larger graph.
    warm = estimate_cost(replace(TIMES, labelled_bytes=2**33), WORK)
    assert warm.memory_gib == pytest.approx(1 + 4 / 4 + 8)
    # What was held once counts, too.
    assert estimate_cost(TIMES, replace(WORK, peak_bytes=2**34)).memory_gib == pytest.approx(16)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5.4, "about 5 s"), (59.6, "about 1 min 00 s"), (61.2, "about 1 min 01 s"), (3725, "about 62 min 05 s")],
)
def test_an_estimate_reads_well(seconds: float, words: str) -> None:
    assert str(CostEstimate(seconds, 1.234)) == f"{words} and 1.2 GiB of memory"


class Recorder(Progress):
    def __init__(self) -> None:
        self.told: list[object] = []

    def phase(self, name: str, total: int) -> None:
        self.told.append((name, total))

    def advance(self) -> None:
        self.told.append("step")

    def estimate(self, cost: CostEstimate) -> None:
        self.told.append(cost)


def test_a_stopwatch_passes_everything_on_and_keeps_time() -> None:
    recorder = Recorder()
    watcher: Progress = recorder
    watch = Stopwatch(watcher)
    cost = CostEstimate(1, 2)
    with watch.phase("head", 2):
        assert list(watch.each("ab")) == ["a", "b"]
    watch.estimate(cost)
    assert recorder.told == [("head", 2), "step", "step", cost]
    first = watch.seconds["head"]
    with watch.phase("head"):
        pass
    assert 0 <= first <= watch.seconds["head"] <= watch.total


def test_a_watcher_that_raises_stops_the_work() -> None:
    class Stop(Progress):
        def advance(self) -> None:
            raise KeyboardInterrupt

    work = Stopwatch(Stop()).each([1, 2, 3])
    assert next(work) == 1
    with pytest.raises(KeyboardInterrupt):
        next(work)


def test_a_small_budget_is_made_by_replacing(monkeypatch: pytest.MonkeyPatch) -> None:
    # As tests of whole runs do: the table is what find_budget reads.
    monkeypatch.setitem(BUDGETS, "quick", replace(BUDGETS["quick"], rounds=5))
    assert find_budget("quick").rounds == 5
    assert len(PHASES) == 9
