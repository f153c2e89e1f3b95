"""Translation files: TMX and XLIFF, unit by unit, and PO through translate-toolkit.

TMX and XLIFF are read with lxml itself: translate-toolkit gives the codes inside a segment as if they were
text, states languages once for a whole file, and holds all of it in memory.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, cast

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
    peeked = list(islice(segments, _PEEKED))
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


_CHARSET = re.compile(rb"charset=\s*([\w.:-]+)")


def read_po(file: InputFile, source: Language, target: Language) -> Iterator[Segment | Dropped]:
    """Messages and their translations; fuzzy and obsolete ones are dropped, plurals give the singular.

    The ``Language`` header, where there is one, says which of the two languages ``msgstr`` is in, and
    ``X-Source-Language`` which ``msgid`` is in.

    Raises:
        InputError: if it is not PO, its languages are not the two, or ``msgid`` holds names of messages.
    """
    from translate.storage.po import pofile

    try:
        store = cast(Any, pofile).parsestring(_in_utf8(file))
    except InputError:
        raise
    except Exception as error:  # the toolkit lets through errors of assertions, of decoding and its own
        raise InputError(_unreadable(file, "PO", str(error))) from error
    header = store.parseheader()
    first = header.get("X-Source-Language", "").strip() or None
    second = header.get("Language", "").strip() or None
    turned = swapped(first, second, source, target)
    if turned is None:
        stated = f"from {first} to {second}" if first and second else f"in {second or first}"
        raise InputError(
            f"{file.spec} says it is {stated}, not {source.name} and {target.name}: name another file or "
            "other languages."
        )
    return _segments(store, turned)


def _unreadable(file: InputFile, format: str, why: str) -> str:
    reason = why.strip().partition("\n")[0].rstrip(".") or "malformed"
    return f"{file.spec} is not {format} ({reason}): export it again."


def _in_utf8(file: InputFile) -> bytes:
    """The content in UTF-8, whatever it is in: behind a short header the toolkit goes on in UTF-8."""
    content = file.content()
    stated = _CHARSET.search(content)
    charset = stated[1].decode() if stated else "CHARSET"
    if charset.upper() in ("UTF-8", "UTF8", "CHARSET"):
        return content
    try:
        return _CHARSET.sub(b"charset=UTF-8", content.decode(charset).encode(), count=1)
    except (LookupError, ValueError):
        return content


def _segments(store: Any, turned: bool) -> Iterator[Segment | Dropped]:
    for unit in store.units:
        if unit.isheader():
            continue
        if unit.isobsolete():
            yield Dropped("obsolete")
        elif unit.isfuzzy():
            yield Dropped("fuzzy")
        else:
            first, second = str(unit.source or ""), str(unit.target or "")
            yield (second, first) if turned else (first, second)


_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

_CODES = frozenset({"bpt", "ept", "ph", "it", "ut", "sub", "x", "bx", "ex", "sc", "ec", "sm", "em", "cp"})
"""Elements of a segment that stand for code of the original document, in TMX, XLIFF 1 and XLIFF 2."""
_BREAK = re.compile(r"<\s*/?(?:br|p|div|li|td|tr)\b|^\s*(?:\n|\t|\\n|\\t)\s*$", re.IGNORECASE)
_UNFINISHED = frozenset({"new", "initial", "needs-translation", "needs-adaptation", "needs-l10n"})
_UNREVIEWED = frozenset({"needs-review-translation", "needs-review-adaptation", "needs-review-l10n"})


def read_tmx(file: InputFile, source: Language, target: Language) -> Iterator[Segment | Dropped]:
    """The variants in the two languages of each translation unit, without the codes inside them.

    Of several variants in a language the first with text is taken, one in the same script before others.

    Raises:
        InputError: if it is not TMX, or no unit has both languages.
    """
    seen: dict[str, None] = {}
    matched = False
    for unit in _units(file, "TMX", "tmx", ("tu",)):
        texts: dict[str, str] = {}
        further = 0
        for variant in unit:
            if _name(variant) != "tuv":
                continue
            # before TMX 1.4 the attribute was plain `lang`
            language = variant.get(_XML_LANG) or variant.get("lang") or ""
            segment = next((child for child in variant if _name(child) == "seg"), None)
            text = _text(segment).strip()
            further += bool(text and texts.get(language) and text != texts[language])
            texts[language] = texts.get(language) or text
        seen.update(dict.fromkeys(texts))
        full = [language for language, text in texts.items() if text]
        first, second = (
            match_language(full, side) or match_language(texts, side) for side in (source, target)
        )
        if first is None or second is None:
            yield Dropped(f"no {(source if first is None else target).name} segment")
            continue
        matched = True
        yield texts[first], texts[second]
        if further:
            yield Dropped("a further segment in the same language")
    if not matched:
        raise InputError(
            f"{file.spec} has no unit in both {source.name} and {target.name}: its languages are "
            f"{', '.join(seen) or 'not stated'}."
        )


def read_xliff(file: InputFile, source: Language, target: Language) -> Iterator[Segment | Dropped]:
    """The source and target of each unit of XLIFF 1 or 2, without the codes inside them.

    The languages are those of the unit, else of its file. Units in other languages, and those whose state or
    approval says that they are not translated, are dropped.

    Raises:
        InputError: if it is not XLIFF, no unit is in the two languages, or the sources are names of messages.
    """
    stated: dict[str, None] = {}
    matched = read = False
    for unit in _units(file, "XLIFF", "xliff", ("trans-unit", "segment")):
        read = True
        sides = {_name(child): child for child in reversed(unit)}
        first, second = sides.get("source"), sides.get("target")
        pair = in_order((_text(first), _text(second)), _languages(unit, first, second), source, target)
        if isinstance(pair, Dropped):
            stated[pair.reason] = None
            yield pair
            continue
        matched = True
        state = _state(unit, second)
        if state is not None and second is not None and _text(second).strip():
            yield Dropped(state)
            continue
        yield pair
    if read and not matched:
        raise InputError(
            f"{file.spec} is {', '.join(list(stated)[:5])}, not {source.name} and {target.name}: name "
            "another file or other languages."
        )


def _languages(unit: Any, first: Any, second: Any) -> tuple[str | None, str | None]:
    """What the sides say of themselves, else what the file element or the root says."""
    place = next((node for node in unit.iterancestors() if _name(node) == "file"), None)
    root = unit.getroottree().getroot()
    outer = (
        (place.get("source-language"), place.get("target-language"))
        if place is not None and place.get("source-language")
        else (root.get("srcLang"), root.get("trgLang"))
    )
    own = (side.get(_XML_LANG) if side is not None else None for side in (first, second))
    return tuple(inner or stated for inner, stated in zip(own, outer, strict=True))


def _state(unit: Any, second: Any) -> str | None:
    """Why a unit's translation is none yet; None if nothing says so."""
    state = (second.get("state") if second is not None else None) or unit.get("state") or ""
    if state in _UNFINISHED or state in _UNREVIEWED:
        return f"not translated yet (state {state})" if state in _UNFINISHED else f"fuzzy (state {state})"
    if unit.get("approved") == "no" and state not in ("translated", "final", "signed-off"):
        return "not approved"
    return None


