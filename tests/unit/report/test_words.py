import math

import pytest

from advisor.advice import Alternative
from advisor.options import NO_ALIGNMENT, Option, Schedule, WordPairs
from advisor.report import words
from probes.signals import Estimate
from tests.factories import make_advice, make_gain, make_open


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.64, "+1.6"), (-0.21, "−0.2"), (0.0, "0.0"), (-0.04, "0.0"), (0.04, "0.0")],
)
def test_points_carry_their_sign_and_zero_carries_none(value: float, shown: str) -> None:
    assert words.signed(value) == shown


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [(0.0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.994, "99%"), (0.9999, ">99%"), (1.0, "100%")],
)
def test_a_probability_is_never_rounded_to_certainty(fraction: float, shown: str) -> None:
    assert words.percent(fraction) == shown


@pytest.mark.parametrize(
    ("low", "value", "high", "shown"),
    [
        (-0.128, -0.102, -0.077, "−0.10 [−0.13, −0.08]"),
        (-0.019, -0.0035, 0.012, "0.00 [−0.02, 0.01]"),
        (0.158, 0.1613, 0.164, "0.161 [0.158, 0.164]"),
        (59.0, 61.4, 64.0, "61 [59, 64]"),
        (1000.0, 1500.0, 2100.0, "1,500 [1,000, 2,100]"),
        (0.3, 0.3, 0.3, "0.3 [0.3, 0.3]"),
    ],
)
def test_decimals_follow_the_width_of_the_interval(low: float, value: float, high: float, shown: str) -> None:
    assert words.estimated(Estimate(value=value, low=low, high=high)) == shown


def test_an_estimate_without_a_value_is_not_shown_as_a_number() -> None:
    assert words.estimated(Estimate(value=None, low=-1, high=1, note="noise")) == "unresolved"
    assert words.estimated(None) == "–"


def test_verdict_needs_the_whole_interval_on_one_side() -> None:
    assert words.verdict(Estimate(value=0.1, low=0.05, high=0.15)) == "agree"
    assert words.verdict(Estimate(value=-0.1, low=-0.15, high=-0.05)) == "conflict"
    assert words.verdict(Estimate(value=0.1, low=-0.05, high=0.25)) == "no clear sign"
    assert words.verdict(Estimate(value=None)) == "unresolved"


def test_clean_disarms_what_steers_a_terminal_and_keeps_every_script() -> None:
    assert words.clean("a\x1b[31mb\x07\u202ec") == "a\ufffd[31mb\ufffd\ufffdc"
    assert words.clean("two\nlines\tand\rmore") == "two lines and more"
    for text in ("Türkçe", "العربية", "हिन्दी", "zero\u200dwidth"):
        assert words.clean(text) == text


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.42, "0.4 s"), (75, "75 s"), (274, "4 min 34 s"), (8000, "2 h 13 min")]
)
def test_durations_use_the_unit_a_person_would(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


@pytest.mark.parametrize("value", [1234567.0, -0.00001234, 3.14159, 0.0, -2.0])
def test_number_keeps_the_value_to_its_digits(value: float) -> None:
    shown = float(words.number(value).replace("−", "-").replace(",", ""))
    assert math.isclose(shown, value, rel_tol=5e-3)


def test_labels_are_short_unless_two_options_would_look_alike() -> None:
    plain = Option(objective="token-l2", schedule=Schedule.JOINT, word_pairs=WordPairs.MUTUAL_ARGMAX)
    other = plain.model_copy(update={"word_pairs": WordPairs.DICTIONARY})
    assert words.option_labels([NO_ALIGNMENT, plain]) == [("none", ""), ("token-l2", "joint")]
    assert words.option_labels([plain, other]) == [
        ("token-l2", "joint, mutual-argmax word pairs"),
        ("token-l2", "joint, dictionary word pairs"),
    ]


def test_the_advised_option_is_known_whatever_its_weight() -> None:
    option = Option(objective="tlm", schedule=Schedule.JOINT)
    advice = make_advice(option=option.model_copy(update={"weight": 0.1}))
    assert words.is_advised(advice, option)
    assert not words.is_advised(advice, Option(objective="mlm", schedule=Schedule.JOINT))
    assert not words.is_advised(make_open(), option)


def test_the_best_alternative_is_an_aligning_one_even_when_none_ranks_first() -> None:
    losing = Alternative(
        option=Option(objective="tlm", schedule=Schedule.JOINT),
        gain=make_gain(-1.0),
        basis="extrapolated",
        direct=0,
    )
    none = next(row for row in make_advice().alternatives if row.option == NO_ALIGNMENT)
    assert make_advice(alternatives=(none, losing)).spoken_of == losing
    assert make_advice(alternatives=(none,)).spoken_of is None
