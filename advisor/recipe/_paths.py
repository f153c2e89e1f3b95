"""File names that mean the same wherever a recipe is run from."""

import os.path
from pathlib import Path

from advisor.training import Recipe

__all__ = ["OFFLINE_MODELS", "anchor_bitext", "anchor_data", "anchor_model", "anchor_recipe"]

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
