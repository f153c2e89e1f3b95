"""Validation on what a fit has not seen: one language, model, task, source or family left out at a time.

Every fold refits everything, variances included, without a single row of what is held out in any source.
For all splits but *source*, the held-out case is taken as a further language (model, task) of the same
study; leaving a source out shows what a new study adds to the uncertainty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from advisor.findings._rule import decide
from advisor.findings.evidence import TABLES, CaseMaker, Tables, load_tables, observations
from advisor.findings.model import EffectModel, Prediction, scale
from advisor.findings.reports._cells import SPLITS, Cell, Fold, Split, cells, folds, in_fold
from advisor.findings.reports._resample import Figure, Resample, ranks
from advisor.findings.reports._rivals import RIVALS, Forecast
from probes.errors import InputError

__all__ = ["Figure", "Method", "SplitReport", "Validation", "validate"]

Array = NDArray[np.float64]

MIN_GAIN = 0.5
HURT = 0.5
"""Points: following advice that loses more than this hurts."""
_LEVEL = 0.8


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Method(_Frozen):
    """How one way of choosing did on a split.

    Attributes:
        name: of the way.
        regret: mean points lost against the best option in hindsight (``none`` is one).
        kept: mean points gained.
        hurt: share of cells that lost more than half a point by following it.
        rank_correlation: Spearman, predicted against measured gains over all cells and options.
        coverage: share of measured gains inside their 80 % interval (seed noise included).
        abstention: share of cells answered ``cannot-tell``.
        right: share of answers with the right sign: the advised option gained, or, for do-not-align, no
            option gained more than the smallest gain of interest.
        align_right: the same of ``align`` alone.
        leave_right: the same of ``do-not-align`` alone.
    """

    name: str
    regret: Figure
    kept: Figure
    hurt: Figure
    rank_correlation: Figure | None = None
    coverage: Figure | None = None
    abstention: Figure | None = None
    right: Figure | None = None
    align_right: Figure | None = None
    leave_right: Figure | None = None


class SplitReport(_Frozen):
    """All figures of one split.

    Attributes:
        split: what was left out.
        folds: how many refits.
        cells: how many cells were scored.
        hindsight: mean gain of the best option in hindsight.
        floor: regret that the best possible rule would show because hindsight picks winners of seed noise;
            None where seeds are not on file.
        methods: the advice first, then the rules and rivals it is compared with.
    """

    split: Split
    folds: int
    cells: int
    hindsight: float
    floor: Figure | None
    methods: tuple[Method, ...]

    def method(self, name: str) -> Method:
        """The figures of one way of choosing."""
        return next(method for method in self.methods if method.name == name)


class Validation(_Frozen):
    """What ``validate`` found."""

    findings_sha256: str
    min_gain: float
    splits: tuple[SplitReport, ...]

    def markdown(self) -> str:
        """The figures as Markdown tables, one a split."""
        return "\n\n".join(_split_markdown(report) for report in self.splits)


def validate(
    split: Split | None = None,
    *,
    rivals: bool = True,
    jobs: int = 2,
    draws: int = 1000,
    root: Path = TABLES,
) -> Validation:
    """Validate the effect model and the advice on what they have not seen.

    Args:
        split: ``language``, ``model``, ``task``, ``source`` or ``family``; all of them when None.
        rivals: whether to run the other methods too (not on *source*, whose cells differ in options).
        jobs: processes.
        draws: of the bootstrap.
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
    todo = [fold for name in chosen for fold in folds(tables, name)]
    done = Parallel(n_jobs=jobs)(delayed(_run_fold)(fold, rivals, root) for fold in todo)
    results = dict(zip(todo, done, strict=True))
    return Validation(
        findings_sha256=tables.sha256,
        min_gain=MIN_GAIN,
        splits=tuple(
            _report(
                tables, name, {fold: result for fold, result in results.items() if fold.split == name}, draws
            )
            for name in chosen
        ),
    )


@dataclass(frozen=True, slots=True)
class _FoldResult:
    """Forecasts of a fold's cells; the effect model's, one row an option of a cell, and the rivals'."""

    cells: tuple[Cell, ...]
    centre: Array
    sd: Array
    rivals: Mapping[str, Forecast]


