"""What holds for every registered objective, whichever it is; a new one is tested by being registered."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from probes.batches import TokenizedPair, Tokenizer, collate_pairs
from probes.catalogue import OBJECTIVES
from probes.encoder import EMBEDDINGS, Encoder
from probes.objectives import LOSSES, AlignmentLoss, PairView
from probes.objectives._contrastive import contrastive_loss
from tests.conftest import Load
from tests.examples import examples
from tests.models import sample_pairs, whole_gradient

every_objective = pytest.mark.parametrize("objective", LOSSES.values(), ids=LOSSES)
on_architectures = pytest.mark.parametrize("name", ["bert", "xlm-r", "modernbert"])


def trainable(encoder: Encoder) -> Encoder:
    return encoder.working_copy(range(len(encoder.tokenizer)))


def pairs_of(encoder: Encoder, count: int = 6) -> tuple[Tokenizer, list[TokenizedPair]]:
    tokenizer = Tokenizer(encoder.tokenizer, 64)
    return tokenizer, sample_pairs(tokenizer, count)


def view_of(encoder: Encoder, seed: int = 0, count: int = 6) -> PairView:
    tokenizer, pairs = pairs_of(encoder, count)
    return PairView(encoder, collate_pairs(pairs, tokenizer), seed=seed)


@every_objective
@on_architectures
def test_the_loss_is_one_finite_number_that_reaches_every_layer(
    load: Load, name: str, objective: AlignmentLoss
) -> None:
    encoder = trainable(load(name))
    loss = objective.loss(view_of(encoder))
    assert loss.shape == ()
    assert math.isfinite(float(loss))
    assert float(loss) >= 0
    for block, pieces in whole_gradient(loss, encoder.block_parameters()).items():
        gradient = torch.cat(list(pieces))
        assert torch.isfinite(gradient).all(), block
        assert float(gradient.norm()) > 0, block


@every_objective
@on_architectures
def test_the_same_view_gives_the_same_loss(load: Load, name: str, objective: AlignmentLoss) -> None:
    encoder = load(name)
    with torch.no_grad():
        first, second = (float(objective.loss(view_of(encoder, seed=3))) for _ in range(2))
        torch.rand(5)  # whatever was drawn in between
        third = float(objective.loss(view_of(encoder, seed=3)))
    assert first == second == third


@every_objective
@on_architectures
def test_a_loss_draws_no_global_random_numbers(load: Load, name: str, objective: AlignmentLoss) -> None:
    state = torch.get_rng_state()
    objective.loss(view_of(load(name)))
    assert torch.equal(torch.get_rng_state(), state)


@every_objective
@on_architectures
def test_shuffling_the_pairs_changes_the_loss_and_encodes_nothing_anew(
    load: Load, name: str, objective: AlignmentLoss
) -> None:
    view = view_of(load(name))
    with torch.no_grad():
        own = float(objective.loss(view))
        _ = view.source, view.target
        null = view.null()
        assert null.source is view.source
        assert null.target is view.target
        shuffled = float(objective.loss(null))
    assert math.isfinite(shuffled)
    assert (shuffled != own) == OBJECTIVES[objective.name].parallel


@every_objective
@on_architectures
def test_a_step_against_the_gradient_lowers_the_loss(load: Load, name: str, objective: AlignmentLoss) -> None:
    encoder = trainable(load(name))
    before = objective.loss(view_of(encoder))
    parameters = list(encoder.parameters())
    gradients = torch.autograd.grad(before, parameters, allow_unused=True)
    norm = torch.stack([g.square().sum() for g in gradients if g is not None]).sum().sqrt()
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter.sub_(gradient, alpha=float(1e-3 / norm))
        after = objective.loss(view_of(encoder))
    assert float(after) < float(before)


@every_objective
def test_the_model_is_not_changed(load: Load, objective: AlignmentLoss) -> None:
    encoder = trainable(load("bert"))
    before = {name: tensor.clone() for name, tensor in encoder.base.state_dict().items()}
    objective.loss(view_of(encoder)).backward()
    after = encoder.base.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize(
    "objective",
    [objective for objective in LOSSES.values() if not OBJECTIVES[objective.name].mlm_head],
    ids=lambda objective: objective.name,
)
def test_the_order_of_the_pairs_does_not_matter(load: Load, objective: AlignmentLoss) -> None:
    # Masks are drawn by position, so objectives that mask do depend on it.
    encoder = load("bert")
    tokenizer, pairs = pairs_of(encoder, 7)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1)).tolist()
    with torch.no_grad():
        losses = [
            float(objective.loss(PairView(encoder, collate_pairs(chosen, tokenizer))))
            for chosen in (pairs, [pairs[i] for i in order])
        ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@every_objective
def test_a_registered_objective_describes_itself(objective: AlignmentLoss) -> None:
    assert LOSSES[objective.name] is objective
    assert OBJECTIVES[objective.name].summary.endswith(".")
    documentation = type(objective).__doc__
    assert documentation is not None
    for section in ("Inputs:", "Relations:", "Reference:"):
        assert section in documentation


@every_objective
def test_embeddings_are_a_block_of_their_own(load: Load, objective: AlignmentLoss) -> None:
    encoder = trainable(load("bert"))
    gradients = whole_gradient(objective.loss(view_of(encoder)), encoder.block_parameters())
    rows = encoder.base.get_input_embeddings().get_parameter("rows")
    assert sum(piece.numel() for piece in gradients[EMBEDDINGS]) >= rows.numel()


@examples(50)
@given(st.integers(2, 12), st.integers(2, 9), st.integers(0, 9999), st.sampled_from(["weak", "strong"]))
def test_contrastive_loss_does_not_ask_for_order_side_length_or_direction(
    n: int, d: int, seed: int, negatives: str
) -> None:
    generator = torch.Generator().manual_seed(seed)
    source, target = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
    lengths = torch.rand(n, 1, generator=generator, dtype=torch.float64) + 0.1
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    order = torch.randperm(n, generator=generator)
    expected = float(contrastive_loss(source, target, 0.1, negatives))  # type: ignore[arg-type]
    for x, y in (
        (target, source),
        (source[order], target[order]),
        (source * lengths, target),
        (source @ rotation, target @ rotation),
    ):
        assert float(contrastive_loss(x, y, 0.1, negatives)) == pytest.approx(expected)  # type: ignore[arg-type]
    assert expected >= 0
