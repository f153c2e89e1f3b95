"""What a validation found, figure by figure with intervals from drawing whole languages; and in words."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from advisor.decide import Confidence
from advisor.findings.reports._cells import Split
from probes.schema import Frozen

Array = NDArray[np.float64]


class Figure(BaseModel):
    """A figure with its 95 % bootstrap interval (languages are drawn, with all their cells)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


class Resample:
    """Cluster bootstrap: languages are drawn with replacement, with all their cells.

    Args:
        languages: of each cell.
        draws: how many.

    Attributes:
        weights: times each cell was drawn, shape (draws, cells).
    """

    def __init__(self, languages: Sequence[str], draws: int) -> None:
        names = sorted(set(languages))
        of = np.array([names.index(language) for language in languages])
        generator = np.random.default_rng(0)
        drawn = generator.integers(len(names), size=(draws, len(names)))
        times = np.stack([np.bincount(row, minlength=len(names)) for row in drawn])
        self.weights: Array = times[:, of].astype(np.float64)

    def mean(self, values: Array) -> Figure | None:
        """The mean of those values that are not NaN; None if there are none."""
        known = ~np.isnan(values)
        if not known.any():
            return None
        weights = self.weights[:, known]
        total = weights.sum(axis=1)
        drawn = (weights @ values[known])[total > 0] / total[total > 0]
        return _figure(float(values[known].mean()), drawn)

    def correlation(self, x: Array, y: Array) -> Figure | None:
        """Pearson's correlation; None where one of the two does not vary.

        Of ranks it is Spearman's: ranking anew in each draw would change the third decimal and cost a minute.

        Args:
            x, y: shape (cells,).
        """
        if x.std() == 0 or y.std() == 0:
            return None
        weights = self.weights
        total = weights.sum(axis=1)
        mx, my = weights @ x / total, weights @ y / total
        cross = weights @ (x * y) / total - mx * my
        sx = weights @ x**2 / total - mx**2
        sy = weights @ y**2 / total - my**2
        varied = (sx > 1e-9) & (sy > 1e-9)  # a draw may hold a single language
        return _figure(float(np.corrcoef(x, y)[0, 1]), cross[varied] / np.sqrt(sx * sy)[varied])


def _figure(value: float, drawn: Array) -> Figure:
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return Figure(value=value, low=low, high=high)


def ranks(values: Array) -> Array:
    """Ranks, ties at their mean."""
    _, of, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[of], dtype=np.float64)


KNOWS_THE_LAB = "advice that knows the lab"
"""Name of what a lab could have been told whose other rows were seen."""


class Method(Frozen):
    """How one way of choosing did on a split.

    Attributes:
        name: of the way.
        regret: mean points lost against the best option in hindsight (``none`` is one).
        regret_of_labs: the same, every lab counted once.
        kept: mean points gained.
        hurt: share of cells that lost more than half a point by following it.
        rmse: of predicted gains, on the model's scale; None for a rule that predicts none.
    """

    name: str
    regret: Figure
    regret_of_labs: float
    kept: Figure
    hurt: Figure
    rmse: float | None = None


class Band(Frozen):
    """What one word of confidence was worth.

    Attributes:
        cells: decisions with that word.
        share: of all decisions.
        right: share of them that were right: the advised option gained or, where aligning was not advised,
            the option that promised most gained no more than is worth its trouble.
    """

    confidence: Confidence
    cells: int
    share: float
    right: float


class Bin(Frozen):
    """Cells of which about the same was said: the mean P(gain > 0), and the share that gained."""

    said: float
    came: float
    cells: int


class Ablation(Frozen):
    """The advice without one of its parts, and with it.

    Attributes:
        regret, regret_with: mean points lost, over cells.
        coverage, coverage_with: of 80 % intervals, every lab counted once.
        likely, likely_with: what the word was worth, where the part is about that.
    """

    without: str
    split: Split
    regret: float
    regret_with: float
    coverage: float | None = None
    coverage_with: float | None = None
    likely: Band | None = None
    likely_with: Band | None = None


class TaskScore(Frozen):
    """How the advice did on one task: whether it warned of harm, and whether it warned for nothing.

    Attributes:
        cells: that were scored.
        harmed: cells where aligning lost points, in the mean over what was tried there.
        warned: of those, how many were advised not to align.
        encouraged: of all others, how many were advised to align.
        right: share of decisions that were right.
        kept: mean points gained by following the advice.
        kept_by_any: mean gain of what was tried.
    """

    task: str
    cells: int
    harmed: int
    warned: int
    encouraged: int
    right: float
    kept: float
    kept_by_any: float