def _run_fold(fold: Fold, rivals: bool, root: Path) -> _FoldResult:
    tables = load_tables(root)
    maker = CaseMaker(tables)
    scored = cells(tables, fold.split)
    out = list(in_fold(tables, fold, [cell.effects[0] for cell in scored]))
    test = [cell for cell, held in zip(scored, out, strict=True) if held]
    train = [cell for cell, held in zip(scored, out, strict=True) if not held]
    pooled = tables.pooled
    rest = [e for e, held in zip(pooled, in_fold(tables, fold, pooled), strict=True) if not held]
    model = EffectModel.fit(observations(rest, maker))
    prediction = model.predict([maker.of_effect(effect) for cell in test for effect in cell.effects])
    forecasts = {}
    if rivals and fold.split != "source":
        forecasts = {name: rival(train, test, maker) for name, rival in RIVALS.items()}
    return _FoldResult(tuple(test), prediction.centre, prediction.sd, forecasts)


# --- scoring -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Score:
    """What a way of choosing got, cell by cell; shape (cells,). NaN where a figure does not apply."""

    got: Array
    covered: Array | None = None
    decision: NDArray[np.str_] | None = None
    right: Array | None = None
    predicted: tuple[Array, ...] = ()


def _report(tables: Tables, split: Split, results: Mapping[Fold, _FoldResult], draws: int) -> SplitReport:
    scored = [cell for result in results.values() for cell in result.cells]
    best = np.array([max(0.0, *cell.gains) for cell in scored])
    resample = Resample([cell.target for cell in scored], draws)
    advice, guess = _advice_scores(results)
    scores = {"advice": advice, "best guess": guess, "never": _Score(np.zeros(len(scored)))}
    if split != "source":
        for i, effect in enumerate(scored[0].effects):
            name = f"always {effect.schedule}, {effect.frozen_layers} frozen"
            scores[name] = _Score(np.array([cell.gains[i] for cell in scored]))
        for name in next(iter(results.values())).rivals:
            scores[name] = _rival_score(name, results)
    return SplitReport(
        split=split,
        folds=len(results),
        cells=len(scored),
        hindsight=float(best.mean()),
        floor=None if split == "source" else _floor(tables, scored, resample),
        methods=tuple(_method(name, score, scored, best, resample) for name, score in scores.items()),
    )


def _advice_scores(results: Mapping[Fold, _FoldResult]) -> tuple[_Score, _Score]:
    """The advice (``cannot-tell`` leaves the model as it is), and the best guess it could have given."""
    got, guessed, covered, decisions, right, predicted = [], [], [], [], [], []
    for result in results.values():
        start = 0
        for cell in result.cells:
            rows = slice(start, start := start + len(cell.effects))
            forecast = Prediction(result.centre[rows], result.sd[rows], ())
            gains = np.array(cell.gains)
            option, decision = decide(
                mean=forecast.mean.tolist(),
                low=forecast.quantile((1 - _LEVEL) / 2).tolist(),
                positive=forecast.probability_above(0.0).tolist(),
                worthwhile=forecast.probability_above(MIN_GAIN).tolist(),
                min_gain=MIN_GAIN,
            )
            got.append(gains[option] if decision == "align" else 0.0)
            right.append(
                {
                    "align": float(gains[option] > 0),
                    "do-not-align": float(gains.max() <= MIN_GAIN),
                    "cannot-tell": float("nan"),
                }[decision]
            )
            decisions.append(decision)
            top = int(forecast.centre.argmax())
            guessed.append(gains[top] if forecast.centre[top] > 0 else 0.0)
            covered.append(_covered(forecast, gains, np.array(cell.errors)))
            predicted.append(forecast.centre)
    series = tuple(predicted)
    return (
        _Score(np.array(got), np.array(covered), np.array(decisions), np.array(right), series),
        _Score(np.array(guessed), predicted=series),
    )


def _covered(forecast: Prediction, gains: Array, errors: Array) -> float:
    """Share of the measured gains inside the interval, widened by their seed noise on the model's scale."""
    noise = errors * scale.unit(gains)
    distance = np.abs(scale.to_scale(gains) - forecast.centre) / np.hypot(forecast.sd, noise)
    return float((distance < 1.2815515655446004).mean())


