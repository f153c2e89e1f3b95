"""Answers to many questions as one table."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

from advisor.advice import Advice
from advisor.decide import DEFAULT_MIN_GAIN
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
        word_pairs, min_gain, pretrained_on, like, train_steps: as in :class:`Asked`, where they were said.
        score: what the encoder is expected to score in the end, where evidence compares those of its row.
        measured: what a probe found, by name, in words.
        folder: of its whole report, below the grid's.
        problem: why there is no answer or, beside an answer, what went wrong with its report.
    """

    model: str
    source: str
    target: str
    task: str
    word_pairs: str | None = None
    min_gain: float | None = None
    pretrained_on: tuple[str, ...] = ()
    like: str | None = None
    train_steps: int | None = None
    advice: Advice | None = None
    score: Score | None = None
    measured: tuple[tuple[str, str], ...] = ()
    folder: str | None = None
    problem: str | None = None

    def record(self) -> dict[str, str | float | None]:
        """The cell as one flat line of a table; points, and None where there is no such number."""
        advice, score = self.advice, self.score
        gain = advice.gain if advice else None
        return {
            "target": self.target,
            "task": self.task,
            "source": self.source,
            "model": self.model,
            "word_pairs": self.word_pairs,
            "min_gain": advice.min_gain if advice else self.min_gain,
            "like": self.like,
            "pretrained_on": ",".join(self.pretrained_on) or None,
            "train_steps": self.train_steps,
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
        grid = cls(cells=tuple(answered), joint=tuple(joint))
        cells = list(grid.cells)
        rows: defaultdict[str, list[int]] = defaultdict(list)
        for i, name in enumerate(grid.names):
            if cells[i].advice is not None:
                rows[name].append(i)
        for members in rows.values():
            answers = [advice for i in members if (advice := cells[i].advice) is not None]
            for i, score in zip(members, scores_of(answers), strict=True):
                cells[i] = cells[i].model_copy(update={"score": score})
        return grid.model_copy(update={"cells": tuple(cells)})

    @property
    def names(self) -> tuple[str, ...]:
        """What to call each cell's row: its question without the model, and of what is as usual nothing.

        Facts that were told of a model tell rows apart only where it is asked about under several.
        """
        told: defaultdict[str, set[object]] = defaultdict(set)
        for cell in self.cells:
            told[cell.model].add((cell.like, cell.pretrained_on))
        return tuple(_named(cell, with_facts=len(told[cell.model]) > 1) for cell in self.cells)

    @property
    def rows(self) -> dict[str, dict[str, AnswerCell]]:
        """The cells of each row by model, under the row's name."""
        rows: defaultdict[str, dict[str, AnswerCell]] = defaultdict(dict)
        for name, cell in zip(self.names, self.cells, strict=True):
            rows[name][cell.model] = cell
        return dict(rows)

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
        return tuple(cell for cell in self.cells if cell.advice is None and cell.problem is not None)

    def problems(self) -> Iterator[str]:
        """What went wrong, in lines: how many cells it left without an answer, and each sentence once."""
        if self.failed:
            yield f"{len(self.failed)} of {len(self.cells)} cells have no answer:"
        troubled = [(n, cell) for n, cell in zip(self.names, self.cells, strict=True) if cell.problem]
        for problem in dict.fromkeys(cell.problem for _, cell in troubled):
            cells = [f"{cell.model} {name}" for name, cell in troubled if cell.problem == problem]
            more = f" and {len(cells) - 2} more" if len(cells) > 2 else ""
            yield f"- {'; '.join(cells[:2])}{more}: {problem}"

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


def _named(cell: AnswerCell, *, with_facts: bool) -> str:
    parts = [cell.target, cell.task]
    if cell.source != "en":
        parts.append(f"from {cell.source}")
    if cell.train_steps is not None:
        parts.append(f"{cell.train_steps:,} steps")
    if cell.min_gain not in (None, DEFAULT_MIN_GAIN):
        parts.append(f"gains over {cell.min_gain:g}")
    if cell.word_pairs:
        parts.append(f"words by {cell.word_pairs}")
    if with_facts and cell.like:
        parts.append(f"like {cell.like}")
    if with_facts and cell.pretrained_on:
        parts.append(f"pretrained on {' '.join(cell.pretrained_on)}")
    return ", ".join(parts)


def _is_path(model: str, parts: Sequence[str]) -> bool:
    """Whether it is a folder of this machine, not a hub's ``organisation/name``."""
    return len(parts) > 2 or parts[0] in ("", ".", "..", "~")


def ask_grid(questions: Sequence[Asked]) -> AnswerGrid:
    """Answer questions from evidence, with the numbers that each gives alone.

    A question that cannot be answered keeps the others: its cell says why.
    """
    return AnswerGrid.of(map(_answered, questions))


def _answered(question: Asked) -> AnswerCell:
    cell = AnswerCell(**question.model_dump())
    try:
        return cell.model_copy(update={"advice": ask(question)})
    except (InputError, RunError) as error:
        return cell.model_copy(update={"problem": str(error)})
