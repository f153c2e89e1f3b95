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


_WHOLE = re.compile(r"([+-]?\d+)(?:\.0*)?")
_FRACTION = re.compile(r"[+-]?(?:\d*[.,]\d+(?:[eE][+-]?\d+)?|\d+[eE]-\d+)")
_NOT_GIVEN = frozenset({"nan", "<na>", "nat", "null"})
"""How libraries write a missing value as text."""

NO_LABEL = Dropped("no label")
_NOT_A_NUMBER = Dropped("no label (NaN)")


def label_of(value: object, names: Sequence[str] | None, spec: str) -> str | Dropped:
    """A label as text: the name that stands for an integer where names are given.

    Negative integers mark what has no label, in every format and spelling (-1, -100, "-1", -1.0).

    Raises:
        InputError: if the value is a fraction, or several labels.
    """
    if isinstance(value, str):
        return _from_text(value, spec)
    if isinstance(value, list | tuple | dict):
        return _from_several(value, names, spec)
    if isinstance(value, bool) and names is None:
        return str(value)
    return _from_number(value, names, spec) if isinstance(value, int | float) else NO_LABEL


def _from_several(value: object, names: Sequence[str] | None, spec: str) -> str | Dropped:
    if isinstance(value, dict):
        raise InputError(f"{spec} has labels that are objects: name the column that holds the label itself.")
    assert isinstance(value, list | tuple)
    if len(value) > 1:
        shown = ", ".join(map(repr, value[:5]))
        raise InputError(
            f"{spec} has examples of several labels ([{shown}]), and one each is what is scored here: choose "
            "one, or leave those examples out."
        )
    return label_of(value[0], names, spec) if value else NO_LABEL


def _from_number(value: float, names: Sequence[str] | None, spec: str) -> str | Dropped:
    if math.isnan(value):
        return _NOT_A_NUMBER
    if value != value // 1:
        raise InputError(_fraction(str(value), spec))
    number = int(value)  # integers beside missing values are stored as floats
    if number < 0:
        return _hidden(number)
    if names is None:
        return str(number)
    return " ".join(names[number].split()) if number < len(names) else Dropped("a label without a name")


@lru_cache(maxsize=4096)
def _from_text(text: str, spec: str) -> str | Dropped:
    text = text_of(text)
    if not text:
        return NO_LABEL
    if not (text[-1].isdigit() or text[-1] == "."):
        return _NOT_A_NUMBER if text.casefold() in _NOT_GIVEN else " ".join(text.split())
    whole = _WHOLE.fullmatch(text)
    if whole and not text.isdigit() and text.isascii():
        number = int(whole[1]) if len(whole[1]) < 20 else 0
        if number < 0:
            return _hidden(number)
        return whole[1].removeprefix("+") if "." in text else text
    if _FRACTION.fullmatch(text):
        raise InputError(_fraction(text, spec))
    return " ".join(text.split())


def _hidden(number: int) -> Dropped:
    return Dropped(f"no label ({number})")


def _fraction(text: str, spec: str) -> str:
    return (
        f"{spec} has labels that are not whole numbers ({text}), and classes are what is scored here: name "
        "another label column, or turn the numbers into classes."
    )


def text_of(value: object) -> str:
    """The text without outer white space; nothing where it is no text or no valid Unicode."""
    return value.strip() if isinstance(value, str) and _is_unicode(value) else ""


def _is_unicode(text: str) -> bool:
    # JSON can spell half a surrogate pair, which no tokenizer can take
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
