"""The task head: fitted on frozen features before any gradient is taken.

Under a random head a task gradient says nothing of the task. Under a head that has memorised its
training sentences it consists of a few outliers. So the head is regularised by what it scores on
sentences it was not fitted on, and gradients are taken on further sentences still.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import Tensor, nn

from probes.batches import LabelledBatch, LabelledText, TokenizedPair, Tokenizer
from probes.encoder import Encoder
from probes.errors import InputError
from probes.signals import Estimate
from probes.tasks import Answers, Projection, TaskLevel, Unlabelled

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Inverse regularisation strengths C that are tried."""
_ABSENT = -20.0
"""Logit bias of a class without a single example among the sentences the head is fitted on."""
_EVALUATION_SUBWORDS = 8192
"""Of a batch that is scored, padding included: short texts go through many at a time."""
_GROUP = 8
"""Texts that are scored in one batch at least; on a CPU they share a pass whatever the batch."""


class Head(nn.Module):
    """A linear classifier on the states that a task's level reads.

    Args:
        weight: (classes, hidden).
        bias: (classes,).
        level: of the task.
    """

    def __init__(self, weight: Tensor, bias: Tensor, level: TaskLevel) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
        self.level = level

    def copy(self) -> "Head":
        """A head with the same weights and none of this one's history."""
        return Head(self.weight.detach().clone(), self.bias.detach().clone(), self.level)

    def forward(self, encoder: Encoder, batch: LabelledBatch) -> Tensor:
        """Logits, (batch, length, classes) or (batch, classes)."""
        hidden = encoder.hidden_states(batch.text)[-1]
        return nn.functional.linear(self.level.features(encoder, hidden, batch.text), self.weight, self.bias)

    def loss(self, encoder: Encoder, batch: LabelledBatch) -> Tensor:
        """Mean loss over what is labelled in the batch."""
        return self.level.loss(self(encoder, batch), batch.labels)

    @torch.no_grad()
    def text_losses(self, encoder: Encoder, batch: LabelledBatch) -> tuple[Tensor, Tensor]:
        """Summed loss and number of labels of each text, each of shape (batch,)."""
        return self.level.text_losses(self(encoder, batch), batch.labels)


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
    encoder: Encoder, items: Sequence[LabelledText], classes: int, level: TaskLevel, seed: int
) -> FittedHead:
    """Fit a multinomial logistic regression on frozen features.

    One fifth of the sentences chooses the regularisation by its log-loss; all of them then fit the head.
    Features are standardised for the fit and the scaling is folded into the weights.

    Raises:
        InputError: if fewer than two classes occur.
    """
    x, y, sentence = _features(encoder, items, level)
    if len(np.unique(y)) < 2:
        raise InputError(
            "The training data has a single label, so there is nothing to learn: add the others."
        )
    mean, scale = x.mean(0), x.std(0) + 1e-6
    z = (x - mean) / scale
    order = np.random.default_rng(seed).permutation(len(items))
    held_out = np.isin(sentence, order[: max(1, len(items) // 5)])
    best = (
        min(_STRENGTHS, key=lambda c: _held_out_loss(z, y, held_out, c))
        if (~held_out).any()
        else _STRENGTHS[0]
    )
    model = _regression(z, y, best)
    coefficients, intercept = _both_rows(model)
    weight = np.zeros((classes, x.shape[1]))
    bias = np.full(classes, _ABSENT)
    weight[model.classes_] = coefficients / scale
    bias[model.classes_] = intercept - (coefficients * mean / scale).sum(1)
    tensor = partial(torch.tensor, dtype=torch.float32, device=encoder.device)
    return FittedHead(
        Head(tensor(weight), tensor(bias), level), best, 100 * float((model.predict(z) == y).mean())
    )


def _regression(z: np.ndarray, y: np.ndarray, strength: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are close enough for a start
        return LogisticRegression(C=strength, max_iter=200, tol=1e-3).fit(z, y)


def _held_out_loss(z: np.ndarray, y: np.ndarray, held_out: np.ndarray, strength: float) -> float:
    if len(np.unique(y[~held_out])) < 2:
        return strength
    model = _regression(z[~held_out], y[~held_out], strength)
    known = np.isin(y, model.classes_) & held_out
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
    encoder: Encoder, items: Sequence[LabelledText], level: TaskLevel
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Feature rows, class indices and the sentence each row comes from."""
    features, classes, sentence = [], [], []
    for chosen in _length_batches(items):
        batch = level.collate([items[i] for i in chosen], encoder)
        cases = level.cases(encoder, encoder.hidden_states(batch.text)[-1], batch)
        features.append(cases.features)
        classes.append(cases.classes)
        sentence.append(torch.tensor(chosen)[cases.rows.cpu()])
    x = torch.cat(features).double().cpu().numpy()
    return x, torch.cat(classes).cpu().numpy(), torch.cat(sentence).numpy()


@torch.no_grad()
def predict(encoder: Encoder, head: Head, items: Sequence[LabelledText]) -> Answers:
    """The head's answer on every text, in the order of ``items``; see :meth:`TaskLevel.decode`."""
    answers: dict[int, list[int]] = {}
    for chosen in _length_batches(items):
        batch = head.level.collate([items[i] for i in chosen], encoder)
        answers.update(zip(chosen, head.level.decode(head(encoder, batch), batch.text), strict=True))
    return [answers[i] for i in range(len(items))]


def score_head(
    encoder: Encoder, head: Head, items: Sequence[LabelledText], labels: Sequence[str], metric: str
) -> Estimate:
    """Points on labelled texts."""
    return head.level.score(items, predict(encoder, head, items), labels, metric)


def project_labels(
    encoder: Encoder,
    head: Head,
    pairs: Sequence[TokenizedPair],
    tokenizer: Tokenizer,
    labelled: Sequence[LabelledText] = (),
) -> Projection:
    """Labels of target text that no one has labelled, carried over by the level from what a warmed-up model
    says of the source sides of linked pairs, or from ``labelled`` source texts."""
    return head.level.project(Unlabelled(pairs, tokenizer, partial(predict, encoder, head), labelled))


def _length_batches(items: Sequence[LabelledText]) -> Iterator[list[int]]:
    """Indices of texts of like length, so that little is spent on padding."""
    order = sorted(range(len(items)), key=lambda i: len(items[i].text.ids))
    batch: list[int] = []
    for start in range(0, len(order), _GROUP):
        group = order[start : start + _GROUP]
        if batch and (len(batch) + len(group)) * len(items[group[-1]].text.ids) > _EVALUATION_SUBWORDS:
            yield batch
            batch = []
        batch += group
    if batch:
        yield batch
