"""What a trial ends with: every option's scores and its gains over fine-tuning alone."""

import hashlib
import math
from collections.abc import Collection, Sequence
from itertools import count
from pathlib import Path
from typing import Literal, Self, TypeAlias

import numpy as np
from rich.console import RenderableType
from scipy.special import stdtrit

from advisor.options import NO_ALIGNMENT, Option
from advisor.study._record import Finite, Record, Status
from advisor.study.trial import table
from advisor.study.trial.table import gain_words
from probes.schema import Frozen, load_file
from probes.signals import Estimate

_LEVEL = 0.95
_PRECISE = 1.0
"""Half-width, in points, from which on more seeds are not worth their time."""


def half_width(sd: float, pairs: int) -> float:
    """Half the width of the 95 % interval of a mean of 2 or more: ``t(0.975, n - 1) * sd / sqrt(n)``."""
    return float(stdtrit(pairs - 1, (1 + _LEVEL) / 2)) * sd / math.sqrt(pairs)


def paired_gain(differences: Sequence[float]) -> Estimate:
    """The mean difference in points with its 95 % interval (Student's t, paired).

    Args:
        differences: aligned minus unaligned score, one a seed.

    Returns:
        The gain; without a value for fewer than two pairs, and without bounds where the pairs do not
        differ at all, since both leave the noise unknown. A note then says so.
    """
    pairs = len(differences)
    if pairs < 2:
        single = f" (its gain: {differences[0]:+.1f} points)" if pairs else ""
        return Estimate(
            value=None,
            note=f"{pairs} of the runs can be paired by seed{single}: the noise is known from two pairs on",
        )
    mean, sd = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if sd < 1e-9:  # rounding apart, all the same
        return Estimate(
            value=mean,
            note=f"all {pairs} seeds gave the same gain, so the noise cannot be seen: more test data would",
        )
    margin = half_width(sd, pairs)
    return Estimate(value=mean, low=mean - margin, high=mean + margin, level=_LEVEL)


def seeds_needed(differences: Sequence[float], points: float = _PRECISE) -> int | None:
    """Roughly how many pairs would make the interval as narrow as plus or minus ``points``.

    It takes the observed standard deviation for the true one, which from three pairs may be off by half.
    None where fewer than two pairs leave the spread unknown.
    """
    if len(differences) < 2:
        return None
    sd = float(np.std(differences, ddof=1))
    # The normal quantile is below Student's: no smaller number can do.
    start = max(2, math.floor((1.959 * sd / points) ** 2))
    return next(pairs for pairs in count(start) if half_width(sd, pairs) <= points)


def verdict(options: Sequence["OptionResult"], target: str, task: str, *, failed: bool = False) -> str:
    """Which of a trial's options gained beyond its noise, that none did, or how many seeds would tell."""
    aligned = sorted(
        (row for row in options if row.option != NO_ALIGNMENT and row.target_gain.value is not None),
        key=lambda row: -(row.target_gain.value or 0.0),
    )
    where = f"on {target} {task}"
    if not aligned:
        cure = "run at least 2 seeds" + (" and look into those that failed" if failed else "")
        return (
            f"Cannot tell {where}: no option has two finished runs beside finished runs of none with the "
            f"same seeds, so {cure}."
        )
    gained = [row for row in aligned if row.target_gain.sign > 0]
    if gained:
        best = gained[0]
        others = len(gained) - 1
        also = f", and so did {others} other option{'s' if others > 1 else ''}" if others else ""
        return (
            f"{best.option} gained beyond the noise of {best.pairs} seeds {where}: "
            f"{gain_words(best.target_gain)} points{also}."
        )
    open_ = [row for row in aligned if row.target_gain.sign == 0 and (row.seeds_needed or 0) > row.pairs]
    if open_:
        best = open_[0]
        return (
            f"No option gained beyond its noise {where} so far, and more seeds are needed: about "
            f"{best.seeds_needed} instead of {best.pairs} would give the gain of {best.option}, now "
            f"{gain_words(best.target_gain)} points, to within {_PRECISE:g} point."
        )
    best = aligned[0]
    return (
        f"No option gained beyond its noise {where}: the best, {best.option}, changed it by "
        f"{gain_words(best.target_gain)} points."
    )


SCHEMA_VERSION: Literal[1] = 1
TRIAL_FILE = "trial.json"
Side: TypeAlias = Literal["target", "source"]

_BY_DEFINITION = Estimate(value=0.0, low=0.0, high=0.0, note="by definition")


class RunSummary(Frozen):
    """One run, its scores in points (None unless it is done), and the file name of its record."""

    option: Option
    seed: int
    status: Status
    error: str | None
    target: Finite | None
    source: Finite | None
    seconds: Finite
    record: str


