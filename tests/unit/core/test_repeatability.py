"""The same seed gives the same signals, in another process and with another number of threads."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_two_processes_write_the_same_bytes_but_for_what_they_spent(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    written = []
    for seed in ("1", "2"):  # sets of strings are ordered otherwise
        out = tmp_path / f"{seed}.json"
        subprocess.run(
            [sys.executable, "-c", _SCRIPT, str(checkpoint("bert")), *paths(), str(out)],
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[3],
            check=True,
        )
        content = json.loads(out.read_text(encoding="utf-8"))
        for spent in ("seconds", "phases", "peak_memory_gib"):
            del content["run"][spent]
        written.append(json.dumps(content, indent=2))
    assert written[0] == written[1]


@pytest.mark.usefixtures("threads")
def test_another_number_of_threads_stays_within_the_intervals(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUDGETS, "quick", SMALL)
    request = request_for(str(checkpoint("bert")), *paths())
    found = []
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append(run_probe(request))
        assert found[-1].run.threads == count
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
