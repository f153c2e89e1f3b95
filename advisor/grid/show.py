"""A grid in a terminal and as a page."""

from collections.abc import Iterator
from itertools import combinations

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from advisor.grid.joint import JointAnswer
from advisor.grid.table import AnswerCell, AnswerGrid
from advisor.report import card_of, render
from advisor.report.words import TERMINAL_COLOURS, estimated, interval, percent, plain, signed, tone
from probes.signals import Estimate

_ENCODER = 17
"""Characters that the name of an encoder takes before it is folded."""
_COLUMN = 24
"""Characters that a cell of the matrix takes; where they are not to be had, cells stand in lines."""
_PAIR = 20
"""The same for two targets' cosine with its interval."""
_MOST_PAIRS = 20


def grid_table(grid: AnswerGrid, width: int, *, lines: bool = False) -> RenderableType:
    """The grid for ``rich.print``: models side by side where ``width`` has room, else a line a cell.

    An order other than that of the questions needs ``lines`` in any case.
    """
    models = grid.models
    matrix = not lines and len(models) > 1 and width >= 16 + _COLUMN * len(models)
    parts: list[RenderableType] = [_matrix(grid) if matrix else _lines(grid), *_remarks(grid)]
    if any(cell.measured for cell in grid.cells):
        parts += [Text("\nMeasured", style="bold"), _measured(grid)]
    for joint in grid.joint:
        parts += [*_joint(joint, grid.headings[joint.model], width)]
    return Group(*parts)


def _measured(grid: AnswerGrid) -> Table:
    """What the probes found, the encoders of a row side by side."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for head in ("", "", *grid.headings.values()):
        table.add_column(plain(head), overflow="fold")
    for row, cells in grid.rows.items():
        found = {model: dict(cells[model].measured) for model in grid.models if model in cells}
        for i, name in enumerate(dict.fromkeys(name for values in found.values() for name in values)):
            values = [plain(found.get(model, {}).get(name, "")) for model in grid.models]
            table.add_row(plain("" if i else row), plain(name), *values)
    return table


def _joint(joint: JointAnswer, model: str, width: int) -> Iterator[RenderableType]:
    """The joint answer, and how the targets lie to each other: where there is no room, the clearest pairs."""
    yield Text(f"\nTogether or apart: {model}, {joint.task}", style="bold")
    yield plain(joint.text, "bold")
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), title_justify="left")
    table.add_column(f"{joint.objective}, net")
    pairs = [
        (row, row.net) for pair in combinations(joint.order, 2) if (row := joint.between(*pair)) and row.net
    ]
    fits = _PAIR * len(joint.order) + len(joint.objective) + 6 <= width
    if fits:
        for target in joint.order:
            table.add_column(plain(target), no_wrap=True)
        for first in joint.order:
            rows = (joint.between(first, second) for second in joint.order)
            table.add_row(plain(first), *(_cosine(row.net) if row and row.net else "" for row in rows))
    else:
        table.add_column("Cosine", no_wrap=True)
        pairs.sort(key=lambda pair: _clear(pair[1]), reverse=True)
        for row, net in pairs[:_MOST_PAIRS]:
            table.add_row(plain(f"{row.first}, {row.second}"), _cosine(net))
    yield table
    if not fits and len(pairs) > _MOST_PAIRS:
        yield plain(
            f"The clearest {_MOST_PAIRS} of {len(pairs)} pairs; all are in grid.html and grid.json.", "dim"
        )
    yield plain("Cosine of what translations add to the gradients: 1 the same direction, 0 unrelated.", "dim")
    for doubt in joint.doubts:
        yield plain(f"! {doubt}")


def _cosine(net: Estimate) -> Text:
    return plain(estimated(net, 2), {1: "green", -1: "red", 0: "dim"}[net.sign])


def _clear(net: Estimate) -> float:
    """How far the interval stays from 0; below 0 if it does not."""
    return -2.0 if net.low is None or net.high is None or not net.resolved else max(net.low, -net.high)


def _matrix(grid: AnswerGrid) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 1, 0))
    table.add_column("")
    for heading in grid.headings.values():
        table.add_column(plain(heading), overflow="fold")
    for row, cells in grid.rows.items():
        found = [cells.get(model) for model in grid.models]
        table.add_row(plain(row), *(Text("\n").join(_said(c)) if c else "" for c in found))
    return table


def _lines(grid: AnswerGrid) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    headings, several = grid.headings, len(grid.models) > 1
    heads = ("Question", "Encoder", "Answer", "Gain", "80% interval", *(["Final score"] if several else []))
    widest = min(_ENCODER, max(map(len, headings.values()), default=0))
    for head in heads:
        wide = widest if head == "Encoder" else None
        table.add_column(head, no_wrap=head in ("Gain", "80% interval"), overflow="fold", min_width=wide)
    for name, cell in zip(grid.names, grid.cells, strict=True):
        gain = cell.advice.gain if cell.advice else None
        numbers = [plain(signed(gain.mean)), plain(interval(gain))] if gain else ["", ""]
        names = plain(name), plain(headings[cell.model])
        score = [_score(cell)] if several else []
        table.add_row(*names, next(_said(cell)), *numbers, *score)
    return table


def _said(cell: AnswerCell) -> Iterator[Text]:
    """A cell's lines."""
    if cell.advice is None:
        yield plain("no answer" if cell.problem else "not run yet", "red" if cell.problem else "dim")
        return
    word = "Align" if cell.advice.aligns else "Alone"
    yield plain(f"{word}, {cell.advice.confidence}", f"bold {TERMINAL_COLOURS[tone(cell.advice)]}")
    if cell.advice.gain is not None:
        yield plain(f"{signed(cell.advice.gain.mean)} ({interval(cell.advice.gain)})")
    yield _score(cell)


def _score(cell: AnswerCell) -> Text:
    score = cell.score
    if score is None:
        return plain("not comparable" if cell.advice else "", "dim")
    best = f", best ({percent(score.ahead)})" if score.ahead is not None else ""
    return plain(f"scores {score.value:.1f}{best}", "bold" if score.best else "")


def _remarks(grid: AnswerGrid) -> Iterator[Text]:
    answered = [cell for cell in grid.cells if cell.advice]
    studies = {cell.score.study for cell in answered if cell.score}
    if studies:
        yield plain(
            "Scores: what fine-tuning alone reached in one study, plus the gain of what is advised "
            f"({'; '.join(sorted(studies))}). Best: the highest of its row, with the probability that it "
            "beats the next.",
            "dim",
        )
    if len(grid.models) > 1 and any(cell.score is None for cell in answered):
        yield plain(
            "Not comparable: no study with others of the row has that encoder on this task and target, or "
            "its gain is only extrapolated.",
            "dim",
        )
    for i, line in enumerate(grid.problems()):
        yield plain(line, "red" if grid.failed and i == 0 else "")


def grid_page(grid: AnswerGrid) -> str:
    """The grid as one HTML page: every cell opens its card; no script, no other file, no network."""
    numbers = {id(cell): number for number, cell in enumerate(grid.cells)}
    cards = {i: card_of(cell.advice) for i, cell in enumerate(grid.cells) if cell.advice}
    return render("grid.html.jinja", most=3, grid=grid, rows=grid.rows, numbers=numbers, cards=cards)
