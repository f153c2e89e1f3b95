"""Which side of a translation file is in which language, and whether it is in a language at all."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from probes.data._records import Dropped
from probes.data.files import InputFile
from probes.errors import InputError
from probes.languages import Language, parse_language

Segment = tuple[str, str]
"""A source text and its translation, as found: either side may be empty."""

_ID = re.compile(
    r"[A-Za-z0-9$]+(?:[._:/-]+[A-Za-z0-9$]+)*[._]+[A-Za-z0-9$]+(?:[._:/-]+[A-Za-z0-9$]+)*|[A-Z0-9]+(?:_[A-Z0-9]+)+"
)
_FEWEST = 5
"""Units from which on it is concluded that one side holds the names of messages."""
_PEEKED = 200


def match_language(names: Iterable[str], language: Language) -> str | None:
    """The first name (of a column, a segment's language) that stands for ``language``.

    One in the same script is preferred: of ``zho_Hans`` and ``zho_Hant``, ``zh-Hant`` picks the second.
    """
    found = ((name, language_called(name)) for name in names)
    matches = {name: known.script for name, known in found if known and known.code == language.code}
    return min(matches, key=lambda name: matches[name] != language.script, default=None)


@lru_cache(maxsize=1024)  # every unit of a file asks again
def language_called(name: str) -> Language | None:
    """The language of that name or code; None if there is none."""
    try:
        return parse_language(name)
    except InputError:
        return None


def agrees(stated: str | None, language: Language) -> bool:
    """Whether a language that may be stated is this one, as far as can be told."""
    return not stated or match_language([stated], language) is not None


def in_order(
    pair: Segment, stated: Sequence[str | None], source: Language, target: Language
) -> Segment | Dropped:
    """The pair from the source to the target language, if it is in these as far as is stated."""
    first, second = stated
    turned = swapped(first, second, source, target)
    if turned is None:
        return Dropped(f"in other languages ({' to '.join(name for name in stated if name)})")
    return pair[::-1] if turned else pair


def swapped(first: str | None, second: str | None, source: Language, target: Language) -> bool | None:
    """Whether stated languages run from the target to the source language; None if they are others."""
    if agrees(first, source) and agrees(second, target):
        return False
    return True if agrees(first, target) and agrees(second, source) else None


def refuse_ids(segments: Iterator[Segment | Dropped], file: InputFile) -> Iterator[Segment | Dropped]:
    """The same segments, unless one side holds the names of messages (``menu.file.open``) instead of text.

    Raises:
        InputError: if most of them do.
    """
    peeked: list[Segment | Dropped] = []
    for segment in segments:
        peeked.append(segment)
        if len(peeked) == _PEEKED:
            break
    pairs = [s for s in peeked if not isinstance(s, Dropped) and all(side.strip() for side in s)]
    for side in (0, 1):
        ids = [pair[side] for pair in pairs if _ID.fullmatch(pair[side].strip())]
        if len(pairs) >= _FEWEST and len(ids) > 0.8 * len(pairs):
            raise InputError(
                f"{file.spec} has the names of messages ('{ids[0].strip()[:40]}') where text is needed: "
                "export it with the source text, or merge it with the file that holds it."
            )
    yield from peeked
    yield from segments
