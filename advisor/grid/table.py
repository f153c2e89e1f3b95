"""Answers to many questions as one table."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from advisor.advice import Advice
from advisor.grid.joint import JointAnswer
from advisor.grid.scores import Score, scores_of
from advisor.recommend import Asked, ask
from probes.errors import InputError, RunError
from probes.schema import Frozen

Sort: TypeAlias = Literal["question", "gain", "confidence", "score"]
_CONFIDENCE = ("likely", "leaning", "open", "")
SORTS: Mapping[Sort, Callable[["AnswerCell"], object]] = {
    "question": lambda cell: 0,
    "gain": lambda cell: -(cell.advice.gain.mean if cell.advice and cell.advice.gain else -1e9),
    "confidence": lambda cell: _CONFIDENCE.index(cell.advice.confidence if cell.advice else ""),
    "score": lambda cell: -(cell.score.value if cell.score else -1e9),
}
"""Orders of cells, the most promising first; what has no answer comes last."""


class AnswerCell(Frozen):
    """One question of a grid with its answer, or with the sentence that says why there is none.

    Attributes:
        score: what the encoder is expected to score in the end, where evidence compares those of its row.
        measured: what a probe found, by name, in words.
        folder: of its whole report, below the grid's.
    """

    model: str
    source: str
    target: str
    task: str
    advice: Advice | None = None
    score: Score | None = None
    measured: tuple[tuple[str, str], ...] = ()
    folder: str | None = None
    problem: str | None = None

    @property
    def row(self) -> tuple[str, str, str]:
        """What it shares with the cells beside it: target, task, source."""
        return self.target, self.task, self.source

    def record(self) -> dict[str, str | float | None]:
        """The cell as one flat line of a table; points, and None where there is no such number."""
        advice, score = self.advice, self.score
        gain = advice.gain if advice else None
        return {
            "target": self.target,
            "task": self.task,
            "source": self.source,
            "model": self.model,
            "decision": advice.decision if advice else None,
            "confidence": advice.confidence if advice else None,
            "option": str(advice.option) if advice else None,
            "gain": gain.mean if gain else None,
            "low": gain.low if gain else None,
            "high": gain.high if gain else None,
            "score_before": score.before if score else None,
            "score": score.value if score else None,
            "best": None if score is None else "yes" if score.best else "no",
            "study": score.study if score else None,
            "problem": self.problem,
            **dict(self.measured),
        }


class AnswerGrid(Frozen):
    """Many answers; nothing here measures.

    Attributes:
        joint: what to align together, for every encoder that was probed on two targets or more.
    """

    cells: tuple[AnswerCell, ...]
    joint: tuple[JointAnswer, ...] = ()

    @classmethod
    def of(cls, answered: Iterable[AnswerCell], joint: Iterable[JointAnswer] = ()) -> "AnswerGrid":
        """The cells with what each row's encoders are expected to score in the end."""
        cells = list(answered)
        rows: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
        for i, cell in enumerate(cells):
            if cell.advice is not None:
                rows[cell.row].append(i)
        for members in rows.values():
            answers = [advice for i in members if (advice := cells[i].advice) is not None]
            for i, score in zip(members, scores_of(answers), strict=True):
                cells[i] = cells[i].model_copy(update={"score": score})
        return cls(cells=tuple(cells), joint=tuple(joint))

    @property
    def models(self) -> tuple[str, ...]:
        """The columns, in the order of the questions."""
        return tuple(dict.fromkeys(cell.model for cell in self.cells))

    @property
    def headings(self) -> dict[str, str]:
        """What to call each model: of a path as much of its end as tells it from the others."""
        parts = {model: re.split(r"[/\\]", model.rstrip("/\\")) for model in self.models}
        named = {}
        for model, own in parts.items():
            lengths = range(1, len(own)) if _is_path(model, own) else ()
            others = [other for name, other in parts.items() if name != model]
            apart = (n for n in lengths if all(other[-n:] != own[-n:] for other in others))
            length = next(apart, None)
            named[model] = "/".join(own[-length:]) if length else model
        return named

    @property
    def failed(self) -> tuple[AnswerCell, ...]:
        """The cells without an answer."""
        return tuple(cell for cell in self.cells if cell.problem is not None)

    def sorted(self, by: Sort) -> "AnswerGrid":
        """The same cells in another order; equals keep theirs."""
        return self.model_copy(update={"cells": tuple(sorted(self.cells, key=SORTS[by]))})  # type: ignore[arg-type]

    def to_json(self) -> str:
        """All cells with their whole answers."""
        return self.model_dump_json(indent=2)

    def to_csv(self) -> str:
        """A line a cell."""
        text = io.StringIO()
        records = [cell.record() for cell in self.cells]
        columns = dict.fromkeys(name for record in records for name in record)
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return text.getvalue()


def _is_path(model: str, parts: Sequence[str]) -> bool:
    """Whether it is a folder of this machine, not a hub's ``organisation/name``."""
    return len(parts) > 2 or parts[0] in ("", ".", "..", "~")


def ask_grid(questions: Sequence[Asked]) -> AnswerGrid:
    """Answer questions from evidence, with the numbers that each gives alone.

    A question that cannot be answered keeps the others: its cell says why.
    """
    return AnswerGrid.of(map(_answered, questions))


def _answered(question: Asked) -> AnswerCell:
    names = question.model_dump(include={"model", "source", "target", "task"})
    try:
        return AnswerCell(**names, advice=ask(question))
    except (InputError, RunError) as error:
        return AnswerCell(**names, problem=str(error))
