"""From records and signals to the tables that the findings are fitted on."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from statistics import mean, stdev
from typing import TypeAlias

from advisor.files import write_files
from advisor.findings.evidence import EARLY, load_tables
from advisor.options import NO_ALIGNMENT, Schedule
from advisor.study._record import SUFFIX, Record, read_records, read_signals
from advisor.study._state import key_of
from probes.catalogue import SIGNALS, value_of
from probes.schema import Frozen
from probes.signals import TASK_GRADIENTS, Estimate, Signals, TaskGradient

_BUDGETS = ("quick", "standard", "thorough")

SIGNAL_COLUMNS: tuple[str, ...] = tuple(column for signal in SIGNALS.values() for column in signal.columns)
"""Numbers; measured at ``theta_warm`` unless the name begins with ``theta0_``."""

BY_LAYER: dict[TaskGradient, str] = {
    gradient: f"{gradient.replace('-', '_')}_cosine_by_layer" for gradient in TASK_GRADIENTS
}
"""Cosines at ``theta_warm`` from the lowest layer up, separated by spaces; ``-`` where unresolved."""

COLUMNS = (
    *("id", "model", "source", "target", "task", "objective", "schedule", "frozen_layers", "word_pairs"),
    *("weight", "seeds", "baseline", "gain", "gain_sd"),
    *("seed_list", "baseline_scores", "aligned_scores", "source_baseline_scores", "source_aligned_scores"),
    *("quarter_baseline_scores", "quarter_aligned_scores", "half_baseline_scores", "half_aligned_scores"),
    *("late_baseline_scores", "late_aligned_scores", "look_steps", "baseline_looks", "aligned_looks"),
    *("study", "diverged", "steps", "align_steps", "precision", "device", "run_seconds", "model_sha256"),
    *("probe_seconds", "probe_budget"),
    *SIGNAL_COLUMNS,
    *BY_LAYER.values(),
)
"""Of the table. Scores are in points, one a seed in the order of ``seed_list``, separated by spaces; ``late``
ones are means over the last two looks. Looks are means over the seeds, one for each of ``look_steps``."""


class CompileReport(Frozen):
    """What became of the records.

    Attributes:
        rows: of the table, one for each option of a cell; ``probed`` of them have signals.
        unpaired: aligned runs without fine-tuning alone of the same seed; they are left out.
        controls: runs under settings that only controls have; they are no part of the table.
        unknown_models: models that the evidence does not know: they need a line in its ``encoders.csv``.
    """

    rows: int
    probed: int
    records: int
    unpaired: int
    controls: int
    unknown_models: tuple[str, ...]

    def markdown(self) -> str:
        """The counts in words."""
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        lines = [f"{rows} from {self.records} records, {self.probed} of them with signals."]
        if self.controls:
            lines += ["", f"{self.controls} runs are controls, which are no part of this table."]
        if self.unpaired:
            lines += ["", f"{self.unpaired} runs were left out: no fine-tuning alone with the same seed."]
        if self.unknown_models:
            lines += ["", f"Not in encoders.csv yet: {', '.join(self.unknown_models)}."]
        return "\n".join(lines) + "\n"


def compile_study(
    folders: Sequence[str | Path], out: str | Path, controls: str | Path | None = None
) -> CompileReport:
    """Write the table of ``records.csv`` from the records and signals of studies.

    Each row is one option of a cell, its runs paired by seed with fine-tuning alone of the same data,
    encoder and settings. Which plan they come from does not matter.

    Args:
        folders: of studies, or their archives.
        out: the CSV file.
        controls: CSV file for the runs of the plans' blocks, beside those they are compared with.

    Raises:
        InputError: if a folder holds no records, a record or signals are damaged, or ``out`` cannot be
            written.
    """
    named = list(_records(folders))
    studies = {record.configuration.key: study for study, record in named}
    usual = usual_settings(record for _, record in named)
    records = [record for _, record in named if is_usual(record, usual)]
    signals = _all_signals(folders)
    baselines = [record for record in records if record.configuration.option == NO_ALIGNMENT]
    groups: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.configuration.option != NO_ALIGNMENT:
            for target in record.configuration.scored:
                groups[f"{_group_key(record)} {target}"].append(record)
    rows, unpaired = [], 0
    for name, aligned in groups.items():
        target = name.split()[1]
        pairs = [(record, _baseline(record, target, baselines)) for record in aligned if record.scores]
        complete = [(record, none) for record, none in pairs if none is not None]
        unpaired += len(pairs) - len(complete)
        if complete:
            made = aligned[0].configuration
            of_cell = signals.get((made.model_sha256, made.task, made.source, target))
            rows.append(_row(aligned, complete, target, of_cell) | {"study": studies[made.key]})
    rows.sort(key=lambda row: row["id"])
    _write(Path(out), COLUMNS, rows)
    if controls is not None:
        _write(Path(controls), CONTROL_COLUMNS, control_rows(named, usual))
    encoders = load_tables().encoders
    load_tables.cache_clear()  # what was read of the tables so far may be out of date now
    return CompileReport(
        rows=len(rows),
        probed=sum(bool(row.get("probe_budget")) for row in rows),
        records=len(named),
        controls=len(named) - len(records),
        unpaired=unpaired,
        unknown_models=tuple(sorted({row["model"] for row in rows} - set(encoders))),
    )


def _records(folders: Iterable[str | Path]) -> Iterator[tuple[str, Record]]:
    """Every record once, whichever folders hold it, after the name of its study."""
    seen: set[str] = set()
    for folder in folders:
        for record in read_records(folder):
            if record.configuration.key not in seen:
                seen.add(record.configuration.key)
                yield Path(folder).name.removesuffix(SUFFIX), record


def _all_signals(folders: Iterable[str | Path]) -> dict[tuple[str, str, str, str], Signals]:
    """By weights, task and languages; of several probes of a cell the one that spent the most."""
    by_cell: dict[tuple[str, str, str, str], Signals] = {}
    for folder in folders:
        for _, signals in read_signals(folder):
            key = (signals.model.sha256, signals.task.name, signals.source, signals.target)
            if key not in by_cell or _spent(signals) > _spent(by_cell[key]):
                by_cell[key] = signals
    return by_cell


def _spent(signals: Signals) -> int:
    return _BUDGETS.index(signals.run.budget) if signals.run.budget in _BUDGETS else -1


def _group_key(record: Record) -> str:
    """What runs that differ in nothing but their seed have in common."""
    return key_of(record.configuration.model_dump(mode="json", exclude={"seed"}))


def _baseline(record: Record, target: str, baselines: Iterable[Record]) -> Record | None:
    """Fine-tuning alone that differs from ``record`` in nothing but the alignment."""
    aligned = record.configuration
    same = attrgetter("model_sha256", "source", "task", "seed")
    for baseline in baselines:
        none = baseline.configuration
        if (
            baseline.scores is not None
            and same(none) == same(aligned)
            and none.scored.get(target) == aligned.scored[target]
            and _agree(none.data_sha256, aligned.data_sha256)
            and _agree(none.settings, aligned.settings)
        ):
            return baseline
    return None


def _agree(fewer: Mapping[str, object], more: Mapping[str, object]) -> bool:
    return all(more.get(name) == value for name, value in fewer.items())


def _row(
    aligned: Sequence[Record], pairs: Sequence[tuple[Record, Record]], target: str, signals: Signals | None
) -> dict[str, str]:
    pairs = sorted(pairs, key=lambda pair: pair[0].configuration.seed)
    first = pairs[0][0]
    made, option, settings = first.configuration, first.configuration.option, first.configuration.settings
    after, before = ([_points(pair[side], target) for pair in pairs] for side in (0, 1))
    source_after, source_before = ([_points(pair[side], None) for pair in pairs] for side in (0, 1))
    gains = [b - a for a, b in zip(before, after, strict=True)]
    model = load_tables().name_of(first.model)
    align_steps = settings.get("align_steps") or settings.get("max_steps")
    row = {
        "id": f"{model}-{made.task}-{target}-{_group_key(first)[:8]}",
        "model": model,
        "source": made.source,
        "target": target,
        "task": made.task,
        **{name: str(value or "") for name, value in option.model_dump(mode="json").items()},
        "weight": "" if option.weight is None else f"{option.weight:g}",
        "seeds": str(len(pairs)),
        "baseline": f"{mean(before):.4f}",
        "gain": f"{mean(gains):.4f}",
        "gain_sd": f"{stdev(gains):.4f}" if len(gains) > 1 else "",
        "seed_list": " ".join(str(record.configuration.seed) for record, _ in pairs),
        "baseline_scores": _scores(before),
        "aligned_scores": _scores(after),
        "source_baseline_scores": _scores(source_before),
        "source_aligned_scores": _scores(source_after),
        **dict(_on_the_way(pairs, target)),
        "diverged": str(sum(record.status == "diverged" for record in aligned)),
        "steps": str(settings.get("max_steps") or ""),
        "align_steps": str(align_steps or "") if option.schedule is Schedule.SEQUENTIAL else "",
        "precision": str(settings.get("mixed_precision", "")),
        "device": first.device,
        "run_seconds": f"{mean(record.seconds for record, _ in pairs):.1f}",
        "model_sha256": made.model_sha256[:12],
    }
    if signals is not None:
        row |= {"probe_budget": signals.run.budget, "probe_seconds": f"{signals.run.seconds:.1f}"}
        row |= signal_columns(signals, option.objective)
    return row


def _on_the_way(pairs: Sequence[tuple[Record, Record]], target: str) -> Iterator[tuple[str, str]]:
    """Scores at the looks that all runs have in common."""
    curves = [[curve_of(record, target) for record in pair] for pair in pairs]
    steps = sorted(set.intersection(*(set(curve) for pair in curves for curve in pair)))
    end = steps[-1]
    for side, kind in ((1, "baseline"), (0, "aligned")):
        for name, share in EARLY.items():
            step = max(1, round(share * end))
            if step in steps:
                yield f"{name}_{kind}_scores", _scores(pair[side][step] for pair in curves)
        yield f"late_{kind}_scores", _scores(late_score(pair[side], steps) for pair in curves)
        yield f"{kind}_looks", _scores(mean(pair[side][step] for pair in curves) for step in steps)
    yield "look_steps", " ".join(map(str, steps))


def _points(record: Record, target: str | None) -> float:
    """The score on a target language, or on source text; the record is done."""
    assert record.scores is not None
    score = record.scores.source if target is None else record.scores.targets[target]
    assert score.value is not None
    return score.value


def _scores(values: Iterable[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values)


def _write(out: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_files(out.parent, {out.name: text.getvalue()})


def signal_columns(signals: Signals, objective: str) -> dict[str, str]:
    """What a probe found for an objective; a signal that is missing or unresolved has no entry."""
    columns = {}
    for signal in SIGNALS.values():
        reading = signal.read(signals, objective)
        value = value_of(reading)
        if signal.less is not None or value is None:
            continue
        columns[signal.name] = f"{value:.6g}"
        if signal.with_error and isinstance(reading, Estimate) and reading.error is not None:
            columns[signal.error_column] = f"{reading.error:.6g}"
    for gradient, column in BY_LAYER.items():
        blocks = [f"layer.{i}" for i in range(signals.model.layers)]
        cosines = [signals.cosine(objective, gradient, block=block) for block in blocks]
        if any(cosines):
            values = [None if cosine is None else cosine.value for cosine in cosines]
            columns[column] = " ".join("-" if value is None else f"{value:.4g}" for value in values)
    return columns


# --- controls: runs under changed settings, beside the usual ones of the same cell ---------------------

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
    mine, of_group = _settings(record), usual.get((made.model_sha256, made.task), set())
    alike = {settings for settings in of_group if len(settings) == len(mine)}
    return mine in alike or (not alike and mine[:2] in {settings[:2] for settings in of_group})


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
