"""The task head: fitted on frozen features before any gradient is taken.

Under a random head a task gradient says nothing of the task. Under a head that has memorised its
training sentences it consists of a few outliers. So the head is regularised by what it scores on
sentences it was not fitted on, and gradients are taken on further sentences still.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from probes.batches import IGNORED, LabelledBatch, LabelledText, collate_labelled
from probes.encoder import Encoder
from probes.errors import InputError
from probes.metrics import score
from probes.signals import Estimate
from probes.tasks import Metric

__all__ = ["FittedHead", "Head", "fit_head", "predict", "score_head"]

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Inverse regularisation strengths C that are tried."""
_ABSENT = -20.0
"""Logit bias of a class without a single example among the sentences the head is fitted on."""
_EVALUATION_BATCH = 32


class Head(nn.Module):
    """A linear classifier on token states (token tasks) or on the pooled state (all others).

    Args:
        weight: (classes, hidden).
        bias: (classes,).
        token_level: whether every word is classified.
    """

    def __init__(self, weight: Tensor, bias: Tensor, token_level: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
        self.token_level = token_level

    def forward(self, encoder: Encoder, batch: LabelledBatch) -> Tensor:
        """Logits, (batch, length, classes) or (batch, classes)."""
        hidden = encoder.hidden_states(batch.text)[-1]
        features = hidden if self.token_level else encoder.pool(hidden, batch.text)
        return nn.functional.linear(features, self.weight, self.bias)

    def loss(self, encoder: Encoder, batch: LabelledBatch) -> Tensor:
        """Mean cross-entropy over the labelled positions of the batch."""
        logits = self(encoder, batch)
        return cross_entropy(logits.flatten(0, -2), batch.labels.flatten(), ignore_index=IGNORED)

    @torch.no_grad()
    def text_losses(self, encoder: Encoder, batch: LabelledBatch) -> tuple[Tensor, Tensor]:
        """Summed cross-entropy and number of labelled positions of each text, each of shape (batch,)."""
        logits = self(encoder, batch)
        each = cross_entropy(
            logits.flatten(0, -2), batch.labels.flatten(), ignore_index=IGNORED, reduction="none"
        ).view(batch.labels.shape)
        counted = (batch.labels != IGNORED).to(each.dtype)
        if self.token_level:
            return each.sum(1), counted.sum(1)
        return each, counted


@dataclass(frozen=True)
class FittedHead:
    """A head with how it was fitted.

    Attributes:
        head: the classifier.
        regularisation: the inverse strength C that scored best on held-out sentences.
        train_fit: accuracy on the sentences it was fitted on, in points.
    """

    head: Head
    regularisation: float
    train_fit: float


def fit_head(
    encoder: Encoder, items: Sequence[LabelledText], classes: int, token_level: bool, seed: int
) -> FittedHead:
    """Fit a multinomial logistic regression on frozen features.

    One fifth of the sentences chooses the regularisation by its log-loss; all of them then fit the head.
    Features are standardised for the fit and the scaling is folded into the weights.

    Args:
        encoder: frozen.
        items: labelled sentences.
        classes: number of classes in the task.
        token_level: whether every word is a case.
        seed: of the split.

    Raises:
        InputError: if fewer than two classes occur.
    """
    x, y, sentence = _features(encoder, items, token_level)
    if len(np.unique(y)) < 2:
        raise InputError(
            "The training data has a single label, so there is nothing to learn: add the others."
        )
    mean, scale = x.mean(0), x.std(0) + 1e-6
    z = (x - mean) / scale
    order = np.random.default_rng(seed).permutation(len(items))
    held = np.isin(sentence, order[: max(1, len(items) // 5)])
    best = min(_STRENGTHS, key=lambda c: _held_out_loss(z, y, held, c)) if (~held).any() else _STRENGTHS[0]
    model = _regression(z, y, best)
    coefficients, intercept = _both_rows(model)
    weight = np.zeros((classes, x.shape[1]))
    bias = np.full(classes, _ABSENT)
    weight[model.classes_] = coefficients / scale
    bias[model.classes_] = intercept - (coefficients * mean / scale).sum(1)
    head = Head(
        torch.tensor(weight, dtype=torch.float32, device=encoder.device),
        torch.tensor(bias, dtype=torch.float32, device=encoder.device),
        token_level,
    )
    return FittedHead(head, best, 100 * float((model.predict(z) == y).mean()))


def _regression(z: np.ndarray, y: np.ndarray, strength: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are close enough for a start
        return LogisticRegression(C=strength, max_iter=200, tol=1e-3).fit(z, y)


def _held_out_loss(z: np.ndarray, y: np.ndarray, held: np.ndarray, strength: float) -> float:
    if len(np.unique(y[~held])) < 2:
        return strength
    model = _regression(z[~held], y[~held], strength)
    known = np.isin(y, model.classes_) & held
    if not known.any():
        return strength
    return float(log_loss(y[known], model.predict_proba(z[known]), labels=model.classes_))


def _both_rows(model: LogisticRegression) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients with a row a class: scikit-learn keeps a single row for two classes."""
    if len(model.classes_) > 2:
        return model.coef_, model.intercept_
    half, shift = model.coef_ / 2, model.intercept_ / 2
    return np.concatenate([-half, half]), np.concatenate([-shift, shift])


@torch.no_grad()
def _features(
    encoder: Encoder, items: Sequence[LabelledText], token_level: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Feature rows, class indices and the sentence each row comes from."""
    features, classes, sentence = [], [], []
    for chosen in _length_batches(items):
        batch = _collate(encoder, [items[i] for i in chosen], token_level)
        hidden = encoder.hidden_states(batch.text)[-1]
        if token_level:
            rows, columns = (batch.labels != IGNORED).nonzero(as_tuple=True)
            features.append(hidden[rows, columns])
            classes.append(batch.labels[rows, columns])
        else:
            rows = torch.arange(len(batch.text), device=hidden.device)
            features.append(encoder.pool(hidden, batch.text))
            classes.append(batch.labels)
        sentence.append(torch.tensor(chosen)[rows.cpu()])
    x = torch.cat(features).double().cpu().numpy()
    return x, torch.cat(classes).cpu().numpy(), torch.cat(sentence).numpy()


@torch.no_grad()
def predict(encoder: Encoder, head: Head, items: Sequence[LabelledText]) -> list[list[int]]:
    """Predicted class indices, one a word or one a text, in the order of ``items``.

    A word without a subword of its own gets ``IGNORED``; words beyond the longest input get nothing, so that
    the list is shorter than the words.
    """
    found: dict[int, list[int]] = {}
    for chosen in _length_batches(items):
        batch = _collate(encoder, [items[i] for i in chosen], head.token_level)
        best = head(encoder, batch).argmax(-1).tolist()
        for i, guesses, words in zip(chosen, best, batch.text.words.tolist(), strict=True):
            found[i] = _by_word(guesses, words) if head.token_level else [guesses]
    return [found[i] for i in range(len(items))]


def score_head(
    encoder: Encoder, head: Head, items: Sequence[LabelledText], labels: Sequence[str], metric: Metric
) -> Estimate:
    """Points on labelled texts; a word without a prediction counts as wrong.

    Args:
        encoder, head: the model.
        items: what to score on.
        labels: names of the classes.
        metric: how.
    """
    gold = [[labels[i] for i in item.labels] for item in items]
    guesses = [
        [labels[i] if i >= 0 else "" for i in row] + [""] * (len(truth) - len(row))
        for row, truth in zip(predict(encoder, head, items), gold, strict=True)
    ]
    return score(gold, guesses, metric)


def _by_word(guesses: Sequence[int], words: Sequence[int]) -> list[int]:
    """The guess on each word's first subword."""
    by_word = [IGNORED] * (1 + max(words))
    for guess, word in reversed(list(zip(guesses, words, strict=True))):
        if word >= 0:
            by_word[word] = guess  # the first subword is met last
    return by_word


def _length_batches(items: Sequence[LabelledText]) -> Iterator[list[int]]:
    """Indices of texts of like length, so that little is spent on padding."""
    order = sorted(range(len(items)), key=lambda i: len(items[i].text.ids))
    for start in range(0, len(order), _EVALUATION_BATCH):
        yield order[start : start + _EVALUATION_BATCH]


def _collate(encoder: Encoder, items: Sequence[LabelledText], token_level: bool) -> LabelledBatch:
    return collate_labelled(items, token_level, encoder.tokenizer, encoder.device)
