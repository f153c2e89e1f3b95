"""What commands that answer many questions have in common."""

from pathlib import Path
from typing import Annotated

import typer

from advisor.console import console, errors
from advisor.files import write_files
from advisor.grid import SORTS, Grid, grid_page, grid_table

CsvFile = Annotated[Path | None, typer.Option("--csv", help="Also write a line a cell to this file.")]
HtmlFile = Annotated[
    Path | None, typer.Option("--html", help="Also write the table to this page; its cells open their cards.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 2 if a cell of a table has no answer.")]
Sorted = Annotated[str, typer.Option("--sort", help=f"Order of a table: {', '.join(SORTS)}.")]


def show_grid(
    grid: Grid,
    *,
    as_json: bool,
    sort: str,
    csv_file: Path | None,
    html_file: Path | None,
    strict: bool,
) -> None:
    """Print a table and write the files that were asked for.

    Raises:
        typer.Exit: with 2 if no cell has an answer or, where that is wanted, if one has none.
    """
    if sort not in SORTS:
        raise typer.BadParameter(f"choose one of {', '.join(SORTS)}", param_hint="--sort")
    grid = grid.sorted(sort)  # type: ignore[arg-type]
    for path, write in ((csv_file, grid.to_csv), (html_file, lambda: grid_page(grid))):
        if path is not None:
            write_files(path.parent, {path.name: write()})
            errors.print(f"Written to {path}", markup=False)
    if as_json:
        typer.echo(grid.to_json())
    else:
        console.print(grid_table(grid, console.width, lines=sort != "question"))
    if grid.failed and (strict or len(grid.failed) == len(grid.cells)):
        raise typer.Exit(2)
