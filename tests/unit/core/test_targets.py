"""Several targets in one run: each gets the signals that it gets alone, and they are compared."""

from pathlib import Path

import numpy as np
import pytest
import torch

from advisor.sample import sample_path
from probes.budget import BUDGETS, Budget
from probes.errors import InputError
from probes.gradients.between import Pulls, between_targets
from probes.gradients.kept import KeptGradients
from probes.request import ProbeRequest
from probes.run import TargetProbes, run_probe
from probes.signals import TOTAL
from tests.conftest import Checkpoint, Load

SPENT = {"seconds", "phases", "peak_memory_gib"}


def request_for(target: str, model: Path, **more: object) -> ProbeRequest:
    return ProbeRequest.of(
        model=str(model),
        source="en",
        target=target,
        task="pos",
        train=str(sample_path("en.conllu")),
        bitext=str(sample_path(f"bitext.en-{target}.tsv")),
        target_labels=str(sample_path(f"{target}.conllu")),
        budget="quick",
        device="cpu",
        **more,
    )


@pytest.mark.slow
def test_every_target_gets_the_signals_it_gets_alone(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUDGETS, "quick", Budget("quick", 5, 4, 40, 20, 3, 24, 64))
    model = checkpoint("bert")
    probes = TargetProbes(request_for("tr", model), several=True)
    with pytest.raises(InputError):
        probes.measure(request_for("tr", model).model_copy(update={"bitext": "nowhere.tsv"}))
    together = {target: probes.measure(request_for(target, model)) for target in ("tr", "zh")}
    assert probes._ready is not None
    assert probes._ready.kept is not None
    assert len(probes._ready.kept) == 10, "source gradients of five rounds at two points, once"
    for target, (signals, _) in together.items():
        alone = run_probe(request_for(target, model))
        assert signals.model_dump(exclude={"run"}) == alone.model_dump(exclude={"run"})
        assert signals.run.model_dump(exclude=SPENT) == alone.run.model_dump(exclude=SPENT)
        assert sum(signals.run.phases.values()) <= signals.run.seconds
    pulls = {target: found for target, (_, found) in together.items()}
    rows = between_targets(pulls)
    assert {(row.first, row.second) for row in rows} == {("tr", "zh")}
    assert {row.block for row in rows} == {TOTAL, "layer.0", "layer.1"}
    (tmp_path / "tr.npz").write_bytes(pulls["tr"].to_bytes())
    pulls["tr"] = Pulls.load(tmp_path / "tr.npz")
    assert between_targets(pulls) == rows


def test_a_full_disk_costs_time_and_no_gradient(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    base = load("bert").working_copy(range(5, 50))
    encoder = base.with_rows(range(40, 90))
    kept, taken = KeptGradients(base), [0]

    def loss() -> torch.Tensor:
        taken[0] += 1
        return encoder.rows(torch.arange(5, 50)).square().sum()

    def handed(key: str) -> torch.Tensor:
        found: list[torch.Tensor] = []
        kept.hand_over(key, encoder, loss, lambda _block, _place, gradient: found.append(gradient.clone()))
        return found[0]

    assert torch.equal(handed("a"), handed("a"))
    assert taken == [1]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert torch.equal(handed("b"), handed("b"))
    assert torch.equal(handed("b"), handed("a"))
    assert taken == [4]
    assert len(kept) == 1


def made_up(first: float, noise: float, seed: int, own: float = 0.0) -> Pulls:
    """A target whose gradients share ``first`` of a direction, under noise, with nulls that share another."""
    random = np.random.default_rng(seed)
    common, null = np.random.default_rng(0).standard_normal((2, 512))
    mean = first * common + own * random.standard_normal(512)
    rounds = [
        mean + null + noise * random.standard_normal((12, 512)),
        null + noise * random.standard_normal((12, 512)),
    ]
    return Pulls(("loss",), ("loss",), {"layer.0": np.array(rounds, dtype=np.float32)})


def test_the_cosine_between_targets_is_that_of_what_translations_add() -> None:
    found = between_targets(
        {
            "a": made_up(1, 2, 1),
            "b": made_up(1, 2, 2),
            "against": made_up(-1, 2, 3),
            "other": made_up(0, 2, 4, 1),
        }
    )
    net = {(row.first, row.second): row.net for row in found if row.block == TOTAL}
    truth = {("a", "b"): 1.0, ("a", "against"): -1.0, ("a", "other"): 0.0}
    for pair, value in truth.items():
        estimate = net[pair]
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low - 0.02 <= value <= estimate.high + 0.02
    whole = next(row.cosine for row in found if (row.first, row.second) == ("a", "other"))
    assert (whole.low or 0) > 0.3, "nulls agree, which says nothing of the translations"


def test_shuffled_bitext_leaves_nothing_to_compare() -> None:
    found = between_targets({name: made_up(0, 2, seed) for seed, name in enumerate("abc", start=1)})
    for row in found:
        assert row.net is not None
        assert not row.net.resolved or row.net.sign == 0


def test_wide_sketches_are_folded_without_bias() -> None:
    from probes.gradients import GradientAccumulator

    torch.manual_seed(0)
    gradients = torch.randn(2, 40_000)
    accumulator = GradientAccumulator({"layer.0": [40_000]}, ["a", "b"])
    of = {
        name: (lambda receive, g=g: receive("layer.0", 0, g)) for name, g in zip("ab", gradients, strict=True)
    }
    accumulator.add_round(of)
    a, b = accumulator.folded("layer.0", ("a", "b"), 4096)
    norms = gradients.square().sum(1).sqrt()
    error = (float(a[0] @ b[0]) - float(gradients[0] @ gradients[1])) / float(norms.prod())
    assert a.shape == (1, 4096)
    assert abs(error) < 4 / 4096**0.5
    assert float(a[0] @ a[0]) == pytest.approx(float(norms[0]) ** 2, rel=0.1)
