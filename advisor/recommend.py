"""Signals and findings in, advice out.

The rule is ``advisor.findings._rule.decide``: **align**, **do-not-align** or **cannot-tell**. An option can
be advised only if its objective was measured on the same encoder (on more than one, if this one is new),
and whatever lies too far from the evidence is ``cannot-tell``.

Nothing here imports torch: advice from evidence or from saved signals takes a second or two.
"""

import math
import platform
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import numpy as np

from advisor.advice import (
    Advice,
    Alternative,
    Decision,
    EvidenceRow,
    Gain,
    Provenance,
    Question,
    Reason,
    Support,
)
from advisor.findings import Findings, Prediction, _scale, load_findings
from advisor.findings._features import Case
from advisor.findings._models import normalise_model
from advisor.findings._nearest import nearest, unseen
from advisor.findings._observations import of_trial
from advisor.findings._reasons import causes
from advisor.findings._rule import decide
from advisor.findings._tables import OWN_RECORDS, Effect
from advisor.findings.signal_stage import LEADING_SIGNALS, LeadingSignal
from advisor.options import NO_ALIGNMENT, Objective, Option, Schedule, WordPairs, option_space
from probes.errors import InputError
from probes.languages import Language, parse_language
from probes.signals import TOTAL, Note, Signals
from probes.tasks import Task, find_task

if TYPE_CHECKING:
    from advisor.study import TrialResult  # takes a while to import, and most answers need none

__all__ = ["ask", "check_min_gain", "joint_weight", "recommend"]

EVIDENCE_SOURCE = "en"
"""The language that the pooled evidence transfers from."""
PUBLISHED_WEIGHT = 0.1
"""Weight of the alignment loss in the published joint runs (Bakos et al. 2025)."""
ALIGNMENT_SHARE = 0.5
"""What the weighted alignment gradient may be of the task gradient's norm."""
LITTLE_BITEXT = 1000
"""Sentence pairs; published alignment used 10,000 and more."""
OTHER_SOURCE_SD = 0.7
"""Added uncertainty, on the effect model's scale, when the labelled data is not in English. The evidence
cannot tell how much; this is about what one more task of a known model differs by."""
_LEVEL = 0.8
_NO_GAIN = Gain(
    mean=0.0, low=0.0, high=0.0, level=_LEVEL, probability_positive=0.0, probability_worthwhile=0.0
)
_REASONS = 3
_FEW_SEEDS, _MANY_SEEDS = 3, 10
"""Seeds of a trial: what shows the noise, and what is worth its time."""


def ask(
    *,
    model: str,
    source: str,
    target: str,
    task: str,
    word_pairs: WordPairs | str | None = None,
    min_gain: float = 0.5,
    trial: "TrialResult | str | Path | None" = None,
) -> Advice:
    """Advice from evidence, without measuring anything.

    Args:
        model: a hub id, a local path or an offline encoder's name; evidence is matched by its last part.
        source: language of the labelled data, in any common form (``en``, ``eng``, ``eng_Latn``).
        target: language the model is to be used in.
        task: one of ``probes.tasks.TASKS``.
        word_pairs: where aligned words would come from; by default as in the trial, else a dictionary.
        min_gain: smallest gain of interest, in points, at least 0.
        trial: an own trial of the same question, or the path of its folder or ``trial.json``.

    Raises:
        InputError: if a language, the task or ``word_pairs`` is unknown, source and target are the same
            language, ``min_gain`` is negative or not finite, or the trial cannot be read or asked another
            question.

    Example:
        >>> ask(model="xlm-roberta-base", source="en", target="yo", task="pos").decision
        'align'
    """
    started = time.perf_counter()
    trial = _read_trial(trial)
    if word_pairs is None:
        of_trial_options = [row.option.word_pairs for row in trial.options] if trial else []
        word_pairs = next(filter(None, of_trial_options), WordPairs.DICTIONARY)
    if word_pairs not in set(WordPairs):
        raise InputError(f"'{word_pairs}' is no source of word pairs: choose one of {', '.join(WordPairs)}.")
    situation = _Situation(
        question=Question(model=model, source=source, target=target, task=task),
        source=parse_language(source),
        target=parse_language(target),
        task=find_task(task),
        word_pairs=WordPairs(word_pairs),
        min_gain=check_min_gain(min_gain),
        signals=None,
        findings=load_findings(),
        trial=trial,
    )
    return _advise(situation, started)


