"""What was measured, advised, done and gained, as a section of a model card on the Hugging Face Hub."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from advisor.advice import Advice
from advisor.comparison import STYLES, compared
from advisor.recipe import OFFLINE_MODELS, read_recipe
from advisor.report import card_of, words
from probes.catalogue import METRICS, TASKS
from probes.errors import InputError
from probes.signals import Signals

_PIPELINES = {"token": "token-classification", "span": "question-answering"}
"""What the hub calls a task of a level; of all others: text-classification."""
CITATION = """@software{alignment_advisor,
  title = {alignment-advisor: should a multilingual encoder be aligned before it is fine-tuned?},
  url = {https://arxiv.org/abs/2603.18863},
  year = {2026}
}"""


def model_card(paths: Sequence[str | Path]) -> str:
    """A model card: metadata that the hub takes, and a section on cross-lingual alignment.

    Args:
        paths: folders that a probe, a trial, a race or a recipe wrote, of one question.

    Raises:
        InputError: if there is nothing in them, or they are of several questions.
    """
    folders = [Path(path) for path in paths]
    trained = [folder for folder in folders if (folder / "metrics.json").exists()]
    advised = [folder for folder in folders if (folder / "advice.json").exists()]
    rows = compared([folder for folder in folders if folder not in (*trained, *advised)])
    asked = {(q.model, q.source, q.target, q.task) for q in map(_question, [*advised, *trained])}
    if len({(Path(model).name, *rest) for model, *rest in asked}) != 1:
        raise InputError("A card is about one model, pair and task: name a probe or a trained model of it.")
    model, source, target, task = next(iter(asked))
    lines = ["", f"## Cross-lingual alignment: {source} to {target}, {task}", ""]
    for folder in advised:
        advice, signals = Advice.load(folder / "advice.json"), folder / "signals.json"
        card = card_of(advice, Signals.load(signals) if signals.exists() else None)
        if card.measured:
            found = [f"- {row.name}: {row.value} ({row.judgement})" for row in card.measured]
            lines += ["**Measured** before training:", "", *map(words.clean, found), ""]
        lines += [f"**Advised** ({card.verdict}, {card.confidence}): {words.clean(card.sentence)}", ""]
    results = []
    for folder in trained:
        lines += _done(folder)
        results += list(_results(folder, task, target, Path(model).name))
    if rows:
        lines += [
            "**Gained** over fine-tuning alone, in points on target text:",
            "",
            STYLES["markdown"](rows),
        ]
    lines += ["Made with alignment-advisor (`advisor card`).", "", "```bibtex", CITATION, "```", ""]
    return f"---\n{_metadata(model, source, target, task, results)}\n---\n" + "\n".join(lines)


def _question(folder: Path) -> Any:
    """Whatever names model, languages and task: the question of an advice, or a recipe."""
    if (folder / "advice.json").exists():
        return Advice.load(folder / "advice.json").question
    return read_recipe(folder / "recipe.yaml")


def _done(folder: Path) -> Iterator[str]:
    recipe, metrics = read_recipe(folder / "recipe.yaml"), _metrics(folder)
    steps = ", ".join(f"{count} steps of {phase}" for phase, count in metrics["steps"].items())
    yield f"**Done**: {recipe.option}; {steps}, seed {recipe.seed}."
    for name, score in metrics["after"].items():
        title = METRICS[metrics["metric"]].title
        yield f"- {title} on {name} text: {score['value']:.1f} [{score['low']:.1f}, {score['high']:.1f}]"
    yield ""


def _metrics(folder: Path) -> Any:
    try:
        return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / 'metrics.json'} cannot be read: run the recipe again.") from error


def _results(folder: Path, task: str, target: str, model: str) -> Iterator[EvalResult]:
    metrics = _metrics(folder)
    if "target" in metrics["after"]:
        yield EvalResult(
            task_type=_pipeline(task),
            dataset_type=f"{task}-{target}",
            dataset_name=f"{task}, {target}: labelled data of the user",
            metric_type="f1" if metrics["metric"] == "span-f1" else metrics["metric"],
            metric_value=round(metrics["after"]["target"]["value"], 1),
        )


def _pipeline(task: str) -> str:
    return _PIPELINES.get(TASKS[task].level, "text-classification")


def _metadata(model: str, source: str, target: str, task: str, results: list[EvalResult]) -> str:
    name, base = Path(model).name, None if Path(model).exists() or model.count("/") > 1 else model
    if name in OFFLINE_MODELS:
        base = "intfloat/multilingual-e5-small"
    return ModelCardData(
        language=[source, target],
        base_model=base,
        library_name="transformers",
        pipeline_tag=_pipeline(task),
        tags=["cross-lingual-transfer", "cross-lingual-alignment", task],
        model_name=f"{name}-{task}-{source}-{target}" if results else None,
        eval_results=results or None,
    ).to_yaml()
