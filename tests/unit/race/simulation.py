"""Cells with known truth, drawn from the error model."""

import numpy as np
from numpy.typing import NDArray

from advisor.findings.model import scale
from advisor.options import Option
from advisor.race.errors import ErrorModel, Look, Looks
from advisor.race.replay.traces import Trace
from advisor.race.rungs import RungPlan, rungs_of

Array = NDArray[np.float64]

OPTIONS = tuple(
    Option.parse(name)
    for name in (
        *("token-contrastive:sequential", "sentence-contrastive:sequential", "token-l2:sequential"),
        *("token-contrastive:joint:0.1", "sentence-contrastive:joint:0.1"),
    )
)
TRUTH = ErrorModel(tune_slope=0.05, tune_drift=0.9, seed=1.1, look=1.3, tails=4.0)
_WIDTH = 0.6
"""What a point of the gains' spread is on the model's scale: as wide as what findings say."""
PLAN = RungPlan(align_steps=120, tune_steps=120)


def covariance_of(errors: ErrorModel = TRUTH) -> Array:
    """Of the arms' gains on the model's scale before anything is seen."""
    return (_WIDTH * errors.spread()) ** 2 * errors.correlation(
        [option.objective for option in OPTIONS], [str(option.schedule) for option in OPTIONS]
    )


def cell(
    generator: np.random.Generator, mean: Array, errors: ErrorModel = TRUTH, level: str = "token"
) -> tuple[Trace, Array]:
    """A cell with two seeds looked at on every rung, and its arms' true gains."""
    wild = np.sqrt((errors.tails - 2) / generator.chisquare(errors.tails))
    off = generator.multivariate_normal(np.zeros(len(mean)), covariance_of(errors))
    truth = scale.to_points(scale.to_scale(mean) + wild * off)
    looks = [
        Look(arm, seed, rung)
        for arm, option in enumerate(OPTIONS)
        for seed in (0, 1)
        for rung in rungs_of(option)
    ]
    columns = Looks.of(looks)
    noise = errors.covariance(columns, columns, level)
    shown = errors.slope(columns) * truth[columns.arm]
    shown += wild * generator.multivariate_normal(np.zeros(len(looks)), noise, method="eigh")
    gains = dict(zip(looks, shown.tolist(), strict=True))
    return Trace(("model", "task"), "xx", level, PLAN, OPTIONS, gains), truth
