"""Single signals of own records against the gain: correlations, signs, and which of them survive.

A signal that follows the model or the task from cell to cell correlates with the gain without telling one
language from another. So beside the plain rank correlation stands a partial one, over ranks less their mean
in each group of records that share model, task and option; and only the partial one is tested.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from advisor.findings.evidence import OwnRecord
from advisor.findings.reports._choosing import option_of
from advisor.findings.reports._figures import Figure, Resample, centred
from probes.catalogue import SIGNALS, TASKS
from probes.schema import Frozen

Array = NDArray[np.float64]

_LEAST_RECORDS, _LEAST_LANGUAGES = 8, 4
"""With fewer a correlation says nothing."""
_LEAST_IN_PART, _LEAST_LANGUAGES_IN_PART = 4, 2
"""The same in one encoder or level of tasks: enough to see whether it contradicts the whole."""
_WARNING = "target_labels_cosine"
_PERMUTATIONS = 2000
_CLEAR = 2.0
"""Standard errors that a gain must lie from 0 for its sign to be scored."""


class SignalRow(Frozen):
    """One signal against the gain.

    Attributes:
        signal: its column in the table of records; ``theta0`` is part of the name, else ``theta_warm``.
        records: rows that have it.
        languages: target languages among them.
        correlation: Spearman's, over all of them.
        partial: the same within model, task and option; None where nothing is left to correlate.
        p: of the partial correlation, two-sided, languages permuted within model and task.
        p_adjusted: after Holm, over all signals of the report.
        sign_right: share of clear gains whose sign the signal has; None for signals without a sign.
        clear: gains further than two standard errors from 0 that the share is of.
    """

    signal: str
    records: int
    languages: int
    correlation: Figure | None
    partial: Figure | None
    p: float | None
    p_adjusted: float | None = None
    sign_right: Figure | None
    clear: int


class SignalPart(Frozen):
    """One signal in the records of one encoder, or of tasks of one level.

    Attributes:
        where: the encoder, or ``token tasks``, ``sentence tasks``, ``pair tasks``.
        row: the signal there; its p is not corrected.
    """

    where: str
    row: SignalRow


def signal_rows(records: Sequence[OwnRecord], draws: int) -> tuple[SignalRow, ...]:
    """Every signal that enough records have, by strength of the partial correlation."""
    names = sorted({name for record in records for name in _signals_of(record)})
    found = []
    for name in names:
        known = [record for record in records if name in _signals_of(record)]
        languages = {record.target for record in known}
        if len(known) >= _LEAST_RECORDS and len(languages) >= _LEAST_LANGUAGES:
            found.append(_row(name, known, draws))
    from statsmodels.stats.multitest import multipletests  # takes a second to import

    tested = {row.signal: row.p for row in found if row.p is not None}
    corrected = multipletests(list(tested.values()), method="holm")[1] if tested else []
    adjusted = dict(zip(tested, map(float, corrected), strict=True))
    found = [row.model_copy(update={"p_adjusted": adjusted.get(row.signal)}) for row in found]
    return tuple(sorted(found, key=lambda row: -abs(row.partial.value) if row.partial else 0.0))


def signal_parts(records: Sequence[OwnRecord], names: Sequence[str], draws: int) -> tuple[SignalPart, ...]:
    """Some signals in each encoder and each level of tasks: what holds over all should hold in every one."""
    groups: defaultdict[str, list[OwnRecord]] = defaultdict(list)
    for record in records:
        groups[record.model].append(record)
    for record in records:
        groups[f"{TASKS.find(record.task).level} tasks"].append(record)
    found = []
    for name in names:
        for where, group in groups.items():
            known = [record for record in group if name in _signals_of(record)]
            languages = {record.target for record in known}
            if len(known) >= _LEAST_IN_PART and len(languages) >= _LEAST_LANGUAGES_IN_PART:
                found.append(SignalPart(where=where, row=_row(name, known, draws)))
    return tuple(found)


class HarmRow(Frozen):
    """Whether a probe warned where aligning did harm, over the records of tasks of one level.

    A warning is a cosine below 0 between the alignment gradient and the task's on target labels.

    Attributes:
        level: of the tasks.
        harmed: records whose gain is below 0.
        warned: of those, with a warning.
        others: records whose gain is not below 0.
        warned_for_nothing: of the others, with a warning.
        correlation: rank correlation of cosine and gain.
    """

    level: str
    harmed: int
    warned: int
    others: int
    warned_for_nothing: int
    correlation: Figure | None


def harm_rows(records: Sequence[OwnRecord], draws: int) -> tuple[HarmRow, ...]:
    """Warnings of harm at each level of tasks, over the records whose cosine is resolved."""
    levels: defaultdict[str, list[OwnRecord]] = defaultdict(list)
    for record in records:
        if _WARNING in record.signals:
            levels[TASKS.find(record.task).level].append(record)
    rows = []
    for level, known in sorted(levels.items()):
        cosines = np.array([record.signals[_WARNING] for record in known])
        gains = np.array([record.gain for record in known])
        harmed, warned = gains < 0, cosines < 0
        resample = Resample([record.target for record in known], draws)
        rows.append(
            HarmRow(
                level=level,
                harmed=int(harmed.sum()),
                warned=int((harmed & warned).sum()),
                others=int((~harmed).sum()),
                warned_for_nothing=int((~harmed & warned).sum()),
                correlation=resample.correlation(rankdata(cosines), rankdata(gains)),
            )
        )
    return tuple(rows)


def _signals_of(record: OwnRecord) -> dict[str, float]:
    """The signals of a record, and those that are differences of two."""
    values = {name: record.signals[name] for name in SIGNALS if name in record.signals}
    for signal in SIGNALS.values():
        if signal.less is not None and values.keys() >= set(signal.less):
            values[signal.name] = values[signal.less[0]] - values[signal.less[1]]
    return values


def _row(name: str, known: Sequence[OwnRecord], draws: int) -> SignalRow:
    x = np.array([_signals_of(record)[name] for record in known])
    gains = np.array([record.gain for record in known])
    resample = Resample([record.target for record in known], draws)
    of_x, of_gains = rankdata(x), rankdata(gains)
    groups = [(record.model, record.task, *option_of(record)) for record in known]
    within_x = centred(of_x, groups)
    partial = resample.correlation(within_x, centred(of_gains, groups))
    clear = np.array([abs(record.gain) > _CLEAR * _error(record) for record in known])
    right = np.where(clear, (np.sign(x) == np.sign(gains)).astype(float), np.nan)
    return SignalRow(
        signal=name,
        records=len(known),
        languages=len({record.target for record in known}),
        correlation=resample.correlation(of_x, of_gains),
        partial=partial,
        p=None if partial is None else _permuted(within_x, of_gains, known),
        sign_right=resample.mean(right) if SIGNALS[name].signed else None,
        clear=int(clear.sum()),
    )


def _error(record: OwnRecord) -> float:
    """Standard error of a gain, in points; infinite where the spread over seeds is not known."""
    return float("inf") if record.gain_sd is None else record.gain_sd / record.seeds**0.5


def _permuted(x: Array, gain_ranks: Array, records: Sequence[OwnRecord]) -> float:
    """Two-sided p of the partial correlation: cells exchange their gains within model and task, all options
    of a cell together, since they share a baseline."""
    option_sets: defaultdict[tuple[str, str, str], dict[tuple[object, ...], int]] = defaultdict(dict)
    for i, record in enumerate(records):
        option_sets[record.model, record.task, record.target][option_of(record)] = i
    blocks: defaultdict[tuple[object, ...], list[list[int]]] = defaultdict(list)
    for (model, task, _), options in option_sets.items():
        order = sorted(options, key=str)
        blocks[model, task, *order].append([options[option] for option in order])
    generator = np.random.default_rng(0)
    drawn = np.tile(gain_ranks, (_PERMUTATIONS, 1))
    for members in blocks.values():
        rows = np.array(members)
        for draw in drawn:
            draw[rows] = gain_ranks[rows[generator.permutation(len(rows))]]
    # x sums to 0 in every group, so the gains need not be centred there
    reached = np.abs(drawn @ x) >= abs(float(gain_ranks @ x)) - 1e-9
    return float((1 + reached.sum()) / (1 + _PERMUTATIONS))


_THETA0 = "theta0_"


class Geometry(Frozen):
    """How two gradients lie to each other over the cells, noise-corrected.

    Attributes:
        gradient: of the task: on source text, with target labels, or with projected ones.
        at: ``theta0`` or ``theta_warm``.
        objective: of alignment.
        cells: in which the cosine is resolved.
        absolute: median of the cosine's absolute value.
        lowest, highest: cosines at the ends.
        null: median absolute cosine of the same objective on shuffled pairs.
        ceiling: median cosine between two batches of the objective: what a raw cosine could reach at most.
    """

    gradient: str
    at: str
    objective: str
    cells: int
    absolute: float
    lowest: float
    highest: float
    null: float | None
    ceiling: float | None


def gradient_geometry(records: Sequence[OwnRecord]) -> Iterator[Geometry]:
    """The cosines of every point, task gradient and objective that a record has resolved."""
    for at in ("theta0", "theta_warm"):
        prefix = _THETA0 if at == "theta0" else ""
        for gradient in ("source", "target_labels", "target_projected"):
            for objective in sorted({record.objective for record in records}):
                cells = {
                    (record.model, record.task, record.target): record.signals
                    for record in records
                    if record.objective == objective and f"{prefix}{gradient}_cosine" in record.signals
                }
                if not cells:
                    continue
                null = f"{prefix}{gradient}_null_cosine"
                cosines = [found[f"{prefix}{gradient}_cosine"] for found in cells.values()]
                nulls = [abs(found[null]) for found in cells.values() if null in found]
                ceilings = [
                    found[f"{prefix}ceiling"] for found in cells.values() if f"{prefix}ceiling" in found
                ]
                yield Geometry(
                    gradient=gradient.replace("_", "-"),
                    at=at,
                    objective=objective,
                    cells=len(cells),
                    absolute=median(map(abs, cosines)),
                    lowest=min(cosines),
                    highest=max(cosines),
                    null=median(nulls) if nulls else None,
                    ceiling=median(ceilings) if ceilings else None,
                )
