"""From signals and findings to advice."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from advisor.advice import Advice
from advisor.findings import load_findings
from advisor.findings.model import LEADING_SIGNALS, LeadingSignal, SignalStage, scale
from advisor.options import NO_ALIGNMENT, Schedule, joint_weight, option_space
from advisor.recommend import recommend
from advisor.recommend._moves import _Stake
from probes.errors import InputError
from probes.signals import DataFacts, Signals
from tests.factories import ask, estimate, make_signals, unresolved


def _ask(model: str, target: str, task: str, **more: object) -> Advice:
    return ask(model=model, source="en", target=target, task=task, **more)  # type: ignore[arg-type]


def _codes(advice: Advice) -> set[str]:
    return {note.code for note in advice.warnings}


def test_a_language_the_encoder_hardly_saw_is_to_be_aligned_for_tagging() -> None:
    advice = _ask("xlm-roberta-base", "yo", "pos")
    assert advice.decision == "align"
    assert advice.option is not None
    assert advice.gain is not None
    assert advice.gain.mean > 3


def test_a_small_encoder_is_to_be_aligned_for_tagging() -> None:
    assert _ask("distilbert-base-multilingual-cased", "ar", "pos").decision == "align"


def test_the_first_option_is_the_one_advised() -> None:
    for task in ("nli", "pos"):
        advice = _ask("xlm-roberta-base", "de", task)
        assert advice.option == advice.alternatives[0].option
        assert advice.aligns == (advice.option != NO_ALIGNMENT)


def test_an_open_answer_says_what_would_settle_it() -> None:
    advice = _ask("microsoft/mdeberta-v3-base", "sw", "ner")
    assert advice.confidence == "open"
    (race,) = [move for move in advice.next_moves if "advisor race" in (move.command or "")]
    assert race.value is not None
    assert race.value > 1
    assert race.minutes == 30


def test_an_unknown_encoder_is_doubted() -> None:
    advice = _ask("someone/never-heard-of-it", "tr", "nli")
    assert "unseen-model" in _codes(advice)
    assert advice.support.unseen == ("model",)
    assert advice.support.distance == 1
    assert advice.next_moves


def test_an_encoder_known_from_own_trials_alone_is_doubted() -> None:
    assert "own-trials-only" in _codes(_ask("bundled", "tr", "pos"))
    assert "own-trials-only" not in _codes(_ask("xlm-roberta-base", "tr", "pos"))


def test_an_encoder_with_the_subwords_of_two_languages_is_doubted_beyond_them() -> None:
    assert _ask("bundled-enpt", "tr", "pos").warnings[0].code == "language-not-read"
    for model, target in (("bundled-enpt", "pt"), ("bundled", "tr")):
        assert "language-not-read" not in _codes(_ask(model, target, "pos"))


def test_intervals_widen_with_what_is_unknown() -> None:
    def width(model: str, target: str, task: str) -> float:
        gain = _ask(model, target, task).gain
        assert gain is not None
        return gain.high - gain.low

    known = width("xlm-roberta-base", "tr", "pos")
    assert known < width("unheard-of", "tr", "pos")
    assert known < width("xlm-roberta-base", "tr", "topic")
    assert known < width("xlm-roberta-base", "qu", "pos")


def test_two_unknowns_are_out_of_range() -> None:
    assert not _ask("unheard-of", "th", "sentiment").support.in_range


@pytest.mark.parametrize(
    "name",
    ["xlm-roberta-base", "FacebookAI/xlm-roberta-base", "/models/XLM-RoBERTa-base/", "XLM-RoBERTa-base"],
)
def test_a_model_is_known_by_the_last_part_of_its_name(name: str) -> None:
    advice = _ask(name, "yo", "pos")
    assert advice.support.distance == 0
    assert advice.question.model == name


def test_languages_may_be_written_in_any_common_form() -> None:
    codes = {json.dumps(_ask("mbert", form, "pos").gain.model_dump()) for form in ("tr", "tur", "tur_Latn")}  # type: ignore[union-attr]
    assert len(codes) == 1


def test_every_option_is_an_alternative_and_none_gains_nothing() -> None:
    advice = _ask("xlm-roberta-base", "tr", "ner")
    shown = {alternative.option.model_copy(update={"weight": None}) for alternative in advice.alternatives}
    assert shown == set(option_space(advice.alternatives[-1].option.word_pairs or "dictionary"))  # type: ignore[arg-type]
    none = next(a for a in advice.alternatives if a.option == NO_ALIGNMENT)
    assert (none.gain.mean, none.gain.low, none.gain.high) == (0, 0, 0)
    means = [alternative.gain.mean for alternative in advice.alternatives]
    assert means[1:] == sorted(means[1:], reverse=True)  # the advised one is the first


def test_reasons_are_the_largest_and_name_sources_on_file() -> None:
    advice = _ask("xlm-roberta-base", "yo", "pos")
    sizes = [abs(reason.effect) for reason in advice.reasons]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True)
    assert all(reason.evidence for reason in advice.reasons)
    assert "nguyen2025" in {source for reason in advice.reasons for source in reason.evidence}


def test_the_nearest_evidence_is_the_case_itself_with_a_link() -> None:
    row = _ask("xlm-roberta-base", "de", "nli").support.nearest[0]
    assert (row.model, row.task, row.target) == ("xlm-roberta-base", "nli", "de")
    assert row.url is not None
    assert row.url.startswith("https://")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"target": "en"}, "both English"),
        ({"target": "klingonish"}, "klingonish"),
        ({"task": "parsing"}, "parsing"),
        ({"min_gain": -1.0}, "-1"),
        ({"min_gain": float("nan")}, "nan"),
        ({"word_pairs": "guess"}, "guess"),
    ],
)
def test_bad_input_is_named_in_one_sentence(change: dict[str, object], cause: str) -> None:
    asked = {"model": "xlm-roberta-base", "source": "en", "target": "tr", "task": "pos"} | change
    with pytest.raises(InputError, match=cause):
        ask(**asked)  # type: ignore[arg-type]


def test_a_source_other_than_english_is_doubted() -> None:
    advice = ask(model="xlm-roberta-base", source="de", target="tr", task="pos")
    assert "unseen-source-language" in _codes(advice)
    english = _ask("xlm-roberta-base", "tr", "pos")
    assert "unseen-source-language" not in _codes(english)
    assert advice.gain is not None
    assert english.gain is not None
    assert advice.gain.high - advice.gain.low > english.gain.high - english.gain.low


def test_signals_and_their_file_give_the_same_advice(tmp_path: Path) -> None:
    signals = make_signals()
    path = tmp_path / "signals.json"
    path.write_text(signals.model_dump_json())
    mine, file = recommend(signals), recommend(path)
    assert mine.model_copy(update={"provenance": None}) == file.model_copy(update={"provenance": None})
    assert mine.provenance.model_sha256 == signals.model.sha256


def _taught(
    monkeypatch: pytest.MonkeyPatch, labels: SignalStage, projected: SignalStage | None = None
) -> None:
    stages = dict.fromkeys(LEADING_SIGNALS, SignalStage())
    stages[LeadingSignal("target-labels", "cosine")] = labels
    stages[LeadingSignal("target-projected", "cosine")] = projected or SignalStage()
    findings = replace(load_findings(), signals=stages)
    monkeypatch.setattr(sys.modules["advisor.recommend._answer"], "load_findings", lambda: findings)


def test_signals_without_trials_to_learn_from_do_not_move_the_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    _taught(monkeypatch, SignalStage())
    advice = recommend(make_signals())
    assert "signals-not-validated" in _codes(advice)
    unmoved = _ask("bundled", "tr", "pos", word_pairs="mutual-argmax")
    mean = {str(a.option): a.gain.mean for a in unmoved.alternatives if a.option.schedule != Schedule.JOINT}
    for alternative in advice.alternatives:
        if alternative.option.schedule != Schedule.JOINT:
            assert alternative.gain.mean == pytest.approx(mean[str(alternative.option)])


def test_signals_that_proved_themselves_move_the_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a validated slope, an objective that pulls the task's way gains, by the slope, and is a reason."""
    learnt = SignalStage(slope=12.0, slope_sd=2.0, centre=0.0, records=60, groups=8, gain_in_score=0.2)
    _taught(monkeypatch, SignalStage())
    plain = recommend(make_signals())
    _taught(monkeypatch, learnt)
    moved = recommend(make_signals())
    assert "signals-not-validated" in _codes(plain)
    assert "signals-not-validated" not in _codes(moved)
    before = {alternative.option: alternative.gain for alternative in plain.alternatives}
    signals = make_signals()
    for alternative in moved.alternatives:
        cosine = signals.cosine(alternative.option.objective, "target-labels")
        if cosine is not None and cosine.value is not None:
            shift = alternative.gain.mean - before[alternative.option].mean
            assert shift * cosine.value > 0
    assert any(reason.feature.startswith("cosine:") for reason in moved.reasons)


