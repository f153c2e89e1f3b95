"""The command line: ``advisor ask | data | probe | recommend | trial | demo | app | serve | findings ...``.

Answers go to standard output, everything else to standard error. Exit codes: 0 answered, 2 bad input, 1
the run failed, 130 interrupted. Nothing here imports torch until a probe starts.
"""

import os
from collections.abc import Sequence
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from advisor._console import Commands, ConsoleProgress, Debug, Json, console, errors, print_found, run
from advisor.corpora import find_data
from advisor.findings._commands import findings_app
from advisor.recipe import recipe_files
from advisor.recommend import ask as ask_evidence
from advisor.recommend import check_min_gain
from advisor.recommend import recommend as recommend_from
from advisor.report import Report, check_output
from advisor.report._words import clean
from advisor.sample import sample_path
from advisor.study._commands import study_app
from probes.data import Columns
from probes.errors import InputError, RunError
from probes.progress import PHASES
from probes.request import ProbeRequest
from probes.signals import Signals

__all__ = ["app", "main"]

app = typer.Typer(
    name="advisor",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(findings_app, name="findings")
app.add_typer(study_app, name="study")


class BudgetChoice(StrEnum):
    """How much a probe may spend."""

    quick = "quick"
    standard = "standard"
    thorough = "thorough"


class PrecisionChoice(StrEnum):
    """Number format of a probe's passes."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


Source = Annotated[
    str, typer.Option("--source", help="Language of your labelled data (en, eng, eng_Latn ...).")
]
Target = Annotated[str, typer.Option("--target", help="Language the model is to be used in.")]
TaskName = Annotated[
    str, typer.Option("--task", help="pos, ner, slots, topic, intent, sentiment, nli or paraphrase.")
]
MinGain = Annotated[float, typer.Option("--min-gain", help="Smallest gain of interest, in points.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 ...")]
Precisions = Annotated[
    PrecisionChoice,
    typer.Option("--precision", help="Of the passes: auto is bf16 where the hardware is made for it."),
]
Seed = Annotated[int, typer.Option("--seed", help="Of all sampling.", min=0)]
Budgets = Annotated[BudgetChoice, typer.Option("--budget", help="How much the probe may spend.")]


Model = Annotated[str, typer.Argument(help="Hub id, folder, bundled or bundled-enpt.")]
Train = Annotated[
    str, typer.Option("--train", help="Labelled source-language data, or hf:NAME[:CONFIG][:SPLIT].")
]
Pairs = Annotated[
    str,
    typer.Option("--bitext", help="Translation pairs: TSV, TMX, PO, XLIFF, A,B or hf:...; join with +."),
]
Dictionary = Annotated[
    str | None, typer.Option("--dictionary", help="Bilingual dictionary (TSV) to align words with.")
]
WordLinks = Annotated[
    str | None, typer.Option("--word-links", help="Pharaoh i-j word links, one line a pair.")
]
TextColumn = Annotated[str | None, typer.Option("--text-column", help="Column of the (first) text.")]
SecondColumn = Annotated[str | None, typer.Option("--second-column", help="Column of the second text.")]
LabelColumn = Annotated[str | None, typer.Option("--label-column", help="Column of the label or tags.")]
WordsColumn = Annotated[str | None, typer.Option("--words-column", help="Column of the words.")]
OwnTrial = Annotated[
    Path | None,
    typer.Option("--trial", help="Folder of an own trial of the same question: refines the answer."),
]
AnswerFolder = Annotated[Path, typer.Option("--out", help="Folder for signals, advice, report and recipe.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("alignment-advisor"))
        raise typer.Exit


@app.callback()
def advisor(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Should your multilingual encoder be aligned before fine-tuning - and how?"""


@app.command(
    epilog="Example: advisor ask --model xlm-roberta-base --target yo --task pos",
)
def ask(
    model: Annotated[str, typer.Option("--model", help="Hub id, folder, or the name of an offline encoder.")],
    target: Target,
    task: TaskName,
    source: Source = "en",
    min_gain: MinGain = 0.5,
    word_pairs: Annotated[
        str | None,
        typer.Option(
            "--word-pairs",
            help="Where aligned words would come from: dictionary, mutual-argmax, file. By default as in the "
            "trial, else a dictionary.",
        ),
    ] = None,
    trial: OwnTrial = None,
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
        )
    _answer(Report(advice), as_json)


@app.command(epilog="Example: advisor data --target yo --task ner")
def data(
    target: Target,
    task: TaskName,
    source: Source = "en",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List public data sets for a question, and how the options name them; from a table, offline."""
    print_found(find_data(source=source, target=target, task=task), as_json)


@app.command(epilog="Example: advisor recommend advice/signals.json --min-gain 1")
def recommend(
    signals: Annotated[Path, typer.Argument(help="A signals.json that a probe wrote.")],
    min_gain: MinGain = 0.5,
    trial: OwnTrial = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Advise from signals that were measured before."""
    measured = Signals.load(signals)
    with errors.status("Weighing the evidence"):
        report = Report(recommend_from(measured, min_gain=min_gain, trial=trial), measured)
    _answer(report, as_json)


@app.command(
    epilog="Example: advisor probe xlm-roberta-base --source en --target tr --task pos "
    "--train en.train.conllu --bitext en-tr.tsv --target-labels tr.dev.conllu --out advice",
)
def probe(
    model: Model,
    source: Source,
    target: Target,
    task: TaskName,
    train: Train,
    bitext: Pairs,
    target_labels: Annotated[
        str | None,
        typer.Option(
            "--target-labels", help="Labelled target-language data; a hundred sentences tell the most."
        ),
    ] = None,
    dictionary: Dictionary = None,
    word_links: WordLinks = None,
    text_column: TextColumn = None,
    second_column: SecondColumn = None,
    label_column: LabelColumn = None,
    words_column: WordsColumn = None,
    budget: Budgets = BudgetChoice.standard,
    out: AnswerFolder = Path("advice"),
    device: Device = "auto",
    precision: Precisions = PrecisionChoice.auto,
    seed: Seed = 0,
    min_gain: MinGain = 0.5,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure your model for a language pair and a task, and advise."""
    columns = Columns(
        text=text_column, second=second_column, label=label_column, words=words_column, tags=label_column
    )
    request = ProbeRequest(
        model=model,
        source=source,
        target=target,
        task=task,
        train=train,
        bitext=bitext,
        target_labels=target_labels,
        dictionary=dictionary,
        word_links=word_links,
        columns=columns,
        budget=budget,
        device=device,
        precision=precision,
        seed=seed,
    )
    _probe(request, out, min_gain, as_json)


@app.command(
    epilog="Example: advisor trial xlm-roberta-base --source en --target wo --task pos "
    "--train en.train.conllu --bitext en-wo.tsv --target-labels wo.dev.conllu "
    "--option token-contrastive:joint:0.1 --seeds 3 --out trial",
)
def trial(
    model: Model,
    source: Source,
    target: Target,
    task: TaskName,
    train: Train,
    bitext: Pairs,
    target_labels: Annotated[
        str | None,
        typer.Option("--target-labels", help="Labelled target-language data to score on; a must."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            help="OBJECTIVE:SCHEDULE[:FROZEN_LAYERS][:WEIGHT]; repeat it for more. none is always run too. "
            "Without any: token-contrastive:joint:0.1.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="Runs of each option.", min=1)] = 3,
    steps: Annotated[
        int | None,
        typer.Option("--steps", help="Optimiser steps of each phase at most (else three epochs).", min=1),
    ] = None,
    dictionary: Dictionary = None,
    word_links: WordLinks = None,
    text_column: TextColumn = None,
    second_column: SecondColumn = None,
    label_column: LabelColumn = None,
    words_column: WordsColumn = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the records and trial.json.")] = Path(
        "trial"
    ),
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Align and fine-tune for real, over several seeds, and compare with fine-tuning alone."""
    columns = Columns(
        text=text_column, second=second_column, label=label_column, words=words_column, tags=label_column
    )
    request = ProbeRequest(
        model=model,
        source=source,
        target=target,
        task=task,
        train=train,
        bitext=bitext,
        target_labels=target_labels,
        dictionary=dictionary,
        word_links=word_links,
        columns=columns,
        device=device,
    )
    _settle_libraries()
    from advisor.study import DEFAULT_OPTIONS, ConsoleWatcher, run_trial
    from advisor.training import PHASES as TRAINING_PHASES  # torch takes seconds to import

    try:
        with ConsoleWatcher(TRAINING_PHASES).shown() as watcher:
            result = run_trial(
                request, options or DEFAULT_OPTIONS, seeds=seeds, steps=steps, out=out, watcher=watcher
            )
    except KeyboardInterrupt:
        errors.print(
            f"Interrupted: runs that had ended are kept in {out / 'records'}, and the same command goes on "
            "from there.",
            markup=False,
        )
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        console.print(result)
        errors.print(
            f"Written to {out / 'trial.json'}; one record a run in {out / 'records'}. For an answer that "
            f"counts it: advisor recommend advice/signals.json --trial {out}, or ask with the same --trial.",
            markup=False,
        )


@app.command(epilog="Example: advisor demo --out advice")
def demo(
    out: AnswerFolder = Path("advice"),
    target: Annotated[str, typer.Option("--target", help="tr, de, ru, ar or zh.")] = "tr",
    task: Annotated[str, typer.Option("--task", help="pos or topic.")] = "pos",
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Probe the offline encoder on the small sample that comes along: a real probe, a real advice."""
    if task not in ("pos", "topic"):
        raise typer.BadParameter("the sample is labelled for pos and topic", param_hint="--task")
    labels = "{}.conllu" if task == "pos" else "topics.{}.tsv"
    request = ProbeRequest(
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
    _probe(request, out, 0.5, as_json)


_ENVIRONMENT = (
    "\n\nThe environment says what visitors may do. On a loopback address they are taken to be you alone: "
    "files below the current folder, any hub id, every run listed. On any other address nothing is open but "
    "what these variables say:\n"
    """
ADVISOR_ROOTS: folders below which files may be named, separated as in PATH (none).

ADVISOR_HUB_IDS: patterns of hub ids that may be loaded, by commas (well-known encoders).

ADVISOR_MAX_UPLOAD_MB: largest uploaded file in MiB (50).

ADVISOR_MAX_RUN_MINUTES: longest run (60; 240 on loopback).

ADVISOR_MAX_QUEUE: how many runs may wait (8).

ADVISOR_KEEP_DAYS: days after which a finished run is removed (never).

ADVISOR_LIST_ALL: true if every visitor sees every run (false; true on loopback).

ADVISOR_STORE: folder of runs and uploads (the user's data folder).
"""
)


@app.command(
    "app",
    help="Open the probe app in the browser: ask, probe, read, explore, compare, trial." + _ENVIRONMENT,
    epilog="Example: advisor app --port 8501",
)
def page(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8501,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    debug: Debug = False,
) -> None:
    from advisor.app import launch

    launch(host, port, open_browser=browser)


@app.command(
    help="Serve the same over HTTP, documented at /docs."
    + _ENVIRONMENT
    + """
ADVISOR_TOKEN: what callers send as Authorization: Bearer TOKEN; a must on any address but loopback.
""",
    epilog="Example: advisor serve --port 8000",
)
def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; any but loopback needs ADVISOR_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8000,
    debug: Debug = False,
) -> None:
    from advisor.service import serve as listen

    listen(host, port)


def _probe(request: ProbeRequest, out: Path, min_gain: float, as_json: bool) -> None:
    """Probe, write everything into ``out`` and answer."""
    check_output(out)
    check_min_gain(min_gain)
    _settle_libraries()
    from probes.processes import leads  # torch takes seconds to import
    from probes.run import run_probe

    if not leads():
        run_probe(request)
        return
    errors.print(
        clean(
            f"Probing {request.model} for {request.source} to {request.target}, {request.task} "
            f"({request.budget} budget)."
        ),
        markup=False,
    )
    with ConsoleProgress(PHASES).shown() as progress:
        signals = run_probe(request, progress)
    with errors.status("Weighing the evidence and writing the report"):
        report = Report(recommend_from(signals, min_gain=min_gain), signals)
        try:
            files = report.write(out, recipe_files(report.advice, request))
        except (InputError, RunError):
            _answer(report, as_json)  # minutes of measuring are not lost to a full disk
            raise
    _answer(report, as_json, files)


def _answer(report: Report, as_json: bool, files: Sequence[Path] = ()) -> None:
    """Print the advice to standard output."""
    if as_json:
        typer.echo(report.advice.model_dump_json(indent=2))
    else:
        console.print(report.terminal(files))


def _settle_libraries() -> None:
    """Keep the libraries' own bars out of the progress display, and their idle threads off the processor."""
    for name, value in {
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads halve the speed of a machine that does anything else
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
    }.items():
        os.environ.setdefault(name, value)


def main() -> None:
    """Entry point of the ``advisor`` command."""
    raise SystemExit(run(lambda: app(standalone_mode=False)))
