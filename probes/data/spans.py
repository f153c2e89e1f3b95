"""Span tags of every scheme and spelling, read into one: BIO, where ``B-`` opens a span and ``I-`` goes on.

=================  ==========================================================================
scheme             what is read
=================  ==========================================================================
BIO (IOB2, IOB1)   ``B-`` opens, ``I-`` goes on, or opens where no span of its type is open
IOE                ``E-`` closes
IOBES, BMES        ``S-`` is a span of one word, ``M-`` its inside
BILOU              ``L-`` closes, ``U-`` is a span of one word
BMEWO              ``W-`` is a span of one word
bare types         words of one type in a row are one span; ``O`` must be among the tags
=================  ==========================================================================

The letter stands before or after the type (``B-PER``, ``PER-B``), with ``-``, ``_``, ``:``, ``.``, ``/`` or
``|`` between, or alone where there is a single type.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

OUTSIDE = "O"
_OUTSIDE = frozenset({"O", "o", "0", "_", "-", "OUT", "Out", "out"})
_PARTS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
"""Letters of all schemes -> begin, inside, end, single."""
_MEANING = {
    "B": "the first word of a span",
    "I": "a word inside a span",
    "E": "the last word of a span",
    "S": "a span of one word",
}
_SEPARATORS = "-_:./|"
_LAYERS = re.compile(r"[|,;+]\s*[BIMELSUW][-_:]")
_INTEGER = re.compile(r"[+-]?\d+")
_UNTYPED = "span"
_STRAY = 0.01
"""Share of tagged words whose tags may belong to no scheme: slips of annotators (``Odate``)."""

Tags = dict[str, tuple[str, str]]
"""A tag -> its part (B, I, E, S) and the type of its span."""


class SchemeError(ValueError):
    """Tags of which it cannot be told which spans they mean; the message says why."""


@dataclass(slots=True)
class Scheme:
    """How the tags of one file spell spans.

    Attributes:
        name: of the scheme, as it is reported.
        reading: of every tag that belongs to a span; all others are outside.
        stray: words with tags that belong to no scheme, by tag; read as outside.
    """

    name: str
    reading: Tags
    stray: dict[str, int] = field(default_factory=dict)

    def to_bio(self, tags: Sequence[str]) -> tuple[str, ...]:
        """The same spans as BIO tags."""
        result = [OUTSIDE] * len(tags)
        for start, end, kind in _spans([self.reading.get(tag) for tag in tags]):
            result[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
        return tuple(result)


def recognise(tags: Mapping[str, int]) -> Scheme:
    """The scheme that some tags follow, all but a few stray ones.

    Args:
        tags: how often each tag of a file occurs.

    Raises:
        SchemeError: if they follow none, or two that mean different spans.
    """
    typed = sorted(set(tags) - _OUTSIDE)
    if not typed:
        return Scheme("no spans", {})
    _refuse_others(typed)
    readings = list(_readings(typed))
    stray = {tag: tags[tag] for tag in typed if not (tag[1:2] == "-" and tag[0] in _PARTS and tag[2:])}
    if not readings and stray and sum(stray.values()) <= _STRAY * sum(tags[tag] for tag in typed):
        typed = [tag for tag in typed if tag not in stray]
        readings = list(_readings(typed))
    else:
        stray = {}
    if not readings:
        return _bare(typed, tags)
    most = max(map(_plausibility, readings))
    best = [reading for reading in readings if _plausibility(reading) == most]
    scheme = best[0]
    other = next((reading for reading in best if reading.reading != scheme.reading), None)
    if other is not None:
        tag = next(tag for tag in typed if scheme.reading[tag] != other.reading[tag])
        first, second = (
            f"{_MEANING[part]} of type {kind}" for part, kind in (scheme.reading[tag], other.reading[tag])
        )
        raise SchemeError(f"'{tag}' can be {first} or {second}: rename the types")
    scheme.stray = stray
    return scheme


def spans(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Spans (start, end, type) of prefixed tags of any scheme, end exclusive.

    An ``I-`` that does not continue a span of its type opens one, as in the CoNLL-2000 evaluation, and an
    ``E-`` is then a span of one word.

    Raises:
        SchemeError: if a tag is neither ``O`` nor prefixed, which could only be scored as if it were ``O``.
    """
    parsed: list[tuple[str, str] | None] = []
    for tag in tags:
        if tag == OUTSIDE:
            parsed.append(None)
        elif tag[1:2] == "-" and tag[0] in _PARTS:
            parsed.append((_PARTS[tag[0]], tag[2:]))
        else:
            raise SchemeError(f"'{tag}' is no span tag: read the labels with read_labelled, which writes BIO")
    return _spans(parsed)


