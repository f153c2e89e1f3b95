"""From advice to something that runs: a training script and the recipe it reads.

Importing this package loads neither torch nor transformers; only :mod:`advisor.recipe.train` does.
"""

from advisor.recipe._config import Recipe
from advisor.recipe._files import recipe_files, recipe_for
from advisor.recipe._yaml import read_recipe, write_recipe

__all__ = ["Recipe", "read_recipe", "recipe_files", "recipe_for", "write_recipe"]
