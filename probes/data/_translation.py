"""Bitext from translation files: TMX, PO and XLIFF, through translate-toolkit."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from probes.data._files import InputFile
from probes.data._records import Dropped
from probes.errors import InputError
from probes.languages import Language, parse_language

__all__ = ["Segment", "match_language", "read_po", "read_tmx", "read_xliff"]

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

Segment = tuple[str, str]
"""A source text and its translation, as found: either side may be empty."""


def match_language(names: Iterable[str], language: Language) -> str | None:
    """The first name (of a column, a segment's language) that stands for ``language``.

    One in the same script is preferred: of ``zho_Hans`` and ``zho_Hant``, ``zh-Hant`` picks the second.
    """
    found = ((name, _language_called(name)) for name in names)
    matches = {name: known.script for name, known in found if known and known.code == language.code}
    return min(matches, key=lambda name: matches[name] != language.script, default=None)


@lru_cache(maxsize=1024)  # every unit of a file asks again
def _language_called(name: str) -> Language | None:
    try:
        return parse_language(name)
    except InputError:
        return None


def read_tmx(file: InputFile, source: Language, target: Language) -> Iterator[Segment | Dropped]:
    """The variants in the two languages of each translation unit.

    Raises:
        InputError: if it is not TMX, or no unit has both languages.
    """
    from translate.storage.tmx import tmxfile

    store = _parse(file, tmxfile, "TMX")
    seen: dict[str, None] = {}
    matched = False
    for unit in store.units:
        texts: dict[str, str] = {}
        for node in unit.getlanguageNodes():
            # before TMX 1.4 the attribute was plain `lang`
            texts.setdefault(node.get(_XML_LANG) or node.get("lang") or "", unit.getNodeText(node) or "")
        seen.update(dict.fromkeys(texts))
        first, second = match_language(texts, source), match_language(texts, target)
        missing = source if first is None else target
        if first is None or second is None:
            yield Dropped(f"no {missing.name} segment")
        else:
            matched = True
            yield texts[first], texts[second]
    if not matched:
        raise InputError(
            f"{file.spec} has no unit in both {source.name} and {target.name}: its languages are "
            f"{', '.join(seen) or 'not stated'}."
        )


def read_po(file: InputFile, source: Language, target: Language) -> Iterator[Segment | Dropped]:
    """Messages and their translations; fuzzy and obsolete ones are dropped, plurals give the singular.

    The ``Language`` header, where there is one, says which of the two languages ``msgstr`` is in.

    Raises:
        InputError: if it is not PO, or its language is neither of the two.
    """
    from translate.storage.po import pofile

    store = _parse(file, pofile, "PO")
    stated = store.parseheader().get("Language", "").strip()
    swapped = _swapped(file, None, stated or None, source, target)
    for unit in store.units:
        if unit.isheader():
            continue
        if unit.isobsolete():
            yield Dropped("obsolete")
        elif unit.isfuzzy():
            yield Dropped("fuzzy")
        else:
            yield _sides(unit, swapped)


def read_xliff(file: InputFile, source: Language, target: Language) -> Iterator[Segment | Dropped]:
    """The source and target of each unit of XLIFF 1.2 or 2.0.

    Raises:
        InputError: if it is not XLIFF, or its languages are not the two.
    """
    from translate.storage.xliff import xlifffile
    from translate.storage.xliff2 import Xliff2File

    second_version = b"urn:oasis:names:tc:xliff:document:2" in file.head(4096)
    store = _parse(file, Xliff2File if second_version else xlifffile, "XLIFF")
    stated = _xliff_languages(store.document.getroot())
    swapped = _swapped(file, *stated, source, target)
    for unit in store.units:
        yield _sides(unit, swapped)


def _parse(file: InputFile, store: Any, format: str) -> Any:
    """Parse the whole file; external entities are not resolved and nothing is fetched."""
    try:
        return store.parsestring(file.path.read_bytes())
    except Exception as error:  # the toolkit lets through errors of lxml, of assertions and its own
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "malformed"
        raise InputError(f"{file.spec} is not {format} ({reason}): export it again.") from error


def _xliff_languages(root: Any) -> tuple[str | None, str | None]:
    if root.get("srcLang"):  # 2.0 states them once, 1.2 for each file element
        return root.get("srcLang"), root.get("trgLang")
    first = next((child for child in root if child.get("source-language")), root)
    return first.get("source-language"), first.get("target-language")


def _swapped(
    file: InputFile, first: str | None, second: str | None, source: Language, target: Language
) -> bool:
    """Whether the file translates from the target to the source language.

    Raises:
        InputError: if the languages it states are not the two.
    """
    in_order = _agrees(first, source) and _agrees(second, target)
    if not in_order and not (_agrees(first, target) and _agrees(second, source)):
        stated = " to ".join(name for name in (first, second) if name)
        raise InputError(
            f"{file.spec} says it is {'from' if first else 'in'} {stated}, not {source.name} and "
            f"{target.name}: name another file or other languages."
        )
    return not in_order


def _agrees(stated: str | None, language: Language) -> bool:
    return not stated or match_language([stated], language) is not None


def _sides(unit: Any, swapped: bool) -> Segment:
    first, second = str(unit.source or ""), str(unit.target or "")
    return (second, first) if swapped else (first, second)
