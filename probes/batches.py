"""Tokenised text and its batches: what passes between the data and the encoder."""

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from transformers import BatchEncoding, PreTrainedTokenizerFast

from probes.words import token_words

IGNORED = -100
"""Label of positions that take no part in a loss (torch's convention)."""
Span = tuple[int, int]
"""First character and end, exclusive."""
_SPACE = "\u2581"
"""How SentencePiece writes the space before a word."""


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """One text as subwords.

    Attributes:
        ids: subword ids with special tokens.
        segments: token type of each subword (0 unless the text is a pair).
        words: for each subword the index of its word, -1 for special tokens.
        surface: the words themselves.
        cut: whether its end fell beyond the longest input.
    """

    ids: tuple[int, ...]
    segments: tuple[int, ...]
    words: tuple[int, ...]
    surface: tuple[str, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A tokenised text with class indices: one a word, just one, or places in the text."""

    text: TokenizedText
    labels: tuple[int, ...]

    @property
    def whole(self) -> Hashable:
        """What it is a part of that no split may divide; by default nothing but itself."""
        return id(self)


@dataclass(frozen=True, slots=True)
class TokenizedPair:
    """A translation pair; ``links`` are (source word, target word) indices of aligned words."""

    strings: tuple[str, str]
    source: TokenizedText
    target: TokenizedText
    links: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Padded texts.

    Attributes:
        inputs: keyword arguments of the encoder's forward, each of shape (batch, length).
        words: word index of each subword, shape (batch, length); -1 for special tokens and padding.
    """

    inputs: dict[str, Tensor]
    words: Tensor

    def __len__(self) -> int:
        return int(self.words.shape[0])


@dataclass(frozen=True, slots=True)
class LabelledBatch:
    """Texts with labels: (batch, length) with IGNORED where nothing is labelled, or (batch,)."""

    text: TextBatch
    labels: Tensor


@dataclass(frozen=True)
class PairBatch:
    """Translation pairs.

    Attributes:
        source, target: the two sides.
        links: aligned words, shape (links, 4): source row, source word, target row, target word.
        targets: the target sentences.
        join: puts each source sentence and one of others into one input.
    """

    source: TextBatch
    target: TextBatch
    links: Tensor
    targets: tuple[str, ...]
    join: Callable[[Sequence[str]], TextBatch]

    @cached_property
    def joined(self) -> TextBatch:
        """Each source sentence followed by its translation, as one input."""
        return self.join(self.targets)

    @cached_property
    def mismatched(self) -> TextBatch:
        """Each source sentence followed by the next pair's translation."""
        return self.join([*self.targets[1:], self.targets[0]])


class Tokenizer:
    """Turns texts and examples into subwords, keeping track of words.

    Args:
        backend: the encoder's fast tokenizer.
        max_length: longest input in subwords; a text that lies beyond is marked as cut.
    """

    def __init__(self, backend: PreTrainedTokenizerFast, max_length: int) -> None:
        self.backend = backend
        self.max_length = max_length
        self._segments = "token_type_ids" in backend.model_input_names

    @cached_property
    def sha256(self) -> str:
        """Of all that decides how a text is cut: two tokenizers with the same give the same subwords."""
        state = json.loads(self.backend.backend_tokenizer.to_str())
        parts = {name: state[name] for name in ("normalizer", "pre_tokenizer", "model")}
        parts["special"] = [*self.backend.all_special_ids, self._segments]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def words(self, words: Sequence[str]) -> TokenizedText:
        """Tokenise a text that is split into words already.

        The words are joined by spaces first: a byte-level tokenizer would otherwise cut each into the pieces
        it has for the inside of a word.
        """
        text = " ".join(words)
        owner = [i for i, word in enumerate(words) for _ in f"{word} "]
        encoding, offsets = self._locate(text)
        inked = (next((i for i in range(*span) if not text[i].isspace()), None) for span in offsets)
        of_word = tuple(-1 if first is None else owner[first] for first in inked)
        return self._finish(encoding, of_word, tuple(words))

    def text(self, text: str) -> TokenizedText:
        """Tokenise running text; words are found by :mod:`probes.words`."""
        encoding, offsets = self._locate(text)
        indices = token_words(offsets, text)
        of_word = tuple(-1 if word is None else word for word in indices)
        return self._finish(encoding, of_word, _surfaces(offsets, of_word, text))

    def pair(self, first: str, second: str) -> TokenizedText:
        """Tokenise two texts as one input, with whatever the model puts between them."""
        first, second = (self._shortened(text, 2 * self.max_length) for text in (first, second))
        encoding = self.backend(first, second, truncation=True, max_length=self.max_length)
        sides = encoding.sequence_ids(0)
        return self._finish(encoding, tuple(-1 if side is None else side for side in sides), ())

    def windows(self, question: str, passage: str) -> list[tuple[TokenizedText, tuple[Span, ...]]]:
        """Tokenise a question with a passage, as often as it takes to go through the passage.

        Windows overlap by a third of the longest input, and so long is the question at most. Their ``words``
        are 1 on subwords of the passage that cover something, 0 on those of the question, else -1.

        Returns:
            Each window with the characters of its text, from first to end, that each of its subwords covers.
        """
        third = self.max_length // 3
        question = self._shortened(question, third)
        while len(self.backend.tokenize(question)) > third:  # a character can be many subwords
            question = question[: len(question) // 2]
        encoding = self.backend(
            question,
            passage,
            truncation="only_second",
            max_length=self.max_length,
            stride=third,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        found = []
        for row, window in enumerate(encoding.encodings or ()):
            spans = _covered(window.tokens, window.offsets)
            sides = [
                -1 if side is None or (side and not passage[slice(*span)].strip()) else side
                for side, span in zip(encoding.sequence_ids(row), spans, strict=True)
            ]
            segments = tuple(window.type_ids) if self._segments else (0,) * len(sides)
            found.append((TokenizedText(tuple(window.ids), segments, tuple(sides), ()), tuple(spans)))
        return found

    def translation(self, source: str, target: str, *, split: bool = False) -> TokenizedPair:
        """Tokenise both sides of a translation pair; links are set later.

        Args:
            source, target: running text.
            split: whether words are what stands between white space, as files of word links count them.
        """
        if not split:
            return TokenizedPair((source, target), self.text(source), self.text(target))
        first, second = source.split(), target.split()
        return TokenizedPair((" ".join(first), " ".join(second)), self.words(first), self.words(second))

    def _shortened(self, text: str, most: int) -> str:
        """The text up to ``most`` subwords. What is cut off a pair is kept in every combination of its
        pieces, so that two texts of ten thousand characters would take gigabytes."""
        if len(text) <= most:
            return text
        encoding = self.backend(
            text, truncation=True, max_length=most, add_special_tokens=False, return_offsets_mapping=True
        )
        return text[: max((int(end) for _, end in encoding["offset_mapping"]), default=0)]

    def _locate(self, text: str) -> tuple[BatchEncoding, list[Span]]:
        """Subwords of a text with the characters each covers."""
        encoding = self.backend(
            text, truncation=True, max_length=self.max_length, return_offsets_mapping=True
        )
        return encoding, _covered(encoding.tokens(), encoding["offset_mapping"])

    def _finish(
        self, encoding: BatchEncoding, of_word: tuple[int, ...], surface: tuple[str, ...]
    ) -> TokenizedText:
        ids = tuple(encoding["input_ids"])
        segments = tuple(encoding["token_type_ids"]) if self._segments else (0,) * len(ids)
        assert encoding.encodings is not None
        return TokenizedText(ids, segments, of_word, surface, cut=bool(encoding.encodings[0].overflowing))


def _covered(tokens: Sequence[str], offsets: Sequence[Sequence[int]]) -> list[Span]:
    """The characters that each subword covers.

    SentencePiece may give the space before a word a subword of its own, above all where words begin with
    letters that rarely follow a space (Chinese, Thai). It covers no character here: a label or a word
    vector on it would be that of a space.
    """
    spans = [(int(start), int(end)) for start, end in offsets]
    followed = zip(tokens, spans, [*spans[1:], (0, 0)], strict=True)
    return [
        (span[0], span[0]) if token == _SPACE and _begins_with(after, span) else span
        for token, span, after in followed
    ]


def _begins_with(span: Span, part: Span) -> bool:
    return span[0] == part[0] and span[1] >= part[1] > part[0]


def _surfaces(offsets: Sequence[Span], of_word: Sequence[int], text: str) -> tuple[str, ...]:
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for (start, end), word in zip(offsets, of_word, strict=True):
        if word >= 0:
            starts.setdefault(word, start)
            ends[word] = end
    return tuple(text[starts[word] : ends[word]].strip() for word in sorted(starts))


def collate_texts(
    texts: Sequence[TokenizedText], backend: PreTrainedTokenizerFast, device: torch.device | str = "cpu"
) -> TextBatch:
    """Pad ``texts`` on the right into one batch."""
    length = max(len(text.ids) for text in texts)

    def pad(rows: Iterable[Sequence[int]], value: int) -> Tensor:
        return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows], device=device)

    inputs = {
        "input_ids": pad((text.ids for text in texts), int(backend.pad_token_id or 0)),
        "attention_mask": pad(([1] * len(text.ids) for text in texts), 0),
    }
    if "token_type_ids" in backend.model_input_names:
        inputs["token_type_ids"] = pad((text.segments for text in texts), 0)
    return TextBatch(inputs, pad((text.words for text in texts), -1))


def collate_pairs(
    pairs: Sequence[TokenizedPair], tokenizer: Tokenizer, device: torch.device | str = "cpu"
) -> PairBatch:
    """Pad translation pairs and number their links by row."""
    links = [(row, i, row, j) for row, pair in enumerate(pairs) for i, j in pair.links]
    sources = [pair.strings[0] for pair in pairs]
    targets = [pair.strings[1] for pair in pairs]

    def join(others: Sequence[str]) -> TextBatch:
        joined = [tokenizer.pair(first, second) for first, second in zip(sources, others, strict=True)]
        return collate_texts(joined, tokenizer.backend, device)

    return PairBatch(
        source=collate_texts([pair.source for pair in pairs], tokenizer.backend, device),
        target=collate_texts([pair.target for pair in pairs], tokenizer.backend, device),
        targets=tuple(targets),
        join=join,
        links=torch.tensor(links, dtype=torch.long, device=device).reshape(-1, 4),
    )
