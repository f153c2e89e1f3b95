"""The second stage: how far a probe's cosine moves the effect model's prediction.

The leading signal is the noise-corrected cosine c of the *target*-task gradient with an objective's gradient
at ``theta_warm``: with target labels or, without them, with projected ones. What holds for the one need not
hold for the other, so each has a stage of its own. For own records, r is the gain less the prediction of an
effect model that never saw the record's language in own records (both on the model's scale), and

    r_j = beta (c_j - mean c) + noise_j,   beta ~ N(0, omega^2).

``omega`` is chosen by leaving one language out; the slope is used only if it beats no slope there by more
than one standard error of the difference, and with an encoder left out as well, where there are several.
Otherwise the stage adds exactly 0.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from advisor.findings import _scale
from advisor.findings._features import CaseMaker
from advisor.findings._observations import observations
from advisor.findings._tables import OWN_RECORDS, Effect, Record, Tables
from advisor.findings.effects import EffectModel
from probes.signals import TaskGradient

__all__ = [
    "LEADING_SIGNALS",
    "HeldOut",
    "SignalStage",
    "cosines_with",
    "fit_slope",
    "fit_stages",
    "hold_languages_out",
    "own_effects",
]

Array = NDArray[np.float64]

LEADING_SIGNALS: tuple[TaskGradient, ...] = ("target-labels", "target-projected")
"""Task gradients whose cosine may move a prediction, the better one first."""

MIN_RECORDS, MIN_LANGUAGES = 12, 4
"""Fewer cannot validate a slope."""

_OMEGAS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Points per unit of cosine. Cosines of encoders lie mostly within 0.2, so 32 is a slope of some 6 points
between the ends."""


