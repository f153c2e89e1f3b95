"""The findings card: what the evidence says, how well it predicts and where it ends, as Markdown."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from advisor.findings._store import Findings, load_findings
from advisor.findings.evidence import TABLES, check, load_tables
from advisor.findings.model import replications
from advisor.findings.reports._cells import cells
from advisor.findings.reports._figures import Bin, Validation, render
from advisor.findings.reports._rivals import RIVALS
from advisor.findings.reports._signal_report import SignalReport, signals
from advisor.findings.reports._summary import show
from advisor.findings.reports._validation import validate
from advisor.options import Option, Schedule, WordPairs
from probes.errors import InputError
from probes.schema import Frozen

if TYPE_CHECKING:
    import altair as alt

CARD = Path(__file__).parent.parent / "CARD.md"
FIGURES = CARD.with_name("validation.json")
"""The figures the card was written from, so that the card can be checked without minutes of validation."""

_SEQUENTIAL = Option(
    objective="token-contrastive", schedule=Schedule.SEQUENTIAL, word_pairs=WordPairs.DICTIONARY
)
_MUTED, _BLUE = "#7b8794", "#0072b2"
_SAMPLE = (
    ("xlm-roberta-base", "pos", "yo"),
    ("xlm-roberta-base", "pos", "tr"),
    ("xlm-roberta-base", "nli", "de"),
    ("bert-base-multilingual-cased", "ner", "ar"),
    ("distilbert-base-multilingual-cased", "pos", "tr"),
    ("multilingual-e5-small", "topic", "zh"),
)


class CardFigures(Frozen):
    """Validation figures and a fingerprint of the fit they belong to.

    Attributes:
        fingerprint: centre of the prediction (model's scale) for a few fixed questions.
        validation: the figures.
        signals: what probes tell of gains.
        race: what a race is worth, in Markdown.
        shift: how much more own runs gained than was expected of them, on the model's scale.
    """

    fingerprint: dict[str, float]
    validation: Validation
    signals: SignalReport
    race: str = ""
    shift: float = 0.0


def fingerprint(findings: Findings) -> dict[str, float]:
    """What the fitted model predicts for a few fixed questions: it changes when tables or model do."""
    centres = {}
    for model, task, target in _SAMPLE:
        case = findings.cases.case(_SEQUENTIAL, model=model, task=task, target=target)
        centres[f"{model} {task} {target}"] = round(
            float(findings.fit_of(model, task).predict([case]).centre[0]), 3
        )
    return centres


def load_figures(path: Path = FIGURES) -> CardFigures:
    """The figures the card in the package was written from."""
    return CardFigures.model_validate_json(path.read_bytes())


def write_card(
    *, card_path: Path = CARD, figures_path: Path = FIGURES, race: str = "", shift: float = 0.0, jobs: int = 2
) -> CardFigures:
    """Validate everything and write the card and its figures anew (some minutes).

    Args:
        card_path, figures_path: where to.
        race: what a race is worth, in Markdown; its picture is ``race.svg`` beside the card.
        shift: how much more own runs gained than was expected of them, on the model's scale.
        jobs: processes.

    Raises:
        InputError: if the tables have errors; nothing is written then.
    """
    report = check()
    if not report.ok:
        raise InputError(
            f"The tables have errors ({report.issues[0].text}): mend them before writing a card."
        )
    figures = CardFigures(
        fingerprint=fingerprint(load_findings()),
        validation=validate(jobs=jobs),
        signals=signals(),
        race=race,
        shift=shift,
    )
    figures_path.write_text(figures.model_dump_json(indent=1) + "\n", encoding="utf-8")
    card_path.write_text(card(figures), encoding="utf-8")
    validation = figures.validation
    reliability_chart(validation.reliability).save(str(card_path.with_name("reliability.svg")))
    regret_chart(validation).save(str(card_path.with_name("regret.svg")))
    return figures


def card(figures: CardFigures, root: Path = TABLES) -> str:
    """The findings card as Markdown, from validation figures and the tables; deterministic."""
    validation, rivals = figures.validation, ["advice", *RIVALS]
    lowest = [
        f"a {report.split}"
        for report in validation.splits
        if min(rivals, key=lambda name: report.method(name).regret.value) == "advice"
    ]
    *others, last = lowest or ["nothing"]
    text = render(
        "card",
        summary=show(root),
        report=check(root),
        figures=figures,
        validation=validation,
        rivals=rivals,
        lowest=f"{', '.join(others)} or {last}" if others else last,
        replications=_replications(root),
        ceiling=_ceiling(root),
    )
    return text + "\n"


def _replications(root: Path) -> str:
    effects = [effect for effect in load_tables(root).effects if effect.unfit is None]
    return ", ".join(
        f"{spread:.1f} ({stratum}, {count} means of a lab on an encoder and task)"
        for stratum, (spread, count) in replications(effects).items()
    )


def _ceiling(root: Path) -> float:
    """Regret of choosing by what the options of an encoder and task gained on average, in hindsight."""
    groups: defaultdict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    for cell in cells(load_tables(root), "language"):
        groups[cell.effects[0].model, cell.effects[0].task].append((0.0, *cell.gains))
    lost = [
        np.max(gains, axis=1) - gains[:, gains.mean(axis=0).argmax()]
        for gains in map(np.array, groups.values())
    ]
    return float(np.concatenate(lost).mean())


def reliability_chart(bins: Sequence[Bin]) -> "alt.LayerChart":
    """The share of cells that gained over the probability that was said, by groups of cells.

    Args:
        bins: of all splits; a dot's area goes with its cells.
    """
    import altair as alt

    dots = alt.Chart(alt.InlineData(values=[row.model_dump() for row in bins]))
    shares = alt.Scale(domain=[0, 1])
    layers = [
        alt.Chart(alt.InlineData(values=[{"share": 0}, {"share": 1}]))
        .mark_line(color=_MUTED, strokeDash=[4, 3])
        .encode(x="share:Q", y="share:Q"),
        dots.mark_circle(color=_BLUE, opacity=0.75).encode(
            x=alt.X("said:Q", title="P(gain > 0) that was said", scale=shares).axis(format="%"),
            y=alt.Y("came:Q", title="share that gained", scale=shares).axis(format="%"),
            size=alt.Size("cells:Q"),
        ),
    ]
    return alt.LayerChart(layer=layers, width=300, height=300)


def regret_chart(validation: Validation) -> "alt.FacetChart":
    """Regret of the advice and of the fixed rules, split by split."""
    import altair as alt

    rows = [
        {"split": f"{report.split} out", "rule": method.name, "regret": round(method.regret.value, 2)}
        for report in validation.splits
        for method in report.methods
        if method.name in ("advice", "never") or method.name.startswith("always")
    ]
    rules = alt.Chart().encode(
        x=alt.X("regret:Q", title="regret, points a cell"), y=alt.Y("rule:N", sort=None, title=None)
    )
    is_advice = alt.datum.rule == "advice"
    dots = rules.mark_circle(size=80).encode(
        color=alt.condition(is_advice, alt.value(_BLUE), alt.value(_MUTED))
    )
    said = rules.mark_text(dx=9, align="left").encode(text=alt.Text("regret:Q", format=".2f"))
    split = alt.Row("split:N", sort=None, title=None, header=alt.Header(labelAngle=0, labelAlign="left"))
    return alt.layer(dots, said).facet(row=split, data=alt.InlineData(values=rows))
