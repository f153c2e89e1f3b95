"""What commands that probe have in common."""

import os
from collections.abc import Sequence
from pathlib import Path

import typer

from advisor.console import ConsoleProgress, console, errors
from advisor.recipe import recipe_files
from advisor.recommend import recommend
from advisor.report import Report, check_output
from advisor.report._words import clean
from probes.errors import InputError, RunError
from probes.progress import PHASES
from probes.request import ProbeRequest

__all__ = ["answer", "probe_and_answer", "settle_libraries"]


def probe_and_answer(request: ProbeRequest, out: Path, as_json: bool) -> None:
    """Probe, write everything into ``out`` and answer."""
    check_output(out)
    settle_libraries()
    from probes.machine.processes import leads  # torch takes seconds to import
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
        report = Report(recommend(signals, min_gain=request.min_gain), signals)
        try:
            files = report.write(out, recipe_files(report.advice, request))
        except (InputError, RunError):
            answer(report, as_json)  # minutes of measuring are not lost to a full disk
            raise
    answer(report, as_json, files)


def answer(report: Report, as_json: bool, files: Sequence[Path] = ()) -> None:
    """Print the advice to standard output."""
    if as_json:
        typer.echo(report.advice.model_dump_json(indent=2))
    else:
        console.print(report.terminal(files))


def settle_libraries() -> None:
    """Keep the libraries' own bars out of the progress display, and their idle threads off the processor."""
    for name, value in {
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads halve the speed of a machine that does anything else
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
    }.items():
        os.environ.setdefault(name, value)
