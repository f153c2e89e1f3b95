"""From records to gains, intervals and a verdict."""

from io import StringIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import ttest_rel

from advisor.options import NO_ALIGNMENT
from advisor.study import Record, TrialResult, summarise
from advisor.study.trial.result import gain_words, half_width, paired_gain, seeds_needed
from tests.unit.study.made_up import JOINT, SEQUENTIAL, against, make_record, make_records

GAINED = against([54.2, 53.8, 54.9], [58.1, 57.2, 58.9])
NOISY = against([54.2, 53.8, 54.9], [58.1, 51.2, 56.9])
STILL = against([54.2, 53.8, 54.9], [54.3, 53.7, 54.95])
LOST = against([54.2, 53.8, 54.9], [50.1, 49.9, 50.7])
ALONE = against([54.2], [58.1])

points = st.floats(0, 100, allow_nan=False)


@given(st.lists(st.tuples(points, points), min_size=2, max_size=12))
def test_the_interval_is_that_of_a_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    unaligned, aligned = np.array(pairs).T
    differences = aligned - unaligned
    gain = paired_gain(differences.tolist())

    assert gain.value == pytest.approx(differences.mean())
    if np.std(differences) < 1e-6:
        return
    expected = ttest_rel(aligned, unaligned).confidence_interval(0.95)
    assert gain.low == pytest.approx(expected.low, abs=1e-6)
    assert gain.high == pytest.approx(expected.high, abs=1e-6)


def test_fewer_than_two_pairs_leave_the_gain_unresolved() -> None:
    for differences in ([], [3.9]):
        gain = paired_gain(differences)
        assert not gain.resolved
        assert gain.note
    assert "+3.9" in str(paired_gain([3.9]).note)


def test_equal_differences_give_no_interval_of_width_zero() -> None:
    gain = paired_gain([0.5, 0.5, 0.5])
    assert gain.value == pytest.approx(0.5)
    assert (gain.low, gain.high, gain.sign) == (None, None, 0)
    assert gain.note


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=8), st.sampled_from([0.5, 1.0, 3.0]))
def test_the_number_of_seeds_is_the_smallest_that_does(differences: list[float], wanted: float) -> None:
    needed = seeds_needed(differences, wanted)
    sd = float(np.std(differences, ddof=1))
    assert needed is not None
    assert half_width(sd, needed) <= wanted
    assert needed == 2 or half_width(sd, needed - 1) > wanted


def test_gains_are_paired_by_seed_and_not_by_place() -> None:
    records = [
        make_record(NO_ALIGNMENT, 0, 50.0, 91.0),
        make_record(NO_ALIGNMENT, 1, 60.0, 92.0),
        make_record(NO_ALIGNMENT, 2),
        make_record(JOINT, 2, 99.0, 10.0),
        make_record(JOINT, 1, 64.0, 91.5),
        make_record(JOINT, 0, 51.0, 90.5),
    ]
    none, joint = summarise(records).options

    assert (none.seeds, none.unfinished, joint.seeds, joint.pairs) == (2, 1, 3, 2)
    assert joint.target_gain.value == pytest.approx((1.0 + 4.0) / 2)
    assert joint.source_gain.value == pytest.approx(-0.5)
    assert joint.target == pytest.approx((51 + 64 + 99) / 3)


def test_the_baseline_gains_exactly_nothing() -> None:
    for records in (GAINED, ALONE):
        none = summarise(records).options[0]
        assert none.option == NO_ALIGNMENT
        for gain in (none.target_gain, none.source_gain):
            assert (gain.value, gain.low, gain.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (GAINED, ["token-contrastive, joint", "gained beyond the noise of 3 seeds on wo pos"]),
        (NOISY, ["No option gained", "more seeds are needed", "instead of 3", "to within 1 point"]),
        (STILL, ["No option gained beyond its noise", "token-contrastive, joint"]),
        (LOST, ["No option gained beyond its noise", "−4.1"]),
        (ALONE, ["Cannot tell", "at least 2 seeds"]),
    ],
    ids=["gained", "noisy", "still", "lost", "alone"],
)
def test_the_verdict_is_one_sentence(records: list[Record], words: list[str]) -> None:
    sentence = summarise(records).verdict
    assert sentence.endswith(".")
    assert ". " not in sentence
    for word in words:
        assert word in sentence, sentence


def test_the_verdict_asks_for_as_many_seeds_as_the_spread_calls_for() -> None:
    result = summarise(NOISY)
    joint = result.options[1]
    assert joint.seeds_needed is not None
    assert joint.seeds_needed > 3
    assert f"about {joint.seeds_needed} instead of 3" in result.verdict


def test_the_verdict_names_the_largest_of_several_gains() -> None:
    none = [54.2, 53.8, 54.9]
    result = summarise(
        make_records(
            {NO_ALIGNMENT: none, JOINT: [s + d for s, d in zip(none, [1.0, 1.1, 1.2], strict=True)]}
            | {SEQUENTIAL: [s + d for s, d in zip(none, [3.0, 3.1, 3.2], strict=True)]}
        )
    )
    assert result.verdict.startswith("sentence-contrastive")
    assert "1 other option" in result.verdict


def test_a_result_survives_json() -> None:
    result = summarise(GAINED)
    assert TrialResult.model_validate_json(result.model_dump_json()) == result


def test_a_terminal_of_80_columns_shows_every_word_and_number() -> None:
    none, lost, noisy = [54.2, 53.8], [40.1, 43.5], [55.0, 57.0]
    result = summarise(make_records({NO_ALIGNMENT: none, JOINT: lost, SEQUENTIAL: noisy}))
    stream = StringIO()
    Console(file=stream, width=80).print(result)
    table = stream.getvalue().split("!")[0].split()
    for row in result.options[1:]:
        words = (
            f"{row.option.objective}, {row.option.schedule} {row.target:.1f} {gain_words(row.target_gain)}"
        )
        assert set(words.replace("−", "-").split()) <= set(table)
    assert table.count("60") == len(result.options)


def test_every_form_shows_verdict_options_gains_and_what_failed() -> None:
    evil = "died [bold]<script>alert(1)</script> | \x1b[2J"
    result = summarise([*GAINED, make_record(SEQUENTIAL, 0, error=evil)])
    stream = StringIO()
    Console(file=stream, width=200).print(result)
    terminal, markdown, html = stream.getvalue(), result.markdown(), result._repr_html_()

    gain = result.options[1].target_gain
    assert gain.value is not None
    for form in (terminal, markdown, html):
        assert result.verdict.split(":")[0] in form
        for row in result.options:
            assert str(row.option.objective) in form
        assert f"{gain.value:+.1f} [" in form
        assert "0 of 1" in form
        assert "failed" in form
        assert "\x1b" not in form
    assert "[bold]" in terminal
    assert "<script>" not in html
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
