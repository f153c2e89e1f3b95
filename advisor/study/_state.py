"""A study on disk: what is there already, and what the next step of it needs.

Layout of the folder::

    plan.yaml      the plan as it was last run, file names absolute
    inputs.json    hashes of what it names
    models/        one JSON file a model, and the encoders that were derived
    labels/        labelled text for the probe that no run is scored on
    probes/        signals of every cell, named by the cell and a key of all that decides them
    records/       one JSON file a run, named by the key of its configuration
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from advisor.options import weighted
from advisor.study._grid import Cell, Grid, PlannedRun
from advisor.study._inputs import GridInputs
from advisor.study._record import Record, Records
from advisor.study._run_once import TrialRun, configure, roles_of
from advisor.study._schema import Derived, TrainingPlan, waits_for_probe
from advisor.training import Recipe
from probes.data import Columns
from probes.request import ProbeRequest
from probes.schema import Frozen
from probes.signals import Signals


class ModelInfo(Frozen):
    """An encoder of a study, ready to be loaded.

    Attributes:
        made_of: key of how the plan says it is made.
        load: what ``load_encoder`` takes; relative to the study's folder if derived.
        no_mlm_reason: why it cannot be trained with ``mlm`` and ``tlm``; None if it can.
        precision: that ``auto`` stood for where it was loaded first; it decides the numbers of every run.
    """

    made_of: str
    load: str
    derived: bool
    sha256: str
    no_mlm_reason: str | None
    precision: Literal["bf16", "no"]


@dataclass(frozen=True)
class ModelStep:
    """Make or fetch an encoder, of ``others`` as ``load_encoder`` takes them, and write its info."""

    name: str
    spec: str | Derived
    made_of: str
    folder: Path
    others: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProbeStep:
    """Take the probe of a cell, and write its signals to ``path``; file names there count from ``roots``."""

    cell: Cell
    request: ProbeRequest
    path: Path
    roots: tuple[Path, ...]

    @property
    def taken(self) -> Path | None:
        """Where the signals are, compressed or not; None while they are not."""
        files = (self.path, self.path.with_name(f"{self.path.name}.gz"))
        return next((file for file in files if file.exists()), None)

    @property
    def failure(self) -> Path:
        """Where the reason is written if it fails."""
        return self.path.with_suffix(".failed.txt")

    def named_as_planned(self, signals: Signals) -> Signals:
        """The signals with the plan's names of model and files: they do not tell whose machine it was."""
        data = []
        for facts in signals.data:
            spec = facts.spec
            for root in self.roots:
                spec = _relative(spec, root)
            data.append(facts.model_copy(update={"spec": spec}))
        model = signals.model.model_copy(update={"id": self.cell.model})
        return signals.model_copy(update={"data": tuple(data), "model": model})


