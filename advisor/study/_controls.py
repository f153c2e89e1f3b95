"""Runs under changed settings, which tell what a gain is due to, beside the usual runs of the same cell."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean
from typing import TypeAlias

from advisor.options import Schedule
from advisor.study._record import Record

CONTROL_COLUMNS = (
    *("study", "model", "task", "source", "target", "block", "objective"),
    *("schedule", "weight", "seed", "steps", "align_steps", "score", "late", "look_steps", "looks"),
    "seconds",
)
"""Of the table of controls: one row a run and target language; ``block`` is blank for the grid itself."""

Usual: TypeAlias = Mapping[tuple[str, str], set[tuple[object, ...]]]

_LATE_LOOKS = 2


def usual_settings(records: Iterable[Record]) -> Usual:
    """By model weights and task, the lengths and learning rates of the runs that a plan's grid asks for."""
    by_group: defaultdict[tuple[str, str], set[tuple[object, ...]]] = defaultdict(set)
    for record in records:
        if record.block is None and not record.configuration.settings.get("experiment"):
            made = record.configuration
            by_group[made.model_sha256, made.task].add(_settings(record))
    return by_group


def is_usual(record: Record, usual: Usual) -> bool:
    """Whether nothing about a run is changed but perhaps its option."""
    made = record.configuration
    if made.settings.get("experiment"):
        return False
    if record.block is None:
        return True
    of_group = usual.get((made.model_sha256, made.task), set())
    return any(_settings(record)[: len(settings)] == settings for settings in of_group) or any(
        settings[:2] == _settings(record)[:2] and len(_settings(record)) == 2 for settings in of_group
    )


def _settings(record: Record) -> tuple[object, ...]:
    settings = record.configuration.settings
    common = (settings.get("max_steps"), settings.get("learning_rate"))
    if record.configuration.option.schedule is not Schedule.SEQUENTIAL:
        return common
    return (*common, settings.get("align_steps"), settings.get("align_learning_rate"))


def curve_of(record: Record, target: str) -> dict[int, float]:
    """Scores on a target language by steps of fine-tuning, at all looks and the end of a run that is done."""
    assert record.scores is not None
    settings = record.configuration.settings
    experiment = settings.get("experiment")
    stop = experiment.get("stop") if isinstance(experiment, dict) else None
    end = int(str(stop or settings.get("max_steps") or 0))
    if not end:  # a trial that was run for whole epochs
        end = sum(point.phase == "fine-tune" for point in record.curve)
    curve = {look.step: look.targets[target].value for look in record.early}
    curve[end] = record.scores.targets[target].value
    return {step: value for step, value in curve.items() if value is not None}


def late_score(curve: Mapping[int, float], steps: Sequence[int]) -> float:
    """The mean over the last looks: one look at one checkpoint swings by points."""
    return mean(curve[step] for step in sorted(steps)[-_LATE_LOOKS:])


def control_rows(named: Iterable[tuple[str, Record]], usual: Usual) -> Iterator[dict[str, str]]:
    """The runs of blocks, and the usual ones of the cells and groups they are in, a row a target."""
    everything = [(study, record) for study, record in named if record.scores is not None]
    cells = {
        (record.configuration.model_sha256, record.configuration.task, target)
        for _, record in everything
        if record.block is not None
        for target in record.configuration.scored
    }
    rows = []
    for study, record in everything:
        made = record.configuration
        for target in made.scored:
            if (made.model_sha256, made.task, target) in cells:
                curve = curve_of(record, target)
                steps = sorted(curve)
                rows.append(
                    {
                        "study": study,
                        "model": record.model,
                        "task": made.task,
                        "source": made.source,
                        "target": target,
                        "block": "" if is_usual(record, usual) else record.block or "",
                        "objective": str(made.option.objective),
                        "schedule": str(made.option.schedule or ""),
                        "weight": "" if made.option.weight is None else f"{made.option.weight:g}",
                        "seed": str(made.seed),
                        "steps": str(made.settings.get("max_steps") or ""),
                        "align_steps": str(made.settings.get("align_steps") or ""),
                        "score": f"{curve[steps[-1]]:.4f}",
                        "late": f"{late_score(curve, steps):.4f}",
                        "look_steps": " ".join(map(str, steps)),
                        "looks": " ".join(f"{curve[step]:.4f}" for step in steps),
                        "seconds": f"{record.seconds:.1f}",
                    }
                )
    yield from sorted(rows, key=lambda row: tuple(row[name] for name in CONTROL_COLUMNS[:12]))
