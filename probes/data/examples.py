"""Labelled examples: one type for each level of task, and what a reader returns."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from probes.catalogue import LEVELS, Task
from probes.errors import InputError
from probes.signals import DataFacts

UNKNOWN_LABEL = "a label unknown in training"
"""Why :func:`keep_known_labels` drops an example."""

_SHOWN = 10
"""How many labels an error message spells out before it says how many more there are."""


class Example(Protocol):
    """A labelled example of some level."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it carries: one for each word, just one, or none where the label is a place."""

    @property
    def texts(self) -> tuple[str, ...]:
        """What it says, as running text."""


@dataclass(frozen=True, slots=True)
class TokenExample:
    """A sentence as words, each with a label; ``words`` and ``labels`` are equally long and not empty."""

    words: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The words joined by spaces."""
        return (" ".join(self.words),)


@dataclass(frozen=True, slots=True)
class SentenceExample:
    """A text with one label."""

    text: str
    label: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The one label."""
        return (self.label,)

    @property
    def texts(self) -> tuple[str, ...]:
        """The one text."""
        return (self.text,)


@dataclass(frozen=True, slots=True)
class PairExample:
    """Two texts with one label (premise and hypothesis, for example)."""

    first: str
    second: str
    label: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The one label."""
        return (self.label,)

    @property
    def texts(self) -> tuple[str, ...]:
        """Both texts."""
        return (self.first, self.second)


@dataclass(frozen=True, slots=True)
class SpanExample:
    """A question about a passage, and where in the passage it is answered.

    Attributes:
        answers: where in ``passage`` each reference answer begins, in code points from 0, and the answer
            itself, which stands there; none where the passage does not say.
    """

    question: str
    passage: str
    answers: tuple[tuple[int, str], ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """None: the label is a place."""
        return ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Question and passage."""
        return (self.question, self.passage)


@dataclass(frozen=True, slots=True)
class LabelledData:
    """The usable examples of one file or data set, in its order.

    Attributes:
        examples: all of the type that ``task.level`` asks for.
        task: what the labels are about.
        facts: where the examples came from and what was dropped.
    """

    examples: tuple[Example, ...]
    task: Task
    facts: DataFacts

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes: those of the level, else the distinct labels, sorted."""
        found = {label for example in self.examples for label in example.labels}
        return LEVELS[self.task.level].classes or tuple(sorted(found))

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text in order: words joined by spaces; a pair contributes both its texts."""
        return tuple(text for example in self.examples for text in example.texts)


def keep_known_labels(train: LabelledData, other: LabelledData) -> LabelledData:
    """Leave out of ``other`` the examples with a label that ``train`` never shows, and count them.

    For data such as slots, where rare tags (``I-condition_temperature``) occur in one language only.

    Raises:
        InputError: if more than half the examples would go: the label sets are then different ones; or if
            both are the same examples.
    """
    if other.examples == train.examples:
        raise InputError(
            f"{other.facts.spec} holds the very examples of {train.facts.spec}, on which training cannot be "
            "scored: name other labelled text."
        )
    known = set(train.labels)
    kept = tuple(example for example in other.examples if known.issuperset(example.labels))
    left_out = len(other) - len(kept)
    if 2 * left_out > len(other):
        numbers = _are_numbers(known) != _are_numbers(other.labels)
        cure = "write names in both" if numbers else "use one label set in both"
        unknown = [label for label in other.labels if label not in known]
        raise InputError(
            f"{other.facts.spec} has {_enumerate(unknown)}, which {train.facts.spec} "
            f"({_enumerate(sorted(known))}) never shows: {cure}, or leave those examples out."
        )
    if not left_out:
        return other
    dropped = {**other.facts.dropped, UNKNOWN_LABEL: left_out}
    facts = other.facts.model_copy(update={"kept": len(kept), "dropped": dropped})
    return replace(other, examples=kept, facts=facts)


def _are_numbers(labels: Iterable[str]) -> bool:
    return all(label.isascii() and label.isdigit() for label in labels)


def _enumerate(labels: list[str]) -> str:
    shown = ", ".join(f"'{label}'" for label in labels[:_SHOWN])
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return f"the label{'s' if len(labels) > 1 else ''} {shown}{more}"
