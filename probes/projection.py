"""Labels for target-language text that no one has labelled, carried over from the source side of bitext."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from probes.batches import IGNORED, LabelledText, TokenizedPair, TokenizedText, Tokenizer
from probes.encoder import Encoder
from probes.heads import Head, predict
from probes.tasks import Level

__all__ = ["Projection", "project_labels"]


@dataclass(frozen=True)
class Projection:
    """Target sentences with the labels a model gave their translations.

    Attributes:
        items: target texts; words that received no label carry ``IGNORED``.
        coverage: share of target words (token tasks) or sentences that received a label, 0-1.
    """

    items: tuple[LabelledText, ...]
    coverage: float


def project_labels(
    encoder: Encoder, head: Head, pairs: Sequence[TokenizedPair], level: Level, tokenizer: Tokenizer
) -> Projection:
    """Label the source sides with ``encoder`` and ``head`` and carry the labels over.

    Token tasks: along the word links. Sentence tasks: the translation inherits the label. Pair tasks: each
    sentence is paired with the next one of the bitext, and their translations inherit the pair's label.

    Args:
        encoder, head: the warmed-up model.
        pairs: linked bitext that no objective's gradient is taken on.
        level: of the task.
        tokenizer: for joining pairs.
    """
    if level == "pair":
        neighbours = list(pairwise(pairs))
        sources = [tokenizer.pair(a.strings[0], b.strings[0]) for a, b in neighbours]
        targets = [tokenizer.pair(a.strings[1], b.strings[1]) for a, b in neighbours]
    else:
        sources = [pair.source for pair in pairs]
        targets = [pair.target for pair in pairs]
    blank = [LabelledText(text, (0,) * _positions(text, level)) for text in sources]
    predictions = predict(encoder, head, blank)
    if level != "token":
        items = tuple(
            LabelledText(text, tuple(labels)) for text, labels in zip(targets, predictions, strict=True)
        )
        return Projection(items, 1.0)
    carried, reached, words = [], 0, 0
    for pair, labels in zip(pairs, predictions, strict=True):
        projected = [IGNORED] * _positions(pair.target, level)
        for i, j in pair.links:
            if i < len(labels) and j < len(projected):
                projected[j] = labels[i]
        words += len(projected)
        hit = sum(label != IGNORED for label in projected)
        reached += hit
        if hit:
            carried.append(LabelledText(pair.target, tuple(projected)))
    return Projection(tuple(carried), reached / max(1, words))


def _positions(text: TokenizedText, level: Level) -> int:
    return 1 + max(text.words) if level == "token" else 1
