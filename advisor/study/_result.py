"""What a trial ends with: every option's scores and its gains over fine-tuning alone."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field
from rich.console import RenderableType

from advisor.options import NO_ALIGNMENT, Option
from advisor.study import _table
from advisor.study._paired import paired_gain, seeds_needed
from advisor.study._record import Record, Status
from advisor.study._verdict import verdict
from probes.schema import Frozen, load_file
from probes.signals import Estimate

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
    metric: Literal["accuracy", "span-f1"]
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
        return _table.markdown(self)

    def __rich__(self) -> RenderableType:
        return _table.terminal(self)

    def _repr_html_(self) -> str:
        return _table.html(self)


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
