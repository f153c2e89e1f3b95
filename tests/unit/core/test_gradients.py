"""Gradients equal plain autograd, and what the accumulator keeps equals keeping everything."""

import copy
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from probes.batches import Tokenizer, collate_pairs
from probes.catalogue import LEVELS
from probes.encoder import Encoder
from probes.errors import NotFiniteError
from probes.gradients import (
    GradientAccumulator,
    Receive,
    stream_gradients,
)
from probes.heads import Head
from probes.machine.precision import PassPrecision
from probes.machine.vectors import VectorPool
from probes.objectives import LOSSES as ALIGNMENT_LOSSES
from probes.objectives import PairView, available
from probes.tasks import level_called
from tests.conftest import Load
from tests.models import HIDDEN, sample_items, sample_pairs, whole_gradient

ARCHITECTURES = ("bert", "xlm-r", "distilbert", "deberta-v2", "modernbert", "t5")
TOLERANCE = 1e-5


def plain(encoder: Encoder) -> Encoder:
    """The user's model as it is, with an MLM output side of its own that is not trained."""
    owner = copy.deepcopy(encoder.masked_lm if encoder.masked_lm is not None else encoder.base)
    output = owner.get_output_embeddings()
    if output is not None:
        output.weight = nn.Parameter(output.weight.detach().clone(), requires_grad=False)
    masked_lm = owner if encoder.masked_lm is not None else None
    base = cast(PreTrainedModel, owner.base_model if masked_lm is not None else owner)
    return Encoder(
        encoder.id,
        base,
        encoder.tokenizer,
        masked_lm,
        encoder.no_mlm_reason,
        "mean",
        encoder.sha256,
        encoder.blocks,
    )


def assert_equal_gradients(
    ours: Mapping[str, Sequence[Tensor]], model: Encoder, loss: Tensor, used: Sequence[int]
) -> None:
    """``ours`` against ``torch.autograd.grad`` of ``loss``, relative to the norm of each block."""
    table = model.base.get_input_embeddings().weight
    for block, parameters in model.block_parameters().items():
        expected = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        flat = [
            (p.new_zeros(p.shape) if g is None else g)[used if p is table else slice(None)].flatten()
            for p, g in zip(parameters, expected, strict=True)
        ]
        reference, found = torch.cat(flat), torch.cat(list(ours[block]))
        assert found.shape == reference.shape
        assert (found - reference).norm() <= TOLERANCE * reference.norm() + 1e-12, block


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_task_gradients_equal_plain_autograd(load: Load, name: str, level: str) -> None:
    encoder = load(name)
    items, labels = sample_items(Tokenizer(encoder.tokenizer, 64), level, 10)
    batch = level_called(level).collate(items, encoder)
    generator = torch.Generator().manual_seed(1)
    head = Head(
        torch.randn(len(labels), HIDDEN, generator=generator), torch.zeros(len(labels)), level_called(level)
    )
    used = batch.text.inputs["input_ids"].unique().tolist()
    duplicate, model = encoder.working_copy(used), plain(encoder)
    ours = whole_gradient(head.loss(duplicate, batch), duplicate.block_parameters())
    assert_equal_gradients(ours, model, head.loss(model, batch), used)
    assert all(float(torch.cat(list(pieces)).norm()) > 0 for pieces in ours.values())


@pytest.mark.parametrize("objective", ALIGNMENT_LOSSES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_objective_gradients_equal_plain_autograd(load: Load, name: str, objective: str) -> None:
    encoder = load(name)
    usable, refused = available(encoder, has_links=True)
    if objective in refused:
        assert encoder.masked_lm is None
        return
    tokenizer = Tokenizer(encoder.tokenizer, 64)
    batch = collate_pairs(sample_pairs(tokenizer, 10), tokenizer)
    parts = (batch.source, batch.target, batch.joined, batch.mismatched)
    ids = {i for part in parts for i in part.inputs["input_ids"].unique().tolist()}
    used = sorted(ids | set(encoder.tokenizer.all_special_ids))
    duplicate, model = encoder.working_copy(used), plain(encoder)
    for shuffle in (False, True):
        ours_view, view = PairView(duplicate, batch, seed=4), PairView(model, batch, seed=4)
        if shuffle:
            ours_view, view = ours_view.null(), view.null()
        loss = usable[objective].loss(ours_view)
        ours = whole_gradient(loss, duplicate.block_parameters())
        assert_equal_gradients(ours, model, usable[objective].loss(view), used)


def test_gradients_touch_no_grad_and_count_unreached_parameters_as_zero() -> None:
    first, second = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.ones(2, 2))
    first.grad = torch.tensor([7.0, 7.0])
    found = whole_gradient((first**2).sum(), {"a": [first], "b": [second]})
    assert found["a"][0].tolist() == [2, 4]
    assert found["b"][0].tolist() == [0, 0, 0, 0]
    assert first.grad.tolist() == [7, 7]
    assert second.grad is None