def _units(file: InputFile, format: str, root: str, names: tuple[str, ...]) -> Iterator[Any]:
    """The elements of these names, each gone once the next is asked for.

    External entities are not resolved and nothing is fetched.

    Raises:
        InputError: if it is not well-formed, or its root is another.
    """
    from lxml import etree

    with file.open() as stream:
        try:
            events = etree.iterparse(
                stream, events=("start", "end"), resolve_entities=False, load_dtd=False, no_network=True
            )
            _, top = next(events)
            if _name(top) != root:
                raise InputError(_unreadable(file, format, f"its root is {_name(top)}"))
            for event, element in events:
                if event == "end" and _name(element) in names:
                    yield element
                    _forget(element)
        except etree.LxmlError as error:
            raise InputError(_unreadable(file, format, str(error))) from error
        except StopIteration:
            raise InputError(_unreadable(file, format, "it is empty")) from None


def _forget(element: Any) -> None:
    """Free an element and what stands before it."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]


def _name(element: Any) -> str:
    """The element's name without its namespace; comments and the like have none."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _text(element: Any) -> str:
    """The text of a segment: that of codes is dropped, that of highlights and marks stays."""
    if element is None:
        return ""
    if not len(element):
        return element.text or ""
    parts = [element.text or ""]
    for child in element:
        name = _name(child)
        if name and name not in _CODES:
            parts.append(_text(child))
        elif name and _breaks(child):
            parts.append(" ")
        parts.append(child.tail or "")
    return "".join(parts)


def _breaks(code: Any) -> bool:
    """Whether a code separates the words around it."""
    kinds = {code.get(name) for name in ("ctype", "type", "subType", "equiv-text", "equiv")}
    return (
        bool(kinds & {"lb", "pb", "x-br", "xlf:lb", "xlf:pb", " ", "\n"})
        or _BREAK.search("".join(code.itertext())) is not None
    )
