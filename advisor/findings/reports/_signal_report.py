"""Do probes predict gains? Every signal of the own records against what aligning then gave."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from advisor.findings.evidence import OWN, TABLES, CaseMaker, load_tables, observations
from advisor.findings.model import (
    LEADING_SIGNALS,
    EffectModel,
    LeadingSignal,
    SignalStage,
    hold_groups_out,
    own_effects,
)
from advisor.findings.reports._choosing import Choice, cells_of, choose
from advisor.findings.reports._claims import claims
from advisor.findings.reports._figures import Figure
from advisor.findings.reports._registered import RegisteredTest, markdown, registered_test
from advisor.findings.reports._signal_rows import (
    Geometry,
    SignalPart,
    SignalRow,
    gradient_geometry,
    signal_parts,
    signal_rows,
)

_LEAST_GROUPS = 2
"""With fewer no group can be held out."""


class SignalReport(BaseModel):
    """What ``signals`` found.

    Attributes:
        findings_sha256: of the tables.
        records: own records, each the option of a cell over its seeds.
        cells: model, task and language pair.
        rows: a signal each, by strength of the partial correlation.
        parts: the leading signals in one encoder, or one level of tasks, at a time.
        geometry: of gradients.
        registered: the test that was registered before the runs it is made on; all else is exploratory.
        choices: what following signals is worth beside other ways.
        stage: whether the second stage lets the leading signals move predictions, and how far.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    findings_sha256: str
    records: int
    cells: int
    rows: tuple[SignalRow, ...]
    parts: tuple[SignalPart, ...]
    geometry: tuple[Geometry, ...]
    registered: tuple[RegisteredTest, ...]
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
    pooled = [record for _, record in own]
    held = None
    if len({(record.model, record.task) for record in records}) >= _LEAST_GROUPS:
        maker = CaseMaker(tables)
        model = EffectModel.fit(observations(tables.strata[OWN], maker))
        held = hold_groups_out(model, maker, [effect for effect, _ in own])
    stages = {
        signal: SignalStage() if held is None else held.slope_on(signal.of_records(pooled))
        for signal in LEADING_SIGNALS
    }
    return SignalReport(
        findings_sha256=tables.sha256,
        records=len(records),
        cells=len(cells_of(records)),
        rows=signal_rows(records, draws),
        parts=signal_parts(records, [signal.column for signal in LEADING_SIGNALS], draws),
        geometry=tuple(gradient_geometry(records)),
        registered=registered_test(records),
        choices=() if held is None else choose(held, pooled, draws),
        stage=" ".join(_stage_in_words(signal, stage) for signal, stage in stages.items()),
    )


# --- Markdown ------------------------------------------------------------------------------------------


def _stage_in_words(signal: LeadingSignal, stage: SignalStage) -> str:
    basis = f"{stage.records} records in {stage.groups} groups"
    if not stage.validated:
        return (
            f"The {signal} moves nothing: over {basis} no slope beats none by more than a standard error "
            "with a group left out, and at all with an encoder state left out."
        )
    return (
        f"The {signal} moves predictions by {stage.slope:+.2g} (standard deviation {stage.slope_sd:.1g}) on "
        f"the model's scale for every unit above {stage.centre:+.2f}, from {basis}; that adds "
        f"{stage.gain_in_score:.2f} nats a record with a group left out."
    )


def _markdown(report: SignalReport) -> str:
    if not report.records:
        return "There are no own records yet: `advisor study run` and `advisor study compile` make them.\n"
    lines = [
        f"{report.records} own records (an option over its seeds) in {report.cells} cells. {report.stage}",
        "",
        "### The registered test",
        "",
        *markdown(report.registered),
        "",
        "### Exploratory",
        "",
        "Nothing below was registered.",
        "",
        *claims(report.rows, report.geometry, report.choices),
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
        cells = (f"`{row.signal}`", *_cells(row), "" if row.p_adjusted is None else f"{row.p_adjusted:.2f}")
        lines.append("| " + " | ".join((*cells, _signs(row))) + " |")
    lines += [*_parts(report), *_geometry(report), *_choices(report)]
    return "\n".join(lines) + "\n"


def _parts(report: SignalReport) -> Iterator[str]:
    if not report.parts:
        return
    yield from (
        "",
        "### Leading signals, encoder by encoder",
        "",
        "The same figures in the records of one encoder, or of tasks of one level; p is not corrected.",
        "",
        "| signal | in | records | languages | rank correlation | partial | p | sign right, % |",
        "|---|---|---|---|---|---|---|---|",
    )
    for part in report.parts:
        cells = (f"`{part.row.signal}`", part.where, *_cells(part.row))
        yield "| " + " | ".join((*cells, _signs(part.row))) + " |"


def _geometry(report: SignalReport) -> Iterator[str]:
    yield from (
        "",
        "### How gradients lie to each other",
        "",
        "Noise-corrected cosines over the encoder's layers. Null: the same objective on shuffled pairs. "
        "Ceiling: between two batches of the objective, which bounds what a raw cosine shows.",
        "",
        "| task gradient | at | objective | cells | median of abs. | from | to | null | ceiling |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    for g in report.geometry:
        null = "" if g.null is None else f"{g.null:.2f}"
        ceiling = "" if g.ceiling is None else f"{g.ceiling:.2f}"
        yield (
            f"| {g.gradient} | {g.at} | {g.objective} | {g.cells} | {g.absolute:.2f} | {g.lowest:+.2f} "
            f"| {g.highest:+.2f} | {null} | {ceiling} |"
        )


def _choices(report: SignalReport) -> Iterator[str]:
    if not report.choices:
        return
    yield from (
        "",
        "### Choosing an option",
        "",
        "With the cell's group held out. A trial of one seed chooses by that seed and gets what the "
        "other seeds gained, each seed in turn. Cost: in whole runs; a trial has one without alignment. "
        "There: on the same cells, of the way with a probe that has the least regret over all.",
        "",
        "| way | cells | cost | regret, points | regret of a probe there | kept, points |",
        "|---|---|---|---|---|---|",
    )
    for choice in report.choices:
        yield (
            f"| {choice.name} | {choice.cells} | {'' if choice.cost is None else f'{choice.cost:.2g}'} "
            f"| {choice.regret} | {choice.probe_regret} | {choice.kept} |"
        )


def _cells(row: SignalRow) -> tuple[str, ...]:
    p = "" if row.p is None else f"{row.p:.3f}"
    return str(row.records), str(row.languages), _words(row.correlation), _words(row.partial), p


def _signs(row: SignalRow) -> str:
    return "" if row.sign_right is None else f"{100 * row.sign_right.value:.0f} of {row.clear}"


def _words(figure: Figure | None) -> str:
    return "" if figure is None else f"{figure.value:+.2f} [{figure.low:+.2f}, {figure.high:+.2f}]"