def recommend(
    signals: Signals | str | Path,
    *,
    min_gain: float = 0.5,
    trial: "TrialResult | str | Path | None" = None,
) -> Advice:
    """Advice from what a probe measured, joined with the evidence.

    Args:
        signals: measured signals, or the path of a ``signals.json``.
        min_gain: smallest gain of interest, in points, at least 0.
        trial: an own trial of the same question, or the path of its folder or ``trial.json``.

    Raises:
        InputError: if a file cannot be read or is not of the current schema, ``min_gain`` is negative or not
            finite, or the trial asked another question.
    """
    started = time.perf_counter()
    if not isinstance(signals, Signals):
        signals = Signals.load(signals)
    situation = _Situation(
        question=Question(
            model=signals.model.id, source=signals.source, target=signals.target, task=signals.task.name
        ),
        source=parse_language(signals.source),
        target=parse_language(signals.target),
        task=find_task(signals.task.name),
        word_pairs=WordPairs(signals.word_pairs),
        min_gain=check_min_gain(min_gain),
        signals=signals,
        findings=load_findings(),
        trial=_read_trial(trial),
    )
    return _advise(situation, started)


def joint_weight(magnitude_ratio: float | None) -> float:
    """Weight of the alignment loss in joint training.

    The weighted alignment gradient gets half the task gradient's norm: ``0.5 / magnitude_ratio``, kept
    between 0.01 and 1; 0.1, as in the published joint runs, when the ratio is not known.

    Args:
        magnitude_ratio: norm of the objective's expected gradient over the task's, at ``theta_warm``.
    """
    if magnitude_ratio is None or magnitude_ratio <= 0:
        return PUBLISHED_WEIGHT
    return float(f"{min(1.0, max(0.01, ALIGNMENT_SHARE / magnitude_ratio)):.2g}")


_Tried = tuple[str, str, str]
"""Objective, schedule and frozen layers: what the evidence tells options of one encoder apart by."""


def _what(option: Option) -> _Tried:
    return option.objective.value, str(option.schedule or ""), option.frozen_layers.value


def _read_trial(trial: "TrialResult | str | Path | None") -> "TrialResult | None":
    if not isinstance(trial, str | Path):
        return trial
    from advisor.study import TrialResult

    return TrialResult.load(trial)


@dataclass(frozen=True, slots=True)
class _Situation:
    """A question with everything that is known about it."""

    question: Question
    source: Language
    target: Language
    task: Task
    word_pairs: WordPairs
    min_gain: float
    signals: Signals | None
    findings: Findings
    trial: "TrialResult | None"

    def __post_init__(self) -> None:
        if self.source.code == self.target.code:
            raise InputError(
                f"Source and target are both {self.target.name}: name the language the model is to be used "
                "in, which must differ from that of the labelled data."
            )
        if self.trial is not None:
            tried = (normalise_model(self.trial.model), self.trial.source, self.trial.target, self.trial.task)
            asked = (
                normalise_model(self.question.model),
                *(self.source.code, self.target.code, self.task.name),
            )
            if tried != asked:
                raise InputError(
                    "The trial was of {}, {} to {}, {}, and the question is about {}, {} to {}, {}: name the "
                    "trial of the same model, languages and task.".format(*tried, *asked)
                )

    @property
    def model(self) -> str:
        """The name the evidence has the model under."""
        name = normalise_model(self.question.model)
        facts = self.findings.tables.models.get(name)
        return facts.name if facts else name

    @property
    def tried(self) -> dict[Option, list[float]]:
        """The paired gains of every option of the own trial that has any; empty without one."""
        if self.trial is None:
            return {}
        gains = {row.option: self.trial.gains(row.option) for row in self.trial.options}
        return {option: found for option, found in gains.items() if found and option != NO_ALIGNMENT}

    def case(self, option: Option) -> Case:
        """The option on the question's model, task and language."""
        return self.findings.cases.case(
            model=self.model,
            task=self.task.name,
            target=self.target.code,
            objective=option.objective,
            schedule=option.schedule or "",
            frozen_layers=option.frozen_layers,
            word_pairs=option.word_pairs or "",
        )

    @property
    def effects_on_model(self) -> list[Effect]:
        """The pooled effects that were measured on this encoder."""
        return [effect for effect in self.findings.tables.pooled if effect.model == self.model]


