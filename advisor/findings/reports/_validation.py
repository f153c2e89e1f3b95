"""Validation: what the advice is worth on languages, encoders, tasks, sources and labs it has not seen.

Each fold is refitted without a single row of what is held out, in any source, and the decisions are those
that ``advisor.decide`` makes from what anybody is told who asks: a lab that nobody has seen. Intervals are
held against what the cell's own lab measured, whose other rows were seen in all splits but *lab*.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.stats import rankdata

from advisor.decide import DEFAULT_MIN_GAIN, Decision, decide
from advisor.findings.evidence import LIGHT, TABLES, CaseMaker, direct, load_tables, observations
from advisor.findings.model import (
    TERMS,
    EffectModel,
    Prediction,
    expectations,
    leading,
    scale,
)
from advisor.findings.reports._cells import (
    SINGLE,
    SPLITS,
    Fold,
    Split,
    StudiedCell,
    cells,
    folds,
    in_fold,
)
from advisor.findings.reports._figures import Validation
from advisor.findings.reports._rivals import RIVALS
from advisor.findings.reports._scores import Judged, ablations_of, bands_of, reliability_of, report_of
from advisor.options import NO_ALIGNMENT, Kind, Option
from probes.errors import InputError

Array = NDArray[np.float64]

_Z80 = 1.2815515655446004
_WITHOUT: Mapping[str, tuple[tuple[Split, ...], tuple[str, ...]]] = {
    "": ((), ()),
    "labs": (("lab",), ("lab", "lab*task", "lab*model", "lab*language", "lab*coverage")),
    "encoder facts": (("model",), ("size", "parallel", "contrastive")),
    "strata": (("model",), ()),
}
"""What is left out of the model in turn: the splits it is scored on, and its terms; without strata, own runs
are pooled with what others published."""


def validate(
    split: Split | None = None,
    *,
    ablations: bool = True,
    jobs: int = 2,
    draws: int = 1000,
    min_gain: float = DEFAULT_MIN_GAIN,
    root: Path = TABLES,
) -> Validation:
    """Validate the effect model and the advice on what they have not seen.

    Args:
        split: ``language``, ``model``, ``task``, ``source`` or ``lab``; all of them when None.
        ablations: whether to score the model without labs and without encoder facts as well, and with
            languages left out one at a time.
        jobs: processes.
        draws: of the bootstrap.
        min_gain: smallest gain of interest, in points.
        root: of the tables.

    Returns:
        The figures; the same on every call.

    Raises:
        InputError: if there is no such split.
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"'{split}' is no split: choose one of {', '.join(SPLITS)}.")
    tables = load_tables(root)
    chosen = SPLITS if split is None else (split,)
    parts = [("", name) for name in chosen] + [
        (without, name)
        for without, (names, _) in _WITHOUT.items()
        for name in names
        if ablations and name in chosen
    ]
    if ablations and "language" in chosen:
        parts.append(("", SINGLE))
    todo = [(without, fold) for without, name in parts for fold in folds(tables, name)]
    done = Parallel(n_jobs=jobs)(delayed(run_fold)(fold, without, root) for without, fold in todo)
    results: dict[tuple[str, Split], list[tuple[HeldOutCell, ...]]] = defaultdict(list)
    for (without, fold), result in zip(todo, done, strict=True):
        results[without, fold.split].append(result)
    scored = {
        part: [_judge(case, min_gain) for result in found for case in result]
        for part, found in results.items()
    }
    reports = {
        name: report_of(tables, name, len(results["", name]), scored["", name], draws)
        for without, name in parts
        if not without
    }
    single = reports.pop(SINGLE, None)
    scored.pop(("", SINGLE), None)
    every = [judged for name in chosen for judged in scored["", name]]
    return Validation(
        findings_sha256=tables.sha256,
        min_gain=min_gain,
        splits=tuple(reports.values()),
        single=single,
        bands=bands_of(every),
        reliability=reliability_of(every),
        ablations=tuple(ablations_of(scored)),
    )


# --- folds ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeldOutCell:
    """A cell with what was predicted of its options by a model that had not seen it.

    Attributes:
        prediction: of its options, in the cell's own lab.
        abroad: of its options, asked by a lab that nobody has seen.
        direct: rows seen that speak directly of it, by objective.
        first: the kinds of option that lead by them.
        measured: whether its task had been seen.
        rivals: gains of its options on the model's scale, by name of the method.
    """

    cell: StudiedCell
    prediction: Prediction
    abroad: Prediction
    direct: Counter[str]
    first: frozenset[Kind]
    measured: bool
    rivals: Mapping[str, Array]


