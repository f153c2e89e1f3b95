"""Validation: what the advice is worth on languages, encoders, tasks, sources and labs it has not seen.

Each fold is refitted without a single row of what is held out, in any source, and the decisions are those
that ``advisor.decide`` makes from what anybody is told who asks: a lab that nobody has seen. Intervals are
held against what the cell's own lab measured, whose other rows were seen in all splits but *lab*.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from advisor.decide import DEFAULT_MIN_GAIN, Decision, decide
from advisor.findings.evidence import LIGHT, TABLES, CaseMaker, Effect, Tables, load_tables, observations
from advisor.findings.model import (
    TERMS,
    EffectModel,
    Prediction,
    Term,
    direct_rows,
    expectations,
    leading,
    scale,
)
from advisor.findings.reports._cells import SPLITS, Fold, Split, StudiedCell, cells, folds, in_fold
from advisor.findings.reports._figures import (
    KNOWS_THE_LAB,
    Ablation,
    Band,
    Bin,
    Method,
    SplitReport,
    Validation,
)
from advisor.findings.reports._resample import Figure, Resample, ranks
from advisor.findings.reports._rivals import RIVALS
from advisor.options import NO_ALIGNMENT, FrozenLayers, Kind, Option, Schedule, WordPairs
from probes.errors import InputError

Array = NDArray[np.float64]

HURT = 0.5
"""Points: following advice that loses more than this hurts."""
_Z80 = 1.2815515655446004
_BINS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_PAIRS = {"awesome-align": WordPairs.MUTUAL_ARGMAX, "fast-align": WordPairs.FILE}
_WITHOUT: Mapping[str, tuple[tuple[Split, ...], tuple[str, ...]]] = {
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
        ablations: whether to score the model without labs and without encoder facts as well.
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
    todo = [(without, fold) for without, name in parts for fold in folds(tables, name)]
    done = Parallel(n_jobs=jobs)(delayed(run_fold)(fold, without, root) for without, fold in todo)
    results: dict[tuple[str, Split], list[FoldResult]] = defaultdict(list)
    for (without, fold), result in zip(todo, done, strict=True):
        results[without, fold.split].append(result)
    scored = {
        part: [_judge(case, min_gain) for result in found for case in result.cases]
        for part, found in results.items()
    }
    reports = tuple(_report(tables, name, results["", name], scored["", name], draws) for name in chosen)
    every = [judged for name in chosen for judged in scored["", name]]
    return Validation(
        findings_sha256=tables.sha256,
        min_gain=min_gain,
        splits=reports,
        bands=_bands(every),
        reliability=_reliability(every),
        ablations=tuple(_ablations(scored, min_gain)),
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


@dataclass(frozen=True, slots=True)
class FoldResult:
    """The cells of a fold."""

    cases: tuple[HeldOutCell, ...]


def run_fold(fold: Fold, without: str = "", root: Path = TABLES) -> FoldResult:
    """Refit without a fold, and predict its cells; ``without`` names the part of the model to leave out."""
    tables = load_tables(root)
    maker = CaseMaker(tables)
    scored = cells(tables, fold.split)
    out = in_fold(tables, fold, [cell.effects[0] for cell in scored])
    test = [cell for cell, held in zip(scored, out, strict=True) if held]
    # own runs are one source of one lab, so that none is ever predicted from others here
    pooled = tables.pooled if without == "strata" else tables.strata[LIGHT]
    rest = [e for e, held in zip(pooled, in_fold(tables, fold, pooled), strict=True) if not held]
    terms = _terms(without)
    model = EffectModel.fit(observations(rest, maker), terms=terms)
    tasks = {effect.task for effect in rest}
    effects = [effect for cell in test for effect in cell.effects]
    rivals = {name: rival(rest, effects, maker) for name, rival in RIVALS.items()}
    found, start = [], 0
    for cell in test:
        rows = slice(start, start := start + len(cell.effects))
        cases = [maker.of_effect(effect) for effect in cell.effects]
        direct = direct_rows(cases[0], rest, maker)
        found.append(
            HeldOutCell(
                cell=cell,
                prediction=replace(model.predict(cases, terms=terms), parts=()),
                abroad=replace(
                    model.predict([replace(case, lab="", run="") for case in cases], terms=terms), parts=()
                ),
                direct=Counter(row.objective for row in direct),
                first=leading(cases[0], rest, direct),
                measured=cell.effects[0].task in tasks,
                rivals={name: values[rows] for name, values in rivals.items()},
            )
        )
    return FoldResult(tuple(found))


def _terms(without: str) -> tuple[Term, ...]:
    dropped = _WITHOUT[without][1] if without else ()
    return tuple(term for term in TERMS if term.name not in dropped)


# --- one cell -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a cell's advice.

    Attributes:
        got: points gained by following the advice, as anybody is given it who asks.
        got_in_lab: the same, if the effects of the cell's own lab were known.
        got_by: the same for other ways of choosing.
        best: gain of the best option in hindsight, fine-tuning alone among them.
        decision: the advice.
        unruled: the advice as it were if nothing kept extrapolation from being sure.
        right: whether it was: the advised option gained or, where aligning was not advised, the option that
            promised most gained no more than is worth its trouble.
        positive: P(gain > 0) of the option spoken of, and whether it gained.
        covered: share of the options' gains inside their interval in this lab, seed noise included.
        signs: share of the options' gains whose sign was predicted.
        rank: correlation of predicted and measured gains over the cell's options; NaN for fewer than two.
        errors: squared errors on the model's scale, by method.
    """

    cell: StudiedCell
    got: float
    got_in_lab: float
    got_by: Mapping[str, float]
    best: float
    decision: Decision
    unruled: Decision
    right: bool
    positive: tuple[float, bool]
    covered: float
    signs: float
    rank: float
    errors: Mapping[str, float]


