"""An own trial refines the answer about the very question that it tried."""

import hashlib
from pathlib import Path

import pytest

import advisor
from advisor.advice import Advice
from advisor.options import NO_ALIGNMENT, Option
from advisor.recommend import recommend
from advisor.study import TrialResult, summarise
from probes.errors import InputError
from tests.factories import ask, make_signals
from tests.unit.study.made_up import JOINT, SEQUENTIAL, make_record, make_records

NONE = [54.0, 54.5, 53.5]


def _trial(gain: float, option: Option = JOINT, seeds: int = 3) -> TrialResult:
    noise = [0.3, -0.3, 0.0]
    none = NONE[:seeds]
    aligned = [n + gain + e for n, e in zip(none, noise, strict=False)]
    return _on_german(summarise(make_records({NO_ALIGNMENT: none, option: aligned})))


def _on_german(trial: TrialResult) -> TrialResult:
    """The trial as if of German, where evidence says little of an encoder that no one has aligned."""
    return trial.model_copy(update={"target": "de"})


def _ask(trial: TrialResult | Path | None = None, **changes: str) -> Advice:
    question = {"model": "user/encoder", "source": "en", "target": "de", "task": "pos"} | changes
    return ask(**question, word_pairs="mutual-argmax", trial=trial)  # type: ignore[arg-type]


def _gain(advice: Advice, option: Option = JOINT) -> tuple[float, float]:
    """Mean and width of the interval of what was done, whatever its weight."""
    (row,) = (
        row
        for row in advice.alternatives
        if (row.option.objective, row.option.schedule, row.option.frozen_layers)
        == (option.objective, option.schedule, option.frozen_layers)
    )
    return row.gain.mean, row.gain.high - row.gain.low


def test_a_tried_option_is_expected_to_do_what_it_did() -> None:
    before, width = _gain(_ask())
    for gain in (8.0, -6.0):
        after, narrower = _gain(_ask(_trial(gain)))
        assert abs(after - gain) < abs(before - gain) / 3
        assert narrower < width


def test_other_options_follow_and_less() -> None:
    before, after = _ask(), _ask(_trial(-6.0))
    tried = _gain(before)[0] - _gain(after)[0]
    other = _gain(before, SEQUENTIAL)[0] - _gain(after, SEQUENTIAL)[0]
    assert 0 < other < tried


def test_a_trial_settles_what_evidence_cannot_tell() -> None:
    tried = Option.parse("token-contrastive:sequential")
    advice = _ask(_trial(6.0, tried))
    assert advice.decision == "align"
    assert advice.support.in_range
    assert "own-trial" in {reason.feature for reason in advice.reasons}
    assert next(row.basis for row in advice.alternatives if row.option == tried) == "measured-here"


def test_word_pairs_are_those_of_the_trial() -> None:
    trial = _trial(6.0, Option.parse("token-contrastive:sequential"))
    question = {"model": trial.model, "source": "en", "target": trial.target, "task": "pos"}
    for given, used in ((trial, "mutual-argmax"), (None, "dictionary")):
        pairs = {row.option.word_pairs for row in ask(**question, trial=given).alternatives}
        assert pairs - {None} == {used}


def test_more_seeds_count_for_more() -> None:
    one, three = (_gain(_ask(_trial(-6.0, seeds=seeds)))[0] for seeds in (1, 3))
    assert three < one < _gain(_ask())[0]


def test_what_would_tell_is_more_of_the_trial() -> None:
    advice = _ask(_trial(0.2, seeds=1))
    assert advice.confidence != "likely"
    assert any("--seeds 3" in (move.command or "") for move in advice.next_moves)


def test_unfinished_runs_change_nothing() -> None:
    """With no run of the option done there is no gain to learn from."""
    trial = _on_german(summarise([make_record(NO_ALIGNMENT, 0, 54.0), make_record(JOINT, 0)]))
    plain, advice = _ask(), _ask(trial)
    assert advice.alternatives == plain.alternatives


def test_a_trial_joins_measured_signals() -> None:
    signals = make_signals()
    records = [
        record.model_copy(
            update={
                "model": signals.model.id,
                "configuration": record.configuration.model_copy(
                    update={"scored": {signals.target: "2" * 64}, "task": signals.task.name}
                ),
            }
        )
        for record in make_records({NO_ALIGNMENT: NONE, JOINT: [n + 7.0 for n in NONE]})
    ]
    plain, refined = recommend(signals), recommend(signals, trial=summarise(records))
    assert abs(_gain(refined)[0] - 7.0) < 0.6 * abs(_gain(plain)[0] - 7.0)


@pytest.mark.parametrize(
    ("changes", "word"), [({"target": "tr"}, "de"), ({"task": "ner"}, "pos"), ({"model": "other"}, "encoder")]
)
def test_a_trial_of_another_question_is_refused(changes: dict[str, str], word: str) -> None:
    with pytest.raises(InputError, match=f"trial was of .*{word}.*name the trial of the same"):
        _ask(_trial(1.0), **changes)


def test_it_is_read_from_its_folder_or_file(tmp_path: Path) -> None:
    trial = _trial(6.0)
    file = tmp_path / "trial.json"
    file.write_text(trial.text())
    assert _ask(tmp_path).alternatives == _ask(file).alternatives
    assert _ask(trial).provenance.data_sha256 == {"trial": hashlib.sha256(file.read_bytes()).hexdigest()}
    assert TrialResult.load(tmp_path) == trial


@pytest.mark.parametrize("content", [None, "{", "{}", '{"schema_version": 9}'])
def test_what_is_no_trial_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "trial.json").write_text(content)
    with pytest.raises(InputError, match=r"trial\.json.* (trial again|trial wrote)"):
        _ask(tmp_path)


def test_gains_are_paired_by_seed() -> None:
    trial = _trial(2.0)
    assert trial.gains(JOINT) == pytest.approx([2.3, 1.7, 2.0])
    assert trial.gains(SEQUENTIAL) == []


def test_from_python_too_one_seed_is_said_not_to_decide(tmp_path: Path) -> None:
    files = {"train": "no.conllu", "bitext": "no.tsv", "target_labels": "no.conllu"}
    with pytest.warns(UserWarning, match="One seed cannot decide"), pytest.raises(InputError):
        advisor.trial("bundled", source="en", target="tr", task="pos", **files, seeds=1, out=tmp_path)
