"""Many targets, many encoders at once: questions crossed or from a file, answered as one table."""

from advisor.grid.joint import JointAnswer
from advisor.grid.questions import crossed, named_once, read_questions
from advisor.grid.run import (
    anchored,
    compare_targets,
    in_processes,
    probe_cells,
    spread,
    with_paths,
    write_joint,
)
from advisor.grid.scores import Score
from advisor.grid.show import grid_page, grid_table
from advisor.grid.store import folder_of
from advisor.grid.table import SORTS, AnswerCell, AnswerGrid, Sort, ask_grid

__all__ = [
    "SORTS",
    "AnswerCell",
    "AnswerGrid",
    "JointAnswer",
    "Score",
    "Sort",
    "anchored",
    "ask_grid",
    "compare_targets",
    "crossed",
    "folder_of",
    "grid_page",
    "grid_table",
    "in_processes",
    "named_once",
    "probe_cells",
    "read_questions",
    "spread",
    "with_paths",
    "write_joint",
]
