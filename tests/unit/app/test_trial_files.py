"""Trials are read whole or refused in words, and curves are averaged as said."""

import json
from pathlib import Path

import pytest

from advisor.app._trial_files import expected_gain, find_trials, learning_curves, open_trial, read_trial
from advisor.options import NO_ALIGNMENT
from advisor.service import Limits
from probes.errors import InputError
from tests.browser.trials import SCORES, STEPS, make_trial, write_trial
from tests.factories import make_advice
from tests.unit.study.made_up import JOINT, SEQUENTIAL, make_record


@pytest.fixture
def limits(tmp_path: Path) -> Limits:
    return Limits(roots=(tmp_path.resolve(),))


def test_a_trial_is_found_and_opened_with_its_records(tmp_path: Path, limits: Limits) -> None:
    result = write_trial(tmp_path / "mine")
    (tmp_path / "other").mkdir()
    assert find_trials(limits) == [tmp_path / "mine"]
    trial = open_trial("mine", limits)
    assert trial.result == result
    assert len(trial.records) == len(result.runs)
    assert trial.records[0].configuration.option == NO_ALIGNMENT


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


def test_a_result_cannot_lead_out_of_its_folder(tmp_path: Path, limits: Limits) -> None:
    write_trial(tmp_path / "mine")
    (tmp_path / "secret.json").write_text("{}")
    path = tmp_path / "mine" / "trial.json"
    fields = json.loads(path.read_text())
    fields["runs"][0]["record"] = "../../secret.json"
    path.write_text(json.dumps(fields))
    assert len(open_trial("mine", limits).records) == len(fields["runs"]) - 1


def test_files_of_more_than_may_be_are_not_read(tmp_path: Path) -> None:
    write_trial(tmp_path / "mine")
    with pytest.raises(InputError, match="larger than"):
        open_trial("mine", Limits(roots=(tmp_path.resolve(),), upload_mb=0.001))


def test_files_are_told_apart_by_what_is_in_them() -> None:
    result, records = make_trial()
    stranger = make_record(JOINT, seed=77, target=1.0)
    trial = read_trial(
        [
            *(
                (f"{i}.json", record.model_dump_json().encode())
                for i, record in enumerate([stranger, *records])
            ),
            ("a.json", make_advice().model_dump_json().encode()),
            ("b.json", result.model_dump_json().encode()),
        ]
    )
    assert trial.result == result
    assert list(trial.records) == records
    assert trial.strangers == 1
    assert trial.advice == make_advice()


@pytest.mark.parametrize(
    "content", [b"{}", b"[1]", b"\xff", b'{"verdict": 3}', b"[" * 100_000, b'{"decision": 1}']
)
def test_other_files_are_refused(content: bytes) -> None:
    result, _ = make_trial()
    with pytest.raises(InputError, match="odd"):
        read_trial([("trial.json", result.model_dump_json().encode()), ("odd.json", content)])


def test_a_trial_needs_its_result_once() -> None:
    result, records = make_trial()
    one = ("trial.json", result.model_dump_json().encode())
    for files in ([], [("r.json", records[0].model_dump_json().encode())], [one, one]):
        with pytest.raises(InputError, match="make no trial"):
            read_trial(files)


def test_curves_are_means_over_seeds_and_stretches() -> None:
    _, records = make_trial()
    rows = list(learning_curves(records))
    drawn = {(row.option, row.loss, row.phase) for row in rows}
    assert drawn == {
        *((option, "task", "fine-tune") for option in SCORES),
        (JOINT, "alignment", "fine-tune"),
        (SEQUENTIAL, "alignment", "align"),
    }
    curve = [row for row in rows if (row.option, row.loss) == (JOINT, "alignment")]
    assert len(curve) == 40
    assert curve[0].step == 1  # of steps 0, 1 and 2
    assert curve[0].value == pytest.approx(sum(4 / (1 + step / 30) for step in range(3)) / 3)
    assert curve[-1].step == STEPS - 2


def test_an_expectation_is_found_whatever_the_weight() -> None:
    advice = make_advice()
    row = next(row for row in advice.alternatives if row.option.schedule == "joint")
    heavier = row.option.model_copy(update={"weight": 0.77})
    assert expected_gain(advice, heavier) == row.gain
    advice = advice.model_copy(update={"alternatives": ()})
    assert expected_gain(advice, heavier) is None
