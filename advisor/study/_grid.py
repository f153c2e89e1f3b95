"""The grid that a plan spans: cells, and the runs of each in the order of their turn."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, product, zip_longest

from advisor.options import NO_ALIGNMENT, Option
from advisor.study._plan import Plan
from advisor.study._schema import Block, Derived, PairPlan, TaskPlan, TrainingPlan, waits_for_probe
from advisor.training import Experiment
from probes.errors import InputError
from probes.languages import parse_language

_FILTERS = ("model", "task", "source", "target")


@dataclass(frozen=True, slots=True)
class Cell:
    """A model, a task and a language pair; languages are codes."""

    model: str
    task: str
    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.model} {self.task} {self.source}-{self.target}"


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One option with one seed; ``target`` is None for fine-tuning alone, ``block`` for the grid itself."""

    model: str
    task: str
    source: str
    target: str | None
    option: Option
    seed: int
    block: str | None = None

    @property
    def cell(self) -> Cell | None:
        """The cell it belongs to; fine-tuning alone belongs to all cells of its model and task."""
        return None if self.target is None else Cell(self.model, self.task, self.source, self.target)

    def __str__(self) -> str:
        where = self.source if self.target is None else f"{self.source}-{self.target}"
        block = "" if self.block is None else f"{self.block}: "
        return f"{block}{self.model} {self.task} {where}, {self.option}, seed {self.seed}"


class Selection:
    """Which cells are meant: those that satisfy any of some filters; with no filter every cell.

    A filter is ``KEY=VALUE,...`` with keys model, task, source, target, where ``|`` stands between values any
    of which will do; all its conditions must hold.
    """

    def __init__(self, filters: Collection[str] = ()) -> None:
        self._any = [self._parse(text) for text in filters]

    @staticmethod
    def _parse(text: str) -> Mapping[str, Collection[str]]:
        parts = [re.fullmatch(r"\s*(\w+)\s*=\s*(\S+)\s*", part) for part in text.split(",")]
        conditions = {match[1]: set(match[2].split("|")) for match in parts if match}
        if None in parts or not set(conditions) <= set(_FILTERS):
            raise InputError(f"'{text}' selects no cells: write it as in target=wo,task=pos.")
        for key in ("source", "target"):
            if key in conditions:
                conditions[key] = {parse_language(code).code for code in conditions[key]}
        return conditions

    def __contains__(self, cell: Cell) -> bool:
        return not self._any or any(
            all(getattr(cell, key) in values for key, values in conditions.items())
            for conditions in self._any
        )


