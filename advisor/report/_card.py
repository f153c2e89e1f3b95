"""The decision card: what terminal, page, report and notebook show first, made once from the advice."""

from collections.abc import Iterator
from dataclasses import dataclass

from advisor.advice import Advice, Alternative, Gain, NextMove
from advisor.decide import STANDING
from advisor.options import NO_ALIGNMENT
from advisor.report import words
from advisor.report._measured import Measurement, measurements
from probes.signals import Signals

_REASONS = 3
_MOVES = 3
_NO_DIFFERENCE = 0.1
"""Share of an interval's width below which two expectations are taken to be the same."""


@dataclass(frozen=True, slots=True)
class OptionRow:
    """An option in the table, with those that cannot be told from it.

    Attributes:
        row: the alternative that leads.
        label: what it is called.
        same: how those differ that are expected to gain as much, in a few words each.
        advised: whether it is what to do.
    """

    row: Alternative
    label: str
    same: tuple[str, ...]
    advised: bool

    @property
    def is_none(self) -> bool:
        """Whether it is fine-tuning alone."""
        return self.row.option == NO_ALIGNMENT

    @property
    def basis(self) -> str:
        """What the expectation rests on."""
        return basis_of(self.row)


@dataclass(frozen=True, slots=True)
class Card:
    """The answer above the fold.

    Attributes:
        verdict: the decision in a word or two.
        confidence: how sure it is, in a word.
        worth: what that word was worth on held-out cases; empty where it was not measured.
        sentence: what to do.
        exception: why it is advised although it is not expected to gain enough; empty where it is.
        gain_of: whose gain is given.
        gain: expected, with its interval; None where no option could be rated.
        reasons: points and words, at most three, one of them from the probe where there was one.
        doubt: the first thing to doubt; empty where there is none.
        more_doubts: how many others there are.
        before, after: what evidence alone expected, and what the probe made of it; None without a probe.
        measured: what the probe found.
        options: the table, the advised option first.
        moves: what to do next, the best value for its time first.
        scope: model, languages and task.
        tone: name of the style it is shown in.
    """

    verdict: str
    confidence: str
    worth: str
    sentence: str
    exception: str
    gain_of: str
    gain: Gain | None
    reasons: tuple[tuple[str, str], ...]
    doubt: str
    more_doubts: int
    before: Gain | None
    after: Gain | None
    measured: tuple[Measurement, ...]
    options: tuple[OptionRow, ...]
    moves: tuple[NextMove, ...]
    scope: str
    tone: str

    @property
    def scale(self) -> tuple[float, float]:
        """Points from which to which the gain is drawn: zero and all that is drawn with it are inside."""
        gains = [gain for gain in (self.gain, self.before) if gain is not None]
        low = min(0.0, *(gain.low for gain in gains)) if gains else 0.0
        high = max(0.0, *(gain.high for gain in gains)) if gains else 0.0
        margin = 0.06 * max(high - low, 1.0)
        return low - margin, high + margin

    def place(self, points: float) -> float:
        """Where a number of points lies on the scale, 0-1."""
        low, high = self.scale
        return (points - low) / (high - low)


def basis_of(row: Alternative) -> str:
    """What an expectation rests on, in words."""
    return "by definition" if row.option == NO_ALIGNMENT else row.basis.replace("-", " ")


def card_of(advice: Advice, signals: Signals | None = None) -> Card:
    """The card of an advice, with what was measured for it."""
    question = advice.question
    spoken_of = advice.spoken_of
    worth = advice.worth
    measured = measurements(signals) if signals else ()
    sample = ", sample data" if signals and words.is_sample(signals) else ""
    warnings = advice.warnings
    return Card(
        verdict=words.DECISION_WORDS[advice.decision],
        confidence=advice.confidence,
        worth=f"right in {words.percent(worth.right)} of {worth.cells} held-out cases" if worth else "",
        sentence=advice.summary,
        exception=_exception(advice),
        gain_of="" if advice.aligns or spoken_of is None else words.option_label(spoken_of.option),
        gain=advice.gain or (spoken_of.gain if spoken_of else None),
        reasons=tuple(
            (words.signed(reason.effect), words.with_minus(reason.text))
            for reason in advice.reasons[:_REASONS]
        ),
        doubt=words.with_minus(warnings[0].text) if warnings else "",
        more_doubts=max(0, len(warnings) - 1),
        before=advice.evidence_only if signals else None,
        after=advice.gain if signals and advice.evidence_only else None,
        measured=measured,
        options=tuple(option_rows(advice)),
        moves=advice.next_moves[:_MOVES],
        scope=f"{question.model}, {question.source} to {question.target}, {question.task}{sample}",
        tone=words.tone(advice),
    )


def _exception(advice: Advice) -> str:
    """The decision's exception for tasks that nobody measured, where it alone is why aligning is advised."""
    if not advice.aligns or advice.gain is None or advice.gain.mean > advice.min_gain:
        return ""
    return (
        f"None of the runs behind this measured {advice.question.task}, which draws expectations towards 0: "
        f"aligning is advised although the gain expected is not above {advice.min_gain:g} points, since its "
        f"chance to gain is above {words.percent(STANDING)}."
    )


def option_rows(advice: Advice) -> Iterator[OptionRow]:
    """The alternatives in the order of the advice, folded where no difference is known.

    An option joins the row of one of the same loss if they are expected to differ by less than a tenth of
    that row's interval and rest on the same.
    """
    labels = words.option_labels([row.option for row in advice.alternatives])
    names = {row.option: label for row, label in zip(advice.alternatives, labels, strict=True)}
    left = list(advice.alternatives)
    while left:
        lead = left.pop(0)
        same = [row for row in left if _no_difference(lead, row)]
        left = [row for row in left if row not in same]
        yield OptionRow(
            row=lead,
            label=", ".join(filter(None, names[lead.option])),
            same=tuple(names[row.option][1] for row in same),
            advised=words.is_advised(advice, lead.option),
        )


def _no_difference(lead: Alternative, row: Alternative) -> bool:
    if NO_ALIGNMENT in (lead.option, row.option):
        return False
    width = lead.gain.high - lead.gain.low
    return (
        row.option.objective == lead.option.objective
        and row.basis == lead.basis
        and abs(row.gain.mean - lead.gain.mean) < _NO_DIFFERENCE * width
    )
