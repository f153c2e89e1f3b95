"""The report in a terminal: the decision in a frame, then options, reasons, doubts and files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from advisor.advice import Advice, Alternative, Gain
from advisor.options import NO_ALIGNMENT
from advisor.report._words import (
    MINUS,
    clean,
    decision_title,
    interval,
    is_advised,
    number,
    option_labels,
    percent,
    signed,
    tone,
)

__all__ = ["render_terminal"]

_COLOURS = {"align": "green", "do-not-align": "yellow", "open": "cyan"}
_SHOWN_OPTIONS = 8
_ROOM_FOR_WHISKERS = 104
"""Columns from which on the intervals are drawn as well."""


def render_terminal(advice: Advice, files: Sequence[Path] = ()) -> RenderableType:
    """Advice for ``rich.print``.

    Args:
        advice: what to show.
        files: what was written, to be named at the end.
    """
    return Group(*_parts(advice, files))


def _parts(advice: Advice, files: Sequence[Path]) -> Iterator[RenderableType]:
    colour = _COLOURS[tone(advice)]
    question = advice.question
    yield Panel(
        Group(_plain(advice.summary, "bold"), *_gain_lines(advice)),
        title=Text(decision_title(advice), style=f"bold {colour}"),
        subtitle=_plain(f"{question.model}, {question.source} to {question.target}, {question.task}", "dim"),
        border_style=colour,
        padding=(1, 2),
    )
    if advice.next_moves:
        yield _titled("What would tell", [_plain(move.text) for move in advice.next_moves])
    if advice.alternatives:
        yield _Options(advice)
    if advice.reasons:
        yield _titled("Reasons", [_reason_table(advice)])
    if advice.warnings:
        yield _titled(
            "Doubts", [Text.assemble(("! ", "yellow"), _plain(note.text)) for note in advice.warnings]
        )
    if files:
        yield _titled("Files", [_plain(str(path)) for path in files])


def _gain_lines(advice: Advice) -> Iterator[Text]:
    gain, lead = advice.gain, "Expected gain"
    if gain is None or not advice.aligns:
        best = advice.spoken_of
        if best is None:
            return
        gain, lead = best.gain, f"Best aligning option ({best.option})"
    yield _plain(
        f"{lead}: {signed(gain.mean)} points, {percent(gain.level)} interval {interval(gain)}; "
        f"P(gain > 0) {percent(gain.probability_positive)}, "
        f"P(gain > {number(advice.min_gain)}) {percent(gain.probability_worthwhile)}."
    )


def _reason_table(advice: Advice) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for reason in advice.reasons:
        evidence = f"  [{', '.join(reason.evidence)}]" if reason.evidence else ""
        table.add_row(
            _plain(signed(reason.effect), "bold"),
            Text.assemble(_plain(reason.text), (clean(evidence), "dim")),
        )
    return table


class _Options:
    """The best options as a table; wide terminals get the intervals as whiskers on one scale."""

    def __init__(self, advice: Advice) -> None:
        self._advice = advice

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = self._advice.alternatives
        labels = option_labels([row.option for row in rows])
        shown = [
            (row, ", ".join(filter(None, label)))
            for place, (row, label) in enumerate(zip(rows, labels, strict=True))
            if place < _SHOWN_OPTIONS or row.option == NO_ALIGNMENT or is_advised(self._advice, row.option)
        ]
        level = percent(next((row.gain.level for row, _ in shown if row.option != NO_ALIGNMENT), 0.8))
        whiskers = options.max_width >= _ROOM_FOR_WHISKERS
        scale = _Scale([row.gain for row, _ in shown], ascii_only=options.ascii_only)

        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        table.add_column("Option", ratio=1 if not whiskers else None)
        table.add_column("Gain", justify="right", no_wrap=True)
        table.add_column(f"{level} interval", justify="right", no_wrap=True)
        if whiskers:
            table.add_column(_plain(scale.heading), no_wrap=True)
        table.add_column("P(gain > 0)", no_wrap=True)
        for row, label in shown:
            none = row.option == NO_ALIGNMENT
            table.add_row(
                _plain(label),
                _plain(signed(row.gain.mean)),
                _plain("by definition" if none else interval(row.gain)),
                *([scale.draw(row)] if whiskers else []),
                "" if none else _bar(row.gain.probability_positive, ascii_only=options.ascii_only),
                style=self._style(row),
            )
        yield Text()
        yield Text("Options", style="bold")
        yield Padding(table, (0, 0, 0, 2))
        hidden = len(rows) - len(shown)
        if hidden:
            yield Padding(
                Text(f"and {hidden} more with lower gains, in the report", style="dim"), (0, 0, 0, 2)
            )

    def _style(self, row: Alternative) -> str:
        if self._advice.aligns and is_advised(self._advice, row.option):
            return "bold green"
        return "dim" if row.option == NO_ALIGNMENT else ""


class _Scale:
    """Draws intervals on one common scale of points, ``width`` characters wide."""

    width = 24

    def __init__(self, gains: Sequence[Gain], *, ascii_only: bool) -> None:
        self._low = min(0.0, *(gain.low for gain in gains))
        self._high = max(0.0, *(gain.high for gain in gains)) or 1.0
        self._line, self._dot, self._zero = ("-", "o", "|") if ascii_only else ("─", "●", "│")

    @property
    def heading(self) -> str:
        low, high = signed(self._low), signed(self._high)
        return low + high.rjust(self.width - len(low))

    def draw(self, row: Alternative) -> Text:
        cells = [" "] * self.width
        if row.option != NO_ALIGNMENT:
            first, last = self._place(row.gain.low), self._place(row.gain.high)
            cells[first : last + 1] = self._line * (last + 1 - first)
        cells[self._place(0)] = self._zero
        if row.option != NO_ALIGNMENT:
            cells[self._place(row.gain.mean)] = self._dot
        return Text("".join(cells))

    def _place(self, points: float) -> int:
        return round((points - self._low) / (self._high - self._low) * (self.width - 1))


def _bar(fraction: float, *, ascii_only: bool, width: int = 8) -> Text:
    full, empty = ("#", ".") if ascii_only else ("━", "╌")
    filled = round(fraction * width)
    return Text.assemble(full * filled, (empty * (width - filled), "dim"), f" {percent(fraction):>4}")


def _titled(title: str, parts: Sequence[RenderableType]) -> RenderableType:
    return Group(Text(), Text(title, style="bold"), Padding(Group(*parts), (0, 0, 0, 2)))


def _plain(text: str, style: str = "") -> Text:
    # Text, never markup: a label such as "[/]" must come out as it is. The ASCII hyphen, because a minus
    # that an old terminal cannot encode would take the sign of a gain with it.
    return Text(clean(text).replace(MINUS, "-"), style=style)
