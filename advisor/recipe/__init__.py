"""From advice to something that runs: a training script and the recipe it reads.

Importing this package loads neither torch nor transformers; only ``advisor.recipe.train`` does.
"""

from advisor.recipe._files import joint_files, recipe_files, recipe_for
from advisor.recipe._yaml import (
    OFFLINE_MODELS,
    anchor_bitext,
    anchor_data,
    anchor_model,
    anchor_recipe,
    commented,
    load_yaml,
    read_recipe,
    write_recipe,
)
from advisor.training import Recipe

__all__ = [
    "OFFLINE_MODELS",
    "Recipe",
    "anchor_bitext",
    "anchor_data",
    "anchor_model",
    "anchor_recipe",
    "commented",
    "joint_files",
    "load_yaml",
    "read_recipe",
    "recipe_files",
    "recipe_for",
    "write_recipe",
]
