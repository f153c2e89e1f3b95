"""``advisor ask``"""

from typing import Annotated

import typer

from advisor.cli._options import Debug, Json, OwnRace, OwnTrial, option
from advisor.cli._run import answer, counting_race
from advisor.console import errors
from advisor.decide import DEFAULT_MIN_GAIN
from advisor.recommend import ask as ask_evidence
from advisor.report import Report


def ask(
    model: Annotated[str, option("model")],
    target: Annotated[str, option("target")],
    task: Annotated[str, option("task")],
    source: Annotated[str, option("source")] = "en",
    min_gain: Annotated[float, option("min_gain")] = DEFAULT_MIN_GAIN,
    word_pairs: Annotated[
        str | None,
        typer.Option(
            "--word-pairs",
            help="Where aligned words would come from: dictionary, mutual-argmax, file. By default as in the "
            "trial, else a dictionary.",
        ),
    ] = None,
    trial: OwnTrial = None,
    race: OwnRace = None,
    pretrained_on: Annotated[
        str | None,
        typer.Option(
            "--pretrained-on",
            help="All languages that a model unknown to the evidence was pretrained on, as te,en,...",
        ),
    ] = None,
    like: Annotated[
        str | None, typer.Option("--like", help="An encoder known to the evidence that the model is like.")
    ] = None,
    train_steps: Annotated[
        int | None,
        typer.Option(
            "--train-steps", help="Steps of fine-tuning; by default what published runs took.", min=1
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Answer from evidence, at once, without measuring anything."""
    with errors.status("Weighing the evidence"):
        advice = ask_evidence(
            model=model,
            source=source,
            target=target,
            task=task,
            word_pairs=word_pairs,
            min_gain=min_gain,
            trial=trial,
            pretrained_on=[code for code in (pretrained_on or "").split(",") if code.strip()],
            like=like,
            train_steps=train_steps,
        )
    answer(Report(counting_race(advice, race)), as_json)
