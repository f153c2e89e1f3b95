"""Do probes predict gains? Every signal of the own records against what aligning then gave.

A signal that follows the model or the task from cell to cell correlates with the gain without telling one
language from another. So beside the plain rank correlation stands a partial one, over ranks less their mean
in each group of records that share model, task and option; and only the partial one is tested.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from advisor.findings._choosing import Choice, cells_of, choose, option_of
from advisor.findings._claims import claims
from advisor.findings._features import CaseMaker
from advisor.findings._observations import observations
from advisor.findings._resample import Figure, Resample, ranks
from advisor.findings._tables import TABLES, Record, load_tables
from advisor.findings.effects import EffectModel
from advisor.findings.signal_stage import (
    SignalStage,
    hold_languages_out,
    leading_cosine,
    own_effects,
)

__all__ = ["Choice", "Geometry", "SignalReport", "SignalRow", "signals"]

Array = NDArray[np.float64]

_LEAST_RECORDS, _LEAST_LANGUAGES = 8, 4
"""With fewer a correlation says nothing."""
_PERMUTATIONS = 2000
_CLEAR = 2.0
"""Standard errors that a gain must lie from 0 for its sign to be scored."""
_THETA0 = "theta0_"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SignalRow(_Frozen):
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


class Geometry(_Frozen):
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


class SignalReport(_Frozen):
    """What ``signals`` found.

    Attributes:
        findings_sha256: of the tables.
        records: own records, each the option of a cell over its seeds.
        cells: model, task and language pair.
        rows: a signal each, by strength of the partial correlation.
        geometry: of gradients.
        choices: what following signals is worth beside other ways.
        stage: whether the second stage lets the leading signal move predictions, and how far.
    """

    findings_sha256: str
    records: int
    cells: int
    rows: tuple[SignalRow, ...]
    geometry: tuple[Geometry, ...]
    choices: tuple[Choice, ...]
    stage: str

    def row(self, signal: str) -> SignalRow:
        """The figures of one signal."""
        return next(row for row in self.rows if row.signal == signal)

    def markdown(self) -> str:
        """The tables as Markdown."""
        return _markdown(self)


def signals(root: Path = TABLES, *, draws: int = 1000) -> SignalReport:
    """Compare the signals of own records with their gains.

    Args:
        root: of the tables.
        draws: of the bootstrap.

    Returns:
        The figures; the same on every call. Without records its tables are empty.
    """
    tables = load_tables(root)
    records = tables.records
    own = own_effects(tables)
    cosines = np.array([(leading_cosine(record.cosines) or (np.nan,))[0] for _, record in own])
    held = None
    if len({record.target for record in records}) >= _LEAST_LANGUAGES:
        maker = CaseMaker(tables)
        model = EffectModel.fit(observations(tables.pooled, maker))
        held = hold_languages_out(model, maker, [effect for effect, _ in own])
    return SignalReport(
        findings_sha256=tables.sha256,
        records=len(records),
        cells=len(cells_of(records)),
        rows=_rows(records, draws),
        geometry=tuple(_geometry(records)),
        choices=() if held is None else choose(held, [record for _, record in own], cosines, draws),
        stage=_stage_in_words(SignalStage() if held is None else held.slope_on(cosines)),
    )


# --- one signal at a time ------------------------------------------------------------------------------


def _rows(records: Sequence[Record], draws: int) -> tuple[SignalRow, ...]:
    names = sorted({name for record in records for name in _signals_of(record)})
    rows = []
    for name in names:
        known = [record for record in records if name in _signals_of(record)]
        languages = {record.target for record in known}
        if len(known) >= _LEAST_RECORDS and len(languages) >= _LEAST_LANGUAGES:
            rows.append(_row(name, known, draws))
    adjusted = _holm({row.signal: row.p for row in rows if row.p is not None})
    rows = [row.model_copy(update={"p_adjusted": adjusted.get(row.signal)}) for row in rows]
    rows.sort(key=lambda row: -abs(row.partial.value) if row.partial else 0.0)
    return tuple(rows)


def _signals_of(record: Record) -> dict[str, float]:
    """The signals of a record, and each cosine less that on shuffled pairs."""
    found = {name: value for name, value in record.signals.items() if not name.endswith("_se")}
    for name, value in record.signals.items():
        if name.endswith("_null_cosine"):
            stem = name.removesuffix("_null_cosine")
            if f"{stem}_cosine" in found:
                found[f"{stem}_cosine_less_null"] = found[f"{stem}_cosine"] - value
    return found


def _row(name: str, known: Sequence[Record], draws: int) -> SignalRow:
    x = np.array([_signals_of(record)[name] for record in known])
    gains = np.array([record.gain for record in known])
    resample = Resample([record.target for record in known], draws)
    within_x, within_y = _within(ranks(x), known), _within(ranks(gains), known)
    partial = resample.correlation(within_x, within_y)
    signed = ("cosine" in name and not name.endswith("null_cosine")) or "lookahead" in name
    clear = np.array([abs(record.gain) > _CLEAR * _error(record) for record in known])
    right = np.where(clear, (np.sign(x) == np.sign(gains)).astype(float), np.nan)
    return SignalRow(
        signal=name,
        records=len(known),
        languages=len({record.target for record in known}),
        correlation=resample.correlation(ranks(x), ranks(gains)),
        partial=partial,
        p=None if partial is None else _permuted(within_x, ranks(gains), known),
        sign_right=resample.mean(right) if signed else None,
        clear=int(clear.sum()),
    )


def _error(record: Record) -> float:
    """Standard error of a gain, in points; infinite where the spread over seeds is not known."""
    return float("inf") if record.gain_sd is None else record.gain_sd / record.seeds**0.5


def _within(values: Array, records: Sequence[Record]) -> Array:
    """Values less the mean of those that share model, task and option."""
    groups: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        groups[record.model, record.task, *option_of(record)].append(i)
    result = values.copy()
    for members in groups.values():
        result[members] -= values[members].mean()
    return result


def _permuted(x: Array, gain_ranks: Array, records: Sequence[Record]) -> float:
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


def _holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values (1979)."""
    adjusted, least = {}, 0.0
    for i, (name, value) in enumerate(sorted(p.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, (len(p) - i) * value))
        adjusted[name] = least
    return adjusted


