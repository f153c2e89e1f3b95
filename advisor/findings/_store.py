"""The fitted findings: made from the tables on first use and kept as plain numbers in the user's cache."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from advisor.files import replacement
from advisor.findings.evidence import LIGHT, OWN, TABLES, CaseMaker, Tables, load_tables, observations
from advisor.findings.model import (
    LEADING_SIGNALS,
    EffectModel,
    LeadingSignal,
    SignalStage,
    fit_stages,
    from_arrays,
    to_arrays,
)


@dataclass(frozen=True, slots=True, eq=False)  # so that what follows from findings can be kept
class Findings:
    """Everything that was learnt from the evidence.

    Attributes:
        tables: the evidence itself.
        cases: makes cases of questions.
        effects: the effect model of each stratum that is fitted.
        signals: the second stage, which moves a prediction by what a probe measured, for each leading signal.
    """

    tables: Tables
    cases: CaseMaker
    effects: Mapping[str, EffectModel]
    signals: Mapping[LeadingSignal, SignalStage]

    def fit_of(self, model: str, task: str) -> EffectModel:
        """The effect model of the stratum that speaks of an encoder on a task."""
        return self.effects[self.tables.stratum_of(model, task)]


@lru_cache(maxsize=4)
def load_findings(root: Path = TABLES) -> Findings:
    """The findings fitted to the tables under ``root``, from the cache where it has them.

    The first call with new tables or new code fits (some seconds) and writes the cache; where the cache
    cannot be written it fits again next time.
    """
    tables = load_tables(root)
    maker = CaseMaker(tables)
    path = _cache_path(tables)
    fitted = _read(path)
    if fitted is None:
        seen = {name: observations(tables.strata[name], maker) for name in (LIGHT, OWN)}
        models = {name: EffectModel.fit(rows) for name, rows in seen.items() if rows}
        # without own runs there is nothing that a stage could be fitted to
        fitted = models, fit_stages(tables, maker, models.get(OWN, models[LIGHT]))
        _write(path, *fitted)
    return Findings(tables, maker, *fitted)


def _cache_path(tables: Tables) -> Path:
    code = hashlib.sha256(version("numpy").encode())
    for room in ("evidence", "model"):  # the reports do not change what is fitted
        for module in sorted(Path(__file__).with_name(room).glob("*.py")):
            code.update(module.read_bytes())
    return user_cache_path("alignment-advisor") / f"findings-{tables.sha256[:16]}-{code.hexdigest()[:16]}.npz"


def _read(path: Path) -> tuple[Mapping[str, EffectModel], Mapping[LeadingSignal, SignalStage]] | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            stages: dict[LeadingSignal, SignalStage] = {
                signal: SignalStage.from_array(arrays[_name(signal)]) for signal in LEADING_SIGNALS
            }
            fits = {name: _of(name, arrays) for name in (LIGHT, OWN)}
            return {name: from_arrays(fit) for name, fit in fits.items() if fit}, stages
    except (OSError, BadZipFile, KeyError, ValueError, EOFError):
        return None


def _of(stratum: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(stratum): arrays[name] for name in arrays if name.startswith(stratum)}


def _write(
    path: Path, models: Mapping[str, EffectModel], signals: Mapping[LeadingSignal, SignalStage]
) -> None:
    fits = {
        stratum + name: row for stratum, model in models.items() for name, row in to_arrays(model).items()
    }
    stages = {_name(signal): stage.array() for signal, stage in signals.items()}
    # A cache that cannot be written (read-only home, full disk) costs time, not the answer.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacement(path) as new, new.open("wb") as file:
            np.savez(file, allow_pickle=False, **fits, **stages)


def _name(signal: LeadingSignal) -> str:
    return f"stage {signal}"