def _judge(held: HeldOutCell, min_gain: float) -> Judged:
    cell, gains = held.cell, np.array(held.cell.gains)
    options = [_option(effect) for effect in cell.effects]
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
        rank=float(np.corrcoef(ranks(held.prediction.centre), ranks(gains))[0, 1])
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


def _option(effect: Effect) -> Option:
    return Option(
        objective=effect.objective,
        schedule=Schedule(effect.schedule),
        frozen_layers=FrozenLayers(effect.frozen_layers),
        word_pairs=(_PAIRS.get(effect.word_pairs) or WordPairs.DICTIONARY)
        if effect.objective in ("token-contrastive", "token-l2")
        else None,
    )


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


# --- a split --------------------------------------------------------------------------------------------


def _report(
    tables: Tables, split: Split, results: Sequence[FoldResult], judged: Sequence[Judged], draws: int
) -> SplitReport:
    resample = Resample([row.cell.target for row in judged], draws)
    best = np.array([row.best for row in judged])
    methods = [_method("advice", np.array([row.got for row in judged]), judged, best, resample)]
    if split != "lab":
        in_lab = np.array([row.got_in_lab for row in judged])
        methods.append(_method(KNOWS_THE_LAB, in_lab, judged, best, resample))
    methods += [
        _method(name, np.array([row.got_by[name] for row in judged]), judged, best, resample)
        for name in judged[0].got_by
        if split in ("source", "lab") or not name.startswith("always joint")
    ]
    return SplitReport(
        split=split,
        folds=len(results),
        cells=len(judged),
        hindsight=float(best.mean()),
        floor=None if split in ("source", "lab") else _floor(tables, judged, resample),
        methods=tuple(methods),
        bands=_bands(judged),
        coverage=_mean(resample, [row.covered for row in judged]),
        coverage_of_labs=_over_labs(judged, [row.covered for row in judged]),
        signs=_mean(resample, [row.signs for row in judged]),
        rank=resample.mean(np.array([row.rank for row in judged])),
    )


