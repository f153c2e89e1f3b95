"""Who imports whom, read from the sources without running them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("advisor", "probes")


@dataclass(frozen=True)
class Import:
    """One import: ``importer`` asks for ``module`` (or for a name of it), at once or when it is called.

    Attributes:
        names: what is asked for of the module.
        at_once: whether the import runs with the importer's own.
        for_types: whether only type checkers see it.
    """

    importer: str
    module: str
    names: tuple[str, ...]
    at_once: bool
    for_types: bool


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module, by name; a package goes by its own."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Every import of one of our modules by another."""
    return tuple(
        found for name, tree in modules().items() for found in _imports_of(name, tree.body, True, False)
    )


def _imports_of(name: str, body: list[ast.stmt], at_once: bool, for_types: bool) -> Iterator[Import]:
    for node in body:
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] in PACKAGES:
                for alias in names:
                    whole = f"{module}.{alias.name}"
                    if whole in modules():
                        yield Import(name, whole, (), at_once, for_types)
                    else:
                        yield Import(name, module, (alias.name,), at_once, for_types)
            case ast.Import(names=names):
                for alias in names:
                    if alias.name.split(".")[0] in PACKAGES:
                        yield Import(name, alias.name, (), at_once, for_types)
            case _:
                inner = at_once and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                hidden = for_types or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
                for part in ("body", "orelse", "finalbody"):
                    yield from _imports_of(name, getattr(node, part, []), inner, hidden)
                for handler in getattr(node, "handlers", []):
                    yield from _imports_of(name, handler.body, inner, for_types)


def package_of(module: str) -> str:
    """What a module is part of: ``advisor.study`` for ``advisor.study._plan``, ``probes.run`` for itself."""
    parts = module.split(".")
    return ".".join(parts[:2])


def cycles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected parts of a graph that hold more than one node (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            part = [stack.pop()]
            while part[-1] != node:
                part.append(stack.pop())
            if len(part) > 1:
                found.append(sorted(part))

    for node in sorted(edges):
        if node not in order:
            visit(node)
    return found
