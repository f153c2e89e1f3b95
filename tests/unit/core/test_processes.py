"""Processes that share out a probe: real ones, started the way accelerate starts them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import torch

from advisor.sample import sample_path
from probes.budget import BUDGETS, Budget
from probes.errors import RunError
from probes.machine.processes import ALONE, Processes
from probes.request import ProbeRequest
from probes.run import run_probe
from probes.signals import Signals
from tests.conftest import Checkpoint

_TOGETHER = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
_SMALL = Budget("quick", 5, 4, 40, 20, 3, 24, 64)
_SCRIPT = f"""
import os
import torch
from advisor.cli import main
from probes.budget import BUDGETS, Budget
from probes.errors import RunError
from probes.machine.processes import Processes

here = Processes.here(torch.device("cpu"))
assert here.in_turn([k for k in range(5) if here.takes(k)]) == [0, 1, 2, 3, 4]
ones = torch.ones(3, dtype=torch.bfloat16)
here.add_up(ones)
assert ones.tolist() == [2.0, 2.0, 2.0]
here.raise_any(None)
here.check_in_step("the same")
try:
    here.raise_any(MemoryError("there is none left") if here.index == 1 else None)
except MemoryError as error:
    os.write(2, f"all raise: {{error}}\\n".encode())  # at once, for two processes write here
try:
    here.check_in_step(here.index)
except RunError as error:
    os.write(2, f"out of step: {{error}}\\n".encode())
BUDGETS["quick"] = {_SMALL!r}
main()
"""


class Together(NamedTuple):
    """What two processes were asked, measured, and said on the two channels."""

    request: ProbeRequest
    signals: Signals
    out: str
    err: str


@pytest.fixture(scope="module")
def together(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Together:
    """Two processes, started once for the module: each imports torch, and so does what starts them."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "script.py").write_text(_SCRIPT)
    request = ProbeRequest(
        model=str(checkpoint("bert")),
        source="en",
        target="tr",
        task="pos",
        train=str(sample_path("en.conllu")),
        bitext=str(sample_path("bitext.en-tr.tsv")),
        target_labels=str(sample_path("tr.conllu")),
        budget="quick",
        seed=3,
        precision="fp32",
    )
    names = ("source", "target", "task", "train", "bitext", "target_labels", "budget", "seed", "precision")
    inputs = [f"--{name.replace('_', '-')}={getattr(request, name)}" for name in names]
    done = subprocess.run(
        [*_TOGETHER, folder / "script.py", "probe", request.model, *inputs, "--out", folder, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return Together(request, Signals.load(folder / "signals.json"), done.stdout, done.stderr)


@pytest.fixture
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_two_processes_measure_what_one_does(together: Together, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUDGETS, "quick", _SMALL)
    assert json.loads(together.out)["decision"], "one process answers, once"
    one, two = run_probe(together.request), together.signals
    assert (one.run.processes, two.run.processes) == (1, 2)
    assert one.run.rounds == two.run.rounds
    assert one.run.used == two.run.used
    for found, shared in zip(one.cosines, two.cosines, strict=True):
        assert shared.cosine.value == pytest.approx(found.cosine.value, abs=1e-5)
        assert shared.cosine.low == pytest.approx(found.cosine.low, abs=1e-4)
        assert shared.raw_cosine.value == pytest.approx(found.raw_cosine.value, abs=1e-6)
    for loss, same in zip(one.losses, two.losses, strict=True):
        assert same.squared_norm.value == pytest.approx(loss.squared_norm.value, rel=1e-4)
        assert same.mean_loss == pytest.approx(loss.mean_loss, rel=1e-6)
    for step, alike in zip(one.lookahead, two.lookahead, strict=True):
        assert alike.change.value == pytest.approx(step.change.value, rel=1e-3, abs=1e-5)


@pytest.mark.slow
def test_what_goes_wrong_in_one_is_raised_in_all(together: Together) -> None:
    assert together.err.count("all raise: there is none left") == 2
    assert together.err.count("out of step: The processes of this run went on differently") == 2


def test_a_single_process_takes_everything_and_waits_for_nobody() -> None:
    assert Processes.here(device=None) is ALONE  # type: ignore[arg-type]
    assert all(map(ALONE.takes, range(5)))
    assert ALONE.in_turn([1, 2, 3]) == [1, 2, 3]
    ALONE.check_in_step("anywhere")
    with pytest.raises(RunError, match="out"):
        ALONE.hold(RunError("out of it"))
