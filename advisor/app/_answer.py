"""An answer as both Ask and Read show it: decision, gains, reasons, doubts, evidence."""

import streamlit as st

from advisor.advice import Advice
from advisor.app import _show
from advisor.options import NO_ALIGNMENT
from advisor.report import _words

__all__ = ["decision", "evidence", "gains", "why"]

_CHART_WIDTH = 540
"""Below 560 the labels take two lines, which suits a phone and reads as well on a desk."""


def decision(advice: Advice) -> None:
    """The decision in one sentence, with the option and what it should bring."""
    parts = [
        f'<p class="aa-verdict">{_words.decision_title(advice)}</p>',
        f'<p class="aa-summary" role="heading" aria-level="2">{_show.text(advice.summary)}</p>',
    ]
    if advice.aligns:
        option = advice.option
        chosen = {
            "Objective": option.objective,
            "Schedule": option.schedule,
            "Frozen layers": option.frozen_layers.value,
            "Word pairs": option.word_pairs,
            "Weight": _words.number(option.weight, 2) if option.weight else None,
        }
        entries = "".join(
            f"<div><dt>{name}</dt><dd>{_show.text(value)}</dd></div>"
            for name, value in chosen.items()
            if value
        )
        parts.append(f'<dl class="aa-choice">{entries}</dl>')
    tell = "".join(
        f'<p class="aa-tell"><b>What would tell.</b> {_show.text(move.text)}</p>'
        for move in advice.next_moves
    )
    _show.html(
        f'<section class="aa-hero {_words.tone(advice)}" aria-label="Decision"><div>{"".join(parts)}</div>'
        f"{_gain(advice)}{tell}</section>"
    )


def _gain(advice: Advice) -> str:
    gain, label = advice.gain, "Expected gain over fine-tuning alone"
    if gain is None or not advice.aligns:
        best = advice.spoken_of
        if best is None:
            return ""
        gain, label = best.gain, f"Best aligning option: {_show.text(best.option)}"
    chances = "".join(
        f"<dt>P(gain &gt; {threshold})</dt>"
        f'<dd><span class="aa-meter"><i style="width:{100 * chance:.1f}%"></i></span></dd>'
        f"<dd>{_words.percent(chance).replace('<', '&lt;').replace('>', '&gt;')}</dd>"
        for threshold, chance in (
            ("0", gain.probability_positive),
            (_words.number(advice.min_gain), gain.probability_worthwhile),
        )
    )
    return (
        f'<div class="aa-gain"><p class="label">{label}</p>'
        f'<p class="mean">{_words.signed(gain.mean)} <small>points</small></p>'
        f'<p class="range">{_words.percent(gain.level)} interval {_words.interval(gain)}</p>'
        f'<dl class="aa-chances">{chances}</dl></div>'
    )


def gains(advice: Advice) -> None:
    """What each option should bring: chart, explanation, table."""
    st.subheader("What each option should bring", anchor=False)
    best = advice.spoken_of
    if best is None:
        st.caption("No aligning option could be rated.")
        return
    from advisor.report.charts import gain_chart  # altair takes half a second to import

    picture, words = st.columns([2, 1], gap="large")
    with picture:
        st.caption(
            f"Gain on {_show.markdown(advice.question.target)} test data over fine-tuning alone, in points. "
            f"Shaded: within ±{_words.number(advice.min_gain)} points, too little to matter."
        )
        _show.chart(
            gain_chart(advice, width=_CHART_WIDTH),
            f"Expected gain of each option with its interval. Highest: {best.option}, "
            f"{_words.signed(best.gain.mean)} points, {_words.interval(best.gain)}.",
        )
    with words:
        _show.explain(
            "A point is the gain to expect over fine-tuning alone; its bar holds the true gain with the "
            "stated probability.",
            "Prefer an option whose bar clears the shaded band. Options whose bars overlap "
            "widely are not told "
            "apart: take the one that is cheaper to run.",
            "The gain of your own run: seeds alone move it by some tenths of a point. An option that no "
            "effect speaks of leans on its neighbours.",
        )
    rows = advice.alternatives
    labels = _words.option_labels([row.option for row in rows])
    _show.table(
        f"All {len(rows)} options as a table",
        (
            {
                "option": ", ".join(filter(None, label)),
                "gain": round(row.gain.mean, 2),
                "low": round(row.gain.low, 2),
                "high": round(row.gain.high, 2),
                "P(gain > 0)": None
                if row.option == NO_ALIGNMENT
                else round(row.gain.probability_positive, 3),
                f"P(gain > {_words.number(advice.min_gain)})": None
                if row.option == NO_ALIGNMENT
                else round(row.gain.probability_worthwhile, 3),
                "direct effects": row.direct,
            }
            for row, label in zip(rows, labels, strict=True)
        ),
    )


def why(advice: Advice) -> None:
    """Reasons and doubts side by side."""
    reasons, doubts = st.columns(2, gap="large")
    with reasons:
        st.subheader("Reasons", anchor=False)
        if advice.reasons:
            entries = "".join(
                f"<li><b>{_words.signed(reason.effect)}</b><div><p>{_show.text(reason.text)}</p>"
                f'<p class="aa-note">{_show.text(" · ".join((reason.feature, *reason.evidence)))}</p>'
                "</div></li>"
                for reason in advice.reasons
            )
            _show.html(f'<ul class="aa-reasons">{entries}</ul>')
            st.caption("Points that each term added to the expected gain; the remaining terms are smaller.")
        else:
            st.caption("No single term moved the prediction.")
    with doubts:
        st.subheader("Doubts", anchor=False)
        _show.notes([warning.text for warning in advice.warnings], "No particular warnings for this case.")


def evidence(advice: Advice) -> None:
    """How far the case lies from the evidence, and what lies nearest."""
    support = advice.support
    st.subheader("How far this case lies from the evidence", anchor=False)
    unseen = (
        f"No effect in the evidence was measured on this {', nor on this '.join(support.unseen)}."
        if support.unseen
        else "Model, task and language have all been seen in the evidence."
    )
    within = (
        "The case is within the range of the evidence."
        if support.in_range
        else "The case is outside the range of the evidence: do not rest a decision on it alone."
    )
    st.markdown(
        f"{unseen} Distance **{_words.number(support.distance, 2)}** (0: seen together; one more for each "
        f"that was not). {within}"
    )
    _show.table(
        f"The {len(support.nearest)} nearest effects that were really measured",
        (
            {
                "model": row.model,
                "task": row.task,
                "target": row.target,
                "option": row.option,
                "gain": round(row.gain, 2),
                "distance": round(row.distance, 2),
                "source": row.citation,
            }
            for row in support.nearest
        ),
        opened=True,
    )
