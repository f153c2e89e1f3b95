"""The commands ``advisor findings show | check | validate | signals | controls | race | card``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from advisor.console import Debug, Json, errors, print_found

app = typer.Typer(help="Look at the evidence and at how far it can be trusted.", no_args_is_help=True)


Split = Literal["language", "model", "task", "source", "lab"]


@app.command("show", epilog="Example: advisor findings show")
def show(as_json: Json = False, debug: Debug = False) -> None:
    """Say what the evidence holds: gains by model, task, objective, schedule, language group."""
    from advisor.findings import show as shown

    print_found(shown(), as_json)


@app.command("check", epilog="Example: advisor findings check")
def check(as_json: Json = False, debug: Debug = False) -> None:
    """Lint the evidence tables: impossible rows, duplicates, unknown languages. Exit code 1 on errors."""
    from advisor.findings import check as checked

    report = checked()
    print_found(report, as_json)
    if not report.ok:
        raise typer.Exit(1)


@app.command("validate", epilog="Example: advisor findings validate --split language --json")
def validate(
    split: Annotated[
        Split | None, typer.Option("--split", help="What is left out in turn; all five by default.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Processes.", min=1)] = 2,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score the advice on languages, models, tasks, sources and labs it has not seen (minutes)."""
    from advisor.findings import validate as validated

    with errors.status("Refitting without each part of the evidence in turn"):
        validation = validated(split, jobs=jobs)
    print_found(validation, as_json)


@app.command("signals", epilog="Example: advisor findings signals")
def signals(as_json: Json = False, debug: Debug = False) -> None:
    """Say which probe signals predict gains in own trials, and what following them is worth."""
    from advisor.findings import signals as signal_report

    with errors.status("Comparing signals with gains"):
        report = signal_report()
    print_found(report, as_json)


@app.command("controls", epilog="Example: advisor findings controls")
def controls(as_json: Json = False, debug: Debug = False) -> None:
    """Say what gains are due to: dose, head, learning rate, pairs; and how they fare over longer runs."""
    from advisor.findings import controls as compared

    print_found(compared(), as_json)


@app.command("race", epilog="Example: advisor findings race --jobs 2 --picture race.svg")
def race(
    jobs: Annotated[int, typer.Option("--jobs", help="Processes.", min=1)] = 2,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Write regret against budget here, as SVG or HTML.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Replay the race and its rivals on the studies' cells: regret against budget (minutes)."""
    from advisor.race.replay.report import race_report, regret_chart

    with errors.status("Playing every cell with findings that have not seen its group"):
        report = race_report(jobs)
    print_found(report, as_json)
    if picture is not None:
        regret_chart(report).save(str(picture))
        errors.print(f"Written to {picture}", markup=False)


@app.command("card", epilog="Example: advisor findings card --compile")
def card(
    compile_first: Annotated[
        bool,
        typer.Option("--compile", help="First make the tables of own records of the studies."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Validate everything anew and rewrite the findings card (for who changed tables, studies or model)."""
    from advisor.findings import write_card
    from advisor.findings.reports import FIGURES
    from advisor.race.replay.report import race_report, regret_chart

    if compile_first:
        from advisor.findings.evidence import TABLES
        from advisor.study import compile_study

        studies = sorted((TABLES.parent / "study").glob("*.study.xz"))
        with errors.status("Compiling the studies"):
            compiled = compile_study(studies, TABLES / "records.csv", TABLES / "controls.csv")
        print_found(compiled, as_json=False)
    with errors.status("Validating and writing the card"):
        race = race_report(jobs=2)
        regret_chart(race).save(str(FIGURES.with_name("race.svg")))
        write_card(race=race.markdown(), shift=race.shift)
