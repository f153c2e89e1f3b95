"""Each objective on its own terms; what holds for all of them is in tests/property."""

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from probes.batches import PairBatch, TextBatch, Tokenizer, collate_pairs
from probes.encoder import Encoder
from probes.objectives import LOSSES, PairView, available, register
from probes.objectives._contrastive import Negatives, contrastive_loss
from probes.objectives._protocol import gather_words
from probes.objectives.masking import masked_lm_loss
from probes.objectives.mlm import MLM
from probes.objectives.sentence_contrastive import SentenceContrastive
from probes.objectives.tlm import TLM
from probes.objectives.token_contrastive import TokenContrastive
from probes.objectives.token_l2 import TokenL2
from tests.conftest import Load
from tests.models import LAYERS, sample_pairs, whole_gradient


def pair_batch(encoder: Encoder, count: int = 6) -> PairBatch:
    tokenizer = Tokenizer(encoder.tokenizer, 64)
    return collate_pairs(sample_pairs(tokenizer, count), tokenizer)


def view_of(encoder: Encoder, count: int = 6, seed: int = 0) -> PairView:
    return PairView(encoder, pair_batch(encoder, count), seed=seed)


def random_vectors(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def looped_contrastive(source: Tensor, target: Tensor, temperature: float, negatives: Negatives) -> float:
    """InfoNCE written as the sums in the papers."""

    def cosine(a: Tensor, b: Tensor) -> float:
        return float(a @ b / a.norm() / b.norm())

    n = len(source)
    total = 0.0
    for own, other in ((source, target), (target, source)):
        for i in range(n):
            candidates = [other[j] for j in range(n)]
            if negatives == "strong":
                candidates += [own[j] for j in range(n) if j != i]
            below = sum(math.exp(cosine(own[i], z) / temperature) for z in candidates)
            total -= math.log(math.exp(cosine(own[i], other[i]) / temperature) / below)
    return total / (2 * n)


@pytest.mark.parametrize("negatives", ["weak", "strong"])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_contrastive_loss_equals_its_double_loop(temperature: float, negatives: Negatives) -> None:
    source, target = random_vectors(7, 5, 0), random_vectors(7, 5, 1)
    found = float(contrastive_loss(source, target, temperature, negatives))
    assert found == pytest.approx(looped_contrastive(source, target, temperature, negatives))


@pytest.mark.parametrize("negatives", ["weak", "strong"])
def test_contrastive_loss_is_least_when_partners_coincide_and_others_do_not(negatives: Negatives) -> None:
    corners = torch.eye(6, dtype=torch.float64)
    aligned = contrastive_loss(corners, 3 * corners, 0.05, negatives)
    assert float(aligned) == pytest.approx(0, abs=1e-6)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        order = torch.randperm(6, generator=generator)
        noisy = corners[order] + 0.5 * torch.randn(6, 6, generator=generator, dtype=torch.float64)
        assert float(contrastive_loss(corners, noisy, 0.05, negatives)) > float(aligned)
    moved = corners.clone().requires_grad_()
    (slope,) = torch.autograd.grad(contrastive_loss(moved, corners, 0.05, negatives), moved)
    assert float(slope.norm()) < 1e-6


def test_contrastive_loss_of_indistinct_vectors_is_the_log_of_the_candidates() -> None:
    same = torch.ones(5, 3, dtype=torch.float64)
    assert float(contrastive_loss(same, same, 0.1, "weak")) == pytest.approx(math.log(5))
    assert float(contrastive_loss(same, same, 0.1, "strong")) == pytest.approx(math.log(9))


def test_token_l2_is_its_formula(load: Load) -> None:
    encoder = load("xlm-r")
    moved = encoder.working_copy(range(len(encoder.tokenizer)))
    with torch.no_grad():
        for parameter in moved.parameters(["layer.1"]):
            parameter.add_(0.05)
    view = PairView(moved, pair_batch(encoder), anchor=encoder)
    with torch.no_grad():
        now = moved.hidden_states(view.batch.source)[-1], moved.hidden_states(view.batch.target)[-1]
        then = encoder.hidden_states(view.batch.source)[-1]
    pull, hold = [], []
    for row, i, other, j in view.batch.links.tolist():
        source, target = now[0][row][view.batch.source.words[row] == i], now[1][other]
        target = target[view.batch.target.words[other] == j]
        anchor = then[row][view.batch.source.words[row] == i]
        pull.append(float((source.mean(0) - target.mean(0)).square().sum()))
        hold.append(float((source.mean(0) - anchor.mean(0)).square().sum()))
    assert np.mean(hold) > 0
    for weight in (0.0, 1.0, 2.5):
        expected = np.mean(pull) + weight * np.mean(hold)
        assert float(TokenL2(anchor_weight=weight).loss(view)) == pytest.approx(expected, rel=1e-4)


def test_token_l2_holds_without_force_at_the_start(load: Load) -> None:
    encoder = load("bert")
    duplicate = encoder.working_copy(range(len(encoder.tokenizer)))
    for anchor in (None, encoder):
        view = PairView(duplicate, pair_batch(encoder), anchor=anchor)
        free = whole_gradient(TokenL2(anchor_weight=0.0).loss(view), duplicate.block_parameters(), True)
        held = whole_gradient(TokenL2(anchor_weight=100.0).loss(view), duplicate.block_parameters(), True)
        for block, pieces in free.items():
            torch.testing.assert_close(torch.cat(list(held[block])), torch.cat(list(pieces)))


@pytest.mark.parametrize("layer", range(LAYERS + 1))
def test_sentence_contrastive_takes_exactly_the_hidden_state_asked_for(load: Load, layer: int) -> None:
    encoder = load("bert")
    duplicate = encoder.working_copy(range(len(encoder.tokenizer)))
    view = view_of(duplicate)
    x = duplicate.pool(view.source[layer], view.batch.source)
    y = duplicate.pool(view.target[layer], view.batch.target)
    loss = SentenceContrastive(layer=layer).loss(view)
    assert float(loss) == pytest.approx(looped_contrastive(x, y, 0.1, "weak"), rel=1e-4)
    gradients = whole_gradient(loss, duplicate.block_parameters())
    for i in range(LAYERS):
        size = float(torch.cat(list(gradients[f"layer.{i}"])).norm())
        assert (size > 0) == (i < layer)
    if layer == LAYERS:
        assert float(SentenceContrastive().loss(view)) == float(loss)


@pytest.mark.parametrize("layer", [-1, -2, LAYERS + 1])
def test_a_layer_that_does_not_exist_is_an_error(load: Load, layer: int) -> None:
    with pytest.raises(IndexError, match=f"layer {layer} does not exist"):
        SentenceContrastive(layer=layer).loss(view_of(load("bert")))


def test_the_word_objective_takes_the_last_state_of_linked_words(load: Load) -> None:
    view = view_of(load("distilbert"))
    links = view.batch.links
    x = gather_words(view.source[-1], view.batch.source, links[:, 0], links[:, 1])
    y = gather_words(view.target[-1], view.batch.target, links[:, 2], links[:, 3])
    for negatives in ("strong", "weak"):
        found = float(TokenContrastive(negatives=negatives).loss(view))
        assert found == pytest.approx(looped_contrastive(x, y, 0.1, negatives), rel=1e-4)


def test_gathered_words_are_the_mean_of_their_subwords(load: Load) -> None:
    encoder = load("xlm-r")
    batch = pair_batch(encoder, 3).source
    hidden = torch.randn(*batch.words.shape, 8, generator=torch.Generator().manual_seed(0))
    rows, words = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 3, 1, 2, 2])
    found = gather_words(hidden, batch, rows, words)
    for vector, row, word in zip(found, rows.tolist(), words.tolist(), strict=True):
        own = [hidden[row, i] for i in range(hidden.shape[1]) if batch.words[row, i] == word]
        torch.testing.assert_close(vector, torch.stack(own).mean(0))


