"""From a question to advice."""

import platform
import time
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.advice import Advice, Alternative, Gain, Provenance, Question
from advisor.decide import DEFAULT_MIN_GAIN, Decision
from advisor.findings import load_findings, worth_of
from advisor.findings.evidence import find_encoder, find_task
from advisor.findings.model import scale
from advisor.options import NO_ALIGNMENT, FrozenLayers, Schedule, WordPairs
from advisor.recommend._asked import Asked, listed
from advisor.recommend._doubts import support_of, warnings_on
from advisor.recommend._moves import next_moves
from advisor.recommend._outlooks import Outlook, decide_on, gain_of, outlooks_of
from advisor.recommend._reasons import reasons_for
from advisor.recommend._situation import Situation, read_trial
from probes.catalogue import TASKS
from probes.errors import InputError
from probes.languages import parse_language
from probes.signals import Note, Signals

if TYPE_CHECKING:
    from advisor.study import TrialResult


def ask(asked: Asked, trial: "TrialResult | str | Path | None" = None) -> Advice:
    """Advice from evidence, without measuring anything.

    Args:
        asked: the question.
        trial: an own trial of it, or the path of its folder or ``trial.json``.

    Raises:
        InputError: if the model only decodes, model, target or task is a list, a language, the task,
            ``word_pairs`` or ``like`` is unknown, source and target are the same language, ``min_gain`` is
            negative or not finite, or the trial cannot be read or asked another question.

    Example:
        >>> ask(Asked(model="xlm-roberta-base", source="en", target="yo", task="pos")).decision
        'align'
    """
    started = time.perf_counter()
    for name in ("model", "target", "task"):
        if (asked_for := getattr(asked, name)) not in listed(asked_for):
            raise InputError(
                f"'{asked_for}' is a list of several {name}s: ask one question at a time, or for a table of "
                "all of them (advisor.grid.ask_grid; over HTTP POST /ask; on the page Grid)."
            )
    trial = read_trial(trial)
    word_pairs = asked.word_pairs
    if word_pairs is None:
        of_trial_options = [row.option.word_pairs for row in trial.options] if trial else []
        word_pairs = next(filter(None, of_trial_options), WordPairs.DICTIONARY)
    if word_pairs not in set(WordPairs):
        raise InputError(f"'{word_pairs}' is no source of word pairs: choose one of {', '.join(WordPairs)}.")
    findings = load_findings()
    languages = tuple(parse_language(language).code for language in asked.pretrained_on)
    task = find_task(asked.task)
    situation = Situation(
        question=Question(
            model=asked.model,
            source=asked.source,
            target=asked.target,
            task=task.name,
            pretrained_on=languages,
            like=asked.like,
        ),
        source=parse_language(asked.source),
        target=parse_language(asked.target),
        task=task,
        word_pairs=WordPairs(word_pairs),
        min_gain=asked.min_gain,
        signals=None,
        findings=findings,
        encoder=find_encoder(asked.model, findings.tables.encoders, pretrained_on=languages, like=asked.like),
        trial=trial,
        train_steps=asked.train_steps,
    )
    return _advise(situation, started)


def recommend(
    signals: Signals | str | Path,
    *,
    min_gain: float = DEFAULT_MIN_GAIN,
    trial: "TrialResult | str | Path | None" = None,
    train_steps: int | None = None,
) -> Advice:
    """Advice from what a probe measured, joined with the evidence.

    Args:
        signals: measured signals, or the path of a ``signals.json``.
        min_gain: smallest gain of interest, in points, at least 0.
        trial: an own trial of the same question, or the path of its folder or ``trial.json``.
        train_steps: of fine-tuning; by default three epochs of the training data that was probed.

    Raises:
        InputError: if a file cannot be read or is not of the current schema, ``min_gain`` is negative or not
            finite, or the trial asked another question.
    """
    started = time.perf_counter()
    if not isinstance(signals, Signals):
        signals = Signals.load(signals)
    findings = load_findings()
    situation = Situation(
        question=Question(
            model=signals.model.id, source=signals.source, target=signals.target, task=signals.task.name
        ),
        source=parse_language(signals.source),
        target=parse_language(signals.target),
        task=TASKS.find(signals.task.name),
        word_pairs=WordPairs(signals.word_pairs),
        min_gain=min_gain,
        signals=signals,
        findings=findings,
        encoder=find_encoder(signals.model.id, findings.tables.encoders),
        trial=read_trial(trial),
        train_steps=train_steps or usual_length(signals),
    )
    return _advise(situation, started)


