"""A study as a folder that runs on a machine without a network."""

import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from advisor.files import check_output
from advisor.recipe import OFFLINE_MODELS
from advisor.study._grid import Cell, Grid, Selection
from advisor.study._inputs import first_tasks, mlm_bitexts, read_sentences
from advisor.study._plan import Plan, write_plan
from advisor.study._schema import Derived, FineTuned, TaskPlan
from probes.catalogue import TASKS
from probes.data import Columns, read_bitext, read_labelled
from probes.errors import InputError
from probes.languages import parse_language

LIMIT_MIB = 60
_HUB = "hf:"
_PACKAGES = ("advisor", "probes")
_RUN = """\
#!/bin/sh
# Runs the study in this folder, or goes on with it. Options of `advisor study run` may follow.
cd "$(dirname "$0")" || exit 2
export PYTHONPATH=. HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=PASSIVE
exec "${PYTHON:-python3}" -m advisor study run plan.yaml --out study "$@"
"""
_README = """\
# A packed study

    sh run.sh --jobs 4        # runs it, or goes on with it
    sh run.sh --only target=wo,task=pos

It needs Python 3.11 or newer with the packages below, and no network: encoders, data and the source of the
advisor are here. Afterwards bring `study/` back: `advisor study compile study --out records.csv`.

Encoders hold only the vocabulary that the plan's data use. The data keep the licences they came with.

{requirements}
"""


class PackReport(BaseModel):
    """What was packed: sizes in MiB by part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total: float
    parts: dict[str, float]

    def markdown(self) -> str:
        """The sizes in words."""
        parts = ", ".join(f"{name} {size:.1f}" for name, size in self.parts.items())
        return f"{self.total:.1f} MiB: {parts}.\n"


def pack_study(
    plan: Plan, out: str | Path, *, only: Collection[str] = (), limit_mib: float = LIMIT_MIB
) -> PackReport:
    """Write a folder with all that a plan needs: encoders, data, the plan, the source and a script.

    Offline encoders lose the part of their vocabulary that no text of the plan uses; their weights are
    exactly the same. Continued MLM then predicts among fewer pieces than it would elsewhere.

    Args:
        plan: as :func:`read_plan` reads it.
        out: folder to create.
        only: cells to keep to, as for :func:`run_study`.
        limit_mib: refuse to write more.

    Raises:
        InputError: if something the plan names cannot be used or packed, if it would be larger than
            ``limit_mib``, or if ``out`` is there already.
    """
    out = Path(out).absolute()
    if out.exists():
        raise InputError(f"{out} is there already: name another folder with --out.")
    check_output(out.parent)
    grid = Grid(plan, Selection(only))
    hidden = out.with_name(f".{out.name}-{secrets.token_hex(4)}")
    try:
        report = _fill(hidden, grid, limit_mib)
        hidden.rename(out)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return report


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
        if isinstance(spec, str) or spec.base not in models
    )
    names = {base: f"encoders/{i}-{Path(base).name}" for i, base in enumerate(bases)}
    for base, name in names.items():
        _check(folder, limit_mib)
        _pack_encoder(base, data / name, grid)
    targets = {cell.target for cell in grid.cells}
    packed = grid.plan.model_copy(
        update={
            "data": "data",
            "models": {name: _packed_model(spec, names, root) for name, spec in models.items()},
            "pairs": [
                pair.model_copy(update={"bitext": _inside(pair.bitext, root)})
                for pair in grid.plan.pairs
                if parse_language(pair.target).code in targets
            ],
            "tasks": {
                name: _packed_task(spec, root, targets)
                for name, spec in grid.plan.tasks.items()
                if any(cell.task == name for cell in grid.cells)
            },
        }
    )
    (folder / "plan.yaml").write_text(write_plan(packed), encoding="utf-8")
    (folder / "run.sh").write_text(_RUN, encoding="utf-8")
    (folder / "README.md").write_text(_README.format(requirements=_requirements()), encoding="utf-8")
    _check(folder, limit_mib)
    parts = ("data", "data/encoders", *_PACKAGES)
    sizes = {part: _mib(folder / part) for part in parts}
    sizes["data"] -= sizes["data/encoders"]
    return PackReport(
        total=_mib(folder),
        parts={
            "encoders": sizes["data/encoders"],
            "data": sizes["data"],
            "source": sum(sizes[package] for package in _PACKAGES),
        },
    )


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


def _specs(grid: Grid) -> Iterator[str]:
    """Everything the cells name, each once."""
    specs: dict[str | None, None] = {}
    for cell in grid.cells:
        data = grid.data(cell.task, cell.source, cell.target)
        specs |= dict.fromkeys((data.train, data.source_test, data.target_test, data.target_labels))
        specs[grid.pair(cell).bitext] = None
    specs |= dict.fromkeys(mlm_bitexts(grid))
    specs |= dict.fromkeys(first.train for first in first_tasks(grid))
    yield from (spec for spec in specs if spec is not None)


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


def _packed_task(task: TaskPlan, root: Path, targets: Collection[str]) -> TaskPlan:
    names = ("train", "source_test", "target_test", "target_labels")
    specs = {name: getattr(task, name) for name in names}
    update: dict[str, object] = {
        name: _inside(spec, root) for name, spec in specs.items() if spec is not None
    }
    if task.targets is not None:
        update["targets"] = [name for name in task.targets if parse_language(name).code in targets]
    return task.model_copy(update=update)


# --- encoders --------------------------------------------------------------------------------------------


def _packed_model(spec: str | Derived, names: dict[str, str], root: Path) -> str | Derived:
    if isinstance(spec, str):
        return names[spec]
    mlm = spec.continued_mlm
    if mlm is not None:
        mlm = mlm.model_copy(update={"bitext": [_inside(part, root) for part in mlm.bitext]})
    tuned = spec.fine_tuned
    if tuned is not None:
        tuned = tuned.model_copy(update={"train": _inside(tuned.train, root)})
    base = names.get(spec.base, spec.base)  # it may be another model of the plan
    return spec.model_copy(update={"base": base, "continued_mlm": mlm, "fine_tuned": tuned})


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
        for spec in (data.train, data.source_test, data.target_test, data.target_labels):
            if spec is not None:
                labelled[spec, cell.task] = data
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
