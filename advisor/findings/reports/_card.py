"""The findings card: what the evidence says, how well it predicts and where it ends, as Markdown."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from advisor.findings._store import Findings, load_findings
from advisor.findings.evidence import TABLES, check
from advisor.findings.reports._signal_report import SignalReport, signals
from advisor.findings.reports._summary import show
from advisor.findings.reports._validation import Validation, validate
from probes.errors import InputError

__all__ = ["CARD", "CardFigures", "card", "load_figures", "write_card"]

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
    cases = [
        findings.cases.case(
            model=model,
            task=task,
            target=target,
            objective="token-contrastive",
            schedule="sequential",
            frozen_layers="none",
            word_pairs="dictionary",
        )
        for model, task, target in _SAMPLE
    ]
    centres = findings.effects.predict(cases).centre.tolist()
    return {" ".join(question): round(z, 3) for question, z in zip(_SAMPLE, centres, strict=True)}


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
    return figures


def card(figures: CardFigures, root: Path = TABLES) -> str:
    """The findings card as Markdown, from validation figures and the tables; deterministic."""
    summary, report = show(root), check(root)
    apart = "\n".join(f"- {count:,}: {reason}" for reason, count in report.kept_apart.items())
    return f"""# Findings card

Generated from the evidence tables and the validation figures beside this file; do not edit it by hand.
Tables: `{summary.findings_sha256}`.

## The evidence

{report.effects:,} comparisons of an aligned model with its unaligned baseline, from {report.sources}
sources, on {report.languages} languages; {report.records} own trials. {report.pooled:,} of them are pooled
in the fit. The others are kept apart:

{apart}

Most rows come from one research group and one loss family, so many rows are not many opinions. Three
encoders have published evidence that may be pooled; own trials are short runs of one small encoder and of
what was made of it. Nearly everything transfers from English.

## How gains are predicted

A Bayesian linear mixed model on z = 2.5 asinh(gain / 2.5) with partial pooling over model, task, language,
option and study; terms about languages are measured in units of how far languages scatter for the model and
task. The errors of the scores come from their seeds, and the gains of one study, model, task and language
share the error of their baseline (without that, a baseline that is low by chance would pass for a gain).
Anything unseen adds its whole variance to the interval; for a new language of a known model and task,
interval widths are calibrated on leaving out each language of the evidence. The same model can be read as a
Gaussian process with an additive structured kernel. See `model/`.

The unaligned score itself is no input: told to a Gaussian process ("baseline known" below) it changes
little, and nobody knows it before fine-tuning.

## What it is worth on what it has not seen

Regret: points lost a cell against the best option in hindsight, where doing nothing is an option too. Kept:
points gained a cell. *Advice* leaves the model unaligned when it cannot tell; *best guess* aligns whenever
the expected gain is positive. The sign is right when the advised option gained, or when no option gained
more than {figures.validation.min_gain} points where the advice was not to align. Brackets: 95 % intervals,
languages drawn with replacement.

{figures.validation.markdown()}

## What probes tell

{figures.signals.markdown()}
## Which method, and why this one

{_comparison(figures.validation)}

## What the rows say

Plain means over languages; matched rows compare options within one study, model, task and language.

{summary.markdown()}

## Limits

- A task that was never measured cannot be predicted from others: no method above does better there than
  aligning always, and the advice says `cannot-tell` nearly always. Measure (probe, trial) instead.
- An encoder that was never measured gets wide intervals; so few encoders cannot teach what makes one gain.
- `tlm` and `mlm` have evidence only at the scale of pretraining, which is not pooled: their predictions are
  priors.
- `token-l2` was measured on one encoder and one task; published runs of `sentence-contrastive` are of one
  group, and those of joint training are of tagging alone.
- Own trials are short (about a hundred steps). What a probe says was not yet held against long runs or large
  encoders.
- The scale, the terms and their prior sizes were chosen with an eye on these figures (mostly those with a
  language left out), which flatters them a little; variances and calibration are refitted in every fold.
- Figures are for languages and options like those measured; a new study differs from them by what *source
  left out* shows.
"""


def _comparison(validation: Validation) -> str:
    """A table of regrets by method and split."""
    reports = [report for report in validation.splits if report.split != "source"]
    names = [
        method.name
        for method in reports[0].methods
        if method.name not in ("advice", "never") and not method.name.startswith("always")
    ]
    lines = [
        "Mean regret when the best guess of each method is followed:",
        "",
        "| method | " + " | ".join(f"{report.split} out" for report in reports) + " |",
        "|---|" + "---|" * len(reports),
    ]
    for name in names:
        shown = "effect model" if name == "best guess" else name
        lines.append(
            f"| {shown} | "
            + " | ".join(f"{report.method(name).regret.value:.2f}" for report in reports)
            + " |"
        )
    lowest = [
        report.split
        for report in reports
        if min(names, key=lambda name: report.method(name).regret.value) == "best guess"
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
