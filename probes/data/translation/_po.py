"""PO, through translate-toolkit."""

import re
from collections.abc import Iterator
from typing import Any, cast

from probes.data._records import Dropped
from probes.data.files import InputFile
from probes.data.translation._languages import Segment, refuse_ids, swapped
from probes.errors import InputError
from probes.languages import Language

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
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "malformed"
        raise InputError(f"{file.spec} is not PO ({reason}): export it again.") from error
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
    return refuse_ids(_segments(store, turned), file)


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
