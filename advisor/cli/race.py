"""``advisor race``"""

from pathlib import Path
from typing import Annotated

import typer

from advisor.cli._options import DryRun, ReportTo, asking
from advisor.cli._run import for_real, only_read
from advisor.console import Debug, Json, console, errors
from advisor.trackers import log_run, of_race
from probes.request import ProbeRequest


@asking(leave_out=("budget", "precision", "seed"))
def race(
    request: ProbeRequest,
    minutes: Annotated[float, typer.Option("--minutes", help="What the race may take.", min=0.1)] = 30.0,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            help="OBJECTIVE:SCHEDULE[:FROZEN_LAYERS][:WEIGHT]; repeat it for more. Fine-tuning alone always "
            "races too. Without any: what the findings expect most of.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", help="Optimiser steps of each phase of a whole run (else three epochs).", min=2
        ),
    ] = None,
    signals: Annotated[
        Path | None, typer.Option("--signals", help="A signals.json of a probe of the same question.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the race; a race there goes on.")] = Path(
        "race"
    ),
    report_to: ReportTo = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Race options against fine-tuning alone in real runs cut short, within a given time."""
    if dry_run:
        only_read([request], as_json)
        return
    with for_real(request, report_to, f"the same command goes on from {out}."):
        from advisor.race import run_race
        from advisor.race.console import ConsoleRace, race_table
        from advisor.training import PHASES  # torch takes seconds to import

        with ConsoleRace(PHASES).shown() as watcher:
            result = run_race(
                request,
                options or (),
                minutes=minutes,
                steps=steps,
                signals=signals,
                out=out,
                watcher=watcher,
            )
    log_run(report_to, of_race(request, result, out))
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        console.print(race_table(result))
        errors.print(f"Written to {out}.", markup=False)
