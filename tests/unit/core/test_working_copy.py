"""The copy that is measured on: equal in what it computes, apart in what happens to it."""

import copy
from typing import cast

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from probes.batches import LabelledBatch, Tokenizer
from probes.encoder import Encoder
from probes.heads import Head
from probes.tasks import level_called
from tests.conftest import Load
from tests.models import ARCHITECTURES, HIDDEN, sample_items, whole_gradient

every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)
CLASSES = 5


def token_batch(encoder: Encoder, count: int = 12) -> LabelledBatch:
    tokenizer = Tokenizer(encoder.tokenizer, 64)
    items, _ = sample_items(tokenizer, "token", count)
    batch = level_called("token").collate(items, encoder)
    return LabelledBatch(batch.text, torch.where(batch.labels >= 0, batch.labels % CLASSES, batch.labels))


def random_head() -> Head:
    generator = torch.Generator().manual_seed(3)
    return Head(
        torch.randn(CLASSES, HIDDEN, generator=generator), torch.zeros(CLASSES), level_called("token")
    )


def used_in(batch: LabelledBatch) -> list[int]:
    return [int(i) for i in batch.text.inputs["input_ids"].unique()]


def snapshot(encoder: Encoder) -> dict[str, object]:
    owner = encoder.masked_lm if encoder.masked_lm is not None else encoder.base
    return {
        "weights": {name: tensor.clone() for name, tensor in owner.state_dict().items()},
        "flags": {name: p.requires_grad for name, p in owner.named_parameters()},
        "modes": [module.training for module in owner.modules()],
        "attributes": [sorted(vars(module)) for module in owner.modules()],
    }


def assert_same(before: dict[str, object], after: dict[str, object]) -> None:
    weights, now = before.pop("weights"), after.pop("weights")
    assert isinstance(weights, dict)
    assert isinstance(now, dict)
    assert weights.keys() == now.keys()
    assert all(torch.equal(weights[name], now[name]) for name in weights)
    assert before == after


@every_architecture
def test_gradients_are_those_of_the_users_model(load: Load, name: str) -> None:
    encoder, head = load(name), random_head()
    batch = token_batch(encoder)
    used = used_in(batch)
    duplicate = encoder.working_copy(used)
    ours = whole_gradient(head.loss(duplicate, batch), duplicate.block_parameters())

    parameters = list(encoder.parameters())
    plain = torch.autograd.grad(head.loss(encoder, batch), parameters)
    flat = iter(plain)
    table = encoder.base.get_input_embeddings().weight
    assert isinstance(table, Tensor)
    for block, names in encoder.blocks.items():
        for piece, parameter_name in zip(ours[block], names, strict=True):
            expected = next(flat)
            found = piece
            if encoder.base.get_parameter(parameter_name) is table:
                scattered = torch.zeros_like(table)
                scattered[used] = piece.view(len(used), -1)
                found = scattered
            error = (found.view_as(expected) - expected).norm()
            assert error <= 1e-5 * expected.norm() + 1e-9, (block, parameter_name)


@every_architecture
def test_a_copy_computes_the_same_states(load: Load, name: str) -> None:
    encoder = load(name)
    batch = token_batch(encoder)
    duplicate = encoder.working_copy(used_in(batch))
    with torch.no_grad():
        for ours, theirs in zip(
            duplicate.hidden_states(batch.text), encoder.hidden_states(batch.text), strict=True
        ):
            assert torch.equal(ours, theirs)
    assert duplicate.layers == encoder.layers
    assert duplicate.hidden_size == encoder.hidden_size


@every_architecture
def test_training_the_copy_leaves_the_original(load: Load, name: str) -> None:
    encoder = load(name)
    before = snapshot(encoder)
    batch = token_batch(encoder)
    duplicate = encoder.working_copy(used_in(batch))
    duplicate.base.train()
    optimiser = torch.optim.SGD(duplicate.parameters(), lr=1.0)
    random_head().loss(duplicate, batch).backward()
    optimiser.step()
    if duplicate.masked_lm is not None:
        duplicate.mlm_logits(torch.zeros(2, HIDDEN))
    assert_same(before, snapshot(encoder))
    assert all(p.grad is None for p in encoder.base.parameters())
    moved = zip(duplicate.parameters(["layer.0"]), encoder.parameters(["layer.0"]), strict=True)
    assert any(not torch.equal(a, b) for a, b in moved)


@every_architecture
def test_only_the_blocks_of_a_copy_are_trainable(load: Load, name: str) -> None:
    encoder = load(name)
    duplicate = encoder.working_copy([5, 3, 9])
    owner = duplicate.masked_lm if duplicate.masked_lm is not None else duplicate.base
    trainable = {id(p) for p in owner.parameters() if p.requires_grad}
    assert trainable == {id(p) for p in duplicate.parameters()}
    assert not any(module.training for module in owner.modules())


@every_architecture
def test_the_table_is_shared_and_the_rows_are_not(load: Load, name: str) -> None:
    encoder = load(name)
    duplicate = encoder.working_copy([5, 3, 9])
    table = encoder.base.get_input_embeddings().weight
    copied = duplicate.base.get_input_embeddings()
    assert isinstance(table, Tensor)
    assert isinstance(copied.weight, Tensor)
    assert copied.weight.data_ptr() == table.data_ptr()
    rows = copied.get_parameter("rows")
    assert torch.equal(rows, table[[3, 5, 9]])
    assert rows.data_ptr() != table.data_ptr()


def test_frozen_parameters_of_the_original_stay_frozen(load: Load) -> None:
    original = load("bert")
    owner = copy.deepcopy(original.masked_lm)
    assert owner is not None
    encoder = Encoder(
        original.id,
        cast(PreTrainedModel, owner.base_model),
        original.tokenizer,
        owner,
        None,
        "mean",
        original.sha256,
        original.blocks,
    )
    first = next(encoder.parameters(["layer.0"]))
    first.requires_grad_(False)
    duplicate = encoder.working_copy([1, 2])
    assert next(duplicate.parameters(["layer.0"])).requires_grad
    assert not first.requires_grad


def test_a_duplicate_shares_what_no_one_writes_and_nothing_else(load: Load) -> None:
    encoder = load("xlm-r").working_copy(range(50))
    duplicate = encoder.duplicate()
    assert encoder.masked_lm is not None
    assert duplicate.masked_lm is not None
    ours, theirs = list(encoder.parameters()), list(duplicate.parameters())
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)
        assert a.data_ptr() != b.data_ptr()
        assert b.requires_grad
    table, other = (cast(Tensor, e.base.get_input_embeddings().weight) for e in (encoder, duplicate))
    assert table.data_ptr() == other.data_ptr()
    with torch.no_grad():
        theirs[0].add_(1.0)
    assert not torch.equal(ours[0], theirs[0])
    trained = {id(p) for p in theirs}
    fixed = [p for p in duplicate.masked_lm.parameters() if id(p) not in trained]
    addresses = {p.data_ptr() for p in encoder.masked_lm.parameters()}
    assert fixed
    assert all(p.data_ptr() in addresses and not p.requires_grad for p in fixed)