@pytest.mark.slow
def test_of_several_signals_the_one_that_did_best_moves_the_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    cosine = SignalStage(slope=12.0, slope_sd=2.0, records=60, groups=8, gain_in_score=0.2)
    lookahead = replace(cosine, slope=1.0, gain_in_score=0.5)
    stages = dict.fromkeys(LEADING_SIGNALS, SignalStage()) | {
        LeadingSignal("target-labels", "cosine"): cosine,
        LeadingSignal("target-labels", "lookahead"): lookahead,
    }
    for change, better in ((0.5, "lookahead"), (0.1, "cosine")):
        stages[LeadingSignal("target-labels", "lookahead")] = replace(lookahead, gain_in_score=change)
        findings = replace(load_findings(), signals=dict(stages))
        monkeypatch.setattr(sys.modules["advisor.recommend._answer"], "load_findings", lambda f=findings: f)
        features = [reason.feature for reason in recommend(make_signals()).reasons]
        assert any(feature.startswith(better) for feature in features)


def test_projected_labels_move_the_advice_only_if_they_proved_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What trials have shown of the cosine with target labels says nothing of that with projected ones."""
    learnt = SignalStage(slope=12.0, slope_sd=2.0, centre=0.0, records=60, groups=8, gain_in_score=0.2)
    projected = make_signals(
        cosines=tuple(
            row.model_copy(update={"task_gradient": "target-projected"})
            for row in make_signals().cosines
            if row.task_gradient == "target-labels"
        )
    )
    gains = []
    for stages in ((SignalStage(), SignalStage()), (learnt, SignalStage()), (SignalStage(), learnt)):
        _taught(monkeypatch, *stages)
        advice = recommend(projected)
        gains.append([alternative.gain.mean for alternative in advice.alternatives])
        assert ("signals-not-validated" in _codes(advice)) == (not stages[1].validated)
    untaught, by_labels, by_projected = gains
    assert by_labels == untaught
    assert by_projected != untaught


def test_objectives_that_could_not_be_measured_are_not_offered() -> None:
    advice = recommend(make_signals())
    offered = {alternative.option.objective for alternative in advice.alternatives}
    assert offered.isdisjoint({"tlm", "mlm"})
    assert "no-mlm-head" in _codes(advice)


def _with_bitext(kept: int) -> Signals:
    signals = make_signals()
    data = tuple(
        DataFacts.model_validate(facts.model_dump() | {"kept": kept}) if facts.role == "bitext" else facts
        for facts in signals.data
    )
    return make_signals(data=data)


def test_little_bitext_is_doubted() -> None:
    assert "little-bitext" in _codes(recommend(_with_bitext(300)))
    assert "little-bitext" not in _codes(recommend(_with_bitext(5000)))


def test_retrieval_near_chance_is_doubted() -> None:
    signals = make_signals()
    assert "misaligned-bitext" not in _codes(recommend(signals))
    rows = tuple(
        row.model_copy(update={"value": estimate(0.002, 0.001)})
        if row.measure.startswith("retrieval")
        else row
        for row in signals.distances
    )
    doubted = recommend(make_signals(distances=rows))
    assert doubted.warnings[0].code == "misaligned-bitext", "all that rests on the bitext falls with it"


def test_unresolved_and_missing_leading_signals_are_doubted() -> None:
    signals = make_signals()
    assert not _codes(recommend(signals)) & {"signals-unresolved", "no-target-gradient"}
    lost = tuple(row.model_copy(update={"cosine": unresolved()}) for row in signals.cosines)
    assert "signals-unresolved" in _codes(recommend(make_signals(cosines=lost)))
    source = tuple(row for row in signals.cosines if row.task_gradient == "source")
    advice = recommend(make_signals(cosines=source))
    assert "no-target-gradient" in _codes(advice)
    assert advice.next_moves


def test_the_probes_own_notes_are_passed_on() -> None:
    signals = make_signals()
    assert {note.code for note in signals.notes} <= _codes(recommend(signals))


def test_the_joint_weight_keeps_alignment_at_half_the_task() -> None:
    assert joint_weight(None) == 0.1
    assert joint_weight(5.0) == pytest.approx(0.1)
    assert joint_weight(2.0) == pytest.approx(0.25)
    assert joint_weight(0.01) == 1.0
    assert joint_weight(1e6) == 0.01
    signals = make_signals()
    row = next(
        row
        for row in signals.cosines
        if (row.point, row.task_gradient, row.objective, row.block)
        == ("theta_warm", "source", "token-contrastive", "encoder")
    )
    weights = {
        alternative.option.weight
        for alternative in recommend(signals).alternatives
        if alternative.option.objective == "token-contrastive" and alternative.option.schedule == "joint"
    }
    assert weights == {joint_weight(row.magnitude_ratio.value)}


def test_advice_survives_its_file(tmp_path: Path) -> None:
    advice = _ask("xlm-roberta-base", "tr", "pos")
    path = tmp_path / "advice.json"
    path.write_text(advice.model_dump_json())
    assert Advice.load(path) == advice


@pytest.mark.slow
def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from advisor import ask; "
        "ask(model='xlm-roberta-base', source='en', target='yo', task='pos'); "
        "heavy = {'torch', 'transformers', 'sklearn', 'scipy', 'pandas', 'statsmodels'} & set(sys.modules); "
        "print(heavy); sys.exit(len(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_untrained_encoder_does_not_get_the_answer_of_its_name() -> None:
    """Frozen features at the majority and retrieval at chance: the name on the checkpoint says nothing."""
    signals = make_signals()
    named = signals.model.model_copy(update={"id": "xlm-roberta-base"})
    majority = signals.transfer.majority
    blind = signals.transfer.model_copy(
        update={"source": estimate(majority + 1, 0.5), "target": estimate(majority, 0.5)}
    )
    rows = tuple(
        row.model_copy(update={"value": estimate(0.002, 0.001)})
        if row.measure.startswith("retrieval")
        else row
        for row in signals.distances
    )
    trained = recommend(make_signals(model=named))
    untrained = recommend(make_signals(model=named, transfer=blind, distances=rows))
    assert "untrained-encoder" not in _codes(trained)
    assert untrained.warnings[0].code == "untrained-encoder"
    assert untrained.confidence == "open"
    assert untrained.gain is not None
    assert trained.gain is not None
    assert untrained.gain.high - untrained.gain.low > trained.gain.high - trained.gain.low


def test_training_longer_is_another_question() -> None:
    short, usual = (_ask("bundled", "tr", "pos", train_steps=steps) for steps in (120, None))
    assert short.train_steps == 120
    assert short.gain != usual.gain
    with pytest.raises(InputError, match="0 steps"):
        _ask("bundled", "tr", "pos", train_steps=0)


def test_ten_questions_take_two_seconds() -> None:
    _ask("xlm-roberta-base", "yo", "pos")  # reads the fitted findings
    started = time.process_time()
    for target in ("de", "sw", "yo", "zh", "fi"):
        for task in ("pos", "nli"):
            _ask("xlm-roberta-base", target, task)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(("mean", "sd", "told"), [(0.5, 2.0, 1.9), (2.0, 2.0, 1.5), (0.0, 1.0, 0.3)])
def test_how_often_a_race_settles_is_what_a_simulation_counts(mean: float, sd: float, told: float) -> None:
    afterwards = np.random.default_rng(0).normal(mean, told, 100_000)  # means, once the race has told
    least = float(scale.to_scale(np.array(1.0)))
    certain = stats.norm.cdf(np.abs(afterwards - least) / (sd**2 - told**2) ** 0.5) > 0.95
    stake = _Stake(aligns=mean > least, centre=mean, sd=sd, min_gain=1.0)
    assert stake.settled(told) == pytest.approx(certain.mean(), abs=0.01)


@pytest.mark.parametrize(("centre", "sd", "min_gain"), [(1.0, 2.0, 0.25), (-0.5, 3.0, 0.0), (6.0, 2.5, 10.0)])
def test_a_move_is_worth_what_a_simulation_of_skewed_gains_counts(
    centre: float, sd: float, min_gain: float
) -> None:
    draws = np.random.default_rng(0)
    aligns = bool(scale.to_points(np.array(centre)) > min_gain)
    told = 0.8 * sd
    after = draws.normal(centre, told, 400_000)
    gains = scale.to_points(draws.normal(after, (sd**2 - told**2) ** 0.5)) - min_gain
    changed = (scale.to_points(after) > min_gain) != aligns
    stake = _Stake(aligns=aligns, centre=centre, sd=sd, min_gain=min_gain)
    lost = np.maximum(-gains if aligns else gains, 0)
    assert stake.worth(sd) == pytest.approx(lost.mean(), rel=0.04)
    assert stake.worth(told) == pytest.approx((changed * gains).mean() * (-1 if aligns else 1), rel=0.04)
    assert 0 == stake.worth(0) <= stake.worth(told) <= stake.worth(sd)


@pytest.mark.parametrize("more", [{}, {"train_steps": 100_000}, {"min_gain": 8.0}, {"min_gain": 100.0}])
def test_a_move_is_priced_as_unlikely_as_what_it_guards_against(more: dict[str, Any]) -> None:
    """Next to no chance of a wrong decision costs next to nothing, and no more than a loss can be."""
    advice = _ask("xlm-roberta-base", "yo", "pos", **more)
    gain, least = advice.gain, advice.min_gain
    assert gain is not None
    wrong = 1 - gain.probability_worthwhile if advice.aligns else gain.probability_worthwhile
    for move in advice.next_moves:
        assert "if that is wrong" not in move.text
        assert move.value is None or 0.05 <= move.value <= wrong * (least + 10)
    assert ("worth less than 0.05 points" in advice.next_moves[-1].text) == (wrong < 0.03)


def test_a_task_that_only_others_measured_is_answered_from_their_runs() -> None:
    nli = ask(model="bundled", source="en", target="zh", task="nli")
    assert nli.support.nearest[0].model == "xlm-roberta-base"  # no own run was on it
    assert (
        {"unseen-model"}
        <= {note.code for note in nli.warnings}
        <= {"unseen-model", "option-without-evidence"}
    )
