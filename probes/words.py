"""Words in raw text, and which of them translate each other.

Words are found by the rules of Unicode Standard Annex 29 (default word boundaries), reduced to what
aligning words takes: an apostrophe or a full stop inside a word belongs to it (``don't``, ``l'homme``,
``3.14``), a hyphen stands by itself, and so does every other mark. Scripts written without spaces between
words come out as one span a run, because the rules cannot split them; there every subword counts as a word.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING

import regex

if TYPE_CHECKING:  # segmentation does not need torch, so importing this module does not load it
    from torch import Tensor

_UNSPACED = regex.compile(
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Tibetan}"
    r"\p{Script=Myanmar}\p{Script=Khmer}\u3006\u3031-\u3035\u303c\u30fc\uff70\uff9e\uff9f]"
)
"""Scripts without spaces, and signs of repetition, length and voice that Unicode counts to none of them."""

_TSHEG = "\u0f0b\u0f0c"
"""Tibetan syllable marks: they stand inside words, so they do not end a run."""

_ZERO_WIDTH_SPACES = "\u200b\ufeff"

# The classes MidNumLet, MidLetter and MidNum of the annex. The colon is left out of MidLetter: joining
# over it suits Swedish only.
_JOIN_ALIKE = frozenset("'.\u2018\u2019\u2024\uff07\uff0e")
_JOIN_LETTERS = frozenset("\u00b7\u0387\u055f\u05f3\u05f4\u2027")
_JOIN_DIGITS = frozenset(",;\u037e\u0589\u060c\u066b\u066c\u2044\uff0c")
_HEBREW_LETTERS = ("\u05d0", "\u05ea")


class _Kind(Enum):
    BLANK = auto()  # ends a word
    SILENT = auto()  # direction marks, joiners, soft hyphens: belongs to the word around it, if any
    MARK = auto()  # combining: belongs to what it stands on
    WORD = auto()  # letters, numbers, underscores
    UNSPACED = auto()  # letters of scripts written without spaces
    OTHER = auto()  # punctuation and symbols


@cache
def _kind(character: str) -> _Kind:
    category = unicodedata.category(character)
    if character.isspace() or character in _ZERO_WIDTH_SPACES or category in ("Cc", "Cs", "Cn"):
        return _Kind.BLANK
    if category == "Cf":
        return _Kind.SILENT
    if category[0] == "M":
        return _Kind.MARK
    if character in _TSHEG:
        return _Kind.UNSPACED
    if category[0] == "L" or category == "Nl":
        return _Kind.UNSPACED if _UNSPACED.match(character) else _Kind.WORD
    return _Kind.WORD if category[0] == "N" or category == "Pc" else _Kind.OTHER


def is_unspaced(text: str) -> bool:
    """Whether ``text`` has a letter of a script that is written without spaces between words."""
    return any(_kind(character) is _Kind.UNSPACED for character in text)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Character spans of the words and punctuation marks of ``text``, in order, end exclusive.

    A run of the same mark (``...``) is one span, and so is a run of letters of scripts without spaces
    (see :func:`is_unspaced`). Spaces and control characters belong to no span.
    """
    spans: list[tuple[int, int]] = []
    open_kind: _Kind | None = None  # of the span that the next character may still join
    for i, character in enumerate(text):
        kind = _kind(character)
        if kind is _Kind.BLANK:
            open_kind = None
        elif kind is _Kind.SILENT:
            continue
        elif open_kind is not None and (
            kind is _Kind.MARK
            or (kind is open_kind and (kind is not _Kind.OTHER or character == text[i - 1]))
            or (kind is _Kind.OTHER and open_kind is _Kind.WORD and _joins(text, i))
        ):
            spans[-1] = (spans[-1][0], i + 1)
        else:
            spans.append((i, i + 1))
            open_kind = _Kind.WORD if kind is _Kind.MARK else kind
    return spans


def _joins(text: str, i: int) -> bool:
    """Whether the mark at ``i`` stands inside a word or number (rules WB6, WB7, WB7b, WB7c, WB11, WB12)."""
    mark, before, after = text[i], text[i - 1], text[i + 1 : i + 2]
    if not after or _kind(after) is not _Kind.WORD:
        return False
    if before.isdecimal() and after.isdecimal():
        return mark in _JOIN_ALIKE or mark in _JOIN_DIGITS
    if before.isdecimal() or after.isdecimal():
        return False
    if mark == '"':  # Hebrew abbreviations
        return all(_HEBREW_LETTERS[0] <= letter <= _HEBREW_LETTERS[1] for letter in (before, after))
    return mark in _JOIN_ALIKE or mark in _JOIN_LETTERS


