"""Fine-tune a multilingual encoder; align two languages before that, meanwhile, or not at all.

    python train.py recipe.yaml [--max-steps N] [--output DIR]

The training itself is :mod:`advisor.training`: readers, losses, word links and metrics are the very ones the
probe measures with.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from accelerate import PartialState
from transformers.utils.logging import disable_progress_bar

from advisor.console import PhaseBar, run
from advisor.files import staged
from advisor.recipe import read_recipe, write_recipe
from advisor.training import PHASES, train

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a recipe from the command line.

    Returns:
        0 when it was run, 2 for bad input, 1 if the run failed, 130 when interrupted.
    """
    parser = argparse.ArgumentParser(description="Align (if the recipe says so) and fine-tune an encoder.")
    parser.add_argument("recipe", type=Path, help="a recipe.yaml")
    parser.add_argument("--max-steps", type=int, metavar="N", help="at most N optimiser steps in each phase")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder to create instead of the recipe's")
    parser.add_argument("--debug", action="store_true", help="show where in the program an error arose")
    chosen = parser.parse_args(arguments)
    if chosen.max_steps is not None and chosen.max_steps < 1:
        parser.error("--max-steps takes a whole number from 1")
    return run(lambda: _run_recipe(chosen.recipe, chosen.max_steps, chosen.output))


def _run_recipe(path: Path, max_steps: int | None, output: Path | None) -> None:
    recipe = read_recipe(path)
    recipe = recipe.at_most(max_steps) if max_steps else recipe
    output = Path(output or recipe.output).absolute()
    disable_progress_bar()  # transformers' own, in the way of ours
    if not PartialState().is_main_process:  # one of several, under accelerate launch
        train(recipe)
        return
    print(f"{recipe.model}, {recipe.source} to {recipe.target}, {recipe.task}: {recipe.option}.")
    with staged(output) as folder:
        with PhaseBar(PHASES, tells_cost=True).shown() as progress:
            outcome = train(recipe, progress)
        outcome.save(folder)
        (folder / "recipe.yaml").write_text(write_recipe(recipe), encoding="utf-8")
    if outcome.texts.cut:
        print(f"{outcome.texts.cut} texts were longer than the longest input (max_length) and were cut.")
    for name, points in outcome.after.items():
        what = {"source": "held-out source", "target": "target labels"}.get(name, f"{name} labels")
        print(
            f"{outcome.texts.task.metric} on {what}: {points.value:.1f} "
            f"[{points.low:.1f}, {points.high:.1f}], on frozen features {outcome.before[name].value:.1f}"
        )
    print(f"Written to {output}")


if __name__ == "__main__":
    raise SystemExit(main())
