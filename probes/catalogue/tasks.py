"""Levels of tasks, metrics and tasks. The code of a level is in :mod:`probes.tasks`, a module a level."""

from dataclasses import dataclass

from probes.catalogue._registry import Registry


@dataclass(frozen=True, slots=True)
class Level:
    """What carries a label.

    Attributes:
        name: the word used in files and findings.
        unit: what has one label, in words.
        parts: what an example consists of, in words: its texts, then its labels.
        classes: what a head tells apart, where that is the same in all data; empty where it is the labels.
    """

    name: str
    unit: str
    parts: tuple[str, ...]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """How test data is scored, in points (0-100); higher is better.

    Attributes:
        name: the word used in files.
        title: what people call it.
        published: what tables of published results call it.
        summary: what it counts, in one sentence.
        spans: whether labels must be BIO tags.
    """

    name: str
    title: str
    published: str
    summary: str
    spans: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """A downstream task.

    Attributes:
        name: the word used on the command line, in files and in findings.
        level: a name from :data:`LEVELS`.
        metric: a name from :data:`METRICS`.
        summary: what is labelled, in a few words.
    """

    name: str
    level: str
    metric: str
    summary: str


LEVELS: Registry[Level] = Registry(
    "task level",
    (
        Level("token", "word", ("words", "labels")),
        Level("sentence", "sentence", ("text", "label")),
        Level("pair", "pair", ("first text", "second text", "label")),
        Level(
            "span",
            "question",
            ("question", "passage", "answer"),
            ("start of the answer", "end of the answer", "neither"),
        ),
    ),
)
"""Every level of tasks that can be probed."""

METRICS: Registry[Metric] = Registry(
    "metric",
    (
        Metric("accuracy", "accuracy", "accuracy", "Share of labels that are right."),
        Metric("span-f1", "span F1", "f1", "F1 over exact spans of BIO tags.", spans=True),
        Metric("answer-f1", "answer F1", "f1", "F1 over words of answer and reference, mean of questions."),
        Metric("exact-match", "exact match", "em", "Share of questions with the very words of a reference."),
    ),
)
"""Every metric."""

TASKS: Registry[Task] = Registry(
    "task",
    (
        Task("pos", "token", "accuracy", "part of speech of every word"),
        Task("ner", "token", "span-f1", "names of persons, places ..."),
        Task("slots", "token", "span-f1", "arguments of a request to an assistant"),
        Task("topic", "sentence", "accuracy", "what a text is about"),
        Task("intent", "sentence", "accuracy", "what a request asks for"),
        Task("sentiment", "sentence", "accuracy", "what a text thinks of its matter"),
        Task("nli", "pair", "accuracy", "whether the second text follows from the first"),
        Task("paraphrase", "pair", "accuracy", "whether two texts say the same"),
        Task("qa", "span", "answer-f1", "where in a passage a question is answered"),
    ),
)
"""Every task."""