class Grid:
    """The selected cells of a plan, the fine-tuning alone that they are compared with, and their runs."""

    def __init__(self, plan: Plan, selection: Selection | None = None) -> None:
        chosen = selection or Selection()
        self.plan = plan
        self._blocks: dict[str | None, Block] = {block.name: block for block in plan.blocks}
        self._pairs = {
            (parse_language(pair.source).code, parse_language(pair.target).code): pair for pair in plan.pairs
        }
        self._planned = Selection(plan.cells or ())
        self.cells = tuple(
            cell
            for model in plan.models
            for task in plan.tasks
            for source in dict.fromkeys(source for source, _ in self._pairs)
            for target in self.targets(model, task, source)
            if (cell := Cell(model, task, source, target)) in chosen
        )
        if not self.cells:
            raise InputError("No cell of the plan is selected: look at its models, tasks and targets again.")

    def targets(self, model: str, task: str, source: str) -> tuple[str, ...]:
        """Codes of the target languages that the plan has for a model, task and source language, whatever
        cells are selected."""
        named = self.plan.tasks[task].targets
        wanted = None if named is None else {parse_language(text).code for text in named}
        return tuple(
            target
            for of, target in self._pairs
            if of == source
            and (wanted is None or target in wanted)
            and Cell(model, task, source, target) in self._planned
        )

    def pair(self, cell: Cell) -> PairPlan:
        """The pair of a cell as it was planned."""
        return self._pairs[cell.source, cell.target]

    def data(self, task: str, source: str, target: str | None) -> TaskPlan:
        """The files of a task for a pair, with the languages as the plan writes them in the names' places."""
        spec = self.plan.tasks[task]
        pairs = [pair for (of, to), pair in self._pairs.items() if of == source and target in (None, to)]

        def named(pattern: str) -> str:
            name = pattern.replace("{source}", pairs[0].source)
            return name if target is None else name.replace("{target}", pairs[0].target)

        return spec.renamed(named)

    def baselines(self, model: str, task: str, source: str) -> Iterator[PlannedRun]:
        """Fine-tuning alone, with every seed."""
        for seed in self.plan.none_seeds or self.plan.seeds:
            yield PlannedRun(model, task, source, None, NO_ALIGNMENT, seed)

    def runs(self, cell: Cell) -> Iterator[PlannedRun]:
        """The aligned runs of a cell: all options of a seed together; last those that wait for the probe."""
        for seed, option in sorted(
            product(self.plan.seeds, self.plan.planned_options), key=lambda run: waits_for_probe(run[1])
        ):
            yield PlannedRun(cell.model, cell.task, cell.source, cell.target, option, seed)

    def block_runs(self) -> Iterator[PlannedRun]:
        """The runs that the plan's blocks ask for, block by block."""
        for block in self.plan.blocks:
            selection = Selection(block.only)
            runs: dict[PlannedRun, None] = {}
            cells = filter(selection.__contains__, self.cells)
            seeds = block.seeds or self.plan.seeds
            for cell, seed, option in product(cells, seeds, block.planned_options):
                target = None if option == NO_ALIGNMENT else cell.target
                run = PlannedRun(cell.model, cell.task, cell.source, target, option, seed, block.name)
                runs[run] = None
            yield from runs

    def training(self, run: PlannedRun) -> TrainingPlan:
        """The settings of a run."""
        block = self._blocks.get(run.block)
        changes = {} if block is None else block.training.model_dump(exclude_none=True)
        return self.plan.training.model_copy(update=changes)

    def experiment(self, run: PlannedRun) -> Experiment | None:
        """What a run does otherwise."""
        block = self._blocks.get(run.block)
        return None if block is None else block.experiment

    @property
    def models(self) -> tuple[str, ...]:
        """The models of all cells and what they are made of, the latter first."""
        ready: dict[str, None] = {}

        def add(name: str) -> None:
            spec = self.plan.models[name]
            for part in [] if isinstance(spec, str) else spec.made_of(self.plan.models):
                add(part)
            ready[name] = None

        for cell in self.cells:
            add(cell.model)
        return tuple(ready)

    @property
    def derived(self) -> list[Derived]:
        """How those of the models are made that are made of others."""
        specs = map(self.plan.models.__getitem__, self.models)
        return [spec for spec in specs if isinstance(spec, Derived)]

    def __iter__(self) -> Iterator[PlannedRun]:
        """Every run once, in the order of their turn."""
        yield from (task for task in self.in_turn() if isinstance(task, PlannedRun))

    def in_turn(self) -> Iterator[Cell | PlannedRun]:
        """Fine-tuning alone when it is first needed, then cell by cell (which stands for its probe) with its
        runs, so that whole cells finish early; last the blocks.

        Cells of one model and pair stand together, since they share their alignment: first one pair of every
        model, then another, so that all groups grow alike.
        """
        by_model: dict[str, dict[tuple[str, str], list[Cell]]] = {}
        for cell in self.cells:
            by_model.setdefault(cell.model, {}).setdefault((cell.source, cell.target), []).append(cell)
        begun: set[tuple[str, str, str]] = set()
        stages = zip_longest(*(pairs.values() for pairs in by_model.values()), fillvalue=())
        for cell in chain.from_iterable(chain.from_iterable(stages)):
            group = (cell.model, cell.task, cell.source)
            if group not in begun:
                begun.add(group)
                yield from self.baselines(*group)
            yield cell
            yield from self.runs(cell)
        yield from self.block_runs()
