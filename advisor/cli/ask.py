"""``advisor ask``"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from advisor.cli._options import CsvFile, HtmlFile, OwnRace, OwnTrial, Sorted, Strict, option
from advisor.cli._run import answer, counting_race, show_grid
from advisor.console import Debug, Json, errors
from advisor.decide import DEFAULT_MIN_GAIN
from advisor.files import write_files
from advisor.grid import ask_grid, crossed, grid_page, named_once, read_questions
from advisor.recommend import Asked, listed
from advisor.recommend import ask as ask_evidence
from advisor.report import Report
from advisor.report.words import clean
from probes.errors import InputError

_MANY = " Several by commas make a table."


def _several(name: str) -> Any:
    own = option(name)
    return typer.Option(f"--{name}", help=own.help + _MANY)


def ask(
    model: Annotated[str, _several("model")] = "",
    target: Annotated[str, _several("target")] = "",
    task: Annotated[str, _several("task")] = "",
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
    questions: Annotated[
        Path | None,
        typer.Option(
            "--questions",
            help="A file of questions, TSV, CSV or JSONL, with columns model, target, task and, if wanted, "
            "source, like, pretrained_on, word_pairs, min_gain, train_steps; options say the rest.",
        ),
    ] = None,
    sort: Sorted = "question",
    csv_file: CsvFile = None,
    html_file: HtmlFile = None,
    strict: Strict = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Answer from evidence, at once, without measuring anything: one question, or a table of many."""
    named = {"model": model, "target": target, "task": task}
    shared: dict[str, Any] = {
        "source": source,
        "word_pairs": word_pairs,
        "min_gain": min_gain,
        "pretrained_on": [code for code in (pretrained_on or "").split(",") if code.strip()],
        "like": like,
        "train_steps": train_steps,
    }
    for path in (csv_file, html_file):
        if path is not None and (path.is_dir() or not path.name):
            raise InputError(f"'{path}' is a folder: name a file to write the table to, as in answers.csv.")
    asked = _questions(named, shared, questions)
    if len(asked) > 1 or questions or csv_file or html_file:
        if trial or race:
            raise InputError("An own trial or race answers one question: ask that one alone.")
        with errors.status("Weighing the evidence"):
            grid = ask_grid(asked).sorted(sort)
        for path, write in ((csv_file, grid.to_csv), (html_file, lambda: grid_page(grid))):
            if path is not None:
                write_files(path.parent, {path.name: write()})
                errors.print(f"Written to {path}", markup=False)
        for line in grid.problems() if as_json else ():
            errors.print(clean(line), markup=False)
        first = grid.cells[0].advice
        if len(asked) == 1 and not questions and first is not None:  # a table beside the card, not for it
            answer(Report(first), as_json)
            return
        show_grid(grid, as_json=as_json, strict=strict, lines=sort != "question")
        return
    with errors.status("Weighing the evidence"):
        advice = ask_evidence(asked[0], trial)
    answer(Report(counting_race(advice, race)), as_json)


def _questions(named: Mapping[str, str], shared: Mapping[str, Any], file: Path | None) -> list[Asked]:
    """What is asked, by lists or by a file.

    Raises:
        InputError: if the file is none, or a fact about one model would count for several.
    """
    if file is not None:
        defaults = {k: v for k, v in {**shared, **named}.items() if v not in (None, "", [])}
        asked = read_questions(file, **defaults)
    else:
        missing = next((name for name, value in named.items() if not any(listed(value.strip()))), None)
        if missing is not None:
            raise typer.BadParameter(
                f"name a {missing}, or a file with --questions", param_hint=f"--{missing}"
            )
        asked = crossed(named["model"], named["target"], named["task"], **shared)
    if len({question.model for question in asked}) > 1 and (shared["like"] or shared["pretrained_on"]):
        raise InputError(
            "--like and --pretrained-on speak of one model: give them a column each in a --questions file."
        )
    note = named_once(named["model"], named["target"])[-1]
    if note:
        errors.print(clean(note), markup=False)
    return asked