def run_fold(fold: Fold, without: str = "", root: Path = TABLES) -> tuple[HeldOutCell, ...]:
    """Refit without a fold, and predict its cells; ``without`` names the part of the model to leave out."""
    tables = load_tables(root)
    maker = CaseMaker(tables)
    scored = cells(tables, fold.split)
    out = in_fold(tables, fold, [cell.effects[0] for cell in scored])
    test = [cell for cell, held in zip(scored, out, strict=True) if held]
    # own runs are one source of one lab, so that none is ever predicted from others here
    pooled = tables.pooled if without == "strata" else tables.strata[LIGHT]
    rest = [e for e, held in zip(pooled, in_fold(tables, fold, pooled), strict=True) if not held]
    _, dropped = _WITHOUT[without]
    terms = tuple(term for term in TERMS if term.name not in dropped)
    model = EffectModel.fit(observations(rest, maker), terms=terms)
    tasks = {effect.task for effect in rest}
    effects = [effect for cell in test for effect in cell.effects]
    rivals = {name: rival(rest, effects, maker) for name, rival in RIVALS.items()}
    found, start = [], 0
    for cell in test:
        place = slice(start, start := start + len(cell.effects))
        cases = [maker.of_effect(effect) for effect in cell.effects]
        rows = [effect for effect in rest if direct(cases[0], effect, maker)]
        found.append(
            HeldOutCell(
                cell=cell,
                prediction=replace(model.predict(cases), parts=()),
                abroad=replace(model.predict([replace(case, lab="", run="") for case in cases]), parts=()),
                direct=Counter(row.objective for row in rows),
                first=leading(cases[0], rest, rows),
                measured=cell.effects[0].task in tasks,
                rivals={name: values[place] for name, values in rivals.items()},
            )
        )
    return tuple(found)


# --- one cell -------------------------------------------------------------------------------------------


def _judge(held: HeldOutCell, min_gain: float) -> Judged:
    cell, gains = held.cell, np.array(held.cell.gains)
    options = list(cell.options)
    gain_of = dict(zip(options, gains.tolist(), strict=True)) | {NO_ALIGNMENT: 0.0}
    decision = _decide(held, held.abroad, options, min_gain)
    in_lab = _decide(held, held.prediction, options, min_gain)
    unruled = _decide(held, held.abroad, options, min_gain, ruled=False)
    spoken_of = next(option for option in decision.order if option != NO_ALIGNMENT)
    right = gain_of[spoken_of] > 0 if decision.decision == "align" else gain_of[spoken_of] <= min_gain
    chance = held.abroad.probability_above(0.0)[options.index(spoken_of)]
    z = scale.to_scale(gains)
    noise = np.array(cell.errors) * scale.unit(gains)
    away = np.abs(z - held.prediction.centre) / np.hypot(held.prediction.sd, noise)
    centres = {"advice": held.prediction.centre, **held.rivals}
    varied = len(gains) > 1 and gains.std() > 0 and held.prediction.centre.std() > 0
    return Judged(
        cell=cell,
        got=gain_of[decision.option],
        got_in_lab=gain_of[in_lab.option],
        got_by={
            "never": 0.0,
            "always, any option": float(gains.mean()),
            **{name: _rule(name, cell) for name in _RULES},
            **{
                name: float(gains[values.argmax()]) if scale.to_points(values.max()) > min_gain else 0.0
                for name, values in held.rivals.items()
            },
        },
        best=max(0.0, float(gains.max())),
        decision=decision,
        unruled=unruled,
        right=bool(right),
        positive=(float(chance), gain_of[spoken_of] > 0),
        covered=float((away < _Z80).mean()),
        signs=float((np.sign(held.prediction.centre) == np.sign(gains)).mean()),
        rank=float(np.corrcoef(rankdata(held.prediction.centre), rankdata(gains))[0, 1])
        if varied
        else float("nan"),
        errors={name: float(((z - values) ** 2).mean()) for name, values in centres.items()},
    )


def _decide(
    held: HeldOutCell, prediction: Prediction, options: Sequence[Option], min_gain: float, ruled: bool = True
) -> Decision:
    direct = held.direct if ruled else Counter(option.objective for option in options)
    expected = expectations(prediction, options, direct, held.first, min_gain)
    return decide(expected, min_gain=min_gain, measured=held.measured)


_RULES = {
    "always sequential, none frozen": ("sequential", "none"),
    "always sequential, lower-half frozen": ("sequential", "lower-half"),
    "always sequential, upper-half frozen": ("sequential", "upper-half"),
    "always joint, none frozen": ("joint", "none"),
}


def _rule(name: str, cell: StudiedCell) -> float:
    """Mean gain of the cell's options that a fixed rule allows; of all of them where it allows none."""
    wanted = [e.gain for e in cell.effects if (e.schedule, e.frozen_layers) == _RULES[name]]
    return float(np.mean(wanted or cell.gains))
