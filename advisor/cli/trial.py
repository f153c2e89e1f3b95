"""``advisor trial``"""

from pathlib import Path
from typing import Annotated

import typer

from advisor.cli._options import DryRun, ReportTo, asking
from advisor.cli._run import for_real, only_read
from advisor.console import Debug, Json, console, errors
from advisor.trackers import log_run, of_trial
from probes.request import ProbeRequest


@asking(leave_out=("budget", "precision", "seed", "min_gain"))
def trial(
    request: ProbeRequest,
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
    out: Annotated[Path, typer.Option("--out", help="Folder for the records and trial.json.")] = Path(
        "trial"
    ),
    report_to: ReportTo = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Align and fine-tune for real, over several seeds, and compare with fine-tuning alone."""
    if dry_run:
        only_read([request], as_json)
        return
    if seeds == 1:
        errors.print(
            "One seed cannot decide: the gain of a single run has no interval. Two or more do (--seeds 3); "
            "what is run now counts then too."
        )
    kept = f"runs that had ended are kept in {out / 'records'}, and the same command goes on from there."
    with for_real(request, report_to, kept):
        from advisor.study import DEFAULT_OPTIONS, ConsoleWatcher, run_trial
        from advisor.training import PHASES  # torch takes seconds to import

        with ConsoleWatcher(PHASES).shown() as watcher:
            result = run_trial(
                request, options or DEFAULT_OPTIONS, seeds=seeds, steps=steps, out=out, watcher=watcher
            )
    log_run(report_to, of_trial(request, result, out))
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        console.print(result)
        errors.print(
            f"Written to {out / 'trial.json'}; one record a run in {out / 'records'}. For an answer that "
            f"counts it: advisor recommend advice/signals.json --trial {out}, or ask with the same --trial.",
            markup=False,
        )