def test_a_graph_is_kept_on_request_only() -> None:
    parameter = nn.Parameter(torch.ones(3))
    loss = (parameter**3).sum()
    whole_gradient(loss, {"a": [parameter]}, keep_graph=True)
    whole_gradient(loss, {"a": [parameter]})
    with pytest.raises(RuntimeError, match="second time"):
        whole_gradient(loss, {"a": [parameter]})


LOSSES = ("task", "align", "null")
SIZES = {"embeddings": 700, "layer.0": 40, "layer.1": 1}
Rounds = list[dict[str, dict[str, Tensor]]]


def random_rounds(rounds: int, sizes: Mapping[str, int], seed: int = 0) -> Rounds:
    """Round -> loss -> block -> gradient, with a common part so that no inner product is near zero."""
    generator = torch.Generator().manual_seed(seed)
    common = {block: torch.randn(d, generator=generator) for block, d in sizes.items()}
    return [
        {
            loss: {block: common[block] + torch.randn(d, generator=generator) for block, d in sizes.items()}
            for loss in LOSSES
        }
        for _ in range(rounds)
    ]


def part(size: int) -> int:
    return 17 if size < 1000 else 3001


def parts_of(sizes: Mapping[str, int]) -> dict[str, list[int]]:
    return {block: [len(x) for x in torch.empty(d).split(part(d))] for block, d in sizes.items()}


def in_pieces(gradient: Mapping[str, Tensor], receive: Receive) -> None:
    """Hand a gradient over as a backward pass would: the last parameter first."""
    for block, vector in reversed(list(gradient.items())):
        for place, piece in reversed(list(enumerate(vector.split(part(len(vector)))))):
            receive(block, place, piece)


def accumulate(
    rounds: Rounds,
    sizes: Mapping[str, int],
    width: int,
    sum_dtype: torch.dtype = torch.float32,
    pool: VectorPool | None = None,
) -> GradientAccumulator:
    accumulator = GradientAccumulator(
        parts_of(sizes),
        LOSSES,
        references=["task"],
        sketched=["null"],
        width=width,
        seed=2,
        sum_dtype=sum_dtype,
        pool=pool,
    )
    for gradients in rounds:
        accumulator.add_round({loss: partial(in_pieces, gradients[loss]) for loss in LOSSES})
    return accumulator


def total(kept: Rounds, loss: str, block: str) -> Tensor:
    return torch.stack([gradients[loss][block] for gradients in kept]).sum(0)


@pytest.mark.parametrize("rounds", [3, 8])
def test_sums_and_products_with_a_reference_are_exact(rounds: int) -> None:
    kept = random_rounds(rounds, SIZES)
    accumulator = accumulate(kept, SIZES, width=64)
    moments = accumulator.moments()
    assert accumulator.rounds == moments.rounds == rounds
    assert moments.losses == LOSSES
    assert moments.blocks == tuple(SIZES)
    assert moments.sizes.tolist() == list(SIZES.values())
    exact = [("task", "task"), ("task", "align"), ("align", "task"), ("align", "align")]
    for b, block in enumerate(SIZES):
        for loss in ("task", "align"):
            torch.testing.assert_close(accumulator.mean(loss)[block], total(kept, loss, block) / rounds)
        for first, second in exact:
            i, j = LOSSES.index(first), LOSSES.index(second)
            inner = float(total(kept, first, block) @ total(kept, second, block))
            assert moments.sums[b, i, j] == pytest.approx(inner, rel=1e-5)
            for k in range(rounds):
                inner = float(kept[k][first][block].double() @ kept[k][second][block].double())
                assert moments.within[b, i, j, k] == pytest.approx(inner, rel=1e-5, abs=1e-4)


