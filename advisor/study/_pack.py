"""A study as a folder that runs on a machine without a network."""

import shutil
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from advisor.files import check_output, staged
from advisor.recipe import OFFLINE_MODELS
from advisor.study._grid import Cell, Grid, Selection
from advisor.study._inputs import first_tasks, mlm_bitexts, read_sentences
from advisor.study._plan import Plan, write_plan
from advisor.study._schema import Derived, FineTuned, TaskPlan
from probes.catalogue import TASKS
from probes.data import Columns, read_bitext, read_labelled
from probes.errors import InputError
from probes.languages import parse_language
from probes.schema import Frozen

LIMIT_MIB = 60
_HUB = "hf:"
_PACKAGES = ("advisor", "probes")


class PackReport(Frozen):
    """What was packed: sizes in MiB by part."""

    total: float
    parts: dict[str, float]

    def markdown(self) -> str:
        """The sizes in words."""
        parts = ", ".join(f"{name} {size:.1f}" for name, size in self.parts.items())
        return f"{self.total:.1f} MiB: {parts}.\n"


def pack_study(
    plan: Plan, out: str | Path, *, only: Collection[str] = (), limit_mib: float = LIMIT_MIB
) -> PackReport:
    """Write a folder with all that the cells of ``only`` need: encoders, data, plan, source and a script.

    Offline encoders lose the part of their vocabulary that no text of the plan uses; their weights are
    exactly the same. Continued MLM then predicts among fewer pieces than it would elsewhere.

    Raises:
        InputError: if something the plan names cannot be used or packed, if it would be larger than
            ``limit_mib``, or if ``out`` is there already.
    """
    out = Path(out).absolute()
    check_output(out.parent)
    grid = Grid(plan, Selection(only))
    with staged(out) as hidden:
        return _fill(hidden, grid, limit_mib)


def _fill(folder: Path, grid: Grid, limit_mib: float) -> PackReport:
    root = Path(grid.plan.data)
    data = folder / "data"
    for spec in _specs(grid):
        for file in _files(spec):
            copy = data / _inside(str(file), root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    for package in _PACKAGES:
        source = Path(__file__).parents[2] / package
        shutil.copytree(source, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    models = {name: grid.plan.models[name] for name in grid.models}
    bases = dict.fromkeys(
        spec if isinstance(spec, str) else spec.base
        for spec in models.values()
        if isinstance(spec, str) or spec.base not in models  # it may be another model of the plan
    )
    names = {base: f"encoders/{i}-{Path(base).name}" for i, base in enumerate(bases)}
    for base, name in names.items():
        _check(folder, limit_mib)
        _pack_encoder(base, data / name, grid)
    inside = partial(_inside, root=root)
    packed = _chosen(grid, models).renamed(lambda base: names[base], inside, inside)
    packed = packed.model_copy(update={"data": "data"})
    (folder / "plan.yaml").write_text(write_plan(packed), encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name("run.sh"), folder / "run.sh")
    readme = Path(__file__).with_name("pack.md").read_text(encoding="utf-8")
    (folder / "README.md").write_text(readme.format(requirements=_requirements()), encoding="utf-8")
    _check(folder, limit_mib)
    encoders, every, *packages = (_mib(folder / part) for part in ("data/encoders", "data", *_PACKAGES))
    parts = {"encoders": encoders, "data": every - encoders, "source": sum(packages)}
    return PackReport(total=_mib(folder), parts=parts)


def _check(folder: Path, limit_mib: float) -> None:
    size = _mib(folder)
    if size > limit_mib:
        raise InputError(
            f"The packed study would be {size:.0f} MiB or more, over the limit of {limit_mib:g}: pack fewer "
            "cells with --only, or raise --limit-mib."
        )


def _mib(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


# --- data ------------------------------------------------------------------------------------------------


def _specs(grid: Grid) -> list[str]:
    """Everything the cells name, each once."""
    specs: dict[str, None] = {}
    for cell in grid.cells:
        files = grid.data(cell.task, cell.source, cell.target).files.values()
        specs |= dict.fromkeys((*files, grid.pair(cell).bitext))
    specs |= dict.fromkeys((*mlm_bitexts(grid), *(first.train for first in first_tasks(grid))))
    return list(specs)


def _files(spec: str) -> Iterator[Path]:
    """The files that a spec names; several are joined by ``+`` and ``,``."""
    if spec.startswith(_HUB):
        raise InputError(f"'{spec}' comes from the hub and cannot be packed: save it as a file first.")
    if Path(spec).exists():
        yield Path(spec)
        return
    for separator in "+,":
        if separator in spec:
            for part in spec.split(separator):
                yield from _files(part.strip())
            return
    raise InputError(f"There is no file {spec}, which the plan names: correct it there.")


def _inside(spec: str, root: Path) -> str:
    """File names as they are in the pack; what lies outside the data folder goes to ``outside``."""
    for separator in "+,":
        if separator in spec and not Path(spec).exists():
            return separator.join(_inside(part.strip(), root) for part in spec.split(separator))
    return spec.removeprefix(f"{root}/") if spec.startswith(f"{root}/") else f"outside{spec}"


def _chosen(grid: Grid, models: dict[str, str | Derived]) -> Plan:
    """The plan of the selected cells alone."""
    targets = {cell.target for cell in grid.cells}

    def is_chosen(language: str) -> bool:
        return parse_language(language).code in targets

    tasks = {
        name: task.model_copy(update={"targets": task.targets and [*filter(is_chosen, task.targets)]})
        for name, task in grid.plan.tasks.items()
        if any(cell.task == name for cell in grid.cells)
    }
    pairs = [pair for pair in grid.plan.pairs if is_chosen(pair.target)]
    return grid.plan.model_copy(update={"models": models, "pairs": pairs, "tasks": tasks})


# --- encoders --------------------------------------------------------------------------------------------


def _pack_encoder(base: str, path: Path, grid: Grid) -> None:
    """Write an encoder: trimmed if it is an offline one, else whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if base in OFFLINE_MODELS:
        from probes.bundled import BUNDLED, trim_bundled  # torch takes seconds to import

        path.write_bytes(trim_bundled(BUNDLED[OFFLINE_MODELS.index(base)], _texts(grid)))
        return
    from advisor.study._derive import save_encoder
    from probes.encoder import load_encoder

    save_encoder(load_encoder(base), path)


def _texts(grid: Grid) -> Iterator[str]:
    """Every text that the cells read."""
    labelled: dict[tuple[str, str], TaskPlan | FineTuned] = {}
    bitexts: dict[str, Cell] = {}
    for cell in grid.cells:
        data = grid.data(cell.task, cell.source, cell.target)
        labelled |= {(spec, cell.task): data for spec in data.files.values()}
        bitexts[grid.pair(cell).bitext] = cell
    for first in first_tasks(grid):
        labelled[first.train, first.task] = first
    for (spec, task), plan in labelled.items():
        yield from read_labelled(spec, TASKS.find(task), role="train", columns=Columns(**plan.columns)).texts
    for spec, cell in bitexts.items():
        for pair in read_bitext(spec, parse_language(cell.source), parse_language(cell.target)).pairs:
            yield from pair
    yield from read_sentences(dict.fromkeys(mlm_bitexts(grid)))


def _requirements() -> str:
    """The packages that the source needs, as a list."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        requirements = requires("alignment-advisor") or []
    except PackageNotFoundError:  # packed from a pack
        return "The packages are those of the machine where it was packed."
    needed = [line for line in requirements if "extra ==" not in line]
    return "\n".join(f"- {line}" for line in needed)
