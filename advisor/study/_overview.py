"""What a plan amounts to, before it is run."""

from collections.abc import Collection

from pydantic import BaseModel, ConfigDict

from advisor.study._grid import Grid, Selection
from advisor.study._inputs import read_inputs
from advisor.study._plan import Plan

__all__ = ["PlanOverview", "overview"]


class PlanOverview(BaseModel):
    """The size of a study.

    Attributes:
        baselines: runs of fine-tuning alone, shared by all pairs.
        runs: aligned runs.
        probes: one a cell, or none.
        needs_head: how many of the runs take a model with an MLM head, and are left out for others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: int
    baselines: int
    runs: int
    probes: int
    needs_head: int
    grid: dict[str, tuple[str, ...]]

    def markdown(self) -> str:
        """Totals, and the pairs of every model and task."""
        lines = [
            f"{self.cells} cells, {self.probes} probes, {self.baselines} runs of fine-tuning alone and "
            f"{self.runs} aligned runs."
            + (f" {self.needs_head} of them need an MLM head." if self.needs_head else ""),
            "",
            "| Model and task | Pairs |",
            "|---|---|",
            *(f"| {name} | {', '.join(pairs)} |" for name, pairs in self.grid.items()),
        ]
        return "\n".join(lines) + "\n"


def overview(plan: Plan, only: Collection[str] = ()) -> PlanOverview:
    """Read everything a plan names, and count.

    Raises:
        InputError: if something cannot be used.
    """
    grid = Grid(plan, Selection(only))
    read_inputs(grid)
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
        needs_head=sum(run.option.option.objective.needs_mlm_head for run in aligned),
        grid=pairs,
    )
