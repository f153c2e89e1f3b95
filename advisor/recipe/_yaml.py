"""Recipes as YAML, written with a comment for every key and read strictly; the file names in them."""

import json
import os.path
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from advisor.options import Option
from advisor.training import Recipe
from probes.errors import InputError

T = TypeVar("T", bound=BaseModel)

_WIDTH = 100
_SECTIONS = {
    "model": "What is trained, and on what",
    "option": "Alignment",
    "epochs": "Fine-tuning",
    "warmup_share": "Both",
}
"""Headings, by the field they stand above."""
_OPTION = {
    "objective": "none, token-contrastive, token-l2, sentence-contrastive, tlm or mlm.",
    "schedule": "sequential (align, then fine-tune) or joint (both losses in every step).",
    "frozen_layers": "none, lower-half or upper-half: beyond the alignment loss's reach, not the task's.",
    "word_pairs": "mutual-argmax (the encoder's own states), dictionary or file: for the token losses only.",
    "weight": "Of the alignment loss in joint training (0.1 in the published runs), else null.",
}
"""Comments on the fields of an option."""


def write_recipe(recipe: Recipe, header: str = "", alternative: Option | None = None) -> str:
    """``recipe`` as YAML with a comment for every key; ``alternative`` is a comment to switch to."""
    lines = [*_comment(header), "# Relative paths count from this file's folder."]
    for name, written in commented(recipe, set()):
        if name in _SECTIONS:
            lines += ["", f"# --- {_SECTIONS[name]} ---"]
        lines += written
        if name == "option" and alternative is not None:
            lines += ["# To try the best-looking option instead, put this in place of the one above:"]
            lines += [f"# {line}" for line in _entry("option", alternative.model_dump(mode="json"))]
    return "\n".join(lines) + "\n"


def commented(model: BaseModel, explained: set[tuple[type, str]]) -> Iterator[tuple[str, list[str]]]:
    """The fields of ``model``, each as lines of YAML; a comment stands above the first of each kind."""
    plain = model.model_dump(mode="json")
    for name, field in type(model).model_fields.items():
        lines: list[str] = []
        if (type(model), name) not in explained:
            explained.add((type(model), name))
            lines += _comment(_OPTION[name] if isinstance(model, Option) else field.description or "")
        yield name, [*lines, *_value(name, getattr(model, name), plain[name], explained)]


def _value(name: str, value: object, plain: Any, explained: set[tuple[type, str]]) -> Iterator[str]:
    def fields(part: BaseModel) -> list[str]:
        return [line for _, lines in commented(part, explained) for line in lines]

    match value:
        case BaseModel():
            yield f"{name}:"
            yield from (f"  {line}" for line in fields(value))
        case dict() if any(isinstance(item, BaseModel) for item in value.values()):
            yield f"{name}:"
            for key, item in value.items():
                yield from (f"  {line}" for line in _value(key, item, plain[key], explained))
        case list() if any(isinstance(item, BaseModel) for item in value):
            yield f"{name}:"
            for item in value:
                first, *rest = fields(item)
                yield from (f"  - {first}", *(f"    {line}" for line in rest))
        case _:
            yield from _entry(name, plain)


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe; relative paths in it count from its folder.

    Raises:
        InputError: if the file cannot be read, is not YAML, or is no recipe; it names the key and the line.
    """
    recipe = load_yaml(Recipe, Path(path), "recipe", "name the recipe.yaml that a probe wrote")
    return anchor_recipe(recipe, Path(path).parent)


def load_yaml(model: type[T], path: Path, kind: str, cure: str) -> T:
    """What a YAML file holds, read strictly.

    Raises:
        InputError: if it cannot be read, is not YAML (it names the line), or holds no such thing.
    """
    try:
        content = yaml.load(path.read_bytes(), Loader=_Loader)
        # By way of JSON, where strict types still let names stand for enumeration members.
        plain = json.dumps(content, default=str)
    except OSError as error:
        raise InputError(f"Cannot read {path} ({error.strerror or error}): {cure}.") from error
    # A day or a number that cannot be is a ValueError, a date as a key a TypeError.
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is not valid YAML ({_yaml_problem(error)}): correct it there.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is no {kind}, which has one 'key: value' a line: {cure}.")
    try:
        return model.model_validate_json(plain)
    except ValidationError as error:
        raise InputError(
            f"{path} is no {kind} that can be run ({_first_problem(error)}): correct it there."
        ) from error


def _comment(text: str) -> Iterator[str]:
    """``text`` as comment lines."""
    for line in textwrap.wrap(text, _WIDTH - 2, break_long_words=False, break_on_hyphens=False):
        yield f"# {line}"


def _entry(name: str, value: object) -> list[str]:
    """``name: value`` as lines of YAML."""
    text = yaml.dump({name: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**16)
    return text.rstrip("\n").split("\n")


def _yaml_problem(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split()) or type(error).__name__


def _first_problem(error: ValidationError) -> str:
    """Where and what the first problem is, as part of a sentence."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such key"
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {message[:1].lower()}{message[1:]}" if where else message


