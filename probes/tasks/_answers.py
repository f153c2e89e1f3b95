"""Answers compared as SQuAD compares them: without case, punctuation and articles, by words.

The rules by language are those of MLQA's script (Lewis et al. 2020, arXiv:1910.07475): the articles of each,
and characters in the place of words in scripts that are written without spaces between them.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from probes.words import is_unspaced

_ARTICLES = (
    ("a", "an", "the"),
    ("un", "una", "unos", "unas", "el", "la", "los", "las"),
    ("của", "là", "cái", "chiếc", "những"),
    ("ein", "eine", "einen", "einem", "eines", "einer", "der", "die", "das", "den", "dem", "des"),
)
"""Of English, Spanish, Vietnamese and German."""
_ARABIC_ARTICLE = re.compile(r"\bال")
"""It is written with its noun, and in that script alone."""
_COMMON = 0.01
"""Share of the words, at least, that the second most frequent article of a language makes up."""


def articles_of(passages: Iterable[str]) -> frozenset[str]:
    """The articles of the language that passages are in, in lower case; none where they are no words of
    their own.

    It is the language of which two articles at least are frequent: one may be another word elsewhere.
    """
    words = Counter(word for passage in passages for word in re.findall(r"\w+", passage.lower()))
    second, articles = max(
        (sorted(words[a] for a in articles)[-2], sorted(articles)) for articles in _ARTICLES
    )
    return frozenset(articles) if second > _COMMON * words.total() else frozenset()


def exact_match(said: str, reference: str, articles: frozenset[str]) -> float:
    """1 if the two are the same words, else 0."""
    return float(_words(said, articles) == _words(reference, articles))


def overlap(said: str, reference: str, articles: frozenset[str]) -> float:
    """F1 over the words of both, 0-1; where one has no word, 1 if neither has."""
    one, other = _words(said, articles), _words(reference, articles)
    if not one or not other:
        return float(one == other)
    return 2 * (Counter(one) & Counter(other)).total() / (len(one) + len(other))


@lru_cache(maxsize=4096)
def _words(text: str, articles: frozenset[str]) -> tuple[str, ...]:
    """The words that count; of scripts without spaces each character with its marks."""
    kept = "".join(character for character in text.lower() if not _is_punctuation(character))
    kept = re.sub(rf"\b({'|'.join(sorted(articles))})\b", " ", kept) if articles else kept
    spaced, unspaced = [], False
    for character in _ARABIC_ARTICLE.sub("", kept):
        if unicodedata.category(character)[0] != "M":
            before, unspaced = unspaced, is_unspaced(character)
            spaced += [" "] if before or unspaced else []
        spaced.append(character)
    return tuple("".join(spaced).split())


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] == "P" or character in "$+<=>^`|~"
