"""The plan of a study: a grid of models, language pairs, tasks, options and seeds, as a YAML file."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError, model_validator

from advisor.files import write_files
from advisor.options import NO_ALIGNMENT
from advisor.recipe import (
    OFFLINE_MODELS,
    anchor_bitext,
    anchor_data,
    anchor_model,
    comment,
    entry,
    first_problem,
    load_yaml,
)
from advisor.study._schema import (
    Block,
    ContinuedMlm,
    Derived,
    Name,
    PairPlan,
    PlannedOption,
    ProbePlan,
    Seeds,
    Strict,
    TaskPlan,
    TrainingPlan,
    WrittenOption,
    as_value_error,
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

    Raises:
        pydantic.ValidationError: if a key is unknown, a value has the wrong type or range, a name is
            unknown, or the parts do not fit together.
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
        description="Tasks (pos, ner, slots, topic, intent, sentiment, nli, paraphrase) with their data; "
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
        if self.probe is None and any(option.from_norms for option in self.planned_options):
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
    def planned_options(self) -> list[PlannedOption]:
        """What is compared with fine-tuning alone."""
        options = map(PlannedOption.parse, self.options)
        return [option for option in options if option.option != NO_ALIGNMENT]

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
    content = load_yaml(path, "write a plan with 'advisor study plan --out plan.yaml'")
    if not isinstance(content, dict):
        raise InputError(f"{path} is no plan: write one with 'advisor study plan --out plan.yaml'.")
    try:
        plan = Plan.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        raise InputError(
            f"{path} is no plan that can be run ({first_problem(error)}): correct it there."
        ) from error
    root = Path(data).absolute() if data is not None else (path.parent / Path(plan.data).expanduser())
    if needs_data and not root.is_dir():
        raise InputError(f"The data folder {root} is not there: name another with data: or --data.")
    root = root.resolve()
    anchored = plan.renamed(
        *(partial(anchor, folder=root) for anchor in (anchor_model, anchor_data, anchor_bitext))
    )
    return anchored.model_copy(update={"data": str(root)})


def write_plan(plan: Plan) -> str:
    """``plan`` as YAML, every key explained where it stands first."""
    lines = ["# A study: every model, task, pair, option and seed. Check it: advisor study plan THIS_FILE"]
    return "\n".join([*lines, *_fields(plan, "", set())]) + "\n"


def write_example(path: Path, plan: Plan) -> None:
    """Write ``plan`` into a new file.

    Raises:
        InputError: if there is a file already, or its folder may not be written to.
    """
    if path.exists():
        raise InputError(f"{path} is there already: name another file with --out.")
    write_files(path.parent, {path.name: write_plan(plan)})


def _fields(model: BaseModel, indent: str, explained: set[tuple[type, str]]) -> Iterator[str]:
    """The fields of ``model``; a comment stands above the first of each kind."""
    for name, field in type(model).model_fields.items():
        if not indent:
            yield ""
        if (type(model), name) not in explained:
            explained.add((type(model), name))
            yield from (f"{indent}{line}" for line in comment(field.description or ""))
        yield from _value(name, getattr(model, name), indent, explained)


def _value(name: str, value: object, indent: str, explained: set[tuple[type, str]]) -> Iterator[str]:
    deeper = indent + "  "
    match value:
        case BaseModel():
            yield f"{indent}{name}:"
            yield from _fields(value, deeper, explained)
        case dict() if any(isinstance(item, BaseModel) for item in value.values()):
            yield f"{indent}{name}:"
            for key, item in value.items():
                yield from _value(key, item, deeper, explained)
        case list() if any(isinstance(item, BaseModel) for item in value):
            yield f"{indent}{name}:"
            for item in value:
                first, *rest = (line[1:] for line in _fields(item, " ", explained))
                yield f"{deeper}- {first}"
                yield from (f"{deeper}  {line}" for line in rest)
        case _:
            yield from (f"{indent}{line}" for line in entry(name, value))


def example_plan() -> Plan:
    """A small plan that shows every key."""
    return Plan(
        data="data",
        models={
            "bundled": OFFLINE_MODELS[0],
            "bundled-6": Derived(base=OFFLINE_MODELS[0], layers=6),
            "bundled-mlm": Derived(
                base=OFFLINE_MODELS[0], continued_mlm=ContinuedMlm(bitext=["bitext/en-wo.tsv"])
            ),
        },
        pairs=[
            PairPlan(target="wo", bitext="bitext/en-wo.tsv"),
            PairPlan(target="de", bitext="bitext/en-de.news.tsv+bitext/en-de.talks.tsv"),
        ],
        tasks={
            "pos": TaskPlan(
                train="pos/{source}.train.conllu",
                source_test="pos/{source}.test.conllu",
                target_test="pos/{target}.test.conllu",
            ),
            "topic": TaskPlan(
                train="topic/{source}.train.tsv",
                target_test="topic/{target}.test.tsv",
                target_labels="topic/{target}.dev.tsv",
                targets=["wo"],
            ),
        },
        options=[
            "token-contrastive:joint:0.1",
            "token-contrastive:joint:norms",
            "sentence-contrastive:sequential",
        ],
        seeds=[0, 1, 2],
    )