# --- gradients -----------------------------------------------------------------------------------------


def _geometry(records: Sequence[Record]) -> Iterator[Geometry]:
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


# --- Markdown ------------------------------------------------------------------------------------------


def _stage_in_words(stage: SignalStage) -> str:
    if not stage.validated:
        return (
            f"The second stage adds nothing: over {stage.records} records in {stage.languages} languages no "
            "slope on the leading cosine beats none by more than a standard error with a language left out."
        )
    return (
        f"The second stage adds {stage.slope:+.1f} (standard deviation {stage.slope_sd:.1f}) on the model's "
        f"scale for every unit of the leading cosine above {stage.centre:+.2f}, from {stage.records} records "
        f"in {stage.languages} languages."
    )


def _markdown(report: SignalReport) -> str:
    if not report.records:
        return "There are no own records yet: `advisor study run` and `advisor study compile` make them.\n"
    lines = [
        f"{report.records} own records (an option over its seeds) in {report.cells} cells. {report.stage}",
        "",
        *claims(report),
        "",
        "### Signals and gains",
        "",
        "Measured after the warm-up unless the name says `theta0`. Partial: within model, task and option. "
        "p: of the partial correlation, cells permuted, before and after Holm's correction. Sign right: of "
        "gains further than two standard errors from 0.",
        "",
        "| signal | records | languages | rank correlation | partial | p | p adjusted | sign right, % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in report.rows:
        cells = (
            f"`{row.signal}`",
            str(row.records),
            str(row.languages),
            _words(row.correlation),
            _words(row.partial),
            "" if row.p is None else f"{row.p:.3f}",
            "" if row.p_adjusted is None else f"{row.p_adjusted:.2f}",
            "" if row.sign_right is None else f"{100 * row.sign_right.value:.0f} of {row.clear}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "### How gradients lie to each other",
        "",
        "Noise-corrected cosines over the encoder's layers. Null: the same objective on shuffled pairs. "
        "Ceiling: between two batches of the objective, which bounds what a raw cosine shows.",
        "",
        "| task gradient | at | objective | cells | median of abs. | from | to | null | ceiling |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for g in report.geometry:
        null = "" if g.null is None else f"{g.null:.2f}"
        ceiling = "" if g.ceiling is None else f"{g.ceiling:.2f}"
        lines.append(
            f"| {g.gradient} | {g.at} | {g.objective} | {g.cells} | {g.absolute:.2f} | {g.lowest:+.2f} "
            f"| {g.highest:+.2f} | {null} | {ceiling} |"
        )
    if report.choices:
        lines += [
            "",
            "### Choosing an option",
            "",
            "With the cell's language held out. A trial of one seed chooses by that seed and gets what the "
            "other seeds gained, each seed in turn. Cost: in whole runs; a trial has one without alignment.",
            "",
            "| way | cells | cost | regret, points | kept, points |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {choice.name} | {choice.cells} | {'' if choice.cost is None else f'{choice.cost:.2g}'} "
            f"| {choice.regret} | {choice.kept} |"
            for choice in report.choices
        ]
    return "\n".join(lines) + "\n"


def _words(figure: Figure | None) -> str:
    return "" if figure is None else f"{figure.value:+.2f} [{figure.low:+.2f}, {figure.high:+.2f}]"
