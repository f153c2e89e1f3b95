"""The fitted findings: made from the tables on first use and kept as plain numbers in the user's cache."""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from platformdirs import user_cache_path

from advisor.findings._features import CaseMaker
from advisor.findings._tables import TABLES, Effect, Tables, load_tables
from advisor.findings.effects import EffectModel, standard_error
from advisor.findings.signal_stage import SignalStage

__all__ = ["Findings", "fit_effects", "load_findings"]


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was learnt from the evidence.

    Attributes:
        tables: the evidence itself.
        cases: makes cases of questions.
        effects: the effect model.
        signals: the second stage, which moves a prediction by what a probe measured.
    """

    tables: Tables
    cases: CaseMaker
    effects: EffectModel
    signals: SignalStage


def fit_effects(
    effects: Sequence[Effect], maker: CaseMaker, *, iterations: int = 30, start: EffectModel | None = None
) -> EffectModel:
    """Fit the effect model to evidence rows."""
    return EffectModel.fit(
        [maker.of_effect(effect) for effect in effects],
        np.array([effect.gain for effect in effects]),
        np.array([standard_error(effect.gain_sd, effect.aligned_sd, effect.n_seeds) for effect in effects]),
        iterations=iterations,
        start=start,
    )


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
        model = fit_effects(tables.pooled, maker)
        fitted = model, SignalStage.fit(tables, model)
        _write(path, *fitted)
    return Findings(tables, maker, *fitted)


def _cache_path(tables: Tables) -> Path:
    code = hashlib.sha256(version("numpy").encode())
    for module in sorted(Path(__file__).parent.glob("*.py")):
        code.update(module.read_bytes())
    return user_cache_path("alignment-advisor") / f"findings-{tables.sha256[:16]}-{code.hexdigest()[:16]}.npz"


def _read(path: Path) -> tuple[EffectModel, SignalStage] | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return EffectModel.from_arrays(arrays), SignalStage.from_arrays(arrays)
    except (OSError, BadZipFile, KeyError, ValueError, EOFError):
        return None


def _write(path: Path, model: EffectModel, signals: SignalStage) -> None:
    # A cache that cannot be written (read-only home, full disk) costs time, not the answer.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".npz")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, allow_pickle=False, **model.arrays(), **signals.arrays())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
