"""What readers yield and how it is counted: every record is either kept or dropped for a reason."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from probes.signals import DataFacts

if TYPE_CHECKING:
    from probes.data.examples import Example


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record that cannot be used, with the reason as it is reported."""

    reason: str


@dataclass(frozen=True, slots=True)
class LabelledRecords:
    """The labelled examples of one file or data set, read as they are asked for.

    Attributes:
        columns: what was read from where, by what it was taken for.
        examples: one for each record, or why there is none.
        names: that the file declares for labels stored as integers, by integer.
    """

    columns: Mapping[str, str]
    examples: "Iterator[Example | Dropped]"
    names: tuple[str, ...] = ()


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