def key_of(parts: Any) -> str:
    """A short name for a value that can be written as JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


class State:
    """Answers from a study's folder. What was there once is remembered; what is missing is looked up anew."""

    def __init__(self, grid: Grid, folder: Path, inputs: GridInputs, device: str = "auto") -> None:
        self.grid = grid
        self.folder = folder.absolute()
        self.records = Records(self.folder / "records")
        self._inputs = inputs
        self._device = device
        self._models: dict[str, ModelInfo] = {}
        self._signals: dict[Cell, Signals] = {}

    # --- models ------------------------------------------------------------------------------------------

    def model_step(self, name: str) -> ModelStep:
        """How a model comes to be."""
        spec = self.grid.plan.models[name]
        parts: Any = spec if isinstance(spec, str) else spec.model_dump(mode="json", exclude_none=True)
        others: dict[str, str] = {}
        if isinstance(spec, Derived):
            sha256 = self._inputs.sha256
            if spec.continued_mlm is not None:
                parts["continued_mlm"]["bitext"] = [sha256.get(name) for name in spec.continued_mlm.bitext]
            if spec.fine_tuned is not None:
                parts["fine_tuned"]["train"] = sha256.get(spec.fine_tuned.train)
            for part in spec.made_of(self.grid.plan.models):
                parts[f"made of {part}"] = self.model_step(part).made_of
                info = self.model(part)
                if info is not None:
                    others[part] = self._load(info)
        return ModelStep(name, spec, key_of(parts), self.folder / "models", others)

    def model_waits(self, name: str) -> bool:
        """Whether another model that it is made of is not there yet."""
        spec = self.grid.plan.models[name]
        parts = spec.made_of(self.grid.plan.models) if isinstance(spec, Derived) else []
        return any(self.model(part) is None for part in parts)

    def model(self, name: str) -> ModelInfo | None:
        """A model that is ready; None if it is not, or if the plan now makes another one."""
        if name not in self._models:
            step = self.model_step(name)
            try:
                info = ModelInfo.model_validate_json((step.folder / f"{name}.json").read_bytes())
            except (OSError, ValidationError):
                return None
            if info.made_of != step.made_of:
                return None
            self._models[name] = info
        return self._models[name]

    def _load(self, info: ModelInfo) -> str:
        return str(self.folder / info.load) if info.derived else info.load

    # --- probes ------------------------------------------------------------------------------------------

    def probe_step(self, cell: Cell) -> ProbeStep | None:
        """The probe of a cell; None while its model is not ready, or where the plan has no probes."""
        info, plan = self.model(cell.model), self.grid.plan.probe
        if info is None or plan is None:
            return None
        data = self.grid.data(cell.task, cell.source, cell.target)
        request = ProbeRequest(
            model=self._load(info),
            source=cell.source,
            target=cell.target,
            task=cell.task,
            train=data.train,
            bitext=self.grid.pair(cell).bitext,
            target_labels=self._inputs.probe_labels.get(f"{cell.task} {cell.target}"),
            columns=Columns(**data.columns),
            budget=plan.budget,
            device=self._device,
            seed=plan.seed,
        )
        decides = [info.sha256, plan.budget, plan.seed, cell.task, cell.source, cell.target]
        named = (request.train, request.bitext, request.target_labels)
        decides += [self._inputs.sha256.get(name or "", name) for name in named]
        name = f"{cell.model}.{cell.task}.{cell.source}-{cell.target}.{key_of(decides)}.json"
        roots = (Path(self.grid.plan.data), self.folder)
        return ProbeStep(cell, request, self.folder / "probes" / name, roots)

    def signals(self, cell: Cell) -> Signals | None:
        """What the probe of a cell found; None if it has not been taken."""
        if cell not in self._signals:
            step = self.probe_step(cell)
            if step is None or step.taken is None:
                return None
            self._signals[cell] = Signals.load(step.taken)
        return self._signals[cell]

    # --- runs --------------------------------------------------------------------------------------------

    def impossible(self, planned: PlannedRun) -> str | None:
        """Why a run will never be possible on its model; None as far as is known."""
        info = self.model(planned.model)
        if info is not None and planned.option.needs_mlm_head:
            return info.no_mlm_reason
        return None

    def run(self, planned: PlannedRun) -> TrialRun | None:
        """The run, ready to begin; None while its data, its model or the probe it waits for is missing."""
        info = self.model(planned.model)
        if info is None:
            return None
        signals = None
        if waits_for_probe(planned.option):
            signals = self.signals(planned.cell) if planned.cell else None
            if signals is None:
                return None
        targets = self.grid.targets(planned.model, planned.task, planned.source)
        if planned.target is not None:
            targets = (planned.target,)
        tests = {
            target: self.grid.data(planned.task, planned.source, target).target_test for target in targets
        }
        # Fine-tuning alone depends on no target, but a recipe names one.
        recipe = self._recipe(planned, info, planned.target or targets[0], signals)
        specs = {"train": recipe.train, "source-labels": recipe.source_labels, "bitext": recipe.bitext}
        files = {role: str(specs[role]) for role in roles_of(recipe)}
        hashes = self._inputs.sha256
        if not hashes.keys() >= {*files.values(), *tests.values()}:  # of a cell that was never selected
            return None
        configuration = configure(
            recipe,
            model_sha256=info.sha256,
            data_sha256={role: hashes[spec] for role, spec in files.items()},
            scored={target: hashes[spec] for target, spec in tests.items()},
        )
        files |= {f"target-labels {target}": spec for target, spec in tests.items()}
        named = {role: _relative(spec, Path(self.grid.plan.data)) for role, spec in files.items()}
        looks = tuple(self.grid.training(planned).looks)
        return TrialRun(configuration, recipe, planned.model, named, tests, looks, planned.block)

    def _recipe(self, planned: PlannedRun, info: ModelInfo, target: str, signals: Signals | None) -> Recipe:
        training = self.grid.training(planned)
        data = self.grid.data(planned.task, planned.source, planned.target)
        return Recipe(
            model=self._load(info),
            source=planned.source,
            target=target,
            task=planned.task,
            train=data.train,
            source_labels=data.source_test,
            bitext=self.grid.pair(planned.cell).bitext if planned.cell else None,
            columns=data.columns,
            option=weighted(planned.option, signals),
            epochs=training.steps,  # no fewer than the steps take, whatever the data
            max_steps=training.steps,
            mixed_precision=info.precision if training.precision == "auto" else training.precision,
            seed=planned.seed,
            experiment=self.grid.experiment(planned),
            **training.model_dump(include=Recipe.model_fields.keys() & TrainingPlan.model_fields.keys()),
        )

    def record(self, planned: PlannedRun) -> Record | None:
        """The record of a run, if it has ended."""
        run = self.run(planned)
        return None if run is None else self.records.find(run.configuration)


def _relative(spec: str, root: Path) -> str:
    """File names as the plan has them, so that a record does not tell whose machine it comes from."""
    return spec.replace(f"{root}/", "")