class OptionResult(Frozen):
    """One option over its seeds.

    Attributes:
        seeds: how many runs are done; ``pairs`` of them have a run of ``none`` with the same seed.
        unfinished: how many failed or diverged.
        target, source: mean scores in points over the runs that are done; None if there is none.
        target_gain, source_gain: aligned minus unaligned score in points, paired by seed, with a 95 %
            interval (Student's t); 0 for ``none`` by definition.
        seeds_needed: roughly how many seeds would give the target gain to within 1 point; None for
            ``none``, and where fewer than two pairs leave it unknown.
        seconds: mean wall time of a run.
    """

    option: Option
    seeds: int
    pairs: int
    unfinished: int
    target: Finite | None
    source: Finite | None
    target_gain: Estimate
    source_gain: Estimate
    seeds_needed: int | None
    seconds: Finite


class TrialResult(Frozen):
    """A whole trial. ``rich.print`` shows it in a terminal, and a notebook as a table.

    Attributes:
        verdict: the answer in one sentence.
        options: ``none`` first, then in the order asked for.
        runs: every run, in the order of its turn.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    verdict: str
    model: str
    source: str
    target: str
    task: str
    metric: str
    options: tuple[OptionResult, ...]
    runs: tuple[RunSummary, ...]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what a trial wrote: its folder, or the ``trial.json`` in it.

        Raises:
            InputError: if the file is missing, is no JSON, or is not of this schema.
        """
        path = Path(path)
        file = path / TRIAL_FILE if path.is_dir() else path
        return load_file(cls, file, "trial", SCHEMA_VERSION, writer="trial")

    def text(self) -> str:
        """What ``trial.json`` holds."""
        return self.model_dump_json(indent=2) + "\n"

    @property
    def sha256(self) -> str:
        """Of ``trial.json``."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def gains(self, option: Option) -> list[float]:
        """Target gains of an option in points, one for each seed that ``none`` was run with too."""
        return _gains(self.runs, option, "target")

    def markdown(self) -> str:
        """The verdict and the table as Markdown."""
        return table.markdown(self)

    def __rich__(self) -> RenderableType:
        return table.terminal(self)

    def _repr_html_(self) -> str:
        return table.html(self)


def summarise(records: Sequence[Record]) -> TrialResult:
    """Compare the options of one trial.

    Args:
        records: at least one, all of the same model, data, task and settings, scored on one target language.
    """
    first = records[0]
    configuration = first.configuration
    (target,) = configuration.scored
    runs = tuple(map(_run_summary, records))
    names = dict.fromkeys((NO_ALIGNMENT, *(run.option for run in runs)))
    options = tuple(_option_result(option, runs) for option in names)
    failed = any(run.status != "done" for run in runs)
    return TrialResult(
        verdict=verdict(options, target, configuration.task, failed=failed),
        model=first.model,
        source=configuration.source,
        target=target,
        task=configuration.task,
        metric=first.metric,
        options=options,
        runs=runs,
    )


def _run_summary(record: Record) -> RunSummary:
    target = None
    if record.scores is not None:
        (target,) = record.scores.targets.values()
    return RunSummary(
        option=record.configuration.option,
        seed=record.configuration.seed,
        status=record.status,
        error=record.error,
        target=target and target.value,
        source=record.scores and record.scores.source.value,
        seconds=record.seconds,
        record=f"{record.configuration.key}.json",
    )


def _option_result(option: Option, runs: Sequence[RunSummary]) -> OptionResult:
    own = [run for run in runs if run.option == option]
    target, source = _by_seed(runs, option, "target"), _by_seed(runs, option, "source")
    gains = _gains(runs, option, "target")
    none = option == NO_ALIGNMENT
    return OptionResult(
        option=option,
        seeds=len(target),
        pairs=len(gains),
        unfinished=len(own) - len(target),
        target=_mean(target.values()),
        source=_mean(source.values()),
        target_gain=_BY_DEFINITION if none else paired_gain(gains),
        source_gain=_BY_DEFINITION if none else paired_gain(_gains(runs, option, "source")),
        seeds_needed=None if none else seeds_needed(gains),
        seconds=_mean([run.seconds for run in own]) or 0.0,
    )


def _by_seed(runs: Sequence[RunSummary], option: Option, side: Side) -> dict[int, float]:
    scores = {run.seed: getattr(run, side) for run in runs if run.option == option}
    return {seed: score for seed, score in scores.items() if score is not None}


def _gains(runs: Sequence[RunSummary], option: Option, side: Side) -> list[float]:
    """Aligned minus unaligned score, one for each seed that ``none`` was run with too."""
    aligned, unaligned = _by_seed(runs, option, side), _by_seed(runs, NO_ALIGNMENT, side)
    return [aligned[seed] - unaligned[seed] for seed in sorted(aligned.keys() & unaligned.keys())]


def _mean(values: Collection[float]) -> float | None:
    return sum(values) / len(values) if values else None
