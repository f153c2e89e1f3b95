"""The command line: a command a file, an option for every field of a request.

Answers go to standard output, everything else to standard error. Exit codes: 0 answered, 2 bad input, 1
the run failed, 130 interrupted. Nothing here imports torch until a probe starts.
"""

from importlib.metadata import version
from typing import Annotated

import typer

from advisor.cli import findings, study
from advisor.cli._environment import ENVIRONMENT, TOKEN
from advisor.cli.ask import ask
from advisor.cli.data import data
from advisor.cli.demo import demo
from advisor.cli.page import page, serve
from advisor.cli.probe import probe
from advisor.cli.race import race
from advisor.cli.recommend import recommend
from advisor.cli.take_along import card, compare
from advisor.cli.trial import trial
from advisor.console import Commands, run

__all__ = ["app", "main"]

app = typer.Typer(
    name="advisor",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)


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


app.command(
    epilog="Example: advisor ask --model xlm-roberta-base --target yo --task pos; a table: advisor ask "
    "--model xlm-roberta-base,mbert --target sw,yo,fi --task ner,pos --html answers.html"
)(ask)
app.command(epilog="Example: advisor data --target yo --task ner")(data)
app.command(
    epilog="Example: advisor probe xlm-roberta-base --source en --target tr --task pos "
    "--train en.train.conllu --bitext en-tr.tsv --target-labels tr.dev.conllu --out advice"
)(probe)
app.command(epilog="Example: advisor recommend advice/signals.json --min-gain 1")(recommend)
app.command(
    epilog="Example: advisor trial xlm-roberta-base --source en --target wo --task pos "
    "--train en.train.conllu --bitext en-wo.tsv --target-labels wo.dev.conllu "
    "--option token-contrastive:joint:0.1 --seeds 3 --out trial"
)(trial)
app.command(
    epilog="Example: advisor race xlm-roberta-base --source en --target tr --task pos "
    "--train en.train.conllu --bitext en-tr.tsv --target-labels tr.dev.conllu --minutes 30 --out race"
)(race)
app.command(epilog="Example: advisor card advice trial trained --out README.md")(card)
app.command(epilog="Example: advisor compare trial-tr trial-ar --format latex --out table.tex")(compare)
app.command(epilog="Example: advisor demo --out advice")(demo)
app.command(
    "app",
    help="Open the page in the browser: ask, grid, probe, read, explore, compare, trial." + ENVIRONMENT,
    epilog="Example: advisor app --port 8501",
)(page)
app.command(
    help="Serve questions, probes, trials and races over HTTP, documented at /docs." + ENVIRONMENT + TOKEN,
    epilog="Example: advisor serve --port 8000",
)(serve)
app.add_typer(findings.app, name="findings")
app.add_typer(study.app, name="study")


def main() -> None:
    """Entry point of the ``advisor`` command."""
    raise SystemExit(run(lambda: app(standalone_mode=False)))