class Watched:
    """Stands in for an encoder with an MLM head and keeps what it was given."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.tokenizer = encoder.tokenizer
        self.inputs: list[Tensor] = []

    def hidden_states(self, batch: object) -> tuple[Tensor, ...]:
        self.inputs.append(batch.inputs["input_ids"])  # type: ignore[attr-defined]
        return self.encoder.hidden_states(batch)  # type: ignore[arg-type]

    def mlm_logits(self, hidden: Tensor) -> Tensor:
        return self.encoder.mlm_logits(hidden)


@pytest.mark.parametrize("name", ["bert", "roberta"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_masking_changes_real_subwords_only(load: Load, name: str, seed: int) -> None:
    encoder = load(name)
    text = pair_batch(encoder, 10).joined
    watched = Watched(encoder)
    masked_lm_loss(watched, text, 0.15, seed)  # type: ignore[arg-type]
    (corrupted,) = watched.inputs
    original, open_ = text.inputs["input_ids"], text.words >= 0
    assert torch.equal(corrupted[~open_], original[~open_])
    changed = corrupted != original
    assert 0.08 < float(changed.sum() / open_.sum()) < 0.17  # some random replacements fall on themselves
    special = set(encoder.tokenizer.all_special_ids) - {encoder.tokenizer.mask_token_id}
    assert not special & set(corrupted[changed].tolist())
    assert set(corrupted.unique().tolist()) <= {*original.unique().tolist(), encoder.tokenizer.mask_token_id}


def test_masks_follow_eighty_ten_ten(load: Load) -> None:
    encoder = load("bert")
    text = pair_batch(encoder, 40).joined
    original, open_ = text.inputs["input_ids"], text.words >= 0
    watched = Watched(encoder)
    masked_lm_loss(watched, text, 1.0, 0)  # type: ignore[arg-type]
    corrupted = watched.inputs[0][open_]
    masked = corrupted == encoder.tokenizer.mask_token_id
    kept = corrupted == original[open_]
    assert float(masked.float().mean()) == pytest.approx(0.8, abs=0.04)
    assert float(kept.float().mean()) == pytest.approx(0.1, abs=0.04)


def test_the_masked_loss_is_that_of_transformers(load: Load) -> None:
    encoder = load("bert")
    text = pair_batch(encoder, 5).target
    watched = Watched(encoder)
    found = masked_lm_loss(watched, text, 0.9999, 3)  # type: ignore[arg-type]
    # Everything is predicted, so the positions are known without the mask.
    labels = text.inputs["input_ids"].masked_fill(text.words < 0, -100)
    assert encoder.masked_lm is not None
    theirs = encoder.masked_lm(**{**text.inputs, "input_ids": watched.inputs[0]}, labels=labels).loss
    assert float(found) == pytest.approx(float(theirs), rel=1e-4)


def test_mlm_reads_the_target_and_tlm_both_sides(load: Load) -> None:
    encoder = load("xlm-r")
    batch = pair_batch(encoder)
    view = PairView(encoder, batch, seed=5)
    assert float(MLM(0.3).loss(view)) == float(masked_lm_loss(encoder, batch.target, 0.3, 5))
    assert float(TLM(0.3).loss(view)) == float(masked_lm_loss(encoder, batch.joined, 0.3, 5))
    assert float(TLM(0.3).loss(view.null())) == float(masked_lm_loss(encoder, batch.mismatched, 0.3, 5))


def test_the_null_pairs_no_word_and_no_sentence_with_its_own(load: Load) -> None:
    view = view_of(load("bert"), count=5)
    null = view.null()
    assert torch.equal(null.links[:, :2], view.links[:, :2])
    assert not (null.links[:, 2:] == view.links[:, 2:]).all(dim=1).any()
    assert sorted(map(tuple, null.links[:, 2:].tolist())) == sorted(map(tuple, view.links[:, 2:].tolist()))
    (_, target), (_, other) = view.sentences(LAYERS), null.sentences(LAYERS)
    distances = (target[:, None] - other[None]).norm(dim=-1)
    assert torch.equal(distances.argmin(dim=1), torch.tensor([1, 2, 3, 4, 0]))
    assert float(distances.min(dim=1).values.max()) == 0


def test_a_view_encodes_each_side_once(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = replace(load("bert"))
    view = view_of(encoder)
    calls: list[TextBatch] = []
    original = encoder.hidden_states

    def counted(batch: TextBatch) -> tuple[Tensor, ...]:
        calls.append(batch)
        return original(batch)

    monkeypatch.setattr(encoder, "hidden_states", counted)
    for objective in (TokenContrastive(), TokenL2(), SentenceContrastive()):
        objective.loss(view)
        objective.loss(view.null())
    assert len(calls) == 2


def test_names_are_taken_once() -> None:
    class Again:
        name: ClassVar[str] = "mlm"

        def loss(self, view: PairView) -> Tensor:
            return view.source[-1].sum()

    with pytest.raises(ValueError, match="'mlm' already"):
        register(Again)
    assert isinstance(LOSSES["mlm"], MLM)


def test_without_links_the_word_objectives_are_unavailable(load: Load) -> None:
    usable, refused = available(load("bert"), has_links=False)
    assert set(refused) == {"token-contrastive", "token-l2"}
    assert set(usable) | set(refused) == set(LOSSES)
