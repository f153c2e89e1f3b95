"""Trials are found below the allowed folders alone, and read whole or refused in words."""

from pathlib import Path

import pytest

from advisor.app._files import find_trials, open_trial
from advisor.app._pictures import expected_gain
from advisor.service import Limits
from probes.errors import InputError
from tests.browser.trials import write_trial
from tests.factories import make_advice


@pytest.fixture
def limits(tmp_path: Path) -> Limits:
    return Limits(roots=(tmp_path.resolve(),))


def test_a_trial_is_found_and_opened(tmp_path: Path, limits: Limits) -> None:
    result = write_trial(tmp_path / "mine")
    (tmp_path / "other").mkdir()
    assert find_trials(limits) == [tmp_path / "mine"]
    assert open_trial("mine", limits) == result


def test_no_trial_is_opened_outside_the_roots(tmp_path: Path) -> None:
    write_trial(tmp_path / "theirs")
    (tmp_path / "mine").mkdir()
    limits = Limits(roots=((tmp_path / "mine").resolve(),))
    for folder in (str(tmp_path / "theirs"), "../theirs"):
        with pytest.raises(InputError, match="no folder"):
            open_trial(folder, limits)
    (tmp_path / "mine" / "trial.json").symlink_to(tmp_path / "theirs" / "trial.json")
    with pytest.raises(InputError, match="no trial"):
        open_trial(".", limits)


def test_files_of_more_than_may_be_are_not_read(tmp_path: Path) -> None:
    write_trial(tmp_path / "mine")
    with pytest.raises(InputError, match="larger than"):
        open_trial("mine", Limits(roots=(tmp_path.resolve(),), upload_mb=0.001))


def test_an_expectation_is_found_whatever_the_weight() -> None:
    advice = make_advice()
    row = next(row for row in advice.alternatives if row.option.schedule == "joint")
    heavier = row.option.model_copy(update={"weight": 0.77})
    assert expected_gain(advice, heavier) == row.gain
    advice = advice.model_copy(update={"alternatives": ()})
    assert expected_gain(advice, heavier) is None
