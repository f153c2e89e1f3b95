"""Two positions in a passage: where the answer to a question begins and where it ends.

A long passage is read in windows that overlap. A window is one text to learn from; the windows of a question
are put together when it is answered. Position 0 stands for *not here*: it is right for a window without the
answer, as in BERT's treatment of SQuAD (Devlin et al. 2019, arXiv:1810.04805).

The head tells apart starts, ends and other positions. A position scores by its log-odds of being a start and
not neither, and the softmax of those over the window is what Bayes' rule gives if exactly one position is the
start. So logistic regression over single positions, which fits every frozen head, fits this one; and since a
constant cancels in the softmax, a few of the positions that are neither do (case-control sampling).
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from probes.batches import (
    IGNORED,
    LabelledBatch,
    LabelledText,
    Span,
    TextBatch,
    TokenizedPair,
    Tokenizer,
    collate_texts,
)
from probes.data import Example, SpanExample
from probes.encoder import Encoder
from probes.tasks._answers import articles_of, exact_match, overlap
from probes.tasks._level import Answers, Cases, Projection, TaskLevel, Unlabelled, register

_PASSAGE = 1
"""``words`` of a passage's subwords."""
_START, _END, _NEITHER = range(3)
"""Classes of the head."""
_HERE, _BEGINS, _ENDS = 0, 1, 2
"""Bits of a position's label."""
_LONGEST = 30
"""Subwords of an answer, as in run_squad.py of BERT."""
_OTHERS = 8
"""Positions of a window that are neither start nor end and that a frozen head is fitted on: four for each
that is one, beyond which more of them tell little."""
_UNIT = 1000
"""Steps of a logit in which answers of windows are compared."""


@dataclass(frozen=True, slots=True)
class Window(LabelledText):
    """A question with a part of its passage; ``labels`` are first and last subword of the answer, or 0, 0.

    Attributes:
        asked: the question, whole.
        offsets: characters of the passage that each subword covers.
        articles: words that do not count when answers are compared.
    """

    asked: SpanExample
    offsets: tuple[Span, ...]
    articles: frozenset[str]

    @property
    def whole(self) -> Hashable:
        """The passage, so that no part of it is on both sides of a split."""
        return self.asked.passage

    def said(self, start: int, end: int) -> str:
        """The text from the first to the last of two subwords."""
        return self.asked.passage[self.offsets[start][0] : self.offsets[end][1]].strip()

    @property
    def places(self) -> list[int]:
        """The subwords that an answer may begin or end with."""
        return [i for i, side in enumerate(self.text.words) if side == _PASSAGE]