def usual_length(signals: Signals) -> int | None:
    """Steps of three epochs over the training data that was probed, 32 sentences a batch."""
    sizes = [data.kept for data in signals.data if data.role == "train"]
    return max(1, round(3 * sum(sizes) / 32)) if sum(sizes) else None


def _advise(situation: Situation, started: float) -> Advice:
    outlooks = {outlook.option: outlook for outlook in outlooks_of(situation)}
    decision = decide_on(situation, list(outlooks.values()))
    best = next(outlooks[option] for option in decision.order if option != NO_ALIGNMENT)
    support = support_of(situation, best)
    signals = situation.signals
    measured = signals is not None or bool(situation.tried)
    return Advice(
        question=situation.question,
        decision=decision.decision,
        confidence=decision.confidence,
        worth=worth_of(decision.confidence),
        summary=_summary(situation, decision, best),
        option=decision.option,
        gain=gain_of(best.expected),
        evidence_only=gain_of(best.evidence_only) if measured else None,
        train_steps=situation.train_steps,
        min_gain=situation.min_gain,
        reasons=reasons_for(situation, best),
        warnings=tuple(_unique(warnings_on(situation, support, best))),
        next_moves=next_moves(situation, decision, best),
        alternatives=tuple(_alternative(outlooks.get(option)) for option in decision.order),
        support=support,
        provenance=Provenance(
            versions=_versions(signals),
            model_id=situation.question.model,
            model_sha256=signals.model.sha256 if signals else None,
            data_sha256=({data.role: data.sha256 for data in signals.data} if signals else {})
            | ({"trial": situation.trial.sha256} if situation.trial else {}),
            findings_sha256=situation.findings.tables.sha256,
            seed=signals.run.seed if signals else None,
            device=signals.run.device if signals else None,
            seconds=round(time.perf_counter() - started, 3),
        ),
    )


def _alternative(outlook: Outlook | None) -> Alternative:
    """An option as advice holds it; ``none`` has no outlook, and gain 0 by definition."""
    if outlook is None:
        zero = Gain(mean=0.0, low=0.0, high=0.0, probability_positive=0.0, probability_worthwhile=0.0)
        return Alternative(option=NO_ALIGNMENT, gain=zero, basis="measured-elsewhere", direct=0)
    expected = outlook.expected
    return Alternative(
        option=outlook.option,
        gain=gain_of(expected),
        basis=expected.by,
        direct=expected.direct,
        at_least=abs(expected.mean) >= scale.LARGEST,
    )


def _summary(situation: Situation, decision: Decision, best: Outlook) -> str:
    """What to do in one sentence; how much it should bring stands beside it."""
    if decision.decision == "do-not-align" and best.gain.mean > situation.min_gain:
        return (
            f"Fine-tune alone: on {situation.target.name} {situation.task.name} alignment is not likelier to "
            "gain than to lose."
        )
    if decision.decision == "do-not-align":
        return (
            f"Fine-tune alone: no alignment is expected to gain more than {situation.min_gain:g} points on "
            f"{situation.target.name} {situation.task.name}."
        )
    option = best.option
    how = "Align while fine-tuning" if option.schedule is Schedule.JOINT else "Align first, then fine-tune"
    parts = [f"{option.objective} loss"]
    if option.frozen_layers is not FrozenLayers.NONE:
        parts.append(f"{option.frozen_layers.replace('-', ' ')} of the layers frozen")
    if option.word_pairs:
        parts.append(_WORD_PAIRS[option.word_pairs])
    if option.weight:
        parts.append(f"weight {option.weight:.2g}")
    return f"{how}: {', '.join(parts)}."


_WORD_PAIRS = {
    WordPairs.DICTIONARY: "word pairs from a dictionary",
    WordPairs.MUTUAL_ARGMAX: "word pairs by the encoder itself",
    WordPairs.FILE: "word pairs from a file",
}


def _unique(notes: Iterator[Note]) -> Iterator[Note]:
    """The first note of each code: the probe and the advice may notice the same thing."""
    seen: set[str] = set()
    for note in notes:
        if note.code not in seen:
            seen.add(note.code)
            yield note


def _versions(signals: Signals | None) -> dict[str, str]:
    own = {package: _version(package) for package in ("alignment-advisor", "numpy")}
    return (signals.run.versions if signals else {}) | {"python": platform.python_version()} | own


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree that was never installed
        return "unknown"
