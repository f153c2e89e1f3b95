"""The commands ``advisor study plan | run | status | compile | archive | pack``."""

from pathlib import Path
from time import time
from typing import Annotated

import typer

from advisor.cli._options import ReportTo
from advisor.console import Debug, Json, errors, print_found
from advisor.trackers import check_tracker, log_run, of_study

app = typer.Typer(
    help="Run a grid of real trials with their probes: what the findings learn from.", no_args_is_help=True
)

PlanFile = Annotated[Path, typer.Argument(help="A plan.yaml.")]
Data = Annotated[
    Path | None, typer.Option("--data", help="Folder that file names count from, instead of the plan's.")
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Cells to keep to, as in target=wo,task=pos; repeat it for more."),
]


@app.command("plan", epilog="Example: advisor study plan --out plan.yaml; advisor study plan plan.yaml")
def plan(
    plan_file: Annotated[Path | None, typer.Argument(help="A plan.yaml to check.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write an example with comments here.")] = None,
    data: Data = None,
    only: Only = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write an example of a plan, or read one with all its data and show the grid that it spans."""
    from advisor.study import example_plan, overview, read_plan, write_example

    if (plan_file is None) is (out is None):
        raise typer.BadParameter("name a plan to check, or --out for an example")
    if out is not None:
        write_example(out, example_plan())
        errors.print(
            f"Written to {out}: fill it in, then check it with advisor study plan {out}", markup=False
        )
        return
    assert plan_file is not None
    with errors.status("Reading the data"):
        size = overview(read_plan(plan_file, data), only or ())
    print_found(size, as_json)


@app.command("run", epilog="Example: advisor study run plan.yaml --out study --jobs 2")
def run(
    plan_file: PlanFile,
    out: Annotated[Path, typer.Option("--out", help="Folder of the study.")] = Path("study"),
    jobs: Annotated[int, typer.Option("--jobs", help="Worker processes.", min=1)] = 2,
    threads: Annotated[int, typer.Option("--threads", help="CPU threads of each process.", min=1)] = 1,
    only: Only = None,
    retry: Annotated[bool, typer.Option("--retry", help="Do again what has failed.")] = False,
    data: Data = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    dask: Annotated[
        str | None,
        typer.Option(
            "--dask", help="Address of a Dask scheduler whose workers do the work: tcp://HOST:PORT."
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Begin no run after so many; finish those under way.")
    ] = None,
    report_to: ReportTo = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run what is left of a study; interrupted or killed, the same command goes on from there."""
    from advisor.study import Workers, read_plan, read_records, run_study

    check_tracker(report_to)
    status = run_study(
        read_plan(plan_file, data),
        out,
        Workers(jobs, device, threads, dask, None if minutes is None else time() + 60 * minutes),
        only=only or (),
        retry=retry,
    )
    print_found(status, as_json)
    if report_to is not None and status.runs.done:
        log_run(report_to, of_study(out.resolve().name, read_records(out)))
    if status.runs.left or status.runs.failed:
        errors.print(
            f"{status.runs.failed} runs failed, {status.runs.left} are left: see advisor study status {out}",
            markup=False,
        )
        raise typer.Exit(1)


@app.command("status", epilog="Example: advisor study status study")
def status(
    folder: Annotated[Path, typer.Argument(help="Folder of a study.")] = Path("study"),
    only: Only = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say how many runs are done, failed and left, cell by cell, and how long the rest will take."""
    from advisor.study import study_status

    progress = study_status(folder, only or ())
    print_found(progress, as_json)


@app.command("compile", epilog="Example: advisor study compile study more-studies/* --out records.csv")
def compile_(
    folders: Annotated[list[Path], typer.Argument(help="Folders of studies, or their archives.")],
    out: Annotated[Path, typer.Option("--out", help="CSV file to write.")],
    controls: Annotated[
        Path | None, typer.Option("--controls", help="CSV file for the runs under changed settings.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Turn records and signals into the table that the findings are fitted on: gains paired by seed."""
    from advisor.study import compile_study

    print_found(compile_study(folders, out, controls), as_json)
    errors.print(f"Written to {out}", markup=False)


@app.command("archive", epilog="Example: advisor study archive study --out first.study.xz")
def archive(
    folder: Annotated[Path, typer.Argument(help="Folder of a study.")],
    out: Annotated[Path, typer.Option("--out", help="File to write; its name ends in .study.xz.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Put the plan, records and signals of a study into one small file that compile reads as it is."""
    from advisor.study import archive_study

    with errors.status("Compressing"):
        report = archive_study(folder, out)
    print_found(report, as_json)
    errors.print(f"Written to {out}", markup=False)


@app.command("pack", epilog="Example: advisor study pack plan.yaml --out packed")
def pack(
    plan_file: PlanFile,
    out: Annotated[Path, typer.Option("--out", help="Folder to create.")] = Path("packed"),
    only: Only = None,
    limit_mib: Annotated[
        float, typer.Option("--limit-mib", help="Refuse to write a larger folder.", min=1)
    ] = 60,
    data: Data = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a self-contained folder that runs a study on a machine without a network."""
    from advisor.study import pack_study, read_plan

    with errors.status("Packing encoders, data and source"):
        report = pack_study(read_plan(plan_file, data), out, only=only or (), limit_mib=limit_mib)
    print_found(report, as_json)
    errors.print(f"Written to {out}: run it with sh {out / 'run.sh'}", markup=False)
