"""``advisor card`` and ``advisor compare``"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from advisor.console import Debug, errors
from advisor.files import write_files

Out = Annotated[Path | None, typer.Option("--out", help="File to write instead of standard output.")]
Style = Annotated[
    Literal["markdown", "latex", "csv"], typer.Option("--format", help="LaTeX is for booktabs.")
]


def card(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Folders that a probe, a trial, a race or a recipe wrote, of one question."),
    ],
    out: Out = None,
    debug: Debug = False,
) -> None:
    """Write a model card for the Hugging Face Hub: what was measured, advised, done and gained."""
    from advisor.model_card import model_card

    _put(model_card(folders), out)


def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders that a probe, a trial or a race wrote.")],
    style: Style = "markdown",
    out: Out = None,
    debug: Debug = False,
) -> None:
    """Put results side by side for a paper; the best is bold only where it is told from all others."""
    from advisor.comparison import STYLES, compared

    _put(STYLES[style](compared(folders)), out)


def _put(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    write_files(out.parent, {out.name: text})
    errors.print(f"Written to {out}", markup=False)
