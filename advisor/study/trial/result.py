"""What a trial ends with: every option's scores and its gains over fine-tuning alone."""

import hashlib
import math
from collections.abc import Collection, Sequence
from itertools import count
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field
from rich.console import RenderableType
from scipy.special import stdtrit

from advisor.options import NO_ALIGNMENT, Option
from advisor.study._record import Record, Status
from advisor.study.trial import table
from advisor.study.trial.table import gain_words
from probes.schema import Frozen, load_file
from probes.signals import Estimate

_LEVEL = 0.95


def half_width(sd: float, pairs: int) -> float:
    """Half the width of the 95 % interval of a mean: ``t(0.975, n - 1) * sd / sqrt(n)``.

    Args:
        sd: standard deviation of the differences, with ``n - 1`` in its denominator.
        pairs: how many differences, at least 2.
    """
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


def seeds_needed(differences: Sequence[float], points: float = 1.0) -> int | None:
    """Roughly how many pairs would make the interval as narrow as plus or minus ``points``.

    It takes the observed standard deviation for the true one, which from three pairs may be off by half.

    Args:
        differences: as for :func:`paired_gain`.
        points: half-width wanted, above 0.

    Returns:
        A number from 2; None where fewer than two pairs leave the spread unknown.
    """
    if len(differences) < 2:
        return None
    sd = float(np.std(differences, ddof=1))
    # The normal quantile is below Student's: no smaller number can do.
    start = max(2, math.floor((1.959 * sd / points) ** 2))
    return next(pairs for pairs in count(start) if half_width(sd, pairs) <= points)


_PRECISE = 1.0
"""Half-width, in points, from which on more seeds are not worth their time."""


def verdict(options: Sequence["OptionResult"], target: str, task: str, *, failed: bool = False) -> str:
    """Which option gained beyond its noise, that none did, or how many seeds would tell.

    Args:
        options: of one trial, ``none`` among them.
        target: language the gains are measured on.
        task: that was fine-tuned on.
        failed: whether some run failed.
    """
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

Finite = Annotated[float, Field(allow_inf_nan=False)]

_BY_DEFINITION = Estimate(value=0.0, low=0.0, high=0.0, note="by definition")


class RunSummary(Frozen):
    """One run; its record has the rest, the learning curve among it.

    Attributes:
        target, source: scores in points; None unless the run is done.
        record: the record's file name.
    """

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
        seeds: how many runs are done.
        pairs: how many of them have a run of ``none`` with the same seed.
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
        model: the encoder as it was named.
        source, target: codes of the languages.
        task: a name from :data:`probes.catalogue.TASKS`.
        metric: what the scores are.
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
        """Read what a trial wrote.

        Args:
            path: of the folder, or of the ``trial.json`` in it.

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
        aligned, unaligned = (
            {run.seed: run.target for run in self.runs if run.option == which and run.target is not None}
            for which in (option, NO_ALIGNMENT)
        )
        return _differences(aligned, unaligned)

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
    names = dict.fromkeys(record.configuration.option for record in records)
    options = tuple(
        _option_result(option, records)
        for option in (NO_ALIGNMENT, *(option for option in names if option != NO_ALIGNMENT))
    )
    configuration = first.configuration
    (target,) = configuration.scored
    return TrialResult(
        verdict=verdict(
            options, target, configuration.task, failed=any(record.status != "done" for record in records)
        ),
        model=first.model,
        source=configuration.source,
        target=target,
        task=configuration.task,
        metric=first.metric,
        options=options,
        runs=tuple(_run_summary(record) for record in records),
    )


def _run_summary(record: Record) -> RunSummary:
    return RunSummary(
        option=record.configuration.option,
        seed=record.configuration.seed,
        status=record.status,
        error=record.error,
        target=_score(record, "target"),
        source=_score(record, "source"),
        seconds=record.seconds,
        record=f"{record.configuration.key}.json",
    )


def _score(record: Record, side: Literal["target", "source"]) -> float | None:
    if record.scores is None:
        return None
    if side == "source":
        return record.scores.source.value
    (target,) = record.scores.targets.values()
    return target.value


def _option_result(option: Option, records: Sequence[Record]) -> OptionResult:
    own = [record for record in records if record.configuration.option == option]
    target, source = _by_seed(own, "target"), _by_seed(own, "source")
    baseline = [record for record in records if record.configuration.option == NO_ALIGNMENT]
    target_gains = _differences(target, _by_seed(baseline, "target"))
    source_gains = _differences(source, _by_seed(baseline, "source"))
    none = option == NO_ALIGNMENT
    return OptionResult(
        option=option,
        seeds=len(target),
        pairs=len(target_gains),
        unfinished=len(own) - len(target),
        target=_mean(target.values()),
        source=_mean(source.values()),
        target_gain=_BY_DEFINITION if none else paired_gain(target_gains),
        source_gain=_BY_DEFINITION if none else paired_gain(source_gains),
        seeds_needed=None if none else seeds_needed(target_gains),
        seconds=_mean([record.seconds for record in own]) or 0.0,
    )


def _by_seed(records: Sequence[Record], side: Literal["target", "source"]) -> dict[int, float]:
    scores = {record.configuration.seed: _score(record, side) for record in records}
    return {seed: score for seed, score in scores.items() if score is not None}


def _differences(aligned: dict[int, float], unaligned: dict[int, float]) -> list[float]:
    return [aligned[seed] - unaligned[seed] for seed in sorted(aligned.keys() & unaligned.keys())]


def _mean(values: Collection[float]) -> float | None:
    return sum(values) / len(values) if values else None
