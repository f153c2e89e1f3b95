"""What readers yield and how it is counted: every record is either kept or dropped for a reason."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from probes.errors import InputError
from probes.signals import DataFacts

if TYPE_CHECKING:
    from probes.data.examples import Example


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record that cannot be used, with the reason as it is reported."""

    reason: str


def first_lines(rows: Iterable[Sequence[str]]) -> str:
    """The first three rows in a message."""
    return " / ".join(" | ".join(cell[:20] for cell in row) for row in islice(rows, 3))


@dataclass(frozen=True, slots=True)
class LabelledRecords:
    """The labelled examples of one file or data set, read as they are asked for.

    Attributes:
        columns: what was read from where, by what it was taken for.
        examples: one for each record, or why there is none.
    """

    columns: Mapping[str, str]
    examples: "Iterator[Example | Dropped]"


@dataclass(slots=True)
class Tally:
    """Counts records so that ``read == kept + sum(dropped)`` holds by construction."""

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        """How many records there were."""
        return self.kept + self.dropped.total()

    def drop(self, reason: str, count: int = 1) -> None:
        """Count records that were dropped for one reason."""
        if count:
            self.dropped[reason] += count

    def facts(self, **about: Any) -> DataFacts:
        """The counts as they are reported, with whatever else is to be said about the input."""
        return DataFacts(read=self.read, kept=self.kept, dropped=dict(self.dropped), **about)

    def __str__(self) -> str:
        reasons = ", ".join(f"{count} dropped: {reason}" for reason, count in self.dropped.most_common(3))
        return f"{self.read} read" + (f", {reasons}" if reasons else "")


_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
_NOT_GIVEN = frozenset({"", "nan", "<na>", "nat", "null"})
"""How libraries write a missing value as text."""

NO_LABEL = Dropped("no label")


def label_of(value: object, names: Sequence[str] | None, spec: str) -> str | Dropped:
    """A label as text: the name that stands for an integer where names are given.

    Negative integers mark what has no label, in every format and spelling (-1, -100, "-1", -1.0).

    Raises:
        InputError: if the value is a fraction, several labels, or an object.
    """
    if isinstance(value, str):
        return _from_text(value, spec)
    if isinstance(value, bool) and names is None:
        return str(value)
    if isinstance(value, int | float):
        return _from_number(value, names, spec)
    if isinstance(value, list | tuple | dict) and value:
        raise InputError(
            f"{spec} has labels such as {str(value)[:40]}, and one each is what is scored here: name the "
            "column that holds the label itself, or choose one of several."
        )
    return NO_LABEL


@lru_cache(maxsize=4096)
def _from_text(text: str, spec: str) -> str | Dropped:
    text = " ".join(text_of(text).split())
    if text.casefold() in _NOT_GIVEN:
        return NO_LABEL
    if text.isdigit() or not _NUMBER.fullmatch(text):
        return text
    return _from_number(float(text.replace(",", ".")), None, spec)


def _from_number(value: float, names: Sequence[str] | None, spec: str) -> str | Dropped:
    if math.isnan(value):
        return NO_LABEL
    if value != value // 1:
        raise InputError(
            f"{spec} has labels that are not whole numbers ({value}), and classes are what is scored here: "
            "name another label column, or turn the numbers into classes."
        )
    number = int(value)  # integers beside missing values are stored as floats
    if number < 0:
        return Dropped(f"no label ({number})")
    if names is None:
        return str(number)
    return " ".join(names[number].split()) if number < len(names) else Dropped("a label without a name")


def text_of(value: object) -> str:
    """The text without outer white space; nothing where it is no text or no valid Unicode."""
    return value.strip() if isinstance(value, str) and _is_unicode(value) else ""


def _is_unicode(text: str) -> bool:
    # JSON can spell half a surrogate pair, which no tokenizer can take
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
