"""Do probes predict gains? Every signal of the own records against what aligning then gave."""

from pathlib import Path

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
from advisor.findings.reports._figures import render
from advisor.findings.reports._registered import RegisteredTest, registered_test
from advisor.findings.reports._signal_rows import (
    Geometry,
    HarmRow,
    SignalPart,
    SignalRow,
    gradient_geometry,
    harm_rows,
    signal_parts,
    signal_rows,
)
from probes.schema import Frozen

_LEAST_GROUPS = 2
"""With fewer no group can be held out."""


class SignalReport(Frozen):
    """What ``signals`` found.

    Attributes:
        findings_sha256: of the tables.
        records: own records, each the option of a cell over its seeds.
        cells: model, task and language pair.
        rows: a signal each, by strength of the partial correlation.
        parts: the leading signals in one encoder, or one level of tasks, at a time.
        harm: whether probes warned of it, level by level.
        geometry: of gradients.
        registered: the test that was registered before the runs it is made on; all else is exploratory.
        choices: what following signals is worth beside other ways.
        stage: whether the second stage lets the leading signals move predictions, and how far.
    """

    findings_sha256: str
    records: int
    cells: int
    rows: tuple[SignalRow, ...]
    parts: tuple[SignalPart, ...]
    harm: tuple[HarmRow, ...]
    geometry: tuple[Geometry, ...]
    registered: tuple[RegisteredTest, ...]
    choices: tuple[Choice, ...]
    stage: str

    def row(self, signal: str) -> SignalRow:
        """The figures of one signal."""
        return next(row for row in self.rows if row.signal == signal)

    def markdown(self) -> str:
        """The tables as Markdown."""
        said = claims(self.rows, self.geometry, self.choices)
        return render("signals", report=self, claims=said)


def signals(root: Path = TABLES, *, draws: int = 1000) -> SignalReport:
    """Compare the signals of own records with their gains.

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
        harm=harm_rows(records, draws),
        geometry=tuple(gradient_geometry(records)),
        registered=registered_test(records),
        choices=() if held is None else choose(held, pooled, draws),
        stage=" ".join(_stage_in_words(signal, stage) for signal, stage in stages.items()),
    )


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