@register
class SpanLevel(TaskLevel):
    """Start and end of an answer."""

    name: ClassVar[str] = "span"

    def labelled(
        self, tokenizer: Tokenizer, examples: Iterable[Example], index: Mapping[str, int]
    ) -> list[LabelledText]:
        """The windows of all questions; a question's follow one another."""
        asked = [example for example in examples if isinstance(example, SpanExample)]
        articles = articles_of(dict.fromkeys(example.passage for example in asked))
        return [window for example in asked for window in _windows(tokenizer, example, articles)]

    def collate(self, items: Sequence[LabelledText], encoder: Encoder) -> LabelledBatch:
        """Pad windows; labels are (batch, length): 1 for a start, 2 for an end, 3 for both, 0 for neither,
        ``IGNORED`` off the passage and the position that stands for no answer."""
        text = collate_texts([item.text for item in items], encoder.tokenizer, encoder.device)
        labels = torch.where(text.words.cpu() == _PASSAGE, _HERE, IGNORED)
        labels[:, 0] = _HERE
        for row, item in enumerate(items):
            for bit, place in zip((_BEGINS, _ENDS), item.labels, strict=True):
                labels[row, place] += bit
        return LabelledBatch(text, labels.to(encoder.device))

    def features(self, encoder: Encoder, hidden: Tensor, text: TextBatch) -> Tensor:
        """The state of every subword, (batch, length, hidden)."""
        return hidden

    def cases(self, encoder: Encoder, hidden: Tensor, batch: LabelledBatch) -> Cases:
        """Start, end, and evenly spaced positions that are neither, *not here* among them."""
        found: list[tuple[int, int, int]] = []
        for row, labels in enumerate(batch.labels.tolist()):
            found += [(row, at, _START) for at, label in enumerate(labels) if label > 0 and label & _BEGINS]
            found += [(row, at, _END) for at, label in enumerate(labels) if label > 0 and label & _ENDS]
            others = [at for at, label in enumerate(labels) if label == _HERE]
            step = max(1, len(others) // _OTHERS)
            spread = others[:1] + others[1 + row % step :: step]  # at other places in every window
            found += [(row, at, _NEITHER) for at in spread]
        rows, columns, classes = torch.tensor(found, device=hidden.device).T
        return Cases(hidden[rows, columns], classes, rows)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of start and end over the positions of each window."""
        return _losses(logits, labels).mean()

    def text_losses(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Summed cross-entropy of start and end of each window, and two labels each, of shape (batch,)."""
        summed = _losses(logits, labels).sum(1)
        return summed, torch.full_like(summed, 2)

    def decode(self, logits: Tensor, text: TextBatch) -> Answers:
        """Of each window the best answer: its first and last subword, and by how many thousandths of a logit
        it beats *not here*; nothing where the window shows none of the passage.

        An answer ends where it begins or after that, and has 30 subwords at most.
        """
        scores = logits[..., :_NEITHER] - logits[..., _NEITHER:]
        nowhere = scores[:, 0].sum(-1)
        start, end = scores.masked_fill((text.words != _PASSAGE)[..., None], -torch.inf).unbind(-1)
        length = start.shape[1]
        sums = torch.full((len(start), length, min(_LONGEST, length)), -torch.inf, device=logits.device)
        for more in range(sums.shape[2]):
            sums[:, : length - more, more] = start[:, : length - more] + end[:, more:]
        best, place = sums.flatten(1).max(1)
        answers = zip(place.tolist(), (best - nowhere).tolist(), strict=True)
        return [
            [at // sums.shape[2], at // sums.shape[2] + at % sums.shape[2], round(margin * _UNIT)]
            if margin > -torch.inf
            else []
            for at, margin in answers
        ]

    def project(self, bitext: Unlabelled) -> Projection:
        """Carry answers along the word links of their passages, as far as labelled questions and passages are
        among the pairs: the model cannot be asked about a sentence without a question."""
        translated = {pair.strings[0].strip(): pair for pair in bitext.pairs}
        known = {id(item.asked): item.asked for item in bitext.labelled if isinstance(item, Window)}
        both = [
            (asked, translated[asked.question], translated[asked.passage.strip()])
            for asked in known.values()
            if asked.answers and asked.question in translated and asked.passage.strip() in translated
        ]
        if not both:
            why = "Labels are not projected: the bitext has no labelled question together with its passage."
            return Projection((), 0.0, why)
        carried = [_carried(asked, question, passage) for asked, question, passage in both]
        examples = [example for example in carried if example]
        return Projection(tuple(self.labelled(bitext.tokenizer, examples, {})), len(examples) / len(both))

    def counts(
        self, items: Sequence[LabelledText], answers: Answers, labels: Sequence[str], metric: str
    ) -> NDArray[np.float64]:
        """A question's points (0-1) and 1, on the first of its windows; nothing on the others.

        Its answer is that of the window where it beats *not here* by the most; where some of the questions
        have none, no answer is given unless one does beat it.
        """
        compare = exact_match if metric == "exact-match" else overlap
        windows = [item for item in items if isinstance(item, Window)]
        may_be_none = any(not window.asked.answers for window in windows)
        rows = np.zeros((len(windows), 2))
        of_question: dict[int, list[int]] = {}
        for row, window in enumerate(windows):
            of_question.setdefault(id(window.asked), []).append(row)
        for parts in of_question.values():
            window, said = windows[parts[0]], ""
            best = max((row for row in parts if answers[row]), key=lambda row: answers[row][2], default=None)
            if best is not None and (answers[best][2] > 0 or not may_be_none):
                said = windows[best].said(*answers[best][:2])
            references = [text for _, text in window.asked.answers] or [""]
            rows[parts[0]] = max(compare(said, text, window.articles) for text in references), 1
        return rows

    def majority(self, fitted: Sequence[LabelledText], like: Sequence[LabelledText]) -> Answers:
        """The place and length that answers most often have in ``fitted``; none where that may be right."""
        common = Counter(
            (item.labels[0] - item.places[0], item.labels[1] - item.labels[0])
            for item in fitted
            if isinstance(item, Window) and any(item.labels)
        )
        ((first, more), _), *_ = common.most_common(1) or [((0, 0), 0)]
        answers = []
        for item in like:
            places = item.places[first : first + more + 1] if isinstance(item, Window) else []
            answers.append([places[0], places[-1], 0] if places else [])
        return answers


def _windows(tokenizer: Tokenizer, asked: SpanExample, articles: frozenset[str]) -> Iterator[Window]:
    """The windows of a question; those that hold all of its first reference answer know where."""
    found = tokenizer.windows(asked.question, asked.passage)
    touched = [_touched(asked, text.words, offsets) for text, offsets in found]
    parts = [
        (offsets[places[0]][0], offsets[places[-1]][1]) if places else None
        for (_, offsets), places in zip(found, touched, strict=True)
    ]
    seen = [part for part in parts if part]
    answer = (min(seen)[0], max(end for _, end in seen)) if seen else None
    for (text, offsets), places, part in zip(found, touched, parts, strict=True):
        labels = (places[0], places[-1]) if part and part == answer else (0, 0)
        yield Window(text, labels, asked, offsets, articles)


def _carried(asked: SpanExample, question: TokenizedPair, passage: TokenizedPair) -> SpanExample | None:
    """The question about the translated passage: its answer reaches from the first to the last of the words
    that are linked with the answer's; None if none is."""
    begin, text = asked.answers[0]
    begin -= len(asked.passage) - len(asked.passage.lstrip())
    source, target = (
        _word_spans(string.strip(), side.surface)
        for string, side in zip(passage.strings, (passage.source, passage.target), strict=True)
    )
    reached = [
        target[j]
        for i, j in passage.links
        if i < len(source) and j < len(target) and source[i][0] < begin + len(text) and source[i][1] > begin
    ]
    if not reached:
        return None
    start, end = min(first for first, _ in reached), max(last for _, last in reached)
    translation = passage.strings[1].strip()
    return SpanExample(question.strings[1], translation, ((start, translation[start:end]),))


def _word_spans(text: str, surface: Sequence[str]) -> list[Span]:
    """Where words stand in their text, one after the other."""
    spans, end = [], 0
    for word in surface:
        start = max(text.find(word, end), end)
        end = start + len(word)
        spans.append((start, end))
    return spans


def _touched(asked: SpanExample, sides: Sequence[int], offsets: Sequence[Span]) -> list[int]:
    """The subwords that have a part in the first reference answer."""
    begin, text = asked.answers[0] if asked.answers else (0, "")
    return [
        i
        for i, (start, end) in enumerate(offsets)
        if sides[i] == _PASSAGE and start < begin + len(text) and end > begin
    ]


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of start and end over the positions of each window, (batch, 2)."""
    scores = logits[..., :_NEITHER] - logits[..., _NEITHER:]
    scores = scores.masked_fill((labels == IGNORED)[..., None], -torch.inf)
    marked = labels.clamp(min=_HERE)
    places = torch.stack([(marked & bit).argmax(1) for bit in (_BEGINS, _ENDS)], dim=1)
    return cross_entropy(scores, places, reduction="none")