@dataclass(frozen=True, slots=True)
class SignalStage:
    """The fitted second stage; ``slope`` is exactly 0 unless validation says that it helps.

    Attributes:
        slope: of the gain on the model's scale (about points) per unit of cosine.
        slope_sd: its posterior standard deviation.
        centre: the cosine at which the prediction is not moved.
        records: how many records had the signal.
        languages: in how many target languages.
        gain_in_score: mean improvement of the log predictive density a record when a language is left out,
            of the slope chosen over no slope; 0 when there was too little to fit.
    """

    slope: float = 0.0
    slope_sd: float = 0.0
    centre: float = 0.0
    records: int = 0
    languages: int = 0
    gain_in_score: float = 0.0

    @property
    def validated(self) -> bool:
        """Whether signals move predictions at all."""
        return self.slope != 0.0

    def shift(self, cosine: float, cosine_se: float) -> tuple[float, float]:
        """What to add to a prediction's centre, and the standard deviation this adds to it."""
        centred = cosine - self.centre
        return self.slope * centred, ((self.slope_sd * centred) ** 2 + (self.slope * cosine_se) ** 2) ** 0.5

    def array(self) -> Array:
        """The fields in order, for ``numpy.savez``; ``SignalStage.from_array`` reads them."""
        return np.array(astuple(self), dtype=np.float64)

    @classmethod
    def from_array(cls, fields: Array) -> "SignalStage":
        """The stage that ``fields`` was made of."""
        slope, slope_sd, centre, records, languages, score = fields.tolist()
        return cls(slope, slope_sd, centre, int(records), int(languages), score)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Own effects as an effect model predicts them that never saw their language in own records.

    All on the model's scale, shape (effects,).

    Attributes:
        languages, models: target language and encoder of each.
        centre: of the predictions.
        gains: measured.
        variances: of the gains about the predictions.
    """

    languages: tuple[str, ...]
    models: tuple[str, ...]
    centre: Array
    gains: Array
    variances: Array

    def slope_on(self, cosines: Array, rows: NDArray[np.bool_] | None = None) -> SignalStage:
        """The second stage that a signal gives, from all effects or from some of them.

        Args:
            cosines: the signal, shape (effects,).
            rows: which effects to use.
        """
        chosen = np.flatnonzero(np.isfinite(cosines) if rows is None else rows & np.isfinite(cosines))
        if not len(chosen):
            return SignalStage()
        return fit_slope(
            cosines=cosines[chosen],
            residuals=(self.gains - self.centre)[chosen],
            variances=self.variances[chosen],
            languages=[self.languages[i] for i in chosen],
            models=[self.models[i] for i in chosen],
        )


def own_effects(tables: Tables) -> list[tuple[Effect, Record]]:
    """The own effects that may be pooled, each with its record."""
    records = {f"records.csv, {record.id}": record for record in tables.records}
    return [(e, records[e.locator]) for e in tables.pooled if e.source_id == OWN_RECORDS]


def hold_languages_out(model: EffectModel, maker: CaseMaker, own: Sequence[Effect]) -> HeldOut:
    """Predict own effects, each without the own effects of its target language.

    Args:
        model: fitted in this process to evidence that holds all of ``own``.
        maker: of its cases.
        own: own effects.
    """
    observed = observations(own, maker)
    errors, variances = np.zeros(len(own)), np.zeros(len(own))
    languages = [effect.target for effect in own]
    for language in sorted(set(languages)):
        rows = [i for i, name in enumerate(languages) if name == language]
        errors[rows], variances[rows] = model.left_out([observed[i] for i in rows])
    gains = _scale.to_scale(np.array([effect.gain for effect in own]))
    models = tuple(effect.model for effect in own)
    return HeldOut(tuple(languages), models, gains - errors, gains, variances)


def cosines_with(gradient: str, records: Sequence[Record]) -> Array:
    """The cosine of each record with a task gradient, NaN where it was not resolved; shape (records,)."""
    return np.array([record.cosines.get(gradient, (np.nan, 0.0))[0] for record in records])


def fit_stages(tables: Tables, maker: CaseMaker, model: EffectModel) -> dict[str, SignalStage]:
    """Fit a stage for each leading signal to the own records of the tables.

    Args:
        tables: the evidence.
        maker: of its cases.
        model: fitted to the same tables in this process.

    Returns:
        Stages by task gradient, in the order of ``LEADING_SIGNALS``.
    """
    own = own_effects(tables)
    held = hold_languages_out(model, maker, [effect for effect, _ in own])
    records = [record for _, record in own]
    return {name: held.slope_on(cosines_with(name, records)) for name in LEADING_SIGNALS}


def fit_slope(
    *,
    cosines: Array,
    residuals: Array,
    variances: Array,
    languages: Sequence[str],
    models: Sequence[str] = (),
) -> SignalStage:
    """Fit the slope of residual gains on cosines, shrunk as leave-one-out validation decides.

    Args:
        cosines: shape (n,).
        residuals: gains less their predictions on the model's scale, shape (n,).
        variances: of the residuals under no slope, shape (n,).
        languages: target language of each record.
        models: encoder of each record; none, or a single one, cannot be left out.
    """
    count = len(set(languages))
    summary = SignalStage(centre=float(cosines.mean()), records=len(cosines), languages=count)
    if len(cosines) < MIN_RECORDS or count < MIN_LANGUAGES:
        return summary
    centred = cosines - summary.centre
    best: tuple[float, float] | None = None
    for omega in _OMEGAS:
        gains = _held_out_gains(centred, residuals, variances, omega, languages)
        mean, error = float(gains.mean()), float(gains.std(ddof=1)) / count**0.5
        if mean > error and (best is None or mean > best[0]):
            best = mean, omega
    if best is None:
        return summary
    if len(set(models)) > 1:
        by_model = _held_out_gains(centred, residuals, variances, best[1], models)
        if by_model.sum() <= 0:
            return summary
    slope, slope_variance = _posterior(centred, residuals, variances, best[1])
    return replace(
        summary,
        slope=slope,
        slope_sd=slope_variance**0.5,
        gain_in_score=best[0] * count / len(cosines),
    )


def _held_out_gains(x: Array, y: Array, variances: Array, omega: float, groups: Sequence[str]) -> Array:
    """Log predictive density that a slope adds for each group when it is fitted to the others."""
    gains = []
    for name in sorted(set(groups)):
        held = np.array([group == name for group in groups])
        slope, slope_variance = _posterior(x[~held], y[~held], variances[~held], omega)
        wider = variances[held] + slope_variance * x[held] ** 2
        moved = _log_density(y[held] - slope * x[held], wider)
        gains.append(float(np.sum(moved - _log_density(y[held], variances[held]))))
    return np.array(gains)


def _posterior(x: Array, y: Array, variances: Array, omega: float) -> tuple[float, float]:
    precision = float(np.sum(x**2 / variances)) + omega**-2
    return float(np.sum(x * y / variances)) / precision, 1 / precision


def _log_density(y: Array, variances: Array) -> Array:
    return np.asarray(-0.5 * (np.log(2 * np.pi * variances) + y**2 / variances))
