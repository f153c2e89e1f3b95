"""How far the evidence carries, what is to be doubted, and what would tell."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from advisor.advice import EvidenceRow, Support
from advisor.findings import Findings
from advisor.findings.evidence import (
    OWN_RECORDS,
    STRATA,
    nearest,
    nearest_names,
    normalise_model,
    unseen,
)
from advisor.findings.model import LEADING_SIGNALS
from advisor.recommend._outlooks import EVIDENCE_SOURCE, Outlook, moving_signal
from advisor.recommend._situation import Situation
from probes.signals import Note, Signals

_LITTLE_BITEXT = 1000
"""Sentence pairs; published alignment used 10,000 and more."""


def support_of(situation: Situation, best: Outlook) -> Support:
    """The evidence nearest to the option spoken of, and whether a decision may rest on it."""
    tables = situation.findings.tables
    missing, distance = unseen(
        situation.model, situation.task.name, situation.target.code, situation.measured
    )
    rows = []
    for neighbour in nearest(best.case, situation.evidence, situation.findings.cases, situation.fit.kernel):
        effect = neighbour.effect
        source = tables.sources[effect.source_id]
        words = (
            effect.objective,
            effect.schedule,
            f"{effect.frozen_layers} frozen" if effect.frozen_layers != "none" else "",
            f"{effect.word_pairs} word pairs" if effect.word_pairs else "",
        )
        rows.append(
            EvidenceRow(
                source_id=effect.source_id,
                citation=source.citation,
                url=source.url,
                model=effect.model,
                task=effect.task,
                target=effect.target,
                option=", ".join(filter(None, words)),
                gain=round(effect.gain, 3),
                distance=round(neighbour.distance, 3),
                lab=tables.labs[source.lab].people,
                direct=neighbour.direct,
            )
        )
    return Support(
        nearest=tuple(rows),
        distance=distance,
        # one thing may be new, and its interval says what that costs; two leave nothing to stand on, unless
        # the very question was tried
        in_range=len(missing) <= 1 or bool(situation.tried),
        unseen=missing,
    )


_Unseen = Literal["model", "task", "language"]
_UNSEEN: dict[_Unseen, tuple[str, str]] = {
    "model": ("encoder", "what alignment does depends on the encoder more than on anything else."),
    "task": ("task", "the answer leans on other tasks."),
    "language": ("language", "the answer leans on languages like it."),
}


def _unseen_text(situation: Situation, what: _Unseen) -> str:
    """That nothing which may be pooled was measured on it, and what else was."""
    noun, so = _UNSEEN[what]
    field = "target" if what == "language" else what
    asked = {"model": situation.model, "task": situation.task.name, "target": situation.target.code}[field]
    kinds = Counter(
        STRATA[effect.stratum]
        for effect in situation.findings.tables.effects
        if getattr(effect, field) == asked and effect.unfit is None
    )
    if not kinds:
        return f"No effect that may be pooled was measured on this {noun}: {so}"
    of = "; ".join(f"{count} effects: {kind}" for kind, count in kinds.items())
    return f"What was measured on this {noun} is another kind of study and not pooled ({of}): {so}"


def _unknown_encoder(situation: Situation) -> str | None:
    """What to say of an encoder that is not in the tables; None if it is."""
    encoder = situation.encoder
    if encoder.known:
        return None
    near = nearest_names(encoder.name, situation.findings.tables.encoders)
    asked = f" Did you mean {' or '.join(near)}?" if near and not encoder.told.startswith("the user") else ""
    names = {
        "nowhere": "Its size and what its pretraining saw are not known, which widens the interval; "
        "--like and --pretrained-on say more.",
        "config.json": "Its size is from its config.json. What its pretraining saw is not known, which "
        "widens the interval; --like and --pretrained-on say more.",
    }.get(encoder.told, "What its pretraining saw is what you say.")
    return f"'{encoder.name}' is unknown to the evidence.{asked} {names}"


def warnings_on(situation: Situation, support: Support, best: Outlook) -> Iterator[Note]:
    """What speaks against trusting the advice; a code may come twice."""
    for code, text in _doubts(situation, support, best):
        yield Note(code=code, text=text)
    if situation.signals is not None:
        yield from situation.signals.notes


def _doubts(situation: Situation, support: Support, best: Outlook) -> Iterator[tuple[str, str]]:
    signals = situation.signals
    if situation.untrained:
        yield (
            "untrained-encoder",
            "The frozen features of this checkpoint tell no labels apart and find no translations: it looks "
            "untrained, or damaged, and what is known of its name does not hold for it.",
        )
    if normalise_model(situation.question.model) == "bundled-enpt" and not {
        situation.source.code,
        situation.target.code,
    } <= {"en", "pt"}:
        yield (
            "language-not-read",
            "bundled-enpt reads English and Portuguese only: this answer is that of the whole encoder, "
            "bundled.",
        )
    if signals is not None:
        if not situation.untrained:
            yield from _misaligned(signals)
        yield from _conflict(signals, best)
    for what in support.unseen:
        text = _unknown_encoder(situation) if what == "model" else None
        yield f"unseen-{what}", text or _unseen_text(situation, what)
    if {effect.source_id for effect in situation.evidence} == {OWN_RECORDS}:
        yield (
            "own-trials-only",
            "All that is known of this encoder comes from own short trials on little data, not from "
            "published runs.",
        )
    if not support.unseen and support.distance:
        yield "unseen-combination", "Model, task and language were each measured, but never together."
    target = situation.target
    if target.code not in situation.findings.tables.languages:
        yield (
            "language-without-facts",
            f"Nothing is on file about {target.name}, not even what pretraining saw of it.",
        )
    if situation.source.code != EVIDENCE_SOURCE:
        yield (
            "unseen-source-language",
            f"Nearly all evidence transfers from English: how far it holds from {situation.source.name} is "
            "not known.",
        )
    if not best.expected.direct:
        yield "option-without-evidence", f"No published effect that may be pooled used {best.option}."
    if signals is not None:
        yield from _doubts_of_signals(situation.findings, signals)


def _conflict(signals: Signals, best: Outlook) -> Iterator[tuple[str, str]]:
    """That the loss spoken of pulls against the task, if it does: never to be headlined without saying so."""
    for gradient in signals.task_gradients:
        cosine = signals.cosine(best.option.objective, gradient)
        if gradient != "source" and cosine is not None and cosine.sign < 0:
            yield (
                "loss-in-conflict",
                f"{best.option.objective} pulls against the task on target text: cosine {cosine}.",
            )
            return


def _misaligned(signals: Signals) -> Iterator[tuple[str, str]]:
    """That the two sides hardly correspond: all that rests on the bitext falls with it."""
    forward = [row for row in signals.distances if row.measure == "retrieval-forward" and row.value.resolved]
    highest, chance = max(
        ((row.value.value or 0.0, row.chance or 0.0) for row in forward), default=(1.0, 0.0)
    )
    if highest < max(5 * chance, 0.05):
        yield (
            "misaligned-bitext",
            f"Even the best layer finds only {100 * highest:.1f} % of the translations: the bitext's sides "
            "may not correspond, or the encoder does not know the language.",
        )


def _doubts_of_signals(findings: Findings, signals: Signals) -> Iterator[tuple[str, str]]:
    gradients = dict.fromkeys(signal.gradient for signal in LEADING_SIGNALS)
    asked = [[signals.cosine(name, gradient) for gradient in gradients] for name in signals.objectives]
    measured = [cosines for cosines in asked if any(cosines)]
    if not measured:
        yield (
            "no-target-gradient",
            "Neither target labels nor projected ones were to be had, so none of the signals that may move "
            "the answer is there.",
        )
    lost = sum(not any(cosine and cosine.resolved for cosine in cosines) for cosines in measured)
    if lost:
        yield (
            "signals-unresolved",
            f"The cosine with the target-task gradient could not be told from noise for {lost} of "
            f"{len(measured)} objectives: more rounds or more bitext would help.",
        )
    yield from _validity(findings, signals)
    bitext = [data for data in signals.data if data.role.startswith("bitext")]
    pairs = sum(data.kept for data in bitext)
    if bitext and pairs < _LITTLE_BITEXT:
        yield (
            "little-bitext",
            f"Only {pairs} sentence pairs: published alignment used {10 * _LITTLE_BITEXT:,} and more.",
        )
    if not signals.model.mlm_head:
        yield (
            "no-mlm-head",
            "tlm and mlm were left out: the checkpoint has no masked-language-modelling head.",
        )


def _validity(findings: Findings, signals: Signals) -> Iterator[tuple[str, str]]:
    """What keeps the leading signals from moving the advice."""
    if any(moving_signal(findings, signals, name) for name in signals.objectives):
        return
    stages = findings.signals
    labelled = any(row.task_gradient == "target-labels" for row in signals.cosines)
    if not labelled and any(stages[s].validated for s in LEADING_SIGNALS if s.gradient == "target-labels"):
        text = "In own trials signals from target labels help to predict the gain, and not those without them"
    else:
        records = max(stage.records for stage in stages.values())
        text = f"{records} own trials are too few, or do not show, that the measured signals predict the gain"
    yield "signals-not-validated", f"{text}: the signals are shown but did not move this advice."
