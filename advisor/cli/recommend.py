"""``advisor recommend``"""

from pathlib import Path
from typing import Annotated

import typer

from advisor.cli._options import OwnRace, OwnTrial, option
from advisor.cli._run import answer, counting_race
from advisor.console import Debug, Json, errors
from advisor.decide import DEFAULT_MIN_GAIN
from advisor.recommend import recommend as recommend_from
from advisor.report import Report
from probes.signals import Signals


def recommend(
    signals: Annotated[Path, typer.Argument(help="A signals.json that a probe wrote.")],
    min_gain: Annotated[float, option("min_gain")] = DEFAULT_MIN_GAIN,
    trial: OwnTrial = None,
    race: OwnRace = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Advise from signals that were measured before."""
    measured = Signals.load(signals)
    with errors.status("Weighing the evidence"):
        report = Report(
            counting_race(recommend_from(measured, min_gain=min_gain, trial=trial), race), measured
        )
    answer(report, as_json)
