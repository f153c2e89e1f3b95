"""``advisor data``"""

from typing import Annotated

from advisor.cli._options import option
from advisor.console import Debug, Json, print_found
from advisor.corpora import find_data


def data(
    target: Annotated[str, option("target")],
    task: Annotated[str, option("task")],
    source: Annotated[str, option("source")] = "en",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List public data sets for a question, and how the options name them; from a table, offline."""
    print_found(find_data(source=source, target=target, task=task), as_json)
