"""Passes in bf16: near fp32, undone when they overflow, and never where hardware is slower for it."""

import pytest
import torch

import probes.machine.precision
from probes.batches import Tokenizer, collate_pairs
from probes.encoder import Encoder
from probes.errors import NotFiniteError
from probes.heads import Head
from probes.machine.precision import PassPrecision, choose_precision, has_fast_bf16, or_in_fp32
from probes.objectives import PairView, available
from probes.tasks import level_called
from tests.conftest import Load
from tests.models import HIDDEN, sample_items, sample_pairs, whole_gradient

CPU = torch.device("cpu")


def flat(gradients: object) -> torch.Tensor:
    assert isinstance(gradients, dict)
    return torch.cat([piece for pieces in gradients.values() for piece in pieces])


def working(load: Load, name: str) -> tuple[Encoder, Tokenizer]:
    encoder = load(name)
    return encoder.working_copy(range(len(encoder.tokenizer))), Tokenizer(encoder.tokenizer, 64)


@pytest.mark.parametrize("name", ["bert", "xlm-r", "deberta-v2", "modernbert", "t5"])
def test_bf16_gradients_are_near_and_in_fp32(load: Load, name: str) -> None:
    encoder, tokenizer = working(load, name)
    items, labels = sample_items(tokenizer, "token", 12)
    batch = level_called("token").collate(items, encoder)
    generator = torch.Generator().manual_seed(1)
    head = Head(
        torch.randn(len(labels), HIDDEN, generator=generator), torch.zeros(len(labels)), level_called("token")
    )
    pairs = collate_pairs(sample_pairs(tokenizer, 12), tokenizer)
    objectives, _ = available(encoder, has_links=True)
    parameters = encoder.block_parameters()
    found: dict[PassPrecision, list[torch.Tensor]] = {}
    for precision in ("fp32", "bf16"):
        with encoder.passes_in(precision):
            view = PairView(encoder, pairs, seed=3)
            losses = [head.loss(encoder, batch), *(o.loss(view) for o in objectives.values())]
            found[precision] = [flat(whole_gradient(loss, parameters, True)) for loss in losses]
    assert encoder.precision == "fp32"
    for full, half in zip(found["fp32"], found["bf16"], strict=True):
        assert half.dtype == torch.float32
        assert not torch.equal(full, half)
        assert (full - half).norm() < 0.05 * full.norm()


def test_weights_that_were_cast_without_a_graph_still_get_gradients(load: Load) -> None:
    encoder, tokenizer = working(load, "bert")
    items, labels = sample_items(tokenizer, "token", 6)
    batch = level_called("token").collate(items, encoder)
    head = Head(torch.randn(len(labels), HIDDEN), torch.zeros(len(labels)), level_called("token"))
    parameters = encoder.block_parameters()
    with encoder.passes_in("bf16"):
        expected = flat(whole_gradient(head.loss(encoder, batch), parameters))
    with encoder.passes_in("bf16"):
        with torch.no_grad():
            head.loss(encoder, batch)
        found = flat(whole_gradient(head.loss(encoder, batch), parameters))
        again = flat(whole_gradient(head.loss(encoder, batch), parameters))
    assert torch.equal(found, expected)
    assert torch.equal(again, expected)


def test_an_overflow_is_seen_and_measured_again_in_fp32() -> None:
    asked: list[str] = []

    def overflowing(precision: PassPrecision) -> str:
        asked.append(precision)
        if precision == "bf16":
            raise NotFiniteError("The gradient of x is not finite: check the model's weights.")
        return "measured"

    assert or_in_fp32("bf16", overflowing) == ("measured", "fp32")
    assert or_in_fp32("fp32", overflowing) == ("measured", "fp32")
    assert or_in_fp32("bf16", lambda precision: precision) == ("bf16", "bf16")
    assert asked == ["bf16", "fp32", "fp32"]


def test_what_is_not_finite_in_fp32_either_is_an_error() -> None:
    def broken(_: PassPrecision) -> None:
        raise NotFiniteError("broken")

    with pytest.raises(NotFiniteError, match="broken"):
        or_in_fp32("bf16", broken)


def test_auto_follows_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    for fast in (True, False):
        monkeypatch.setattr(probes.machine.precision, "has_fast_bf16", lambda _, fast=fast: fast)
        assert choose_precision("auto", CPU) == ("bf16" if fast else "fp32")
        assert choose_precision("fp32", CPU) == "fp32"
        assert choose_precision("bf16", CPU) == "bf16"


@pytest.mark.parametrize(
    ("capabilities", "able"), [({"avx512_bf16": True}, True), ({"bf16": True}, True), ({"avx2": True}, False)]
)
def test_a_processor_that_only_emulates_bf16_does_not_count(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], able: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert has_fast_bf16(CPU) is able
    assert choose_precision("auto", CPU) == ("bf16" if able else "fp32")
    assert not has_fast_bf16(torch.device("meta"))
