"""A trial's result as a table: Markdown, terminal, notebook."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from advisor.report.words import clean, duration, option_labels, plain, signed
from probes.signals import Estimate

if TYPE_CHECKING:
    from advisor.study.trial.result import TrialResult

_GAIN = "Gain [95 %]"
_HEADINGS = ("Option", "Seeds", "Target", _GAIN, "Source", _GAIN, "Time")


def markdown(result: "TrialResult") -> str:
    """The verdict, the table and what should be known about it."""
    lines = [
        f"**{_cell(result.verdict)}**",
        "",
        f"| {' | '.join(_HEADINGS)} |",
        f"|---|{'---:|' * (len(_HEADINGS) - 1)}",
        *(f"| {' | '.join(map(_cell, row))} |" for row in _rows(result)),
        "",
        *(f"- {_cell(note)}" for note in _notes(result)),
    ]
    return "\n".join(lines) + "\n"


def terminal(result: "TrialResult") -> RenderableType:
    """The same for ``rich.print``."""
    notes = [Text.assemble(("! ", "yellow"), plain(note)) for note in _notes(result)]
    return Group(plain(result.verdict, "bold"), Text(), _Fitted(list(_rows(result))), Text(), *notes)


class _Fitted:
    """The table; where its lines would not fit, options and gains take several."""

    def __init__(self, rows: list[tuple[str, ...]]) -> None:
        self.rows = rows

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Table]:
        widths = (max(map(len, column)) for column in zip(_HEADINGS, *self.rows, strict=True))
        fits = sum(widths) + len(_HEADINGS) <= options.max_width
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        for place, heading in enumerate(_HEADINGS):
            table.add_column(heading, justify="right" if place else "left", no_wrap=True)
        for option, *cells in self.rows:
            if fits:
                table.add_row(*map(plain, (option, *cells)))
            else:
                table.add_row(_broken(option, ", "), *(_broken(cell, " [") for cell in cells))
        yield table


def _broken(text: str, at: str) -> Text:
    """``text`` with a line break in place of the space of every ``at``."""
    return Text(at.replace(" ", "\n")).join(map(plain, text.split(at)))


def html(result: "TrialResult") -> str:
    """The same for a notebook."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in _HEADINGS)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(clean(cell))}</td>' for cell in row)}</tr>" for row in _rows(result)
    )
    notes = "".join(f"<li>{escape(clean(note))}</li>" for note in _notes(result))
    return (
        f"<p><strong>{escape(clean(result.verdict))}</strong></p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><ul>{notes}</ul>"
    )


def gain_words(gain: Estimate) -> str:
    """A gain with its interval, as in ``+3.9 [+1.2, +6.6]``."""
    if gain.value is None:
        return "unresolved"
    if gain.low is None or gain.high is None or gain.low == gain.high == 0:  # of none, by definition
        return signed(gain.value)
    return f"{signed(gain.value)} [{signed(gain.low)}, {signed(gain.high)}]"


def _rows(result: "TrialResult") -> Iterator[tuple[str, ...]]:
    labels = option_labels([row.option for row in result.options])
    for row, label in zip(result.options, labels, strict=True):
        yield (
            ", ".join(filter(None, label)),
            f"{row.seeds} of {row.seeds + row.unfinished}" if row.unfinished else str(row.seeds),
            _points(row.target),
            gain_words(row.target_gain),
            _points(row.source),
            gain_words(row.source_gain),
            duration(row.seconds),
        )


def _notes(result: "TrialResult") -> Iterator[str]:
    yield (
        f"Scores are {result.metric} in points on {result.task}: target is your {result.target} labels, "
        f"source is {result.source} text held out of the training data. Intervals cover the noise of the "
        "seeds, not the choice of test sentences. Time is that of one run."
    )
    if len(result.options) > 2:
        yield "Each interval stands by itself: of forty options that change nothing, one would seem to gain."
    for row in result.options:
        gain = row.target_gain
        if gain.note and (gain.low is None or gain.high is None):
            yield f"{row.option}: {gain.note}."
    for run in result.runs:
        if run.error:
            yield f"{run.option}, seed {run.seed} {run.status}: {run.error}"


def _points(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.1f}"


def _cell(text: str) -> str:
    return clean(text).replace("|", r"\|")
