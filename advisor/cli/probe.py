"""``advisor probe``"""

from pathlib import Path
from typing import Annotated

import typer

from advisor.cli._options import AnswerFolder, DryRun, ReportTo, Sorted, Strict, asking
from advisor.cli._run import only_read, probe_and_answer, probe_many, show_grid
from advisor.console import Debug, Json, errors
from advisor.grid import named_once, spread, with_paths
from advisor.report.words import clean
from probes.errors import InputError
from probes.request import ProbeRequest


@asking()
def probe(
    request: ProbeRequest,
    out: AnswerFolder = Path("advice"),
    jobs: Annotated[int, typer.Option("--jobs", help="Processes that share out several cells.", min=1)] = 1,
    dask: Annotated[
        str | None, typer.Option("--dask", help="Address of a Dask scheduler whose workers share them out.")
    ] = None,
    sort: Sorted = "question",
    strict: Strict = False,
    report_to: ReportTo = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure your model for a language pair and a task, and advise.

    Several models or targets by commas make a table, and say what to align together: {target} in the name of
    a file stands for each target in turn.
    """
    cells = spread(request)
    if note := named_once(request.model, request.target)[-1]:
        errors.print(clean(note), markup=False)
    if dry_run:
        only_read(cells, as_json)
    elif len(cells) == 1:
        probe_and_answer(with_paths(cells[0]), out, as_json, report_to=report_to)
    else:
        if report_to is not None:
            raise InputError("--report-to takes one question: leave it out for several models or targets.")
        grid = probe_many(cells, out, jobs, dask, sort)
        show_grid(grid, as_json=as_json, strict=strict, lines=sort != "question")
