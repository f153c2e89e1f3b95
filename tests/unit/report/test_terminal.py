import io
from pathlib import Path

import pytest
from rich.console import Console

from advisor.advice import NextMove, Question, Reason
from advisor.report import Report
from probes.signals import Note
from tests.factories import make_advice, make_open, make_signals


def shown(report: Report, width: int = 120, files: tuple[Path, ...] = (), encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
    Console(file=stream, width=width).print(report.terminal(files))
    stream.flush()
    return raw.getvalue().decode(encoding)


def str_of(report: Report) -> str:
    """As ``rich.print`` shows it."""
    stream = io.StringIO()
    Console(file=stream, width=200).print(report)
    return stream.getvalue()


def test_decision_gain_reasons_doubts_and_files_are_shown() -> None:
    advice = make_advice()
    text = shown(Report(advice), width=200, files=(Path("out/report.html"),))
    assert "Align: likely" in text
    assert advice.summary in text
    assert "Expected gain +1.6 points, 80% interval +0.5 to +2.8" in text
    for reason in advice.reasons:
        assert reason.text in text
    assert f"{advice.warnings[0].text} (1 more in the report)" in text
    assert "4 more with lower gains, in the report" in text
    assert "out: report.html" in text


def test_what_is_left_out_is_where_it_says() -> None:
    report = Report(make_advice())
    for text, where in ((shown(report, width=200), "with --json"), (str_of(report), "in its advice")):
        assert f"(1 more {where})" in text
        assert f"4 more with lower gains, {where}" in text
        assert "in the report" not in text


def test_an_answer_against_the_usual_rule_says_why() -> None:
    """For a task that nobody measured less than ``min_gain`` may be expected of what is advised."""
    low = make_advice().gain.model_copy(update={"mean": -0.2, "low": -4.8})
    report = Report(make_advice(gain=low))
    for text in (shown(report, width=300), report.fragment(whole=False)):
        assert "although the gain expected is not above 0.5 points" in text
    assert "although the gain" not in shown(Report(make_advice()), width=300)


def test_what_would_tell_is_named_when_the_answer_is_open() -> None:
    advice = make_open()
    text = shown(Report(advice), width=200)
    assert "Fine-tune alone: open" in text
    assert advice.next_moves[0].text in text
    assert "The best alignment, token-contrastive" in text


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert all(len(line) <= width for line in shown(Report(make_advice()), width=width).splitlines())


def test_what_was_measured_and_the_slope_are_shown() -> None:
    before = make_advice().alternatives[2].gain
    text = shown(Report(make_advice(evidence_only=before), make_signals()), width=160)
    assert "Measured on this model" in text
    assert "88.1 to 61.4 points: gap 26.7" in text
    assert "Evidence alone +1.4 (+0.2 to +2.6), with the probe +1.6 (+0.5 to +2.8) points" in text


def test_a_move_stands_with_its_price_and_command() -> None:
    move = NextMove(text="Probe it.", command="advisor probe x", minutes=3.0, value=0.4)
    text = shown(Report(make_advice(next_moves=(move,))))
    assert "1. Probe it. [3 min, worth +0.4 points in expectation]" in text
    assert "advisor probe x" in text


def test_an_ascii_terminal_keeps_the_signs() -> None:
    text = shown(Report(make_advice()), encoding="ascii")
    assert "-0.1 to +2.2" in text


def test_no_option_is_dropped_without_saying_so() -> None:
    advice = make_advice()
    assert "4 more with lower gains" in shown(Report(advice))
    assert "more with lower" not in shown(Report(make_advice(alternatives=advice.alternatives[:3])))


def test_strings_from_outside_are_neither_markup_nor_escapes() -> None:
    hostile = "[/bold][red]x[/red] \x1b[2J"
    text = shown(
        Report(
            make_advice(
                question=Question(model=hostile, source="en", target="tr", task="pos"),
                summary=hostile,
                next_moves=(NextMove(text=hostile),),
                reasons=(Reason(text=hostile, feature="f", effect=1.0, evidence=(hostile,)),),
                warnings=(Note(code="c", text=hostile),),
            )
        ),
        width=200,
        files=(Path(hostile),),
    )
    assert text.count("[/bold][red]x[/red]") == 5
    assert "\x1b[2J" not in text


def test_advice_without_alternatives_or_reasons_prints() -> None:
    bare = make_open(alternatives=(), reasons=(), warnings=(), next_moves=(), gain=None)
    assert bare.summary in shown(Report(bare), width=200)