def _method(name: str, got: Array, judged: Sequence[Judged], best: Array, resample: Resample) -> Method:
    errors = [row.errors[name] for row in judged if name in row.errors]
    return Method(
        name=name,
        regret=_mean(resample, (best - got).tolist()),
        regret_of_labs=_over_labs(judged, (best - got).tolist()),
        kept=_mean(resample, got.tolist()),
        hurt=_mean(resample, (got < -HURT).astype(float).tolist()),
        rmse=float(np.mean(errors)) ** 0.5 if errors else None,
    )


def _mean(resample: Resample, values: Sequence[float]) -> Figure:
    figure = resample.mean(np.array(values))
    assert figure is not None  # there is a value for every cell
    return figure


def _over_labs(judged: Sequence[Judged], values: Sequence[float]) -> float:
    """Mean over labs, each counted once."""
    by_lab: defaultdict[str, list[float]] = defaultdict(list)
    for row, value in zip(judged, values, strict=True):
        by_lab[row.cell.effects[0].lab].append(value)
    return float(np.mean([np.mean(values) for values in by_lab.values()]))


def _bands(judged: Sequence[Judged], ruled: bool = True) -> tuple[Band, ...]:
    found = []
    for confidence in ("likely", "leaning", "open"):
        rows = [row for row in judged if (row.decision if ruled else row.unruled).confidence == confidence]
        right = float(np.mean([row.right for row in rows])) if rows else 0.0
        found.append(Band(confidence=confidence, cells=len(rows), right=right, share=len(rows) / len(judged)))
    return tuple(found)


def _reliability(judged: Sequence[Judged]) -> tuple[Bin, ...]:
    chances = np.array([row.positive[0] for row in judged])
    came = np.array([row.positive[1] for row in judged], dtype=float)
    found = []
    for low, high in pairwise(_BINS):
        inside = (chances >= low) & ((chances < high) | (high == 1.0))
        if inside.any():
            found.append(
                Bin(
                    said=float(chances[inside].mean()),
                    came=float(came[inside].mean()),
                    cells=int(inside.sum()),
                )
            )
    return tuple(found)


def _ablations(scored: Mapping[tuple[str, Split], Sequence[Judged]], min_gain: float) -> list[Ablation]:
    found = []
    for (without, split), judged in scored.items():
        whole = scored["", split]
        if without:
            found.append(
                Ablation(
                    without=without,
                    split=split,
                    regret=float(np.mean([row.best - row.got for row in judged])),
                    regret_with=float(np.mean([row.best - row.got for row in whole])),
                    coverage=_over_labs(judged, [row.covered for row in judged]),
                    coverage_with=_over_labs(whole, [row.covered for row in whole]),
                )
            )
        else:
            likely, unruled = _bands(judged)[0], _bands(judged, ruled=False)[0]
            regret = float(np.mean([row.best - row.got for row in judged]))
            found.append(
                Ablation(
                    without="the rule on extrapolation",
                    split=split,
                    regret=regret,
                    regret_with=regret,
                    likely=unruled,
                    likely_with=likely,
                )
            )
    return found


def _floor(tables: Tables, judged: Sequence[Judged], resample: Resample) -> Figure | None:
    """Regret of a chooser who knows all but one seed: choose on the others, score on the one left."""
    seeds = {
        (s.source_id, s.model, s.task, s.target, s.objective, s.schedule, s.frozen_layers, s.word_pairs): (
            s.scores
        )
        for s in tables.scores
    }
    regrets = []
    for row in judged:
        first = row.cell.effects[0]
        where = (first.source_id, first.model, first.task, first.target)
        baseline = np.array(seeds[*where, "none", "", "none", ""])
        gains = np.stack(
            [np.zeros_like(baseline)]
            + [
                np.array(seeds[*where, e.objective, e.schedule, e.frozen_layers, e.word_pairs]) - baseline
                for e in row.cell.effects
            ]
        )
        count = gains.shape[1]
        kept = []
        for chosen in combinations(range(count), count - 1):
            (left,) = set(range(count)) - set(chosen)
            kept.append(gains[gains[:, list(chosen)].mean(axis=1).argmax(), left])
        regrets.append(row.best - float(np.mean(kept)))
    return resample.mean(np.array(regrets))
