"""TMX and XLIFF, unit by unit.

Read with lxml itself: translate-toolkit gives the codes inside a segment as if they were text, states
languages once for a whole file, and holds all of it in memory.
"""

import re
from collections.abc import Iterator
from typing import Any

from probes.data._records import Dropped
from probes.data.files import InputFile
from probes.data.translation._languages import Segment, in_order, match_language, refuse_ids
from probes.errors import InputError
from probes.languages import Language

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
    return refuse_ids(_tmx(file, source, target), file)


def _tmx(file: InputFile, source: Language, target: Language) -> Iterator[Segment | Dropped]:
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
    return refuse_ids(_xliff(file, source, target), file)


def _xliff(file: InputFile, source: Language, target: Language) -> Iterator[Segment | Dropped]:
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
                raise InputError(f"{file.spec} is not {format} (its root is {_name(top)}): export it again.")
            for event, element in events:
                if event == "end" and _name(element) in names:
                    yield element
                    _forget(element)
        except etree.LxmlError as error:
            reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "malformed"
            raise InputError(f"{file.spec} is not {format} ({reason}): export it again.") from error
        except StopIteration:
            raise InputError(f"{file.spec} is not {format} (it is empty): export it again.") from None


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
