"""The variances of the effect model, while they are being learnt."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import Case
from advisor.findings.model._design import sums
from advisor.findings.model._features import LAB_SHARES, Term

Array = NDArray[np.float64]

BASELINE = "baseline"
"""Name of the coefficients ``b_c``; their variance is known, so it is not learnt."""
_GROUP_TRUST = 4.0
"""Coefficients' worth of evidence that a term's variance is for each of its groups."""
_RESIDUAL_TRUST = 4.0
"""Observations' worth of evidence that the pooled residual is for each lab, model and task."""
_RESIDUAL = 0.4
"""What may plausibly be left within a model and task before any evidence."""


class Variances:
    """The variances ``tau^2`` while they are being learnt; those between labs are given, not learnt."""

    def __init__(self, terms: Sequence[Term], variance_of: Sequence[tuple[str, str]]) -> None:
        self._terms = {term.name: term for term in terms}
        self._groups = sorted(set(variance_of))
        place = {group: i for i, group in enumerate(self._groups)}
        self._of = np.array([place[group] for group in variance_of])
        self._count = sums(self._of, np.ones(len(self._of)), len(self._groups))
        self._tau2 = np.array(
            [1.0 if name == BASELINE else self._terms[name].scale ** 2 for name, _ in self._groups]
        )
        self._whole = {name: term.scale**2 for name, term in self._terms.items()}

    def of_columns(self, lab_spread: float) -> Array:
        """The variance of each coefficient where labs differ by ``lab_spread``, shape (p,)."""
        shares = [LAB_SHARES.get(name, 0.0) for name, _ in self._groups]
        of_labs = np.array(shares) * lab_spread**2
        return np.asarray(np.where(of_labs > 0, of_labs, self._tau2)[self._of])

    def update(self, mean: Array, variance: Array) -> None:
        """One step of MacKay's fixed point: sum of squares over the number of well-determined ones."""
        squares = sums(self._of, mean**2, len(self._groups))
        learnt = np.where(self._tau2 > 0, self._tau2, 1.0)
        determined = self._count - sums(self._of, variance, len(self._groups)) / learnt
        for name, term in self._terms.items():
            if name in LAB_SHARES:
                continue
            places = [i for i, group in enumerate(self._groups) if group[0] == name]
            whole = (squares[places].sum() + term.trust * term.scale**2) / (
                determined[places].sum() + term.trust
            )
            self._whole[name] = float(whole)
            self._tau2[places] = whole
            if len(places) > 1:
                self._tau2[places] = (squares[places] + _GROUP_TRUST * whole) / (
                    determined[places] + _GROUP_TRUST
                )

    def named(self) -> dict[tuple[str, str], float]:
        """By (term, group), and by (term, blank) for groups that were not seen."""
        whole = {(name, ""): value for name, value in self._whole.items()}
        groups = dict(zip(self._groups, self._tau2.tolist(), strict=True))
        learnt = whole | groups
        return {group: value for group, value in learnt.items() if group[0] not in (BASELINE, *LAB_SHARES)}


class Residuals:
    """The residual variances ``sigma_g^2`` while they are being learnt (by expectation-maximisation)."""

    def __init__(self, cases: Sequence[Case]) -> None:
        names = [(case.lab, case.model, case.task) for case in cases]
        self._groups = sorted(set(names))
        place = {group: i for i, group in enumerate(self._groups)}
        self._of = np.array([place[name] for name in names])
        self._count = sums(self._of, np.ones(len(names)), len(self._groups))
        self._sigma2 = np.full(len(self._groups), _RESIDUAL**2)

    @property
    def of_rows(self) -> Array:
        """The variance of each observation, shape (n,)."""
        return np.asarray(self._sigma2[self._of])

    def update(self, error2: Array, noise2: Array) -> None:
        """``error2``: expected squared errors; the expected square of ``u_i`` given its error and noise."""
        sigma2 = self.of_rows
        share = sigma2 / (sigma2 + noise2)
        squares = sums(self._of, share**2 * error2 + share * noise2, len(self._groups))
        pooled = (squares.sum() + _RESIDUAL_TRUST * _RESIDUAL**2) / (self._count.sum() + _RESIDUAL_TRUST)
        self._sigma2 = (squares + _RESIDUAL_TRUST * pooled) / (self._count + _RESIDUAL_TRUST)

    def named(self) -> dict[tuple[str, str, str], float]:
        """By (lab, model, task); blanks for a new lab of a model and task, and for anything new."""
        found = dict(zip(self._groups, self._sigma2.tolist(), strict=True))
        for model, task in sorted({group[1:] for group in self._groups}):
            places = [i for i, group in enumerate(self._groups) if group[1:] == (model, task)]
            found["", model, task] = float(np.average(self._sigma2[places], weights=self._count[places]))
        found["", "", ""] = float(np.average(self._sigma2, weights=self._count))
        return found