@dataclass(frozen=True, slots=True)
class _Outlook:
    """One option with its predicted gain and what speaks for it."""

    option: Option
    case: Case | None
    gain: Gain
    effects: int
    grounded: bool
    """Whether evidence comes near enough to advise it: its objective was measured on this very encoder or,
    for an encoder without evidence, on more than one."""
    centre: float
    parts: Mapping[tuple[str, tuple[str, ...]], float]
    shift: float
    """How far the probe's leading signal moved the centre."""
    by_trial: float
    """How far the own trial moved it (all four on the effect model's scale)."""


def check_min_gain(min_gain: float) -> float:
    """The smallest gain of interest, if it is one; before a long run, so that none is lost to it.

    Raises:
        InputError: if it is negative or not finite.
    """
    if not (math.isfinite(min_gain) and min_gain >= 0):
        raise InputError(f"The smallest gain of interest cannot be {min_gain}: give points, 0 or more.")
    return min_gain


def _advise(situation: _Situation, started: float) -> Advice:
    outlooks = _outlooks(situation)
    support = _support(situation, outlooks)
    best, decision = _decide(outlooks, situation.min_gain, support.in_range)
    signals = situation.signals
    return Advice(
        question=situation.question,
        decision=decision,
        summary=_summary(situation, decision, best),
        option=best.option if decision == "align" else None,
        gain=best.gain,
        min_gain=situation.min_gain,
        reasons=_reasons(situation, best),
        warnings=tuple(_unique(_warnings(situation, support, best))),
        would_tell=_would_tell(situation) if decision == "cannot-tell" else None,
        alternatives=tuple(Alternative(option=o.option, gain=o.gain, effects=o.effects) for o in outlooks),
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


# --- options ---------------------------------------------------------------------------------------------


def _outlooks(situation: _Situation) -> list[_Outlook]:
    """Every available option, the highest expected gain first; ``none`` has gain 0 by definition."""
    findings, signals = situation.findings, situation.signals
    options = list(option_space(situation.word_pairs, signals.unavailable if signals else ()))
    aligned = [_with_weight(option, signals) for option in options if option != NO_ALIGNMENT]
    cases = [situation.case(option) for option in aligned]
    shifts = [_signal_shift(situation, option) for option in aligned]
    shift, shift_sd = np.array([shift for shift, _ in shifts]), np.array([sd for _, sd in shifts])
    from_elsewhere = 0.0 if situation.source.code == EVIDENCE_SOURCE else OTHER_SOURCE_SD
    expected = findings.effects.predict(cases)
    prediction = expected
    if situation.tried:
        measured = [of_trial(situation.case(option), gains) for option, gains in situation.tried.items()]
        explained = np.array([_signal_shift(situation, option)[0] for option in situation.tried])
        prediction = findings.effects.given(measured, explained).predict(cases)
    tried = {_what(option) for option in situation.tried}
    by_trial = prediction.centre - expected.centre
    prediction = prediction.moved(shift, np.hypot(shift_sd, from_elsewhere))
    counts = Counter(
        (effect.objective, effect.schedule, effect.frozen_layers) for effect in findings.tables.pooled
    )
    models: defaultdict[str, set[str]] = defaultdict(set)
    for effect in findings.tables.pooled:
        models[effect.objective].add(effect.model)
    known = any(situation.model in names for names in models.values())
    grounded = {
        objective
        for objective, names in models.items()
        if (situation.model in names if known else len(names) > 1)
    }
    outlooks = [_Outlook(NO_ALIGNMENT, None, _NO_GAIN, sum(counts.values()), True, 0.0, {}, 0.0, 0.0)]
    gains = _gains(prediction, situation.min_gain)
    for i, (option, case) in enumerate(zip(aligned, cases, strict=True)):
        outlooks.append(
            _Outlook(
                option=option,
                case=case,
                gain=gains[i],
                effects=counts[_what(option)] + (_what(option) in tried),
                grounded=option.objective in grounded or _what(option) in tried,
                centre=float(prediction.centre[i]),
                parts=expected.parts[i],
                shift=float(shift[i]),
                by_trial=float(by_trial[i]),
            )
        )
    return sorted(outlooks, key=lambda outlook: -outlook.gain.mean)


def _with_weight(option: Option, signals: Signals | None) -> Option:
    if option.schedule is not Schedule.JOINT:
        return option
    ratio = None
    for row in signals.cosines if signals else ():
        if (row.point, row.task_gradient, row.block) == ("theta_warm", "source", TOTAL) and (
            row.objective == option.objective
        ):
            ratio = row.magnitude_ratio.value
    return option.model_copy(update={"weight": joint_weight(ratio)})


def _signal_shift(situation: _Situation, option: Option) -> tuple[float, float]:
    findings, signals = situation.findings, situation.signals
    found = _moving(findings, signals, option.objective) if signals else None
    return (0.0, 0.0) if found is None else findings.signals[found[0]].shift(*found[1])


def _moving(
    findings: Findings, signals: Signals, objective: Objective
) -> tuple[LeadingSignal, tuple[float, float]] | None:
    """Of the validated signals that were measured for an objective the one that did best, and its value."""
    for signal in sorted(LEADING_SIGNALS, key=lambda signal: -findings.signals[signal].gain_in_score):
        value = signal.of_probe(signals, objective)
        if findings.signals[signal].validated and value is not None:
            return signal, value
    return None


def _gains(prediction: Prediction, min_gain: float) -> list[Gain]:
    columns = zip(
        prediction.mean.tolist(),
        prediction.quantile((1 - _LEVEL) / 2).tolist(),
        prediction.quantile((1 + _LEVEL) / 2).tolist(),
        prediction.probability_above(0.0).tolist(),
        prediction.probability_above(min_gain).tolist(),
        strict=True,
    )
    return [
        Gain(
            mean=mean,
            low=low,
            high=high,
            level=_LEVEL,
            probability_positive=positive,
            probability_worthwhile=worthwhile,
        )
        for mean, low, high, positive, worthwhile in columns
    ]


# --- decision --------------------------------------------------------------------------------------------


def _decide(outlooks: Sequence[_Outlook], min_gain: float, in_range: bool) -> tuple[_Outlook, Decision]:
    """The option spoken of and the decision, over the grounded options (over all, if none is)."""
    aligned = [outlook for outlook in outlooks if outlook.option != NO_ALIGNMENT]
    spoken_of = [outlook for outlook in aligned if outlook.grounded and outlook.effects] or aligned
    place, decision = decide(
        mean=[outlook.gain.mean for outlook in spoken_of],
        low=[outlook.gain.low for outlook in spoken_of],
        positive=[outlook.gain.probability_positive for outlook in spoken_of],
        worthwhile=[outlook.gain.probability_worthwhile for outlook in spoken_of],
        min_gain=min_gain,
    )
    return spoken_of[place], decision if in_range else "cannot-tell"


def _summary(situation: _Situation, decision: Decision, best: _Outlook) -> str:
    target, gain = situation.target.name, best.gain
    expected = f"{gain.mean:+.1f} points (80 % interval {gain.low:+.1f} to {gain.high:+.1f})"
    if decision == "align":
        return f"Align with {best.option}: expect {expected} on {target} {situation.task.name}."
    # A better mean may stand beside an option that nobody ran: it is a guess, and not what is spoken of.
    which = "the best option that has been tried" if best.effects else "the best option"
    if decision == "do-not-align":
        return (
            f"Do not align: even {which}, {best.option}, is expected to give no more than {expected} "
            f"on {target} {situation.task.name}."
        )
    return f"Cannot tell: {which}, {best.option}, may change {target} {situation.task.name} by {expected}."


def _reasons(situation: _Situation, best: _Outlook) -> tuple[Reason, ...]:
    if best.case is None:
        return ()
    found = [
        Reason(text=cause.text, feature=cause.feature, effect=cause.effect, evidence=cause.evidence)
        for cause in causes(
            best.case, best.parts, best.centre, situation.findings.tables, situation.target.name
        )
    ]
    if best.by_trial:
        found.append(_trial_reason(situation, best))
    if best.shift and situation.signals is not None:
        found.append(_signal_reason(situation, situation.signals, best))
    return tuple(sorted(found, key=lambda reason: -abs(reason.effect))[:_REASONS])


def _signal_reason(situation: _Situation, signals: Signals, best: _Outlook) -> Reason:
    objective, target = best.option.objective, situation.target.name
    moving = _moving(situation.findings, signals, objective)
    assert moving is not None
    moved = _in_points(best, best.shift)
    if moving[0].measure == "cosine":
        way = "the same way" if best.shift > 0 else "less the same way than usual"
        what = f"{objective} and the task on {target} text pull {way}"
    else:
        way = "more" if best.shift > 0 else "less"
        what = f"a small step on {objective} helps the task on {target} text {way} than usual"
    return Reason(
        text=f"After the warm-up, {what}, which moves the expected gain by {moved:+.1f} points.",
        feature=f"{moving[0].measure}:{objective}",
        effect=moved,
        evidence=(OWN_RECORDS,),
    )


def _trial_reason(situation: _Situation, best: _Outlook) -> Reason:
    moved = _in_points(best, best.by_trial)
    tried = situation.tried.items()
    gains = [gain for option, row in tried if _what(option) == _what(best.option) for gain in row]
    what = (
        f"{fmean(gains):+.1f} points in your own trial of it, {len(gains)} seed{'s' * (len(gains) > 1)},"
        if gains
        else "Your own trial of other options"
    )
    verb = "raises" if moved > 0 else "lowers"
    return Reason(
        text=f"{what} {verb} the expected gain by {abs(moved):.1f} points.",
        feature="own-trial",
        effect=moved,
        evidence=(),
    )


def _in_points(best: _Outlook, part: float) -> float:
    """What a part of the centre adds to the expected gain."""
    with_it, without = _scale.to_points(np.array([best.centre, best.centre - part])).tolist()
    return float(with_it - without)


# --- doubts ----------------------------------------------------------------------------------------------


def _support(situation: _Situation, outlooks: Sequence[_Outlook]) -> Support:
    tables = situation.findings.tables
    missing, distance = unseen(situation.model, situation.task.name, situation.target.code, tables)
    best, _ = _decide(outlooks, situation.min_gain, in_range=True)
    rows = []
    for neighbour in nearest(best.case, tables, situation.findings.cases) if best.case else ():
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


_UNSEEN_TEXT: dict[Literal["model", "task", "language"], str] = {
    "model": "No published effect was measured on this encoder: what alignment does depends on the encoder "
    "more than on anything else.",
    "task": "No published effect was measured on this task: the answer leans on other tasks.",
    "language": "No published effect was measured on this language: the answer leans on languages like it.",
}


def _warnings(situation: _Situation, support: Support, best: _Outlook) -> Iterator[Note]:
    for what in support.unseen:
        yield Note(code=f"unseen-{what}", text=_UNSEEN_TEXT[what])
    if {effect.source_id for effect in situation.effects_on_model} == {OWN_RECORDS}:
        yield Note(
            code="own-trials-only",
            text="All that is known of this encoder comes from own short trials on little data, not from "
            "published runs.",
        )
    if not support.unseen and support.distance:
        yield Note(
            code="unseen-combination",
            text="Model, task and language were each measured, but never together.",
        )
    if situation.target.code not in situation.findings.tables.languages:
        yield Note(
            code="language-without-facts",
            text=f"Nothing is on file about {situation.target.name}, not even what pretraining saw of it.",
        )
    if situation.source.code != EVIDENCE_SOURCE:
        yield Note(
            code="unseen-source-language",
            text="Nearly all evidence transfers from English: how far it holds from "
            f"{situation.source.name} is not known.",
        )
    if not best.effects:
        yield Note(
            code="option-without-evidence",
            text=f"No published effect that may be pooled used {best.option}.",
        )
    if situation.signals is not None:
        yield from _signal_warnings(situation, situation.signals)


def _signal_warnings(situation: _Situation, signals: Signals) -> Iterator[Note]:
    gradients = dict.fromkeys(signal.gradient for signal in LEADING_SIGNALS)
    asked = [[signals.cosine(name, gradient) for gradient in gradients] for name in signals.objectives]
    measured = [cosines for cosines in asked if any(cosines)]
    if not measured:
        yield Note(
            code="no-target-gradient",
            text="Neither target labels nor projected ones were to be had, so the leading signal is missing.",
        )
    lost = sum(not any(cosine and cosine.resolved for cosine in cosines) for cosines in measured)
    if lost:
        yield Note(
            code="signals-unresolved",
            text=f"The cosine with the target-task gradient could not be told from noise for {lost} of "
            f"{len(measured)} objectives: more rounds or more bitext would help.",
        )
    yield from _validity(situation.findings, signals)
    bitext = [data for data in signals.data if data.role.startswith("bitext")]
    kept = sum(data.kept for data in bitext)
    if bitext and kept < LITTLE_BITEXT:
        yield Note(
            code="little-bitext",
            text=f"Only {kept} sentence pairs: published alignment used {10 * LITTLE_BITEXT:,} and more.",
        )
    retrieval = [
        row for row in signals.distances if row.measure == "retrieval-forward" and row.value.resolved
    ]
    if retrieval:
        found, chance = max((row.value.value or 0.0, row.chance or 0.0) for row in retrieval)
        if found < max(5 * chance, 0.05):
            yield Note(
                code="misaligned-bitext",
                text=f"Even the best layer finds only {100 * found:.1f} % of the translations: "
                "the bitext's sides may not correspond, or the encoder does not know the language.",
            )
    if not signals.model.mlm_head:
        yield Note(
            code="no-mlm-head",
            text="tlm and mlm were left out: the checkpoint has no masked-language-modelling head.",
        )
    yield from signals.notes


def _validity(findings: Findings, signals: Signals) -> Iterator[Note]:
    """What keeps the leading signals from moving the advice."""
    if any(_moving(findings, signals, Objective(name)) for name in signals.objectives):
        return
    stages = findings.signals
    labelled = any(row.task_gradient == "target-labels" for row in signals.cosines)
    if not labelled and any(stages[s].validated for s in LEADING_SIGNALS if s.gradient == "target-labels"):
        text = "Own trials show that signals from target labels predict the gain, and not those without them"
    else:
        records = max(stage.records for stage in stages.values())
        text = f"{records} own trials are too few, or do not show, that the measured signals predict the gain"
    yield Note(
        code="signals-not-validated",
        text=f"{text}: the signals are shown but did not move this advice.",
    )


def _would_tell(situation: _Situation) -> str:
    """The cheapest thing that would tell."""
    signals = situation.signals
    if situation.trial is not None and situation.tried:
        return _more_of_the_trial(situation.trial)
    if signals is None:
        return (
            "Run `advisor probe` on the model with some bitext, best with a hundred labelled "
            f"{situation.target.name} sentences."
        )
    labelled = any(row.task_gradient == "target-labels" for row in signals.cosines)
    if not labelled:
        return (
            f"Label about a hundred {situation.target.name} sentences and probe again with --target-labels."
        )
    codes = {note.code for note in _signal_warnings(situation, signals)}
    if codes & {"little-bitext", "signals-unresolved"}:
        return "Probe again with more sentence pairs and --budget thorough."
    return (
        "Try the best option once for real: align, fine-tune, score it on target-language data, and compare "
        "with fine-tuning alone over three seeds."
    )


def _more_of_the_trial(trial: "TrialResult") -> str:
    seeds = 1 + max(run.seed for run in trial.runs)
    needed = max(row.seeds_needed or _FEW_SEEDS for row in trial.options if row.option != NO_ALIGNMENT)
    if needed <= seeds:
        return (
            "Try another option, or train longer and on more pairs: more seeds of this trial would not tell."
        )
    return (
        f"Go on with your trial: the same command with --seeds {min(needed, _MANY_SEEDS)} keeps the runs "
        "that are done."
    )


def _unique(notes: Iterator[Note]) -> Iterator[Note]:
    """The first note of each code: the probe and the advice may notice the same thing."""
    seen: set[str] = set()
    for note in notes:
        if note.code not in seen:
            seen.add(note.code)
            yield note


def _versions(signals: Signals | None) -> dict[str, str]:
    versions = dict(signals.run.versions) if signals else {}
    versions["python"] = platform.python_version()
    for package in ("alignment-advisor", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # a source tree that was never installed
            versions[package] = "unknown"
    return versions
