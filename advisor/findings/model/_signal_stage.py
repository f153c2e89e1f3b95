"""The second stage: how far a probe's leading signal moves the effect model's prediction.

The leading signals are the four that were registered before the runs they are tested on
(``findings/study/REGISTERED.md``): the frozen gap (score of the head fitted on frozen source features,
source less target), and, for an objective at ``theta_warm``, the noise-corrected cosine of its gradient
with the task's on labelled target text, what a small Adam-scaled step on it does to the task loss there
(on the model's scale, since a few steps do very much), and the cosine with projected labels. Each has a
stage of its own, and of those that a probe measured the one that did best is used. For own records, r is
the gain less the prediction of an effect model that never saw the record's group (an encoder state and a
task) in own records, both on the model's scale, and

    r_j = beta (x_j - mean x) + noise_j,   beta ~ N(0, omega^2).

``omega`` is chosen by leaving one group out; the slope is used only if it beats no slope there by more than
one standard error of the difference, and with an encoder state left out as well, where there are several.
Otherwise the stage adds exactly 0.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import OWN, OWN_RECORDS, CaseMaker, Effect, OwnRecord, Tables, observations
from advisor.findings.model import scale
from advisor.findings.model._effect_model import EffectModel
from probes.catalogue import SIGNALS
from probes.signals import Estimate, Signals, TaskGradient

Array = NDArray[np.float64]

MIN_RECORDS, MIN_GROUPS = 12, 8
"""Fewer cannot validate a slope."""

_OMEGAS = (0.15, 0.3, 0.6, 1.25, 2.5, 5.0)
"""Points per standard deviation of the signal."""


@dataclass(frozen=True, slots=True)
class LeadingSignal:
    """A signal that may move predictions.

    Attributes:
        gradient: what it stands on: target labels, or projected ones.
        measure: ``frozen-gap``, ``cosine``, or ``lookahead`` after an Adam-scaled step.
    """

    gradient: TaskGradient
    measure: Literal["frozen-gap", "cosine", "lookahead"]

    def __str__(self) -> str:
        return self.measure if self.measure == "frozen-gap" else f"{self.measure} with {self.gradient}"

    @property
    def column(self) -> str:
        """Its name in the table of records; that of the target's score for the frozen gap."""
        names = {"frozen-gap": "frozen_target", "cosine": "cosine", "lookahead": "lookahead_adam"}
        prefix = "" if self.measure == "frozen-gap" else f"{self.gradient.replace('-', '_')}_"
        return prefix + names[self.measure]

    def of_records(self, records: Sequence[OwnRecord]) -> Array:
        """The signal of each record on the stage's scale, NaN where there is none; shape (records,)."""
        found = []
        for record in records:
            value = record.signals.get(self.column, float("nan"))
            if self.measure == "frozen-gap":
                value = record.signals.get("frozen_source", float("nan")) - value
            found.append(self._scaled(value))
        return np.array(found)

    def of_probe(self, signals: Signals, objective: str) -> tuple[float, float] | None:
        """The signal that a probe measured and its standard error, on the stage's scale, if it is there."""
        found = SIGNALS[self.column].read(signals, objective)
        if not isinstance(found, Estimate) or found.value is None:
            return None
        value, error = found.value, _standard_error(found)
        if self.measure == "frozen-gap":
            source = signals.transfer.source
            if source.value is None:
                return None
            return source.value - value, float(np.hypot(error, _standard_error(source)))
        if self.measure == "cosine":
            value = max(-1.0, min(1.0, value))  # as where it is measured: anybody may have written the file
            error = min(error, 1.0)
        else:
            error *= float(scale.unit(np.array(value)))
        return self._scaled(value), error

    def _scaled(self, value: float) -> float:
        return float(scale.to_scale(np.array(value))) if self.measure == "lookahead" else value


def _standard_error(estimate: Estimate) -> float:
    if estimate.low is None or estimate.high is None:
        return 0.0
    return max(0.0, estimate.high - estimate.low) / (2 * NormalDist().inv_cdf((1 + estimate.level) / 2))