def _rival_score(name: str, results: Mapping[Fold, _FoldResult]) -> _Score:
    got, covered, predicted = [], [], []
    for result in results.values():
        forecast = result.rivals[name]
        for i, cell in enumerate(result.cells):
            gains, mean = np.array(cell.gains), forecast.mean[i]
            top = int(mean.argmax())
            got.append(gains[top] if mean[top] > 0 else 0.0)
            predicted.append(mean)
            if forecast.low is not None and forecast.high is not None:
                covered.append(float(((forecast.low[i] <= gains) & (gains <= forecast.high[i])).mean()))
    return _Score(np.array(got), np.array(covered) if covered else None, predicted=tuple(predicted))


def _method(name: str, score: _Score, scored: Sequence[Cell], best: Array, resample: Resample) -> Method:
    def mean(values: Array) -> Figure:
        figure = resample.mean(values)
        assert figure is not None  # there is a value for every cell
        return figure

    decision = score.decision
    right = score.right if score.right is not None else np.full(len(best), np.nan)
    parts: dict[str, Figure | None] = {}
    if decision is not None:
        parts = {
            "abstention": mean((decision == "cannot-tell").astype(float)),
            "right": resample.mean(right),
            "align_right": resample.mean(np.where(decision == "align", right, np.nan)),
            "leave_right": resample.mean(np.where(decision == "do-not-align", right, np.nan)),
        }
    return Method(
        name=name,
        regret=mean(best - score.got),
        kept=mean(score.got),
        hurt=mean((score.got < -HURT).astype(float)),
        rank_correlation=_rank_correlation(score.predicted, scored, resample) if score.predicted else None,
        coverage=resample.mean(score.covered) if score.covered is not None else None,
        **parts,
    )


def _rank_correlation(
    predicted: Sequence[Array], scored: Sequence[Cell], resample: Resample
) -> Figure | None:
    x = ranks(np.concatenate(list(predicted)))
    y = ranks(np.concatenate([np.array(cell.gains) for cell in scored]))
    of = np.repeat(np.arange(len(scored)), [len(cell.effects) for cell in scored])
    return resample.correlation(x, y, of)


def _floor(tables: Tables, scored: Sequence[Cell], resample: Resample) -> Figure | None:
    """Regret of a chooser who knows all but one seed: choose on the others, score on the one left."""
    seeds = {
        (
            s.source_id,
            s.model,
            s.task,
            s.target,
            s.objective,
            s.schedule,
            s.frozen_layers,
            s.word_pairs,
        ): s.scores
        for s in tables.scores
    }
    regrets = []
    for cell in scored:
        first = cell.effects[0]
        where = (first.source_id, first.model, first.task, first.target)
        baseline = np.array(seeds[*where, "none", "", "none", ""])
        gains = np.stack(
            [np.zeros_like(baseline)]
            + [
                np.array(seeds[*where, e.objective, e.schedule, e.frozen_layers, e.word_pairs]) - baseline
                for e in cell.effects
            ]
        )
        count = gains.shape[1]
        kept = []
        for chosen in combinations(range(count), count - 1):
            (left,) = set(range(count)) - set(chosen)
            kept.append(gains[gains[:, list(chosen)].mean(axis=1).argmax(), left])
        regrets.append(max(0.0, *cell.gains) - float(np.mean(kept)))
    return resample.mean(np.array(regrets))


# --- Markdown ----------------------------------------------------------------------------------------


def _split_markdown(report: SplitReport) -> str:
    lines = [
        f"### One {report.split} left out",
        "",
        f"{report.folds} refits, {report.cells} cells; the best option in hindsight gains "
        f"{report.hindsight:.2f} points a cell."
        + (
            f" About {report.floor} points of any regret are seed noise, whose winners hindsight picks: the "
            "floor is what choosing on four seeds and scoring on the fifth loses."
            if report.floor
            else ""
        ),
        "",
        "| method | regret | above the floor | kept | hurt by > 0.5, % | rank corr. | 80 % coverage, % "
        "| cannot tell, % | sign right, % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for method in report.methods:
        figures = (
            str(method.regret),
            f"{method.regret.value - report.floor.value:.2f}" if report.floor else "",
            str(method.kept),
            _percent(method.hurt),
            str(method.rank_correlation) if method.rank_correlation else "",
            _percent(method.coverage),
            _percent(method.abstention),
            _percent(method.right),
        )
        lines.append(f"| {method.name} | " + " | ".join(figures) + " |")
    return "\n".join(lines)


def _percent(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return f"{100 * figure.value:.0f} [{100 * figure.low:.0f}, {100 * figure.high:.0f}]"
