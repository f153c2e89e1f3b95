"""The tasks a probe can be asked about, each with its level and its metric."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from probes.errors import InputError

__all__ = ["TASKS", "Level", "Metric", "Task", "find_task"]

Level = Literal["token", "sentence", "pair"]
Metric = Literal["accuracy", "span-f1"]


@dataclass(frozen=True, slots=True)
class Task:
    """A downstream task.

    Attributes:
        name: the word used on the command line, in files and in findings.
        level: what carries a label: each word, a sentence, or a pair of sentences.
        metric: how its test data is scored, in points (0-100).
    """

    name: str
    level: Level
    metric: Metric


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("pos", "token", "accuracy"),
        Task("ner", "token", "span-f1"),
        Task("slots", "token", "span-f1"),
        Task("topic", "sentence", "accuracy"),
        Task("intent", "sentence", "accuracy"),
        Task("sentiment", "sentence", "accuracy"),
        Task("nli", "pair", "accuracy"),
        Task("paraphrase", "pair", "accuracy"),
    )
}


def find_task(name: str) -> Task:
    """The task called ``name``.

    Raises:
        InputError: if there is no such task; the message lists those there are.
    """
    task = TASKS.get(name.strip().lower())
    if task is None:
        close = get_close_matches(name, TASKS, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise InputError(f"No task is called '{name}': {hint}choose one of {', '.join(TASKS)}.")
    return task