def _spans(parsed: Iterable[tuple[str, str] | None]) -> Iterator[tuple[int, int, str]]:
    start, kind, i = 0, None, -1
    for i, tag in enumerate(parsed):
        part, name = tag or ("", "")
        if kind is not None and (part not in ("I", "E") or name != kind):
            yield start, i, kind
            kind = None
        if tag is None:
            continue
        if kind is None:
            start, kind = i, name
        if part in ("E", "S"):
            yield start, i + 1, kind
            kind = None
    if kind is not None:
        yield start, i + 1, kind


def _refuse_others(typed: Sequence[str]) -> None:
    shown = ", ".join(f"'{tag}'" for tag in typed[:5])
    if all(_INTEGER.fullmatch(tag) for tag in typed):
        raise SchemeError(f"they are integers without names ({shown}): write the names of the tags")
    bracketed = [tag for tag in typed if re.fullmatch(r"[(*].*[*)]|\(\S+|\*", tag)]
    if bracketed and any("(" in tag or ")" in tag for tag in bracketed):
        raise SchemeError(f"they are brackets as in CoNLL-2012 ({shown}): write O, B-TYPE and I-TYPE")
    layered = next((tag for tag in typed if _LAYERS.search(tag)), None)
    if layered is not None:
        raise SchemeError(f"'{layered}' holds several layers of spans: leave one of them")


def _readings(typed: Sequence[str]) -> Iterator[Scheme]:
    """Every way to take tags apart into letter and type."""
    cuts = []
    for separator in _SEPARATORS:
        cuts.append([(tag[:1], tag[2:]) if tag[1:2] == separator else ("", "") for tag in typed])
        cuts.append([(tag[-1:], tag[:-2]) if tag[-2:-1] == separator else ("", "") for tag in typed])
    for pieces in (*cuts, [(tag, _UNTYPED) for tag in typed]):
        if any(letter.upper() not in _PARTS or not kind for letter, kind in pieces):
            continue
        letters = {letter.upper() for letter, _ in pieces}
        parts = {_PARTS[letter] for letter in letters}
        doubtful = all(kind == _UNTYPED for _, kind in pieces) or any(
            letter.islower() for letter, _ in pieces
        )
        if not doubtful or parts & {"B", "I"}:  # else types such as e-mail, or of one letter
            tags = {
                tag: (_PARTS[letter.upper()], kind) for tag, (letter, kind) in zip(typed, pieces, strict=True)
            }
            yield Scheme(_name(letters), tags)


def _plausibility(scheme: Scheme) -> tuple[int, int]:
    """Schemes have several parts of few types."""
    parts, types = ({each[i] for each in scheme.reading.values()} for i in (0, 1))
    return len(parts & {"B", "I"}), len(parts) - len(types)


def _name(letters: Collection[str]) -> str:
    if {*letters} & {"L", "U"}:
        return "BILOU"
    if {*letters} & {"M", "W"}:
        return "BMEWO" if "W" in letters else "BMES"
    if {*letters} & {"E", "S"}:
        return "IOBES" if {*letters} & {"B", "S"} else "IOE"
    return "BIO"


def _bare(typed: Sequence[str], tags: Collection[str]) -> Scheme:
    shown = ", ".join(f"'{tag}'" for tag in typed[:5])
    prefixed = [tag for tag in typed if tag[1:2] == "-" and _PARTS.get(tag[0]) in ("B", "I") and tag[2:]]
    others = [tag for tag in typed if tag not in prefixed]
    if prefixed:
        raise SchemeError(
            f"'{prefixed[0]}' opens or goes on with a span, and '{others[0]}' could be a type by itself or "
            "a word outside: write both in one scheme"
        )
    if not _OUTSIDE & set(tags):
        raise SchemeError(f"no word is outside a span ({shown}): write O for those that are")
    return Scheme("bare types", {tag: ("I", tag) for tag in typed})
