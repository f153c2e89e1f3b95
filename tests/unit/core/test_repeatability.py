"""The same seed gives the same signals, in another process and with another number of threads."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from advisor.sample import sample_path
from probes.budget import BUDGETS, Budget
from probes.request import ProbeRequest
from probes.run import run_probe
from probes.signals import Estimate, Signals
from tests.conftest import Checkpoint

pytestmark = pytest.mark.slow

SMALL = Budget("quick", 5, 4, 40, 20, 3, 24, 64)

_SCRIPT = """
import sys
from probes.budget import BUDGETS, Budget
from probes.request import ProbeRequest
from probes.run import run_probe
model, train, bitext, labels, out = sys.argv[1:]
BUDGETS["quick"] = Budget("quick", 5, 4, 40, 20, 3, 24, 64)
request = ProbeRequest(
    model=model, source="en", target="tr", task="pos", train=train, bitext=bitext, target_labels=labels,
    budget="quick", device="cpu",
)
with open(out, "w", encoding="utf-8") as file:
    file.write(run_probe(request).model_dump_json(indent=2))
"""


def request_for(model: str, train: str, bitext: str, labels: str) -> ProbeRequest:
    return ProbeRequest(
        model=model,
        source="en",
        target="tr",
        task="pos",
        train=train,
        bitext=bitext,
        target_labels=labels,
        budget="quick",
        device="cpu",
    )


def paths() -> list[str]:
    return [str(sample_path(name)) for name in ("en.conllu", "bitext.en-tr.tsv", "tr.conllu")]


@pytest.fixture(scope="module")
def alone(checkpoint: Checkpoint) -> Iterator[Signals]:
    """What this process measures on one thread; the tests go on with the small budget."""
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUDGETS, "quick", SMALL)
        torch.set_num_threads(1)
        yield run_probe(request_for(str(checkpoint("bert")), *paths()))
    torch.set_num_threads(before)


def unspent(signals: Signals) -> dict[str, Any]:
    content = json.loads(signals.model_dump_json())
    for spent in ("seconds", "phases", "peak_memory_gib"):
        del content["run"][spent]
    return content


def test_another_process_writes_the_same_but_for_what_it_spent(
    alone: Signals, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(checkpoint("bert")), *paths(), str(tmp_path / "other.json")],
        env={
            **os.environ,
            "PYTHONHASHSEED": "1",
            "OMP_NUM_THREADS": "1",
        },  # sets of strings are ordered otherwise
        cwd=Path(__file__).parents[3],
        check=True,
    )
    assert unspent(Signals.load(tmp_path / "other.json")) == unspent(alone)


def test_another_seed_measures_otherwise(alone: Signals, checkpoint: Checkpoint) -> None:
    request = request_for(str(checkpoint("bert")), *paths()).model_copy(update={"seed": 1})
    assert run_probe(request).losses != alone.losses


def test_another_number_of_threads_stays_within_the_intervals(alone: Signals, checkpoint: Checkpoint) -> None:
    torch.set_num_threads(2)
    found = [alone, run_probe(request_for(str(checkpoint("bert")), *paths()))]
    torch.set_num_threads(1)
    assert [signals.run.threads for signals in found] == [1, 2]
    compared = 0
    for one, two in zip(estimates(found[0]), estimates(found[1]), strict=True):
        assert one.resolved == two.resolved
        if one.value is not None and one.low is not None and one.high is not None and two.value is not None:
            slack = 1e-3 * (1 + abs(one.value))  # an interval may be a single point
            assert one.low - slack <= two.value <= one.high + slack
            compared += 1
    assert compared > 100


def estimates(signals: Signals) -> Iterator[Estimate]:
    for cosine in signals.cosines:
        yield from (cosine.cosine, cosine.raw_cosine)
    for distance in signals.distances:
        yield distance.value
    for step in signals.lookahead:
        yield step.change