class RecordingPool(VectorPool):
    """Knows where the vectors lie that it has handed out."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[int] = []

    def zeros(self, size: int, dtype: torch.dtype, device: torch.device | str) -> Tensor:
        vector = super().zeros(size, dtype, device)
        self.addresses.append(vector.data_ptr())
        return vector


def test_accumulators_after_one_another_share_their_memory_and_nothing_else() -> None:
    pool = RecordingPool()
    kept = random_rounds(3, SIZES, seed=1)
    alone = accumulate(kept, SIZES, width=64).moments()
    first = accumulate(random_rounds(4, SIZES), SIZES, width=64, pool=pool)
    before = set(pool.addresses)
    first.release()
    with pytest.raises(KeyError):
        first.mean("align")
    second = accumulate(kept, SIZES, width=64, pool=pool)
    assert len(pool.addresses) == 2 * len(before)
    assert set(pool.addresses) == before
    for field in ("sums", "within", "between"):
        assert np.array_equal(getattr(second.moments(), field), getattr(alone, field))


def test_what_is_only_sketched_has_no_sum_and_products_without_bias() -> None:
    sizes, width, rounds = {"layer.0": 30_000}, 1024, 4
    kept = random_rounds(rounds, sizes)
    accumulator = accumulate(kept, sizes, width=width)
    with pytest.raises(KeyError):
        accumulator.mean("null")
    moments = accumulator.moments()
    task, null = LOSSES.index("task"), LOSSES.index("null")
    exact = total(kept, "task", "layer.0"), total(kept, "null", "layer.0")
    norms = float(exact[0].norm() * exact[1].norm())
    assert moments.sums[0, task, null] == pytest.approx(
        float(exact[0] @ exact[1]), abs=4 / width**0.5 * norms
    )
    # Sums and products within rounds come from the same sketch, so that its error in the latter cancels.
    between = moments.between[0, task, :, null]
    assert moments.sums[0, task, null] == pytest.approx(between.sum())
    assert moments.within[0, task, null] == pytest.approx(between.diagonal())


def test_a_gradient_in_long_pieces_is_walked_over_whole() -> None:
    # Longer than two stretches, with an odd end.
    sizes = {"layer.0": 300_001}
    kept = random_rounds(3, sizes)
    accumulator = GradientAccumulator({"layer.0": [300_001]}, LOSSES, references=["task", "align"])

    def whole(gradient: Tensor, receive: Receive) -> None:
        receive("layer.0", 0, gradient)

    for gradients in kept:
        accumulator.add_round({loss: partial(whole, gradients[loss]["layer.0"]) for loss in LOSSES})
    moments = accumulator.moments()
    for i, j in product(range(len(LOSSES)), repeat=2):
        first, second = (total(kept, LOSSES[x], "layer.0").double() for x in (i, j))
        assert moments.sums[0, i, j] == pytest.approx(float(first @ second), rel=1e-5)
    assert torch.equal(accumulator.mean("null")["layer.0"], total(kept, "null", "layer.0") / 3)


def test_sums_in_half_the_memory_are_as_near_as_they_are_said_to_be() -> None:
    sizes = {"layer.0": 20_000}
    kept = random_rounds(8, sizes)
    full, half = (accumulate(kept, sizes, 1024, dtype).moments() for dtype in (torch.float32, torch.bfloat16))
    for first, second in (("task", "task"), ("task", "align"), ("align", "align")):
        i, j = LOSSES.index(first), LOSSES.index(second)
        norms = np.sqrt(full.sums[0, i, i] * full.sums[0, j, j])
        assert abs(half.sums[0, i, j] - full.sums[0, i, j]) / norms < 0.06 / 20_000**0.5
        assert half.within[0, i, j] == pytest.approx(full.within[0, i, j])


def naive_between(kept: Rounds, block: str) -> np.ndarray:
    flat = torch.stack([torch.stack([gradients[loss][block] for gradients in kept]) for loss in LOSSES])
    return np.asarray(np.einsum("ikd,jld->ikjl", flat.double().numpy(), flat.double().numpy()))


def test_products_between_rounds_are_exact_within_the_sketch_width() -> None:
    kept = random_rounds(5, SIZES)
    moments = accumulate(kept, SIZES, width=700).moments()
    for b, block in enumerate(SIZES):
        np.testing.assert_allclose(moments.between[b], naive_between(kept, block), rtol=1e-4, atol=1e-3)


def outer_rounds(rounds: int, rows: int, columns: int, rank: int) -> Rounds:
    """Gradients of a weight matrix: few outer products, so that its rows are far from independent."""
    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(rows, rank, generator=generator),
        torch.randn(rank, columns, generator=generator),
    )
    return [
        {
            loss: {"layer.0": ((left * torch.randn(rank, generator=generator)) @ right).flatten()}
            for loss in LOSSES
        }
        for _ in range(rounds)
    ]


@pytest.mark.parametrize("kept", [random_rounds(4, {"layer.0": 40_000}), outer_rounds(4, 500, 768, 5)])
def test_the_sketch_error_is_what_it_is_said_to_be(kept: Rounds) -> None:
    # Relative to the product of norms, the standard error of an inner product is 1/sqrt(width).
    width = 1024
    sizes = {"layer.0": len(kept[0]["task"]["layer.0"])}
    exact = naive_between(kept, "layer.0")
    errors = []
    for seed in range(8):
        accumulator = GradientAccumulator(parts_of(sizes), LOSSES, sketched=LOSSES, width=width, seed=seed)
        for gradients in kept:
            accumulator.add_round({loss: partial(in_pieces, gradients[loss]) for loss in LOSSES})
        errors.append(accumulator.moments().between[0] - exact)
    norms = np.sqrt(np.einsum("ikik->ik", exact))
    relative = np.array(errors) / (norms[:, :, None, None] * norms)
    off_diagonal = ~np.eye(len(LOSSES) * 4, dtype=bool).reshape(relative.shape[1:])
    spread = np.sqrt((relative[:, off_diagonal] ** 2).mean())
    assert 0.5 / np.sqrt(width) < spread < 2 / np.sqrt(width)
    assert abs(relative[:, off_diagonal].mean()) < 3 / np.sqrt(width)


def test_intervals_from_sketches_are_near_those_from_everything() -> None:
    # Noise along a few hundred directions, as gradient noise is; the sketch knows nothing of them.
    size, directions, rounds = 30_000, 200, 6
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(size, generator=generator)
    basis = torch.randn(directions, size, generator=generator)
    kept = [
        {
            loss: {"layer.0": common + torch.randn(directions, generator=generator) @ basis / directions**0.5}
            for loss in LOSSES
        }
        for _ in range(rounds)
    ]
    sketched = accumulate(kept, {"layer.0": size}, width=16_384).moments()
    full = accumulate(kept, {"layer.0": size}, width=size).moments()
    for measure in ("cosine", "magnitude_ratio"):
        a = getattr(sketched, measure)("layer.0", "task", "align")
        b = getattr(full, measure)("layer.0", "task", "align")
        assert a.value == pytest.approx(b.value, rel=1e-6)  # the value itself uses no sketch
        assert a.high - a.low == pytest.approx(b.high - b.low, rel=0.3)


def test_a_gradient_that_is_not_finite_is_refused() -> None:
    kept = random_rounds(1, SIZES)[0]
    kept["align"]["layer.0"][3] = torch.inf
    with pytest.raises(NotFiniteError, match="gradient of align"):
        accumulate([kept], SIZES, width=64)


def test_no_gradient_is_held_on_to() -> None:
    kept = random_rounds(1, SIZES)[0]
    alive: dict[str, list[weakref.ref[Any]]] = {loss: [] for loss in LOSSES}

    def take(loss: str, receive: Receive) -> None:
        for block, vector in kept[loss].items():
            gradient = vector.clone()
            alive[loss].append(weakref.ref(gradient.untyped_storage()))
            receive(block, 0, gradient)
            del gradient
            held = {name for name, refs in alive.items() if any(ref() is not None for ref in refs)}
            assert not held

    parts = {block: [d] for block, d in SIZES.items()}
    accumulator = GradientAccumulator(parts, LOSSES, references=["task"], width=64)
    accumulator.add_round({loss: partial(take, loss) for loss in reversed(LOSSES)})
    assert not any(ref() is not None for refs in alive.values() for ref in refs)


def test_parameters_that_a_loss_does_not_reach_count_as_zero() -> None:
    sizes = {"layer.0": [4, 3]}
    first, second = torch.tensor([1.0, 2, 3, 4]), torch.tensor([5.0, 6, 7])
    accumulator = GradientAccumulator(sizes, ["task", "align"], references=["task"])

    def take(gradient: Mapping[int, Tensor], receive: Receive) -> None:
        for place, piece in gradient.items():
            receive("layer.0", place, piece)

    for _ in range(3):
        accumulator.add_round(
            {"task": partial(take, {1: second}), "align": partial(take, {1: 2 * second, 0: first})}
        )
    assert accumulator.mean("task")["layer.0"].tolist() == [0, 0, 0, 0, 5, 6, 7]
    assert accumulator.mean("align")["layer.0"].tolist() == [1, 2, 3, 4, 10, 12, 14]
    assert accumulator.moments().within[0, 0, 1].tolist() == [220, 220, 220]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["bert", "xlm-r", "t5"])
def test_streamed_gradients_are_those_of_autograd(load: Load, name: str, precision: PassPrecision) -> None:
    encoder = load(name).working_copy(range(len(load(name).tokenizer)))
    tokenizer = Tokenizer(encoder.tokenizer, 64)
    objectives, _ = available(encoder, has_links=True)
    parameters = encoder.block_parameters()
    with encoder.passes_in(precision):
        view = PairView(encoder, collate_pairs(sample_pairs(tokenizer, 10), tokenizer), seed=4)
        for objective in objectives.values():
            loss = objective.loss(view)
            found: dict[tuple[str, int], Tensor] = {}

            def receive(block: str, place: int, gradient: Tensor, found: Any = found) -> None:
                assert (block, place) not in found
                found[block, place] = gradient

            stream_gradients(loss, parameters, receive, keep_graph=True)
            for block, group in parameters.items():
                expected = torch.autograd.grad(loss, group, retain_graph=True, allow_unused=True)
                for place, gradient in enumerate(expected):
                    assert (gradient is None) == ((block, place) not in found)
                    if gradient is not None:
                        streamed = found[block, place]
                        assert (streamed - gradient).norm() <= TOLERANCE * gradient.norm(), (block, place)


def test_streaming_leaves_grad_and_hooks_as_they_were_also_after_an_error() -> None:
    first, second = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.ones(2, 2))
    first.grad = torch.tensor([7.0, 7.0])
    handed: list[tuple[str, int, list[float]]] = []

    def receive(block: str, place: int, gradient: Tensor) -> None:
        handed.append((block, place, gradient.tolist()))
        if len(handed) == 2:
            raise KeyboardInterrupt

    parameters = {"a": [first], "b": [second]}
    stream_gradients((first**2).sum(), parameters, receive)
    assert handed == [("a", 0, [2.0, 4.0])]
    with pytest.raises(KeyboardInterrupt):
        stream_gradients((first**2).sum(), parameters, receive)
    for parameter, gradient in ((first, [7, 7]), (second, None)):
        assert (None if parameter.grad is None else parameter.grad.tolist()) == gradient
        assert not parameter._post_accumulate_grad_hooks


def test_a_missing_loss_is_an_error_that_leaves_the_sums() -> None:
    kept = random_rounds(1, SIZES)[0]
    accumulator = accumulate([kept], SIZES, width=64)
    before = accumulator.mean("task")["layer.0"].clone()
    with pytest.raises(KeyError):
        accumulator.add_round({"task": partial(in_pieces, kept["align"])})
    assert accumulator.rounds == 1
    assert torch.equal(accumulator.mean("task")["layer.0"], before)