def token_words(offsets: Sequence[tuple[int, int]], text: str) -> list[int | None]:
    """The word that each subword belongs to.

    In spaced text that is the word whose span (:func:`word_spans`) holds the subword's first character
    that is not a space. In text without spaces every subword is a word of its own, together with those
    that begin at the same character: the pieces of one character in a byte-level vocabulary, or the lone
    space marker that SentencePiece puts before a sentence.

    Args:
        offsets: (start, end) of each subword in ``text``, as a fast tokenizer gives them; special tokens
            have start = end.
        text: the text that was tokenised.

    Returns:
        For each subword a word index, or None if it covers no word. The indices ascend from 0 without a
        gap, so words beyond a truncation are not counted.
    """
    span_of: list[int | None] = [None] * len(text)
    spans = word_spans(text)
    for index, (start, end) in enumerate(spans):
        span_of[start:end] = [index] * (end - start)
    unspaced = [is_unspaced(text[start:end]) for start, end in spans]

    words: list[int | None] = []
    count = 0
    previous: tuple[int, int] | None = None  # what made the last word: its span, and where it began
    for start, end in offsets:
        first = next((i for i in range(start, end) if span_of[i] is not None), None)
        span = None if first is None else span_of[first]
        if first is None or span is None:
            words.append(None)
            continue
        key = (span, first if unspaced[span] else spans[span][0])
        count += key != previous
        previous = key
        words.append(count - 1)
    return words


def mutual_argmax(source: "Tensor", target: "Tensor") -> list[tuple[int, int]]:
    """Links between words that are each other's nearest neighbour by cosine.

    This is the Argmax method of SimAlign (Sabet et al. 2020, arXiv:2004.08728): precise, and
    one to one.

    Args:
        source: word vectors of one sentence, shape (n, d).
        target: word vectors of its translation, shape (m, d).

    Returns:
        Pairs (source index, target index), ascending; none if a side is empty.
    """
    if not len(source) or not len(target):
        return []
    tiny = 1e-12  # keeps the cosine with a zero vector at zero
    similarity = (source / source.norm(dim=-1, keepdim=True).clamp(min=tiny)) @ (
        target / target.norm(dim=-1, keepdim=True).clamp(min=tiny)
    ).T
    forward: list[int] = similarity.argmax(dim=1).tolist()
    backward: list[int] = similarity.argmax(dim=0).tolist()
    return [(i, j) for i, j in enumerate(forward) if backward[j] == i]


def dictionary_links(
    source_words: Sequence[str], target_words: Sequence[str], entries: Mapping[str, Collection[str]]
) -> list[tuple[int, int]]:
    """Links between words that a bilingual dictionary translates into each other.

    A word with two candidate partners in the sentence is left out: which one it translates is not known.

    Args:
        source_words: words of one sentence, in any case.
        target_words: words of its translation.
        entries: case-folded source word -> translations in any case.

    Returns:
        Pairs (source index, target index), ascending, one to one.
    """
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for j, word in enumerate(target_words):
        positions[word.casefold()].append(j)
    partners: list[list[int]] = []
    for word in source_words:
        translations = {translation.casefold() for translation in entries.get(word.casefold(), ())}
        partners.append([j for translation in translations for j in positions.get(translation, ())])
    claims: defaultdict[int, int] = defaultdict(int)
    for candidates in partners:
        for j in candidates:
            claims[j] += 1
    return [
        (i, candidates[0])
        for i, candidates in enumerate(partners)
        if len(candidates) == 1 and claims[candidates[0]] == 1
    ]


def drop_identical(
    links: Iterable[tuple[int, int]], source_words: Sequence[str], target_words: Sequence[str]
) -> list[tuple[int, int]]:
    """The links worth learning from: those between different words that both have a letter.

    Identical words, numbers and punctuation have the same subwords in both languages, so there is little
    left to align; Wu and Dredze (2020, arXiv:2010.02537) leave such pairs out too.
    """

    def has_letter(word: str) -> bool:
        return any(character.isalpha() for character in word)

    return [
        (i, j)
        for i, j in links
        if source_words[i] != target_words[j] and has_letter(source_words[i]) and has_letter(target_words[j])
    ]
