"""The fitted findings: made from the tables on first use and kept as plain numbers in the user's cache."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from platformdirs import user_cache_path

from advisor.files import replacement
from advisor.findings.evidence import TABLES, CaseMaker, Tables, load_tables, observations
from advisor.findings.model import (
    LEADING_SIGNALS,
    EffectModel,
    LeadingSignal,
    SignalStage,
    fit_stages,
    from_arrays,
    to_arrays,
)

__all__ = ["Findings", "load_findings"]


@dataclass(frozen=True, slots=True, eq=False)  # so that what follows from findings can be kept
class Findings:
    """Everything that was learnt from the evidence.

    Attributes:
        tables: the evidence itself.
        cases: makes cases of questions.
        effects: the effect model.
        signals: the second stage, which moves a prediction by what a probe measured, for each leading signal.
    """

    tables: Tables
    cases: CaseMaker
    effects: EffectModel
    signals: Mapping[LeadingSignal, SignalStage]


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
        model = EffectModel.fit(observations(tables.pooled, maker))
        fitted = model, fit_stages(tables, maker, model)
        _write(path, *fitted)
    return Findings(tables, maker, *fitted)


def _cache_path(tables: Tables) -> Path:
    code = hashlib.sha256(version("numpy").encode())
    for room in ("evidence", "model"):  # the reports do not change what is fitted
        for module in sorted(Path(__file__).with_name(room).glob("*.py")):
            code.update(module.read_bytes())
    return user_cache_path("alignment-advisor") / f"findings-{tables.sha256[:16]}-{code.hexdigest()[:16]}.npz"


def _read(path: Path) -> tuple[EffectModel, Mapping[LeadingSignal, SignalStage]] | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            stages: dict[LeadingSignal, SignalStage] = {
                signal: SignalStage.from_array(arrays[_name(signal)]) for signal in LEADING_SIGNALS
            }
            return from_arrays(arrays), stages
    except (OSError, BadZipFile, KeyError, ValueError, EOFError):
        return None


def _write(path: Path, model: EffectModel, signals: Mapping[LeadingSignal, SignalStage]) -> None:
    stages = {_name(signal): stage.array() for signal, stage in signals.items()}
    # A cache that cannot be written (read-only home, full disk) costs time, not the answer.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacement(path) as new, new.open("wb") as file:
            np.savez(file, allow_pickle=False, **to_arrays(model), **stages)


def _name(signal: LeadingSignal) -> str:
    return f"stage {signal}"
