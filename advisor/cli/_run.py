"""What commands that probe have in common."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import typer

from advisor.advice import Advice
from advisor.console import PhaseBar, console, errors, print_reading
from advisor.files import write_files
from advisor.grid import (
    AnswerCell,
    AnswerGrid,
    Sort,
    anchored,
    compare_targets,
    grid_page,
    grid_table,
    in_processes,
    probe_cells,
    with_paths,
    write_joint,
)
from advisor.recipe import recipe_files
from advisor.recommend import recommend
from advisor.report import Report, rescued, reserved
from advisor.report.words import clean, duration
from advisor.trackers import Tracker, check_tracker, log_run, of_probe
from probes.data import Reading
from probes.errors import InputError, RunError
from probes.material.inputs import Inputs, read_inputs
from probes.progress import PHASES
from probes.request import ProbeRequest


def read_and_say(request: ProbeRequest, *, in_short: bool = False) -> Inputs:
    """Read what a request names, and say what was read on standard error; in short, in a line a file."""
    with errors.status("Reading the data"):
        inputs = read_inputs(request)
    for reading in inputs.readings:
        print_reading(reading, in_short)
    return inputs


def only_read(cells: Sequence[ProbeRequest], as_json: bool) -> None:
    """Print what would be read, each file once, and stop there; of several cells a bad one loses no other.

    Raises:
        InputError: if nothing can be read.
    """
    readings: dict[str, Reading] = {}
    for cell in cells:
        try:
            found = read_inputs(with_paths(cell)).readings
            readings |= {reading.model_dump_json(): reading for reading in found}
        except InputError as error:
            if len(cells) == 1:
                raise
            errors.print(clean(f"{cell.model}, {cell.target}: {error}"), markup=False)
    if not readings:
        raise InputError("None of the cells can be read.")
    if as_json:
        typer.echo(
            json.dumps([reading.model_dump() for reading in readings.values()], ensure_ascii=False, indent=2)
        )
    for line in () if as_json else (line for reading in readings.values() for line in reading.lines):
        typer.echo(clean(line))


def probe_and_answer(
    request: ProbeRequest,
    out: Path,
    as_json: bool,
    *,
    in_short: bool = False,
    report_to: Tracker | None = None,
) -> None:
    """Probe, write everything into ``out`` and answer; ``in_short`` says in a line a file what was read."""
    check_tracker(report_to)
    settle_libraries()
    from probes.machine.processes import leads  # torch takes seconds to import
    from probes.run import run_probe

    if not leads():
        run_probe(request)
        return
    with reserved(out):
        errors.print(
            clean(
                f"Probing {request.model} for {request.source} to {request.target}, {request.task} "
                f"({request.budget} budget)."
            ),
            markup=False,
        )
        inputs = read_and_say(request, in_short=in_short)
        if request.target_labels is None:
            errors.print(
                "Without --target-labels neither the gap between the languages nor the direction on target "
                "text can be measured, and those move the answer most: a hundred labelled sentences would do "
                f"(advisor data --target {request.target} --task {request.task}).",
                markup=False,
            )
        with PhaseBar(PHASES, tells_cost=True).shown() as progress:
            started = monotonic()
            signals = run_probe(request, progress, inputs)
        errors.print(f"Measured in {duration(monotonic() - started)}.")
        with errors.status("Weighing the evidence and writing the report"):
            report = Report(recommend(signals, min_gain=request.min_gain), signals)
            files = _written(report, out, request, as_json)
    answer(report, as_json, files)
    log_run(report_to, of_probe(request, report, files))


def _written(report: Report, out: Path, request: ProbeRequest, as_json: bool) -> tuple[Path, ...]:
    """The files of a report; minutes of measuring are not lost to a full disk."""
    extra = recipe_files(report.advice, request)
    try:
        return report.write(out, extra)
    except (InputError, RunError) as error:
        answer(report, as_json)
        folder = rescued(lambda place: report.write(place, extra))
        if folder is None:
            assert report.signals is not None
            typer.echo(report.signals.model_dump_json(), err=True)
        where = f"the results are in {folder}" if folder else "what was measured is printed above"
        raise type(error)(f"{str(error).rstrip('.')}; {where}.") from error


@contextmanager
def for_real(request: ProbeRequest, report_to: Tracker | None, interrupted: str) -> Iterator[None]:
    """What a trial and a race do around their runs; ``interrupted`` says what is kept of stopped ones."""
    check_tracker(report_to)
    settle_libraries()
    read_and_say(request)
    try:
        yield
    except KeyboardInterrupt:
        errors.print(f"Interrupted: {interrupted}", markup=False)
        raise typer.Exit(130) from None


def answer(report: Report, as_json: bool, files: Sequence[Path] = ()) -> None:
    """Print the advice to standard output."""
    if as_json:
        typer.echo(report.advice.model_dump_json(indent=2))
    else:
        console.print(report.terminal(files))


def counting_race(advice: Advice, race: Path | None) -> Advice:
    """The advice once the race in a folder is counted, if one is named."""
    if race is None:
        return advice
    from advisor.race.advice import counting  # half a second that most answers need not wait for

    return counting(advice, race)


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


def probe_many(
    cells: Sequence[ProbeRequest], out: Path, jobs: int, dask: str | None, sort: Sort
) -> AnswerGrid:
    """Probe cell after cell, say each answer as it comes, and write all of it into ``out``."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("accelerate launch shares out one question: start several without it, by --jobs.")
    settle_libraries()
    if dask:  # whose workers may be in another folder
        cells = [anchored(cell) for cell in cells]
    found: list[AnswerCell] = []

    def told(cell: AnswerCell) -> None:
        said = cell.problem or (cell.advice.summary if cell.advice else "")
        errors.print(clean(f"{cell.model}, {cell.target}: {said}"), markup=False)

    with reserved(out):
        errors.print(f"Probing {len(cells)} cells; what is done is kept in {out}.", markup=False)
        if jobs > 1 or dask:
            found = in_processes(cells, out.absolute(), jobs, dask, told)
        else:
            with PhaseBar(PHASES).shown() as progress:
                for cell in probe_cells(cells, out, progress):
                    found.append(cell)
                    told(cell)
        grid = AnswerGrid.of(found, compare_targets(cells, found, out)).sorted(sort)
        try:
            write_joint(grid.joint, cells, found, out)
            write_files(
                out, {"grid.json": grid.to_json(), "grid.csv": grid.to_csv(), "grid.html": grid_page(grid)}
            )
        except (InputError, RunError):
            console.print(grid_table(grid, console.width))  # a full disk shall not hide the answers
            raise
    errors.print(f"Written to {out}: grid.html, grid.csv, grid.json, and a report a cell.", markup=False)
    return grid


def show_grid(grid: AnswerGrid, *, as_json: bool, strict: bool, lines: bool) -> None:
    """Print a table.

    Raises:
        typer.Exit: with 2 if no cell has an answer or, where that is wanted, if one has none.
    """
    if as_json:
        typer.echo(grid.to_json())
    else:
        console.print(grid_table(grid, console.width, lines=lines))
    if grid.failed and (strict or len(grid.failed) == len(grid.cells)):
        raise typer.Exit(2)
