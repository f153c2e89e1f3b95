"""The head fitted on frozen features."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy

from probes.batches import IGNORED, LabelledText, TokenizedText, Tokenizer
from probes.encoder import Encoder
from probes.errors import InputError
from probes.heads import Head, fit_head, predict
from probes.tasks import level_called
from tests.conftest import Load
from tests.models import HIDDEN, sample_examples, sample_items, sample_sentences

pytestmark = pytest.mark.usefixtures("fixed_seed")


def tokenizer_of(encoder: Encoder) -> Tokenizer:
    return Tokenizer(encoder.tokenizer, 64)


def topic_items(encoder: Encoder, classes: list[int]) -> list[LabelledText]:
    """Texts that are easy to tell apart: each class always holds its own word."""
    tokenizer, words = tokenizer_of(encoder), ("water", "train", "soup", "doctor", "goal")
    sentences = sample_sentences("en")
    return [
        LabelledText(tokenizer.text(f"{words[c]} {words[c]} {words[c]} {sentences[i % 40][:12]}"), (c,))
        for i, c in enumerate(classes)
    ]


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_separable_problem_is_learned(load: Load, classes: int) -> None:
    encoder = load("bert")
    items = topic_items(encoder, [i % classes for i in range(100)])
    fitted = fit_head(encoder, items[:60], classes, level_called("sentence"), seed=0)
    assert fitted.train_fit == 100
    held_out = predict(encoder, fitted.head, items[60:])
    assert held_out == [list(item.labels) for item in items[60:]]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("level", ["token", "sentence"])
def test_the_folded_head_is_the_regression_on_scaled_features(load: Load, classes: int, level: str) -> None:
    encoder = load("xlm-r")
    token_level = level == "token"
    items, _ = sample_items(tokenizer_of(encoder), level, 40)
    items = [LabelledText(item.text, tuple(label % classes for label in item.labels)) for item in items]
    fitted = fit_head(encoder, items, classes, level_called(level), seed=0)

    batch = level_called(level).collate(items, encoder)
    with torch.no_grad():
        hidden = encoder.hidden_states(batch.text)[-1]
        features = hidden[batch.labels >= 0] if token_level else encoder.pool(hidden, batch.text)
        logits = fitted.head(encoder, batch)
    x = features.double().numpy()
    y = (batch.labels[batch.labels >= 0] if token_level else batch.labels).numpy()
    z = (x - x.mean(0)) / (x.std(0) + 1e-6)
    reference = LogisticRegression(C=fitted.regularisation, max_iter=200, tol=1e-3).fit(z, y)
    ours = (logits[batch.labels >= 0] if token_level else logits).softmax(-1).numpy()
    np.testing.assert_allclose(ours, reference.predict_proba(z), atol=2e-3)
    assert fitted.train_fit == pytest.approx(100 * (reference.predict(z) == y).mean(), abs=1e-6)


@pytest.mark.slow
def test_the_strength_is_chosen_on_sentences_left_out(load: Load) -> None:
    encoder = load("bert")
    noise, _ = sample_items(tokenizer_of(encoder), "sentence", 40)
    learnable = topic_items(encoder, [i % 2 for i in range(40)])
    weak, strong = 0.0, 0.0
    for seed in range(6):  # one draw of random labels may look learnable
        labels = np.random.default_rng(seed).integers(0, 2, 40).tolist()
        random = [LabelledText(item.text, (label,)) for item, label in zip(noise, labels, strict=True)]
        weak += np.log(fit_head(encoder, random, 2, level_called("sentence"), seed=seed).regularisation)
        strong += np.log(fit_head(encoder, learnable, 2, level_called("sentence"), seed=seed).regularisation)
    assert weak < strong


def test_a_class_without_examples_is_never_predicted(load: Load) -> None:
    encoder = load("bert")
    items = topic_items(encoder, [(1, 3)[i % 2] for i in range(40)])
    fitted = fit_head(encoder, items, 5, level_called("sentence"), seed=0)
    assert fitted.head.weight.shape == (5, HIDDEN)
    assert {label for (label,) in predict(encoder, fitted.head, items)} == {1, 3}
    with torch.no_grad():
        loss = fitted.head.loss(encoder, level_called("sentence").collate(items, encoder))
    assert float(loss) < 0.5


def test_a_class_of_one_sentence_does_not_stop_the_fit(load: Load) -> None:
    # Wherever the split puts it, one side of it lacks the class.
    encoder = load("bert")
    items = topic_items(encoder, [0, 1] * 10 + [2])
    for seed in range(5):
        assert fit_head(encoder, items, 3, level_called("sentence"), seed=seed).head.weight.isfinite().all()


def test_two_sentences_are_enough_to_fit(load: Load) -> None:
    encoder = load("bert")
    assert (
        fit_head(encoder, topic_items(encoder, [0, 1]), 2, level_called("sentence"), seed=0).train_fit == 100
    )


def test_a_single_label_is_refused(load: Load) -> None:
    encoder = load("bert")
    with pytest.raises(InputError, match="single label"):
        fit_head(encoder, topic_items(encoder, [2] * 8), 5, level_called("sentence"), seed=0)


@pytest.mark.filterwarnings("error")
def test_fitting_warns_of_nothing(load: Load) -> None:
    encoder = load("bert")
    items, labels = sample_items(tokenizer_of(encoder), "token", 30)
    fit_head(encoder, items, len(labels), level_called("token"), seed=0)


def test_the_same_seed_fits_the_same_head(load: Load) -> None:
    encoder = load("t5")
    items, labels = sample_items(tokenizer_of(encoder), "token", 20)
    first, second = (
        fit_head(encoder, items, len(labels), level_called("token"), seed=1).head for _ in range(2)
    )
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


@pytest.mark.parametrize("level", ["token", "sentence", "pair"])
def test_text_losses_add_up_to_the_loss(load: Load, level: str) -> None:
    encoder = load("bert")
    items, labels = sample_items(tokenizer_of(encoder), level, 20)
    head = Head(torch.randn(len(labels), HIDDEN), torch.randn(len(labels)), level_called(level))
    batch = level_called(level).collate(items, encoder)
    sums, counts = head.text_losses(encoder, batch)
    assert sums.shape == counts.shape == (20,)
    assert counts.tolist() == [len(item.labels) for item in items]
    assert not sums.requires_grad
    together = head.loss(encoder, batch).detach()
    assert float(sums.sum() / counts.sum()) == pytest.approx(float(together), rel=1e-5)


def test_the_loss_is_the_mean_over_first_subwords(load: Load) -> None:
    encoder = load("xlm-r")
    items, labels = sample_items(tokenizer_of(encoder), "token", 5)
    head = Head(torch.randn(len(labels), HIDDEN), torch.randn(len(labels)), level_called("token"))
    losses = []
    for item in items:
        batch = level_called("token").collate([item], encoder)
        logits = head(encoder, batch)[0]
        for word, label in enumerate(item.labels):
            first = item.text.words.index(word)
            losses.append(float(cross_entropy(logits[first], torch.tensor(label))))
    together = head.loss(encoder, level_called("token").collate(items, encoder)).detach()
    assert float(together) == pytest.approx(np.mean(losses), rel=1e-4)


def test_token_predictions_follow_the_words(load: Load) -> None:
    encoder = load("bert")
    examples = sample_examples("token")[:50]
    items, labels = sample_items(tokenizer_of(encoder), "token", 50)
    head = Head(torch.randn(len(labels), HIDDEN), torch.zeros(len(labels)), level_called("token"))
    found = predict(encoder, head, items)
    assert [len(row) for row in found] == [len(item.labels) for item in items]
    assert len(found) == len(examples)
    for item, row in zip(items, found, strict=True):
        with torch.no_grad():
            logits = head(encoder, level_called("token").collate([item], encoder))[0]
        for word, guess in enumerate(row):
            first = logits[item.text.words.index(word)]
            assert float(first[guess]) == pytest.approx(float(first.max()), abs=1e-4)


def test_words_without_subwords_get_no_prediction(load: Load) -> None:
    encoder = load("bert")
    tokenizer = tokenizer_of(encoder)
    text = tokenizer.words(["My", "\u200b", "water"])
    assert 1 not in text.words
    head = Head(torch.randn(3, HIDDEN), torch.zeros(3), level_called("token"))
    (found,) = predict(encoder, head, [LabelledText(text, (0, 1, 2))])
    assert found[1] == IGNORED
    assert IGNORED not in (found[0], found[2])
    empty: TokenizedText = replace(text, words=(-1,) * len(text.words))
    assert predict(encoder, head, [LabelledText(empty, ())]) == [[]]


def test_words_beyond_the_longest_input_get_nothing(load: Load) -> None:
    encoder = load("bert")
    text = Tokenizer(encoder.tokenizer, 10).words(["water"] * 30)
    head = Head(torch.randn(3, HIDDEN), torch.zeros(3), level_called("token"))
    (found,) = predict(encoder, head, [LabelledText(text, (0,) * 30)])
    assert 0 < len(found) < 30