class _Loader(yaml.SafeLoader):
    """A safe loader that reads plain words as YAML 1.2 does and refuses keys that stand twice, and aliases.

    A few lines of aliases of aliases unfold to more than any memory holds, and one of itself has no end.
    YAML 1.1 takes ``no`` (a language, and a value of ``mixed_precision``) for false and ``2e-5`` for text.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None,
                None,
                f"the alias '*{event.anchor}' is not read here: write out what it stands for",
                event.start_mark,
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key.value}' stands here twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """A safe dumper that quotes whatever either version of YAML would not take for text."""


_BOOL, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"
_BOOL_1_2 = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_FLOAT_1_2 = re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, _BOOL_1_2, list("tTfF"))
for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(_FLOAT, _FLOAT_1_2, list("-+.0123456789"))


OFFLINE_MODELS = ("bundled", "bundled-enpt")
"""Names of encoders that are no paths, as in ``probes.bundled`` (which needs torch to be imported)."""

_HUB = "hf:"


def anchor_recipe(recipe: Recipe, folder: Path) -> Recipe:
    """The same recipe with absolute paths; relative ones count from ``folder``.

    Offline encoders, hub ids and ``hf:`` data sets stay as they are, unless they name a local folder.
    """
    anchors = {
        "model": anchor_model,
        "train": anchor_data,
        "bitext": anchor_bitext,
        "target_labels": anchor_data,
        "source_labels": anchor_data,
        "dictionary": _path,
        "word_links": anchor_bitext,
        "goes_on_from": _path,
        "output": _path,
    }
    given = {name: getattr(recipe, name) for name in anchors}
    several = {"also": anchor_bitext, "also_labels": anchor_data}
    return recipe.model_copy(
        update={name: anchors[name](spec, folder) for name, spec in given.items() if spec is not None}
        | {
            name: {code: anchor(spec, folder) for code, spec in getattr(recipe, name).items()}
            for name, anchor in several.items()
        }
    )


def _path(path: str, folder: Path) -> str:
    """``path`` made absolute; where it is relative, it counts from ``folder``."""
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))


def anchor_data(spec: str, folder: Path) -> str:
    """A file name, or ``hf:NAME[:CONFIG][:SPLIT]`` (where NAME may be a folder), made absolute."""
    if not spec.startswith(_HUB):
        return _path(spec, folder)
    name, colon, rest = spec.removeprefix(_HUB).partition(":")
    local = _path(name, folder)
    return f"{_HUB}{local}{colon}{rest}" if name and os.path.isdir(local) else spec


def anchor_bitext(spec: str, folder: Path) -> str:
    """The parts of a bitext or its links (``A,B`` line by line, joined by ``+``), each made absolute."""
    for separator in "+,":
        # A file may have a plus or a comma in its own name.
        if separator in spec and not os.path.exists(_path(spec, folder)):
            return separator.join(anchor_bitext(part.strip(), folder) for part in spec.split(separator))
    return anchor_data(spec, folder)


def anchor_model(name: str, folder: Path) -> str:
    """A model's name made absolute if it is there; offline encoders and hub ids stay as they are."""
    local = _path(name, folder)
    return local if name not in OFFLINE_MODELS and os.path.exists(local) else name
