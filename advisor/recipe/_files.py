"""From advice and request to the files of a recipe."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from advisor.advice import Advice
from advisor.options import Option, WordPairs, weighted
from advisor.recipe._yaml import anchor_recipe, write_recipe
from advisor.report.words import option_label
from advisor.training import Recipe
from probes.request import ProbeRequest

_OURS = files("advisor.recipe")


def _files(recipe: Recipe, verdict: str, alternative: Option | None = None) -> dict[str, str]:
    """The whole run as a command, and as a short script on transformers.Trainer, with what they read."""
    scripts = {
        f"recipe/{name}": _OURS.joinpath(name).read_text("utf-8") for name in ("train.py", "trainer.py")
    }
    return {
        **scripts,
        "recipe/recipe.yaml": write_recipe(recipe, verdict, alternative),
        "recipe/README.md": _OURS.joinpath("recipe.md").read_text("utf-8").format(verdict=verdict),
    }


def recipe_files(advice: Advice, request: ProbeRequest) -> dict[str, str]:
    """The files of a recipe that carries out ``advice``, by path relative to the output folder.

    Args:
        advice: what was recommended. Unless it is to align, the recipe fine-tunes only; where that is open,
            the best alignment is there to be switched to.
        request: what was probed.
    """
    best = advice.spoken_of
    switchable = advice.confidence == "open" and not advice.aligns and best is not None
    alternative = weighted(best.option) if switchable and best is not None else None
    verdict = " ".join(f"Advice ({advice.decision}, {advice.confidence}): {advice.summary}".split())
    return _files(recipe_for(advice, request), verdict, alternative)


def joint_files(advices: Sequence[Advice], requests: Sequence[ProbeRequest]) -> dict[str, str]:
    """The files of a recipe that aligns several targets in one run, by path as in :func:`recipe_files`.

    Args:
        advices: of targets that go together, all of which are to be aligned; the option that is expected to
            gain most is taken for all, its words linked by the encoder itself.
        requests: what was probed for each.
    """
    best = max(advices, key=lambda advice: advice.gain.mean if advice.gain else 0.0)
    pairs = best.option.word_pairs and WordPairs.MUTUAL_ARGMAX
    advice = best.model_copy(update={"option": best.option.model_copy(update={"word_pairs": pairs})})
    first, *others = requests
    one = recipe_for(advice, first.model_copy(update={"dictionary": None, "word_links": None}))
    further = {
        "also": {request.target: request.bitext for request in others},
        "also_labels": {request.target: labels for request in others if (labels := request.target_labels)},
    }
    recipe = anchor_recipe(one.model_copy(update=further), Path.cwd())
    recipe = recipe.model_copy(update={"output": one.output})
    verdict = (
        f"Alignment of {', '.join(request.target for request in requests)} in one run, by what is expected "
        f"to gain most of what was advised for each: {option_label(advice.option)}."
    )
    return _files(recipe, verdict)


def recipe_for(advice: Advice, request: ProbeRequest) -> Recipe:
    """The recipe that carries out ``advice``, with local paths made absolute."""
    recipe = Recipe.of(request, advice.option, target_labels=request.target_labels, seed=request.seed)
    anchored = anchor_recipe(recipe, Path.cwd())
    return anchored.model_copy(update={"output": recipe.output})  # beside the recipe, wherever that will be
