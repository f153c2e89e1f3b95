"""The second stage: how far a probe's leading signal moves the effect model's prediction.

A leading signal x says how an objective and the task on *target* text get on at ``theta_warm``: as the
noise-corrected cosine of their gradients, or as what a small Adam-scaled step on the objective does to the
task loss (on the model's scale, since a few steps do very much); with target labels or, without them, with
projected ones. What holds for one need not hold for another, so each has a stage of its own, and of those
that a probe measured the one that did best is used. For own records, r is the gain less the prediction of an
effect model that never saw the record's language in own records (both on the model's scale), and

    r_j = beta (x_j - mean x) + noise_j,   beta ~ N(0, omega^2).

``omega`` is chosen by leaving one language out; the slope is used only if it beats no slope there by more
than one standard error of the difference, and with an encoder left out as well, where there are several.
Otherwise the stage adds exactly 0.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import OWN_RECORDS, CaseMaker, Effect, Record, Tables, observations
from advisor.findings.model import scale
from advisor.findings.model._effect_model import EffectModel
from probes.signals import Estimate, Signals, TaskGradient

__all__ = [
    "LEADING_SIGNALS",
    "HeldOut",
    "LeadingSignal",
    "SignalStage",
    "fit_slope",
    "fit_stages",
    "hold_languages_out",
    "own_effects",
]

Array = NDArray[np.float64]

MIN_RECORDS, MIN_LANGUAGES = 12, 4
"""Fewer cannot validate a slope."""

_OMEGAS = (0.15, 0.3, 0.6, 1.25, 2.5, 5.0)
"""Points per standard deviation of the signal."""


@dataclass(frozen=True, slots=True)
class LeadingSignal:
    """A signal that may move predictions.

    Attributes:
        gradient: of the task: with target labels, or with projected ones.
        measure: ``cosine``, or ``lookahead`` after an Adam-scaled step.
    """

    gradient: TaskGradient
    measure: Literal["cosine", "lookahead"]

    def __str__(self) -> str:
        return f"{self.measure} with {self.gradient}"

    @property
    def column(self) -> str:
        """Its name in the table of records."""
        measure = "cosine" if self.measure == "cosine" else "lookahead_adam"
        return f"{self.gradient.replace('-', '_')}_{measure}"

    def of_records(self, records: Sequence[Record]) -> Array:
        """The signal of each record on the stage's scale, NaN where there is none; shape (records,)."""
        return np.array([self._scaled(record.signals.get(self.column, float("nan"))) for record in records])

    def of_probe(self, signals: Signals, objective: str) -> tuple[float, float] | None:
        """The signal that a probe measured and its standard error, on the stage's scale, if it is there."""
        found = self.measured(signals, objective)
        if found is None or found.value is None:
            return None
        value = found.value
        if self.measure == "cosine":
            value = max(-1.0, min(1.0, value))  # as where it is measured: anybody may have written the file
        error = 0.0
        if found.low is not None and found.high is not None:
            width = max(0.0, found.high - found.low)
            width = min(2.0, width) if self.measure == "cosine" else width
            error = width / (2 * NormalDist().inv_cdf((1 + found.level) / 2))
        if self.measure == "lookahead":
            error *= float(scale.unit(np.array(value)))
        return self._scaled(value), error

    def measured(self, signals: Signals, objective: str) -> Estimate | None:
        """What the probe says of it, if it was measured."""
        if self.measure == "cosine":
            return signals.cosine(objective, self.gradient)
        wanted = ("theta_warm", objective, self.gradient, "adam")
        rows = (row for row in signals.lookahead if (row.point, row.objective, row.on, row.scaling) == wanted)
        return next((row.change for row in rows), None)

    def _scaled(self, value: float) -> float:
        return value if self.measure == "cosine" else float(scale.to_scale(np.array(value)))


LEADING_SIGNALS = (
    LeadingSignal("target-labels", "lookahead"),
    LeadingSignal("target-labels", "cosine"),
    LeadingSignal("target-projected", "lookahead"),
    LeadingSignal("target-projected", "cosine"),
)


@dataclass(frozen=True, slots=True)
class SignalStage:
    """The fitted second stage; ``slope`` is exactly 0 unless validation says that it helps.

    Attributes:
        slope: of the gain on the model's scale (about points) per unit of the signal.
        slope_sd: its posterior standard deviation.
        centre: the signal at which the prediction is not moved.
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

    def shift(self, value: float, error: float) -> tuple[float, float]:
        """What to add to a prediction's centre, and the standard deviation this adds to it.

        Args:
            value: of the signal.
            error: its standard error.
        """
        centred = value - self.centre
        return self.slope * centred, ((self.slope_sd * centred) ** 2 + (self.slope * error) ** 2) ** 0.5

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

    def slope_on(self, values: Array, rows: NDArray[np.bool_] | None = None) -> SignalStage:
        """The second stage that a signal gives, from all effects or from some of them.

        Args:
            values: of the signal, NaN where there is none, shape (effects,).
            rows: which effects to use.
        """
        chosen = np.flatnonzero(np.isfinite(values) if rows is None else rows & np.isfinite(values))
        if not len(chosen):
            return SignalStage()
        return fit_slope(
            values=values[chosen],
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
    gains = scale.to_scale(np.array([effect.gain for effect in own]))
    models = tuple(effect.model for effect in own)
    return HeldOut(tuple(languages), models, gains - errors, gains, variances)


def fit_stages(tables: Tables, maker: CaseMaker, model: EffectModel) -> dict[LeadingSignal, SignalStage]:
    """Fit a stage for each leading signal to the own records of the tables.

    Args:
        tables: the evidence.
        maker: of its cases.
        model: fitted to the same tables in this process.
    """
    own = own_effects(tables)
    held = hold_languages_out(model, maker, [effect for effect, _ in own])
    records = [record for _, record in own]
    return {signal: held.slope_on(signal.of_records(records)) for signal in LEADING_SIGNALS}


def fit_slope(
    *,
    values: Array,
    residuals: Array,
    variances: Array,
    languages: Sequence[str],
    models: Sequence[str] = (),
) -> SignalStage:
    """Fit the slope of residual gains on a signal, shrunk as leave-one-out validation decides.

    Args:
        values: of the signal, shape (n,).
        residuals: gains less their predictions on the model's scale, shape (n,).
        variances: of the residuals under no slope, shape (n,).
        languages: target language of each record.
        models: encoder of each record; none, or a single one, cannot be left out.
    """
    count = len(set(languages))
    summary = SignalStage(centre=float(values.mean()), records=len(values), languages=count)
    centred = values - summary.centre
    if len(values) < MIN_RECORDS or count < MIN_LANGUAGES or not centred.any():
        return summary
    best: tuple[float, float] | None = None
    for omega in np.array(_OMEGAS) / centred.std():
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
        gain_in_score=best[0] * count / len(values),
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