class SplitReport(Frozen):
    """All figures of one split.

    Attributes:
        split: what was left out.
        folds: how many refits.
        cells: how many cells were scored.
        hindsight: mean gain of the best option in hindsight.
        floor: regret that the best possible rule would show because hindsight picks winners of seed noise;
            None where seeds are not on file.
        methods: the advice first, then the rules and simpler methods it is compared with.
        bands: what the words of confidence were worth.
        coverage: share of measured gains inside their 80 % interval (seed noise included).
        coverage_of_labs: the same, every lab counted once.
        signs: share of measured gains whose sign was predicted.
        rank: correlation of predicted and measured gains over the options of a cell.
        tasks: how the advice did, task by task.
    """

    split: Split
    folds: int
    cells: int
    hindsight: float
    floor: Figure | None
    methods: tuple[Method, ...]
    bands: tuple[Band, ...]
    coverage: Figure
    coverage_of_labs: float
    signs: Figure
    rank: Figure | None
    tasks: tuple[TaskScore, ...] = ()

    def method(self, name: str) -> Method:
        """The figures of one way of choosing."""
        return next(method for method in self.methods if method.name == name)


class Validation(Frozen):
    """What ``validate`` found.

    Attributes:
        bands: what the words of confidence were worth over all splits.
        reliability: what was said of the option spoken of and what came, over all splits.
        ablations: the advice without one of its parts.
    """

    findings_sha256: str
    min_gain: float
    splits: tuple[SplitReport, ...]
    bands: tuple[Band, ...]
    reliability: tuple[Bin, ...]
    ablations: tuple[Ablation, ...]

    def markdown(self) -> str:
        """The figures as Markdown tables."""
        return "\n".join(
            (
                *_overview(self),
                "",
                *_bands(self),
                "",
                *_ablations(self),
                *(line for report in self.splits for line in ("", *_split(report))),
            )
        )


def _overview(validation: Validation) -> Iterator[str]:
    yield (
        "| left out | cells | regret of the advice | where it knows the lab | of the best simple rule "
        "| coverage, % | signs right, % | rank in a cell |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for report in validation.splits:
        others = (method for method in report.methods if not method.name.startswith("advice"))
        simple = min(others, key=lambda method: method.regret.value)
        in_lab = next((m.regret for m in report.methods if m.name == KNOWS_THE_LAB), "")
        yield (
            f"| one {report.split} | {report.cells} | {report.methods[0].regret} "
            f"| {in_lab} | {simple.regret} ({simple.name}) "
            f"| {_percent(report.coverage)}; of labs {100 * report.coverage_of_labs:.0f} "
            f"| {_percent(report.signs)} | {report.rank or ''} |"
        )


def _bands(validation: Validation) -> Iterator[str]:
    yield "What the words of confidence were worth: share of decisions that were right, of how many cells."
    yield ""
    yield "| left out | likely | leaning | open |"
    yield "|---|---|---|---|"
    rows = [(f"one {report.split}", report.bands) for report in validation.splits]
    for name, bands in [*rows, ("all together", validation.bands)]:
        yield f"| {name} | " + " | ".join(map(_band, bands)) + " |"


def _ablations(validation: Validation) -> Iterator[str]:
    if not validation.ablations:
        return
    yield "What each part is worth: the same figures without it."
    yield ""
    yield "| without | left out | regret (with it) | coverage of labs, % (with it) | likely (with it) |"
    yield "|---|---|---|---|---|"
    for row in validation.ablations:
        coverage = ""
        if row.coverage is not None and row.coverage_with is not None:
            coverage = f"{100 * row.coverage:.0f} ({100 * row.coverage_with:.0f})"
        likely = ""
        if row.likely is not None and row.likely_with is not None:
            likely = f"{_band(row.likely)} ({_band(row.likely_with)})"
        yield (
            f"| {row.without} | one {row.split} | {row.regret:.2f} ({row.regret_with:.2f}) | {coverage} "
            f"| {likely} |"
        )


def _split(report: SplitReport) -> Iterator[str]:
    yield f"### One {report.split} left out"
    yield ""
    yield (
        f"{report.folds} refits, {report.cells} cells; the best option in hindsight gains "
        f"{report.hindsight:.2f} points a cell."
        + (
            f" About {report.floor} points of any regret are seed noise, whose winners hindsight picks: the "
            "floor is what choosing on four seeds and scoring on the fifth loses."
            if report.floor
            else ""
        )
    )
    yield ""
    yield "| method | regret | regret, labs alike | kept | hurt by > 0.5, % | error on the model's scale |"
    yield "|---|---|---|---|---|---|"
    for method in report.methods:
        error = f"{method.rmse:.2f}" if method.rmse is not None else ""
        yield (
            f"| {method.name} | {method.regret} | {method.regret_of_labs:.2f} | {method.kept} "
            f"| {_percent(method.hurt)} | {error} |"
        )

    if not report.tasks:
        return
    yield ""
    yield "| task | harm warned of | encouraged where none | decisions right, % | kept | by any option |"
    yield "|---|---|---|---|---|---|"
    for row in report.tasks:
        yield (
            f"| {row.task} | {row.warned} of {row.harmed} | {row.encouraged} of {row.cells - row.harmed} "
            f"| {100 * row.right:.0f} | {row.kept:+.2f} | {row.kept_by_any:+.2f} |"
        )


def _band(band: Band) -> str:
    return f"{100 * band.right:.0f} % of {band.cells}" if band.cells else "none"


def _percent(figure: Figure) -> str:
    return f"{100 * figure.value:.0f} [{100 * figure.low:.0f}, {100 * figure.high:.0f}]"
