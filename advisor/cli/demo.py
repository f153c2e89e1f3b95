"""``advisor demo``"""

from pathlib import Path
from typing import Annotated

import typer

from advisor.cli._options import AnswerFolder, option
from advisor.cli._run import probe_and_answer
from advisor.console import Debug, Json
from advisor.sample import LANGUAGES, sample_path
from probes.errors import InputError
from probes.request import ProbeRequest


def demo(
    out: AnswerFolder = Path("advice"),
    target: Annotated[str, typer.Option("--target", help="tr, de, ru, ar or zh.")] = "ar",
    task: Annotated[str, typer.Option("--task", help="pos or topic.")] = "pos",
    device: Annotated[str, option("device")] = "auto",
    seed: Annotated[int, option("seed")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Probe the offline encoder on the small sample that comes along: a real probe, a real advice.

    Arabic part-of-speech tagging was chosen among the sample's questions because its answer is not open.
    """
    if task not in ("pos", "topic"):
        raise typer.BadParameter("the sample is labelled for pos and topic", param_hint="--task")
    if target not in LANGUAGES[1:]:
        raise InputError(f"The sample is not in '{target}': choose one of {', '.join(LANGUAGES[1:])}.")
    labels = "{}.conllu" if task == "pos" else "topics.{}.tsv"
    request = ProbeRequest.of(
        model="bundled",
        source="en",
        target=target,
        task=task,
        train=str(sample_path(labels.format("en"))),
        bitext=str(sample_path(f"bitext.en-{target}.tsv")),
        target_labels=str(sample_path(labels.format(target))),
        budget="quick",
        device=device,
        seed=seed,
    )
    probe_and_answer(request, out, as_json, in_short=True)
