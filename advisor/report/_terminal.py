"""The report in a terminal: the card in a frame, then what was measured, options, next moves and files."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from advisor.advice import Advice, Gain, NextMove
from advisor.report._card import Card, OptionRow, card_of
from advisor.report.words import TERMINAL_COLOURS, clean, interval, minutes, percent, plain, signed
from probes.signals import Signals

_TONES = {"good": "green", "bad": "yellow", "plain": ""}
_SHOWN_OPTIONS = 5
_SCALE_WIDTH = 56


def render_terminal(
    advice: Advice, signals: Signals | None, files: Sequence[Path] | None = None
) -> RenderableType:
    """Advice for ``rich.print``.

    Args:
        advice: what to show.
        signals: what was measured for it, if anything was.
        files: what a command wrote, to be named at the end; None where no command shows it.
    """
    card = card_of(advice, signals)
    rest = "in the report" if files else "in its advice" if files is None else "with --json"
    parts: list[RenderableType] = [_framed(card, rest)]
    if card.measured:
        parts.append(
            _titled(
                "Measured on this model, and its place among the study's cells",
                [_measured(card), *_slope(card)],
            )
        )
    if len(card.options) > 1:
        parts.append(_titled("Options", [_options(card, rest)]))
    if card.moves:
        parts.append(_titled("Next", list(_moves(card.moves))))
    if files:
        parts.append(_titled("Written", [plain(_listed(files))]))
    return Group(*parts)


def _framed(card: Card, rest: str) -> Panel:
    colour = TERMINAL_COLOURS[card.tone]
    lines: list[RenderableType] = [plain(card.sentence, "bold")]
    if card.worth:
        lines.append(plain(f"{card.confidence.capitalize()}: {card.worth}.", "dim"))
    if card.exception:
        lines.append(plain(card.exception))
    if card.gain is not None:
        lead = (
            "Expected gain" if not card.gain_of else f"The best alignment, {card.gain_of}, would change it by"
        )
        gain = card.gain
        lines += [
            Text(),
            Text.assemble(
                plain(f"{lead} "),
                plain(f"{signed(gain.mean)} points", "bold"),
                plain(f", {percent(gain.level)} interval {interval(gain)}"),
            ),
            _Whisker(card, gain),
        ]
    if card.reasons:
        lines += [Text(), _grid((points, text) for points, text in card.reasons)]
    if card.doubt:
        more = f" ({card.more_doubts} more {rest})" if card.more_doubts else ""
        lines.append(_grid([("!", card.doubt + more)]))
    return Panel(
        Group(*lines),
        title=Text(f"{card.verdict}: {card.confidence}", style=f"bold {colour}"),
        subtitle=plain(card.scope, "dim"),
        border_style=colour,
        padding=(0, 2),
    )


def _measured(card: Card) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_column()
    for row in card.measured:
        said = Text.assemble((clean(row.judgement), f"bold {_TONES[row.tone]}".strip()))
        if row.place:
            said.append(f", {clean(row.place)}", style="dim")
        value = f"{row.value}; {row.beside}" if row.beside else row.value
        table.add_row(plain(row.name), plain(value), said)
    return table


def _slope(card: Card) -> Iterator[Text]:
    if card.before is not None and card.after is not None:
        yield Text.assemble(
            plain(f"Evidence alone {signed(card.before.mean)} ({interval(card.before)}), with the probe "),
            plain(f"{signed(card.after.mean)} ({interval(card.after)})", "bold"),
            plain(" points"),
        )


def _options(card: Card, rest: str) -> Table:
    level = percent(card.gain.level if card.gain else 0.8)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("Option")
    table.add_column("Gain", justify="right", no_wrap=True)
    table.add_column(f"{level} interval", justify="right", no_wrap=True)
    table.add_column("Basis", no_wrap=True)
    shown = [option for place, option in enumerate(card.options) if place < _SHOWN_OPTIONS or option.is_none]
    for option in shown:
        table.add_row(*_option(option), style="bold" if option.advised else "")
    hidden = len(card.options) - len(shown)
    notes = [f"{hidden} more with lower gains, {rest}"] if hidden else []
    if any(option.same for option in shown):
        notes.append("like it: the same loss, no difference known")
    table.caption = "; ".join(notes)
    table.caption_justify = "left"
    return table


def _option(option: OptionRow) -> tuple[Text, Text, Text, Text]:
    label = option.label + (" (advised)" if option.advised else "")
    if option.same:
        label += f", +{len(option.same)} like it"
    gain = option.row.gain
    return (
        plain(label),
        plain(signed(gain.mean) + ("+" if option.row.at_least else "")),
        plain("" if option.is_none else interval(gain)),
        plain(option.basis),
    )


def _moves(moves: Sequence[NextMove]) -> Iterator[RenderableType]:
    for number, move in enumerate(moves, start=1):
        price = ", ".join(
            filter(
                None,
                (
                    "" if move.minutes is None else minutes(move.minutes),
                    "" if move.value is None else f"worth {signed(move.value)} points in expectation",
                ),
            )
        )
        text = Text.assemble(plain(move.text), plain(f" [{price}]", "bold") if price else "")
        if move.command:
            text.append("\n").append(plain(move.command, "cyan"))
        yield _grid([(f"{number}.", text)])


def _listed(files: Sequence[Path]) -> str:
    """The files by their common folder, those in folders of it as these."""
    folder = Path(os.path.commonpath(files)) if len(files) > 1 else files[0].parent
    within = (path.relative_to(folder) for path in files)
    names = dict.fromkeys(path.parts[0] + "/" * (len(path.parts) > 1) for path in within)
    return f"{folder}: {', '.join(names)}"


class _Whisker:
    """A gain on the card's scale, as wide as there is room for."""

    def __init__(self, card: Card, gain: Gain) -> None:
        self._card, self._gain = card, gain

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line, dot, zero = ("-", "o", "|") if options.ascii_only else ("─", "●", "│")
        low, high = map(signed, self._card.scale)
        width = max(8, min(_SCALE_WIDTH, options.max_width - len(low) - len(high) - 2))

        def place(points: float) -> int:
            return round(self._card.place(points) * (width - 1))

        cells = [" "] * width
        first, last = place(self._gain.low), place(self._gain.high)
        cells[first : last + 1] = line * (last + 1 - first)
        cells[place(0)] = zero
        cells[place(self._gain.mean)] = dot
        yield plain(f"{low} {''.join(cells)} {high}", "dim")


def _grid(rows: "Sequence[tuple[str, str | Text]] | Iterator[tuple[str, str | Text]]") -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(justify="right", no_wrap=True, style="bold")
    table.add_column()
    for head, text in rows:
        table.add_row(plain(head), text if isinstance(text, Text) else plain(text))
    return table


def _titled(title: str, parts: Sequence[RenderableType]) -> RenderableType:
    return Group(Text(), Text(title, style="bold"), Padding(Group(*parts), (0, 0, 0, 2)))
