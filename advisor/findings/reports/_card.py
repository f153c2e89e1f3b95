"""The findings card: what the evidence says, how well it predicts and where it ends, as Markdown."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from advisor.findings._store import Findings, load_findings
from advisor.findings.evidence import TABLES, check, load_tables
from advisor.findings.model import replications
from advisor.findings.reports._cells import cells
from advisor.findings.reports._figures import Bin, Validation
from advisor.findings.reports._rivals import RIVALS
from advisor.findings.reports._signal_report import SignalReport, signals
from advisor.findings.reports._summary import show
from advisor.findings.reports._validation import validate
from probes.errors import InputError

CARD = Path(__file__).parent.parent / "CARD.md"
FIGURES = CARD.with_name("validation.json")
"""The figures the card was written from, so that the card can be checked without minutes of validation."""

_SAMPLE = (
    ("xlm-roberta-base", "pos", "yo"),
    ("xlm-roberta-base", "pos", "tr"),
    ("xlm-roberta-base", "nli", "de"),
    ("bert-base-multilingual-cased", "ner", "ar"),
    ("distilbert-base-multilingual-cased", "pos", "tr"),
    ("multilingual-e5-small", "topic", "zh"),
)


class CardFigures(BaseModel):
    """Validation figures and a fingerprint of the fit they belong to.

    Attributes:
        fingerprint: centre of the prediction (model's scale) for a few fixed questions.
        validation: the figures.
        signals: what probes tell of gains.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: dict[str, float]
    validation: Validation
    signals: SignalReport


def fingerprint(findings: Findings) -> dict[str, float]:
    """What the fitted model predicts for a few fixed questions: it changes when tables or model do."""
    centres = {}
    for model, task, target in _SAMPLE:
        case = findings.cases.case(
            model=model,
            task=task,
            target=target,
            objective="token-contrastive",
            schedule="sequential",
            frozen_layers="none",
            word_pairs="dictionary",
        )
        centres[f"{model} {task} {target}"] = round(
            float(findings.fit_of(model, task).predict([case]).centre[0]), 3
        )
    return centres


def load_figures(path: Path = FIGURES) -> CardFigures:
    """The figures the card in the package was written from."""
    return CardFigures.model_validate_json(path.read_bytes())


def write_card(*, card_path: Path = CARD, figures_path: Path = FIGURES, jobs: int = 2) -> CardFigures:
    """Validate everything and write the card and its figures anew (some minutes).

    Raises:
        InputError: if the tables have errors; nothing is written then.
    """
    report = check()
    if not report.ok:
        raise InputError(
            f"The tables have errors ({report.issues[0].text}): mend them before writing a card."
        )
    figures = CardFigures(
        fingerprint=fingerprint(load_findings()), validation=validate(jobs=jobs), signals=signals()
    )
    figures_path.write_text(figures.model_dump_json(indent=1) + "\n", encoding="utf-8")
    card_path.write_text(card(figures), encoding="utf-8")
    validation = figures.validation
    card_path.with_name("reliability.svg").write_text(reliability_plot(validation.reliability), "utf-8")
    card_path.with_name("regret.svg").write_text(regret_plot(validation), "utf-8")
    return figures


_CARD = """# Findings card

Generated from the evidence tables and the validation figures beside this file; do not edit it by hand.
Tables: `{summary.findings_sha256}`.

## The evidence

{report.effects:,} comparisons of an aligned model with its unaligned baseline, from {report.sources}
sources, on {report.languages} languages; {report.records} own trials. {report.pooled:,} of them are fitted,
own short runs by themselves. The others are kept apart:

{apart}

Most rows come from one lab and one loss family, so many rows are not many opinions. Three encoders have
many published rows; own trials are short runs of one small encoder and of what was made of it. Nearly
everything transfers from English.

## How gains are predicted

A Bayesian linear mixed model on z = 2.5 asinh(gain / 2.5) with partial pooling over encoder, task,
language, option and lab; terms about languages are measured in units of how far languages scatter for the
encoder and task. What is known of an encoder (size, parallel data, a contrastive loss over sentences) and
how long fine-tuning takes are covariates; what is not known is integrated out. The errors of the scores
come from their seeds, and the gains of one study, encoder, task and language share the error of their
baseline. Anything unseen adds its whole variance to the interval. Whoever asks is a lab not seen: labs
differ by {replications} on the model's scale, and that spread, which few labs inform, is
integrated over under a half-t prior. Own short runs have a fit of their own, which answers questions about
the encoders that only they measured. The other strata tell the fit the prior mean of all labs and how far
labs and objectives differ and lengths matter, and nothing else. See `model/`.

## What it is worth on what it has not seen

Regret: points lost a cell against the best option in hindsight, where fine-tuning alone is an option too.
Kept: points gained a cell. With a language, encoder, task or source left out a cell is a further one of a
lab whose other rows were seen; *advice* is what anybody is told who asks, and *advice that knows the lab*
what the lab itself could have been, as a mean over its rows is too; intervals are of that lab. On the cells
of one language, encoder or task left out, a chooser who knew in hindsight every option's mean by encoder and
task would still lose {ceiling:.2f} points a cell. A decision is right when the advised
option gained or, where aligning was not advised, when the option that promised most gained no more than
{figures.validation.min_gain} points. Brackets: 95 % intervals, languages drawn with replacement.

{validation}

![What was said and what came](reliability.svg)

![Regret of the advice and of fixed rules](regret.svg)

## What probes tell

{signals}
## Which method, and why this one

{comparison}

## What the rows say

Plain means over languages; matched rows compare options within one study, model, task and language.

{rows}

## Limits

- A task that was never measured cannot be predicted from others: aligning as does best over tasks is then the
  default, and the answer is at most *leaning*. Measure (probe, trial) instead.
- What a new lab would measure is drawn towards what labs measured on average. Where one lab has many rows and
  little gain (NER), the advice says more than these rows do; the intervals hold both.
- An encoder that was never measured gets wide intervals; so few encoders cannot teach what makes one gain.
- `tlm` and `mlm` have evidence only at the scale of pretraining, which is not pooled: their predictions are
  priors.
- `token-l2` was measured on one encoder; published runs of `sentence-contrastive` are of one lab, and those
  of joint training are of tagging alone.
- Five labs are few, and one of them has nearly all rows: with it left out, little is left to predict it from.
- The scale, the terms and their prior sizes were chosen with an eye on these figures, which flatters them a
  little; variances are refitted in every fold.
"""


def card(figures: CardFigures, root: Path = TABLES) -> str:
    """The findings card as Markdown, from validation figures and the tables; deterministic."""
    summary, report = show(root), check(root)
    apart = "\n".join(f"- {count:,}: {reason}" for reason, count in report.kept_apart.items())
    return _CARD.format(
        summary=summary,
        report=report,
        figures=figures,
        apart=apart,
        replications=_replications(root),
        ceiling=_ceiling(root),
        validation=figures.validation.markdown(),
        signals=figures.signals.markdown(),
        comparison=_comparison(figures.validation),
        rows=summary.markdown(),
    )


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


def _comparison(validation: Validation) -> str:
    """A table of regrets and errors by method and split."""
    names = ["advice", *RIVALS]
    lines = [
        "Regret when each method is followed where it expects more than the smallest gain of interest, and "
        "the error of its predictions on the model's scale:",
        "",
        "| method | " + " | ".join(f"{report.split} out" for report in validation.splits) + " |",
        "|---|" + "---|" * len(validation.splits),
    ]
    for name in names:
        rows = [report.method(name) for report in validation.splits]
        figures = [
            f"{row.regret.value:.2f}; {row.rmse:.2f}" if row.rmse is not None else f"{row.regret.value:.2f}"
            for row in rows
        ]
        lines.append(f"| {'effect model' if name == 'advice' else name} | " + " | ".join(figures) + " |")
    lowest = [
        report.split
        for report in validation.splits
        if min(names, key=lambda name: report.method(name).regret.value) == "advice"
    ]
    lines += [
        "",
        f"The effect model has the lowest regret with {_listed(lowest)} left out, is the only one here that "
        "predicts every option of the option space with an interval, and gives its reasons term by term.",
    ]
    return "\n".join(lines)


def _listed(words: Sequence[str]) -> str:
    named = [f"a {word}" for word in words] or ["nothing"]
    return named[0] if len(named) == 1 else ", ".join(named[:-1]) + " or " + named[-1]


_INK, _MUTED, _BLUE = "#1f2933", "#7b8794", "#0072b2"
_STYLE = 'font-family="Helvetica, Arial, sans-serif" font-size="12"'


def reliability_plot(bins: Sequence[Bin]) -> str:
    """The share of cells that gained over the probability that was said, by groups of cells.

    Args:
        bins: of all splits; a dot's area goes with its cells.
    """
    size, edge = 300, 48
    most = max((row.cells for row in bins), default=1)

    def x(share: float) -> float:
        return edge + share * size

    def y(share: float) -> float:
        return 16 + (1 - share) * size

    parts = [
        f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="{_MUTED}" stroke-dasharray="4 3"/>'
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_text(x(share), y(0) + 18, f"{share:.0%}", "middle"))
        parts.append(_text(x(0) - 8, y(share) + 4, f"{share:.0%}", "end"))
    for row in bins:
        radius = 3 + 9 * (row.cells / most) ** 0.5
        title = f"said {row.said:.0%}, came {row.came:.0%}, {row.cells} cells"
        parts.append(
            f'<circle cx="{x(row.said):.1f}" cy="{y(row.came):.1f}" r="{radius:.1f}" fill="{_BLUE}" '
            f'fill-opacity="0.75"><title>{title}</title></circle>'
        )
    parts.append(_text(x(0.5), y(0) + 38, "P(gain > 0) that was said", "middle"))
    parts.append(_text(x(0), 10, "share that gained", "start"))
    said = "; ".join(f"said {row.said:.0%}, came {row.came:.0%} ({row.cells})" for row in bins)
    return _svg(size + 2 * edge, size + 64, f"Reliability on held-out cells: {said}.", parts)


def regret_plot(validation: Validation) -> str:
    """Regret of the advice and of the fixed rules, split by split."""
    rows = [
        (report.split, method.name, method.regret.value)
        for report in validation.splits
        for method in report.methods
        if method.name in ("advice", "never") or method.name.startswith("always")
    ]
    most = max((regret for *_, regret in rows), default=1.0)
    left, width, step = 250, 260, 18
    parts, y = [], 20
    for place, (split, name, regret) in enumerate(rows):
        if place and rows[place - 1][0] != split:
            y += 10
        colour = _BLUE if name == "advice" else _MUTED
        parts.append(_text(left - 8, y + 4, f"{split} out: {name}", "end"))
        parts.append(f'<circle cx="{left + width * regret / most:.1f}" cy="{y}" r="5" fill="{colour}"/>')
        parts.append(_text(left + width * regret / most + 9, y + 4, f"{regret:.2f}", "start"))
        y += step
    parts.append(_text(left, y + 10, "regret, points a cell", "start"))
    said = "; ".join(f"{split} out, {name}: {regret:.2f}" for split, name, regret in rows)
    return _svg(left + width + 60, y + 24, f"Regret in points a cell: {said}.", parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}">{shown}</text>'


def _svg(width: int, height: int, description: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" {_STYLE}>\n<title>{description}</title>\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
