"""Probes, trials and races side by side, as a table for a paper."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import groupby
from pathlib import Path

from advisor.advice import Advice
from advisor.options import NO_ALIGNMENT, Option
from advisor.race.result import RESULT_FILE, RaceResult
from advisor.report import words
from advisor.study import TrialResult
from probes.errors import InputError

_EXPECTED = "expected"
_HEADINGS = ("Question", "Option", "Score", "Gain", "Interval", "From")


@dataclass(frozen=True)
class ComparedOption:
    """One option as one result has it.

    Attributes:
        score: on target text, in points; None where none was taken.
        gain: over fine-tuning alone, in points, from ``low`` to ``high`` with probability ``level``; the ends
            are None where a single run has no interval.
        basis: what the gain is from: runs, a race, or an expectation.
        best: whether it was run, is told from every other option of its question, and is ahead of them.
    """

    question: str
    option: str
    score: float | None
    gain: float
    low: float | None
    high: float | None
    level: float | None
    basis: str
    best: bool = False


def compared(paths: Sequence[str | Path]) -> list[ComparedOption]:
    """The options of several results, those of one question together.

    Args:
        paths: folders that a probe, a trial or a race wrote, or the JSON files in them.

    Raises:
        InputError: if one holds none of these.
    """
    rows = [row for path in paths for row in _rows_of(Path(path))]
    order = list(dict.fromkeys(row.question for row in rows))
    rows.sort(key=lambda row: order.index(row.question))
    return [replace(row, best=_is_best(row, rows)) for row in rows]


def _is_best(row: ComparedOption, rows: Sequence[ComparedOption]) -> bool:
    """An interval that overlaps with another's resolves nothing."""
    others = [other for other in rows if other.question == row.question and other is not row]
    if row.low is None or row.low <= 0 or row.basis == _EXPECTED:
        return False
    return all((other.gain if other.high is None else other.high) < row.low for other in others)


def _rows_of(path: Path) -> Iterator[ComparedOption]:
    names = {"trial.json": _of_trial, RESULT_FILE: _of_race, "advice.json": _of_advice}
    for name, rows in names.items():
        file = path / name if path.is_dir() else path
        if file.name == name and file.exists():
            return rows(file)
    raise InputError(
        f"{path} holds no result: name a folder that a probe, a trial or a race wrote "
        f"({', '.join(names)} is in it)."
    )


def _question(model: str, source: str, target: str, task: str) -> str:
    return f"{Path(model).name}, {source} to {target}, {task}"


def _label(option: Option) -> str:
    return "fine-tuning alone" if option == NO_ALIGNMENT else words.option_label(option)


def _of_trial(file: Path) -> Iterator[ComparedOption]:
    trial = TrialResult.load(file)
    question = _question(trial.model, trial.source, trial.target, trial.task)
    for row in trial.options:
        gain, label = row.target_gain, _label(row.option)
        if gain.value is not None:
            basis = f"{row.seeds} runs"
            yield ComparedOption(
                question, label, row.target, gain.value, gain.low, gain.high, gain.level, basis
            )


def _of_race(file: Path) -> Iterator[ComparedOption]:
    race = RaceResult.load(file)
    question = _question(race.model, race.source, race.target, race.task)
    alone = race.alone[-1].score if race.alone else None
    yield ComparedOption(question, _label(NO_ALIGNMENT), alone, 0.0, 0.0, 0.0, None, "race")
    for arm in race.arms:
        score = arm.looks[-1].score if arm.looks else None
        gain = arm.gain
        yield ComparedOption(
            question, _label(arm.option), score, gain.mean, gain.low, gain.high, gain.level, "race"
        )


def _of_advice(file: Path) -> Iterator[ComparedOption]:
    advice = Advice.load(file)
    asked = advice.question
    question = _question(asked.model, asked.source, asked.target, asked.task)
    yield ComparedOption(question, _label(NO_ALIGNMENT), None, 0.0, 0.0, 0.0, None, _EXPECTED)
    if (best := advice.spoken_of) is not None:
        gain = best.gain
        yield ComparedOption(
            question, _label(best.option), None, gain.mean, gain.low, gain.high, gain.level, _EXPECTED
        )


def _cells(row: ComparedOption) -> list[str]:
    interval = ""
    if row.low is not None and row.high is not None and row.level is not None and row.low < row.high:
        interval = f"[{row.low:+.1f}, {row.high:+.1f}] {100 * row.level:.0f} %"
    score = "" if row.score is None else f"{row.score:.1f}"
    gain = f"{row.gain:+.1f}" if row.gain else "0"
    return [row.option, score, gain, interval, row.basis]


def _markdown(rows: Sequence[ComparedOption]) -> str:
    lines = [f"| {' | '.join(_HEADINGS)} |", "|---|---|---:|---:|---|---|"]
    for row in rows:
        option, *numbers = _cells(row)
        cells = [row.question, option, *map(words.with_minus, numbers)]
        cells = [words.clean(cell).replace("|", r"\|") for cell in cells]
        if row.best:
            cells[3] = f"**{cells[3]}**"
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _latex(rows: Sequence[ComparedOption]) -> str:
    lines = [r"\begin{tabular}{lrrll}", r"\toprule", rf"{' & '.join(_HEADINGS[1:])} \\"]
    for question, members in groupby(rows, key=lambda row: row.question):
        lines += [r"\midrule", rf"\multicolumn{{5}}{{l}}{{\emph{{{_escaped(question)}}}}} \\"]
        for row in members:
            option, *numbers = map(_escaped, _cells(row))
            cells = [option, *(number.replace("-", "$-$") for number in numbers)]
            if row.best:
                cells[2] = rf"\textbf{{{cells[2]}}}"
            lines.append(rf"{' & '.join(cells)} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _escaped(text: str) -> str:
    special = {character: rf"\{character}" for character in "&%$#_{}"}
    special |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(character, character) for character in words.clean(text))


def _csv(rows: Sequence[ComparedOption]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(ComparedOption)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


STYLES: dict[str, Callable[[Sequence[ComparedOption]], str]] = {
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
}
"""How the table is written: Markdown, LaTeX with booktabs, or CSV with a column for every number."""
