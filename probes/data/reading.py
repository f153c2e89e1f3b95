"""What was read, as it is shown wherever something is read: terminal, page, HTTP, before and after a run."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from probes.catalogue import LEVELS
from probes.data.bitext import Bitext, Dictionary
from probes.data.examples import Example, LabelledData, SpanExample
from probes.signals import DataFacts

_SAMPLES = 4
_LABELS_SHOWN = 12
_WIDTH = 90
_ROLES = {
    "train": "labelled source data",
    "source-labels": "labelled source test data",
    "target-labels": "labelled target data",
}


class Reading(BaseModel):
    """One input as it was read.

    Attributes:
        role: what it is for.
        name: as the user named it.
        format: it was read as.
        read, kept: examples or pairs.
        dropped: how many for which reason.
        columns: where things were read from, by what they were taken for.
        scheme: of span tags as the file spells them; None for other labels.
        labels: how often each label occurs, the most frequent first; empty for what has none.
        notes: what a careful person would look at.
        header: of the samples' columns.
        samples: the first few.
    """

    model_config = ConfigDict(frozen=True)

    role: str
    name: str
    format: str
    read: int
    kept: int
    dropped: dict[str, int]
    columns: dict[str, str]
    scheme: str | None
    labels: dict[str, int]
    notes: tuple[str, ...]
    header: tuple[str, ...]
    samples: tuple[tuple[str, ...], ...]

    @property
    def layout(self) -> str:
        """Format, columns and scheme in a line."""
        columns = ", ".join(f"{what} from {where}" for what, where in self.columns.items())
        return "; ".join(filter(None, (self.format, columns, self.scheme and f"tags in {self.scheme}")))

    @property
    def counts(self) -> str:
        """What was kept and dropped, with the reasons, in a line."""
        drops = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.items())
        return f"{self.kept:,} of {self.read:,} kept; dropped: {drops or 'nothing'}"

    @property
    def label_counts(self) -> str:
        """The most frequent labels with their counts in a line; nothing where there are none."""
        if not self.labels:
            return ""
        shown = ", ".join(f"{label} {count:,}" for label, count in list(self.labels.items())[:_LABELS_SHOWN])
        more = len(self.labels) - _LABELS_SHOWN
        return f"{len(self.labels)} labels: {shown}" + (f" and {more} more" if more > 0 else "")

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it as lines of text, with the first example."""
        first = [f"first: {' | '.join(_cut(cell) for cell in row)}" for row in self.samples[:1]]
        body = (self.counts, self.label_counts, *self.notes, *first)
        return f"{self.role}: {self.name} ({self.layout})", *(f"  {line}" for line in body if line)


def reading_of(data: LabelledData | Bitext | Dictionary) -> Reading:
    """What is to be said of something that was read."""
    if isinstance(data, LabelledData):
        labels = Counter(label for example in data.examples for label in example.labels)
        parts = LEVELS[data.task.level].parts
        rows = [
            dict(zip(parts, (*example.texts, _said(example)), strict=True))
            for example in data.examples[:_SAMPLES]
        ]
        return _reading([data.facts], rows, labels=dict(labels.most_common()))
    if isinstance(data, Bitext):
        facts = [fact for fact in data.facts if fact.role == "bitext"]
        rows = [dict(zip(data.languages, pair, strict=True)) for pair in data.pairs[:_SAMPLES]]
        return _reading(facts, rows, links=[fact for fact in data.facts if fact.role != "bitext"])
    entries = [(word, sorted(targets)) for word, targets in list(data.entries.items())[:_SAMPLES]]
    return _reading([data.facts], [{"word": word, "translations": ", ".join(to)} for word, to in entries])


def _reading(
    facts: Sequence[DataFacts],
    rows: Sequence[Mapping[str, str]],
    *,
    labels: dict[str, int] | None = None,
    links: Sequence[DataFacts] = (),
) -> Reading:
    dropped: Counter[str] = Counter()
    for fact in facts:
        dropped.update(fact.dropped)
    columns = [fact.columns for fact in facts]
    notes = [note for fact in facts for note in fact.notes]
    if len(facts) > 1:
        notes += [f"{fact.spec} ({fact.format}): {fact.kept:,} of {fact.read:,} kept" for fact in facts]
    notes += [f"word links from {fact.spec}: {fact.kept:,} of {fact.read:,} kept" for fact in links]
    return Reading(
        role=_ROLES.get(facts[0].role, facts[0].role),
        name=" + ".join(fact.spec for fact in facts),
        format=", ".join(dict.fromkeys(fact.format for fact in facts)),
        read=sum(fact.read for fact in facts),
        kept=sum(fact.kept for fact in facts),
        dropped=dict(dropped),
        columns=columns[0] if all(other == columns[0] for other in columns) else {},
        scheme=facts[0].scheme,
        labels=labels or {},
        notes=tuple(notes),
        header=tuple(rows[0]) if rows else (),
        samples=tuple(tuple(row.values()) for row in rows),
    )


def _said(example: Example) -> str:
    """What an example is labelled with."""
    if isinstance(example, SpanExample):
        return example.answers[0][1] if example.answers else "none"
    return " ".join(example.labels)


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
