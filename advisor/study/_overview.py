"""What a plan amounts to, before it is run."""

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from statistics import mean

from pydantic import BaseModel, ConfigDict

from advisor.console import print_reading
from advisor.report.words import duration
from advisor.study._grid import Grid, Selection
from advisor.study._inputs import read_inputs
from advisor.study._plan import Plan
from advisor.study._record import read_record
from probes.errors import InputError


class PlanOverview(BaseModel):
    """The size of a study.

    Attributes:
        baselines: runs of fine-tuning alone, shared by all pairs.
        runs: aligned runs.
        probes: one a cell, or none.
        needs_head: how many of the runs take a model with an MLM head, and are left out for others.
        seconds: of work for one process without the probes, judged by the runs of another study; None where
            none is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: int
    baselines: int
    runs: int
    probes: int
    needs_head: int
    seconds: float | None
    grid: dict[str, tuple[str, ...]]

    def markdown(self) -> str:
        """Totals, and the pairs of every model and task."""
        lines = [
            f"{self.cells} cells, {self.probes} probes, {self.baselines} runs of fine-tuning alone and "
            f"{self.runs} aligned runs."
            + (f" {self.needs_head} of them need an MLM head." if self.needs_head else "")
            + (f" About {duration(self.seconds)} of work without the probes." if self.seconds else ""),
            "",
            "| Model and task | Pairs |",
            "|---|---|",
            *(f"| {name} | {', '.join(pairs)} |" for name, pairs in self.grid.items()),
        ]
        return "\n".join(lines) + "\n"


def overview(plan: Plan, only: Collection[str] = (), like: str | Path | None = None) -> PlanOverview:
    """Read everything a plan names, and count.

    Args:
        plan: as :func:`read_plan` reads it.
        only: cells to keep to, as for :func:`run_study`.
        like: folder of a study on a machine like this, whose runs tell how long these will take.

    Raises:
        InputError: if something cannot be used.
    """
    grid = Grid(plan, Selection(only))
    read_inputs(grid, print_reading)
    runs = list(grid)
    aligned = [run for run in runs if run.target is not None]
    pairs: dict[str, tuple[str, ...]] = {}
    for cell in grid.cells:
        name = f"{cell.model}, {cell.task}"
        pairs[name] = (*pairs.get(name, ()), f"{cell.source}-{cell.target}")
    return PlanOverview(
        cells=len(grid.cells),
        baselines=len(runs) - len(aligned),
        runs=len(aligned),
        probes=len(grid.cells) if plan.probe else 0,
        seconds=None if like is None else _seconds(Path(like), len(runs) - len(aligned), len(aligned)),
        needs_head=sum(run.option.option.needs_mlm_head for run in aligned),
        grid=pairs,
    )


def _seconds(folder: Path, baselines: int, aligned: int) -> float:
    spent: defaultdict[bool, list[float]] = defaultdict(list)
    for file in (folder / "records").glob("*.json"):
        record = read_record(file)
        if record is not None and record.status == "done":
            spent[record.configuration.target is None].append(record.seconds)
    if not spent:
        raise InputError(f"{folder} holds no record of a finished run: name another study with --like.")
    usual = mean(seconds for found in spent.values() for seconds in found)
    return baselines * mean(spent[True] or [usual]) + aligned * mean(spent[False] or [usual])
