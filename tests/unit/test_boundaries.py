"""Packages keep to their boundaries, functions to their size, and a name means one thing."""

import ast
from collections import defaultdict
from itertools import pairwise

import pytest

from tests.unit.imports import PACKAGES, ROOT, cycles, imports, modules, package_of

LAYERS = (
    ("advisor.options", "advisor.sample", "advisor.corpora", "advisor.files", "advisor._objects"),
    ("advisor._request",),
    ("advisor.decide",),
    ("advisor.advice",),
    ("advisor.findings",),
    ("advisor.report",),
    ("advisor.console", "advisor.training", "advisor._notebook"),
    ("advisor.recipe", "advisor.watch"),
    ("advisor.study",),
    ("advisor.recommend",),
    ("advisor.race",),
    ("advisor.grid",),
    ("advisor.trackers", "advisor.comparison"),
    ("advisor.model_card",),
    ("advisor.service",),
    ("advisor.app",),
    ("advisor.cli",),
    ("advisor", "advisor.__main__"),
)
"""What may import what: a package those above it, never one beside or below it."""
MOST_ARGUMENTS, MOST_MODULES, MOST_LINES, MOST_LINES_OF_A_FUNCTION = 7, 15, 400, 60
LIGHT = [
    f"advisor.{name}"
    for name in ("app", "cli", "findings", "race", "recommend", "report", "service", "study")
]
HEAVY = {"torch", "transformers", "accelerate", "sklearn"}
"""Libraries that take seconds to import: nobody waits for them who only asks."""
RANK = {package: rank for rank, layer in enumerate(LAYERS) for package in layer}


def test_no_private_module_of_another_package_is_imported() -> None:
    intruders = []
    for found in imports():
        for target in (found.module, *(f"{found.module}.{name}" for name in found.names)):
            parts = target.split(".")
            private = next((i for i, part in enumerate(parts) if _is_private(part)), None)
            home = ".".join(parts[:private])
            if private is not None and found.importer != home and not found.importer.startswith(f"{home}."):
                intruders.append(f"{found.importer} imports {target}")
                break
    assert not intruders


def _is_private(part: str) -> bool:
    return part.startswith("_") and not part.startswith("__")


def test_probes_know_nothing_of_the_advisor() -> None:
    assert not [i for i in imports() if i.importer.startswith("probes") and i.module.startswith("advisor")]


def test_every_package_has_its_layer() -> None:
    assert {package_of(name) for name in modules() if name.startswith("advisor")} <= RANK.keys()


def test_no_import_goes_upward() -> None:
    upward = set()
    for found in imports():
        importer, module = package_of(found.importer), package_of(found.module)
        if found.for_types or importer == module or not module.startswith("advisor"):
            continue
        if RANK[module] >= RANK[importer]:
            upward.add(f"{found.importer} imports {found.module}")
    assert not upward


@pytest.mark.parametrize("package", LIGHT)
def test_importing_a_package_loads_no_torch(package: str) -> None:
    """Neither itself nor through anything of ours that comes with it."""
    edges: dict[str, set[str]] = defaultdict(set)
    for found in imports():
        if found.at_once and not found.for_types:
            parts = found.module.split(".")
            edges[found.importer] |= {".".join(parts[: i + 1]) for i in range(len(parts))}
    reached, ahead = set(), [package]
    while ahead:
        module = ahead.pop()
        if module not in reached:
            reached.add(module)
            ahead += edges[module]
    assert not {module for module in reached & modules().keys() if _at_once(modules()[module]) & HEAVY}


def _at_once(tree: ast.Module) -> set[str]:
    """The libraries that a module imports when it is imported."""
    names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


def test_no_modules_import_each_other() -> None:
    edges: dict[str, set[str]] = defaultdict(set)
    for found in imports():
        if found.at_once and not found.for_types and found.module != found.importer:
            edges[found.importer].add(found.module)
    assert cycles(edges) == []


def test_no_packages_import_each_other() -> None:
    edges: dict[str, set[str]] = defaultdict(set)
    for found in imports():
        importer, module = package_of(found.importer), package_of(found.module)
        if not found.for_types and importer != module and not {importer, module} & set(PACKAGES):
            edges[importer].add(module)
    assert cycles(edges) == []


def test_a_cycle_is_found() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]


def test_no_two_classes_share_a_name() -> None:
    places = defaultdict(list)
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_public_functions_take_few_arguments() -> None:
    trains = {}
    for name, tree in modules().items():
        if name.startswith("advisor.cli."):
            continue  # a command has a parameter for every option
        methods = [n for node in tree.body if isinstance(node, ast.ClassDef) for n in node.body]
        for node in (*tree.body, *methods):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                count = sum(argument.arg not in ("self", "cls") for argument in arguments)
                if count > MOST_ARGUMENTS:
                    trains[f"{name}.{node.name}"] = count
    assert not trains


def test_modules_are_short() -> None:
    lines = {name: tree.body[-1].end_lineno or 0 for name, tree in modules().items() if tree.body}
    assert not {name: n for name, n in lines.items() if n > MOST_LINES}


def test_functions_are_short() -> None:
    """What a function does, its documentation apart."""
    lines = {}
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                documented = ast.get_docstring(node) is not None
                first = node.body[1] if documented and len(node.body) > 1 else node.body[0]
                lines[f"{name}.{node.name}"] = (node.end_lineno or 0) - first.lineno + 1
    assert not {name: n for name, n in lines.items() if n > MOST_LINES_OF_A_FUNCTION}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_is_crowded(package: str) -> None:
    crowded = {}
    for folder in (ROOT / package, *(ROOT / package).rglob("*/")):
        count = len(list(folder.glob("*.py")))
        if count > MOST_MODULES:
            crowded[str(folder.relative_to(ROOT))] = count
    assert not crowded


def test_layers_are_ordered() -> None:
    assert all(set(one).isdisjoint(other) for one, other in pairwise(LAYERS))
