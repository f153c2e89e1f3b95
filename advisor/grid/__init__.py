"""Many targets, many encoders at once: questions crossed or from a file, answered as one table."""

from advisor.grid.questions import Asked, crossed, listed, read_questions
from advisor.grid.scores import Score
from advisor.grid.show import grid_page, grid_table
from advisor.grid.table import SORTS, Cell, Grid, Sort, ask_grid

__all__ = [
    "SORTS",
    "Asked",
    "Cell",
    "Grid",
    "Score",
    "Sort",
    "ask_grid",
    "crossed",
    "grid_page",
    "grid_table",
    "listed",
    "read_questions",
]