LEADING_SIGNALS = (
    LeadingSignal("target-labels", "frozen-gap"),
    LeadingSignal("target-labels", "cosine"),
    LeadingSignal("target-labels", "lookahead"),
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
        groups: in how many groups, an encoder state and a task each.
        gain_in_score: mean improvement of the log predictive density a record when a group is left out,
            of the slope chosen over no slope; 0 when there was too little to fit.
    """

    slope: float = 0.0
    slope_sd: float = 0.0
    centre: float = 0.0
    records: int = 0
    groups: int = 0
    gain_in_score: float = 0.0

    @property
    def validated(self) -> bool:
        """Whether signals move predictions at all."""
        return self.slope != 0.0

    def shift(self, value: float, error: float) -> tuple[float, float]:
        """What a value of the signal and its standard error add to a prediction's centre, and to its sd."""
        centred = value - self.centre
        return self.slope * centred, ((self.slope_sd * centred) ** 2 + (self.slope * error) ** 2) ** 0.5

    def array(self) -> Array:
        """The fields in order, for ``numpy.savez``; ``SignalStage.from_array`` reads them."""
        return np.array(astuple(self), dtype=np.float64)

    @classmethod
    def from_array(cls, fields: Array) -> "SignalStage":
        """The stage that ``fields`` was made of."""
        slope, slope_sd, centre, records, groups, score = fields.tolist()
        return cls(slope, slope_sd, centre, int(records), int(groups), score)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Own effects as an effect model predicts them that never saw their group in own records.

    All on the model's scale, shape (effects,).

    Attributes:
        groups, states: encoder state and task of each, and encoder state.
        centre: of the predictions.
        gains: measured.
        variances: of the gains about the predictions.
    """

    groups: tuple[str, ...]
    states: tuple[str, ...]
    centre: Array
    gains: Array
    variances: Array

    def slope_on(self, values: Array, rows: NDArray[np.bool_] | None = None) -> SignalStage:
        """The second stage by a signal, NaN where there is none, shape (effects,), from all or some rows."""
        chosen = np.flatnonzero(np.isfinite(values) if rows is None else rows & np.isfinite(values))
        if not len(chosen):
            return SignalStage()
        return fit_slope(
            values=values[chosen],
            residuals=(self.gains - self.centre)[chosen],
            variances=self.variances[chosen],
            groups=[self.groups[i] for i in chosen],
            states=[self.states[i] for i in chosen],
        )


def own_effects(tables: Tables) -> list[tuple[Effect, OwnRecord]]:
    """The own effects that may be pooled, each with its record."""
    records = {f"records.csv, {record.id}": record for record in tables.records}
    return [(e, records[e.locator]) for e in tables.strata[OWN] if e.source_id == OWN_RECORDS]


def hold_groups_out(model: EffectModel, maker: CaseMaker, own: Sequence[Effect]) -> HeldOut:
    """Predict own effects, of which ``model`` was fitted to all in this process, each without its group's."""
    observed = observations(own, maker)
    errors, variances = np.zeros(len(own)), np.zeros(len(own))
    groups = [f"{effect.model}, {effect.task}" for effect in own]
    for group in sorted(set(groups)):
        rows = [i for i, name in enumerate(groups) if name == group]
        errors[rows], variances[rows] = model.left_out([observed[i] for i in rows])
    gains = scale.to_scale(np.array([effect.gain for effect in own]))
    states = tuple(effect.model for effect in own)
    return HeldOut(tuple(groups), states, gains - errors, gains, variances)


def fit_stages(tables: Tables, maker: CaseMaker, model: EffectModel) -> dict[LeadingSignal, SignalStage]:
    """Fit a stage for each leading signal; the model was fitted to the own effects in this process."""
    own = own_effects(tables)
    held = hold_groups_out(model, maker, [effect for effect, _ in own])
    records = [record for _, record in own]
    return {signal: held.slope_on(signal.of_records(records)) for signal in LEADING_SIGNALS}


def fit_slope(
    *,
    values: Array,
    residuals: Array,
    variances: Array,
    groups: Sequence[str],
    states: Sequence[str] = (),
) -> SignalStage:
    """Fit the slope of residual gains on a signal, shrunk as leave-one-out validation decides.

    Args:
        values: of the signal, shape (n,).
        residuals: gains less their predictions on the model's scale, shape (n,).
        variances: of the residuals under no slope, shape (n,).
        groups: encoder state and task of each record.
        states: encoder state of each record; none, or a single one, cannot be left out.
    """
    count = len(set(groups))
    summary = SignalStage(centre=float(values.mean()), records=len(values), groups=count)
    centred = values - summary.centre
    if len(values) < MIN_RECORDS or count < MIN_GROUPS or not centred.any():
        return summary
    best: tuple[float, float] | None = None
    for omega in np.array(_OMEGAS) / centred.std():
        gains = _held_out_gains(centred, residuals, variances, omega, groups)
        mean, error = float(gains.mean()), float(gains.std(ddof=1)) / count**0.5
        if mean > error and (best is None or mean > best[0]):
            best = mean, omega
    if best is None:
        return summary
    if len(set(states)) > 1:
        by_state = _held_out_gains(centred, residuals, variances, best[1], states)
        if by_state.sum() <= 0:
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
