"""The plan of a study: a grid of models, language pairs, tasks, options and seeds, as a YAML file."""

from collections.abc import Callable
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Self

from pydantic import Discriminator, Field, Tag, model_validator

from advisor.files import write_files
from advisor.options import NO_ALIGNMENT, Option
from advisor.recipe import anchor_bitext, anchor_data, anchor_model, commented, load_yaml
from advisor.study._schema import (
    Block,
    Derived,
    Name,
    PairPlan,
    ProbePlan,
    Seeds,
    Strict,
    TaskPlan,
    TrainingPlan,
    WrittenOption,
    as_value_error,
    read_option,
    waits_for_probe,
)
from probes.catalogue import TASKS
from probes.errors import InputError
from probes.languages import parse_language


def _kind_of_model(spec: object) -> str:
    return "name" if isinstance(spec, str) else "derived"


Model = Annotated[
    Annotated[str, Tag("name")] | Annotated[Derived, Tag("derived")], Discriminator(_kind_of_model)
]


class Plan(Strict):
    """A study: each model is fine-tuned on each task for each pair, with each option and seed.

    Fine-tuning alone needs no target language: it is run once for a model, task and seed, and scored on the
    task's test data of every pair. The descriptions of the fields are the comments in a written plan.
    """

    data: str = Field(
        default=".", description="Folder that the files' names count from; relative to this file."
    )
    models: Annotated[dict[Name, Model], Field(min_length=1)] = Field(
        description="Encoders by name: a hub id, a folder, an offline encoder (bundled, bundled-enpt), or "
        "one that is made of another."
    )
    pairs: Annotated[list[PairPlan], Field(min_length=1)] = Field(
        description="Language pairs, each with its bitext."
    )
    tasks: Annotated[dict[str, TaskPlan], Field(min_length=1)] = Field(
        description=f"Tasks ({', '.join(TASKS)}) with their data; "
        "{source} and {target} stand for the languages."
    )
    cells: list[str] | None = Field(
        default=None,
        description="Cells to keep to, each as in model=bundled,task=pos|topic,target=wo|de, those of all "
        "together; null: every model on every task and pair.",
    )
    options: Annotated[list[WrittenOption], Field(min_length=1)] = Field(
        description="OBJECTIVE:SCHEDULE[:FROZEN_LAYERS][:WEIGHT], where the weight may be norms (from the "
        "gradient norms of the cell's probe); none is always run. tlm and mlm are left out for models "
        "without an MLM head."
    )
    seeds: Annotated[list[Seeds], Field(min_length=1)] = Field(
        description="Every option is run once with each; two make gains with intervals."
    )
    none_seeds: list[Seeds] | None = Field(
        default=None, description="Seeds of fine-tuning alone, among them all of the others'; null: the same."
    )
    training: TrainingPlan = Field(default=TrainingPlan(), description="The same for every run.")
    blocks: list[Block] = Field(
        default_factory=list, description="Further runs in some of the cells, after all others."
    )
    probe: ProbePlan | None = Field(
        default=ProbePlan(), description="Taken on every model, task and pair before its trials; null: none."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in self.tasks:
            as_value_error(name, TASKS.find)
        if self.probe is None and any(map(waits_for_probe, self.planned_options)):
            raise ValueError("a weight from norms needs a probe: set one, or give the weight as a number")
        for what, values in (
            ("seed", self.seeds),
            ("option", self.planned_options),
            ("pair", [(parse_language(p.source), parse_language(p.target)) for p in self.pairs]),
        ):
            if len(set(values)) < len(values):
                raise ValueError(f"a {what} stands in the plan twice")
        for pair in self.pairs:
            if parse_language(pair.source) == parse_language(pair.target):
                raise ValueError(f"a pair needs two languages, and {pair.target} is its own source")
        self._check_models()
        names = [block.name for block in self.blocks]
        if len(set(names)) < len(names):
            raise ValueError("two blocks have the same name")
        if self.none_seeds is not None and not set(self.none_seeds) >= set(self.seeds):
            raise ValueError("none_seeds must hold every seed of seeds, since gains are paired by seed")
        of_pairs = {parse_language(pair.target) for pair in self.pairs}
        for name, task in self.tasks.items():
            for target in task.targets or ():
                if parse_language(target) not in of_pairs:
                    raise ValueError(f"tasks.{name}.targets names {target}, which no pair has as its target")
        return self

    def _check_models(self) -> None:
        derived = {name: spec for name, spec in self.models.items() if isinstance(spec, Derived)}
        for name, spec in derived.items():
            if spec.fine_tuned is not None:
                as_value_error(spec.fine_tuned.task, TASKS.find)
            if spec.mixed_with is not None and spec.mixed_with.other not in self.models:
                raise ValueError(
                    f"models.{name} is mixed with {spec.mixed_with.other}, which is no model here"
                )
        try:
            TopologicalSorter({name: spec.made_of(derived) for name, spec in derived.items()}).prepare()
        except CycleError as error:
            raise ValueError(f"models.{error.args[1][0]} is made of itself") from error

    @property
    def planned_options(self) -> list[Option]:
        """What is compared with fine-tuning alone."""
        return [option for option in map(read_option, self.options) if option != NO_ALIGNMENT]

    def renamed(
        self, model: Callable[[str], str], data: Callable[[str], str], bitext: Callable[[str], str]
    ) -> Self:
        """The plan with other names for the encoders that it does not make, for its data and its bitexts."""

        def made(spec: str | Derived) -> str | Derived:
            if isinstance(spec, str):
                return model(spec)
            changes: dict[str, object] = {"base": spec.base if spec.base in self.models else model(spec.base)}
            if (mlm := spec.continued_mlm) is not None:
                changes["continued_mlm"] = mlm.model_copy(update={"bitext": [*map(bitext, mlm.bitext)]})
            if (tuned := spec.fine_tuned) is not None:
                changes["fine_tuned"] = tuned.model_copy(update={"train": data(tuned.train)})
            return spec.model_copy(update=changes)

        pairs = [pair.model_copy(update={"bitext": bitext(pair.bitext)}) for pair in self.pairs]
        tasks = {name: task.renamed(data) for name, task in self.tasks.items()}
        models = {name: made(spec) for name, spec in self.models.items()}
        return self.model_copy(update={"models": models, "pairs": pairs, "tasks": tasks})


def read_plan(path: str | Path, data: str | Path | None = None, *, needs_data: bool = True) -> Plan:
    """Read and check a plan; all file names in it are made absolute.

    Args:
        path: the YAML file.
        data: folder that file names count from, instead of the one that the plan names.
        needs_data: whether that folder must be there.

    Raises:
        InputError: if it is not a plan that can be run; one sentence that names the key.
    """
    path = Path(path)
    plan = _checked(path)
    root = Path(data).absolute() if data is not None else (path.parent / Path(plan.data).expanduser())
    if needs_data and not root.is_dir():
        raise InputError(f"The data folder {root} is not there: name another with data: or --data.")
    root = root.resolve()
    anchored = plan.renamed(
        *(partial(anchor, folder=root) for anchor in (anchor_model, anchor_data, anchor_bitext))
    )
    return anchored.model_copy(update={"data": str(root)})


def _checked(path: Path) -> Plan:
    """The plan in a file, its file names as they are."""
    return load_yaml(Plan, path, "plan", "write a plan with 'advisor study plan --out plan.yaml'")


def write_plan(plan: Plan) -> str:
    """``plan`` as YAML, every key explained where it stands first."""
    lines = ["# A study: every model, task, pair, option and seed. Check it: advisor study plan THIS_FILE"]
    for _, written in commented(plan, set()):
        lines += ["", *written]
    return "\n".join(lines) + "\n"


def write_example(path: Path, plan: Plan) -> None:
    """Write ``plan`` into a new file.

    Raises:
        InputError: if there is a file already, or its folder may not be written to.
    """
    if path.exists():
        raise InputError(f"{path} is there already: name another file with --out.")
    write_files(path.parent, {path.name: write_plan(plan)})


def example_plan() -> Plan:
    """A small plan that shows every key."""
    return _checked(Path(__file__).with_name("example.yaml"))
