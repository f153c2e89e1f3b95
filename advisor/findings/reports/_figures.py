"""What a validation found, figure by figure with intervals from drawing whole languages; and in words."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.decide import Confidence
from advisor.findings.reports._cells import Split
from probes.schema import Frozen

Array = NDArray[np.float64]
TEMPLATES = Path(__file__).with_name("templates")


class Figure(Frozen):
    """A figure with its 95 % bootstrap interval (languages are drawn, with all their cells)."""

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
        return figure_of(float(values[known].mean()), drawn)

    def correlation(self, x: Array, y: Array) -> Figure | None:
        """Pearson's correlation; None where one of the two does not vary.

        Of ranks it is Spearman's: ranking anew in each draw would change the third decimal and cost a minute.
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
        return figure_of(float(np.corrcoef(x, y)[0, 1]), cross[varied] / np.sqrt((sx * sy)[varied]))


def figure_of(value: float, drawn: Array) -> Figure:
    """A value with the interval of what was drawn."""
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return Figure(value=value, low=low, high=high)


def centred(values: Array, groups: Sequence[object]) -> Array:
    """Values less the mean of their group."""
    members: defaultdict[object, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    result = values.copy()
    for rows in members.values():
        result[rows] -= values[rows].mean()
    return result


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
        single: with languages left out one at a time; None where that was not asked for.
    """

    findings_sha256: str
    min_gain: float
    splits: tuple[SplitReport, ...]
    bands: tuple[Band, ...]
    reliability: tuple[Bin, ...]
    ablations: tuple[Ablation, ...]
    single: SplitReport | None = None

    def markdown(self) -> str:
        """The figures as Markdown tables."""
        return render("validation", validation=self, knows_the_lab=KNOWS_THE_LAB)


def render(name: str, /, *, root: Path = TEMPLATES, **values: Any) -> str:
    """A template filled in; it ends without a line break.

    Args:
        name: of its file, without ``.md.jinja``.
        root: where it lies.
        values: that it names.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # no answer waits for it

    environment = Environment(
        loader=FileSystemLoader(root), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(f"{name}.md.jinja").render(values).rstrip("\n")
