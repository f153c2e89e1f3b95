"""Trials on a tiny random encoder: pairing, resuming, failures, and what is refused."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import advisor.training as engine
from advisor.options import NO_ALIGNMENT, Option, WordPairs
from advisor.sample import sample_path
from advisor.study import Record, TrialResult, Watcher, run_trial
from advisor.training import Outcome, Recipe
from probes.batches import LabelledBatch, LabelledText
from probes.encoder import Encoder
from probes.errors import InputError, RunError
from probes.progress import Progress
from probes.request import ProbeRequest
from probes.tasks.token import TokenLevel
from tests.conftest import Checkpoint

pytestmark = pytest.mark.slow

PAIRS = 16
TEXTS = 16
SENTENCES = "sentence-contrastive:joint:0.1"

Trial = Callable[..., TrialResult]
Call = tuple[Option, int]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def request_(checkpoint: Checkpoint, tmp_path: Path) -> ProbeRequest:
    """A tiny BERT and a small part of the sample."""
    pairs = sample_path("bitext.en-tr.tsv").read_text(encoding="utf-8").splitlines()[:PAIRS]
    (tmp_path / "en-tr.tsv").write_text("\n".join(pairs), encoding="utf-8")
    for language in ("en", "tr"):
        sentences = sample_path(f"{language}.conllu").read_text(encoding="utf-8").split("\n\n")[:TEXTS]
        (tmp_path / f"{language}.conllu").write_text("\n\n".join(sentences) + "\n\n", encoding="utf-8")
    return ProbeRequest(
        model=str(checkpoint("bert")),
        source="en",
        target="tr",
        task="pos",
        train=str(tmp_path / "en.conllu"),
        bitext=str(tmp_path / "en-tr.tsv"),
        target_labels=str(tmp_path / "tr.conllu"),
    )


@pytest.fixture
def trial(request_: ProbeRequest, tmp_path: Path) -> Trial:
    """A trial of two steps a phase, into ``out``."""

    def run(request: ProbeRequest = request_, options: Any = (SENTENCES,), **settings: Any) -> TrialResult:
        usual: dict[str, Any] = {"seeds": 2, "steps": 2, "out": tmp_path / "out"}
        return run_trial(request, options, **(usual | settings))

    return run


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Option and seed of every run of the engine, which works as ever."""
    made: list[Call] = []
    train = engine.train

    def counted(recipe: Recipe, progress: Progress | None = None, **rest: Any) -> Outcome:
        made.append((recipe.option, recipe.seed))
        return train(recipe, progress, **rest)

    monkeypatch.setattr(engine, "train", counted)
    return made


def breaking(monkeypatch: pytest.MonkeyPatch, error: BaseException, when: Callable[[Recipe], bool]) -> None:
    """Let the engine raise ``error`` in some runs."""
    train = engine.train

    def broken(recipe: Recipe, progress: Progress | None = None, **rest: Any) -> Outcome:
        if when(recipe):
            raise error
        return train(recipe, progress, **rest)

    monkeypatch.setattr(engine, "train", broken)


def read_records(out: Path) -> dict[Call, Record]:
    """Everything below ``records``; a file that is no record fails the test."""
    found = [Record.model_validate_json(path.read_bytes()) for path in (out / "records").iterdir()]
    return {(record.configuration.option, record.configuration.seed): record for record in found}


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "records").iterdir()}


ALIGNED = Option.parse(SENTENCES)
PLAN = [(NO_ALIGNMENT, 0), (ALIGNED, 0), (NO_ALIGNMENT, 1), (ALIGNED, 1)]


def test_every_option_runs_with_every_seed(trial: Trial, calls: list[Call], tmp_path: Path) -> None:
    result = trial()

    assert calls == PLAN
    records = read_records(tmp_path / "out")
    assert set(records) == set(PLAN)
    for record in records.values():
        assert record.status == "done"
        assert [point.step for point in record.curve] == [0, 1]
        aligned = record.configuration.option == ALIGNED
        assert all((point.alignment is not None) == aligned for point in record.curve)
        assert all(point.task is not None for point in record.curve)
        assert set(record.files) == {"train", "target-labels"} | ({"bitext"} if aligned else set())
        assert set(record.files) == set(record.configuration.data_sha256) | {"target-labels"}
        assert set(record.configuration.scored) == {"tr"}
        assert record.configuration.target == ("tr" if aligned else None)
        assert record.texts["tr"] == TEXTS
        assert record.versions["torch"] == torch.__version__
    none, joint = result.options
    assert (none.target_gain.value, none.source_gain.value) == (0.0, 0.0)
    differences = []
    for seed in (0, 1):
        scores = [records[option, seed].scores for option in (ALIGNED, NO_ALIGNMENT)]
        aligned_score, unaligned_score = (score.targets["tr"].value for score in scores if score)
        differences.append((aligned_score or 0.0) - (unaligned_score or 0.0))
    assert joint.target_gain.value == pytest.approx(sum(differences) / 2)
    written = (tmp_path / "out/trial.json").read_text(encoding="utf-8")
    assert TrialResult.model_validate_json(written) == result


def test_runs_of_one_seed_share_head_and_task_batches(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[list[tuple[int, ...]]]] = []
    heads: list[torch.Tensor] = []
    train, begin = engine.train, engine.FineTuning.__init__

    def watched_train(recipe: Recipe, progress: Progress | None = None, **rest: Any) -> Outcome:
        batches.append([])
        return train(recipe, progress, **rest)

    collate = TokenLevel.collate

    def watched_collate(level: TokenLevel, items: Sequence[LabelledText], encoder: Encoder) -> LabelledBatch:
        if torch.is_grad_enabled():  # scoring collates, too
            batches[-1].append([item.text.ids for item in items])
        return collate(level, items, encoder)

    def watched_begin(self: engine.FineTuning, *rest: Any, **named: Any) -> None:
        begin(self, *rest, **named)
        heads.append(self.head.weight.detach().clone())

    monkeypatch.setattr(engine, "train", watched_train)
    monkeypatch.setattr(TokenLevel, "collate", watched_collate)
    monkeypatch.setattr(engine.FineTuning, "__init__", watched_begin)
    trial()

    none_0, joint_0, none_1, joint_1 = batches
    assert none_0
    assert none_0 == joint_0
    assert none_1 == joint_1
    assert none_0 != none_1
    assert torch.equal(heads[0], heads[1])
    assert torch.equal(heads[2], heads[3])
    assert not torch.equal(heads[0], heads[2])


def test_the_same_seed_gives_the_same_scores_and_curves(trial: Trial, tmp_path: Path) -> None:
    first, second = trial(seeds=1, out=tmp_path / "a"), trial(seeds=1, out=tmp_path / "b")
    assert [run.target for run in first.runs] == [run.target for run in second.runs]
    for call, record in read_records(tmp_path / "a").items():
        again = read_records(tmp_path / "b")[call]
        assert (record.scores, record.curve) == (again.scores, again.curve)
        assert record.configuration.key == again.configuration.key


def test_only_what_is_missing_is_run_again(trial: Trial, calls: list[Call], tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = trial()
    before = contents(out)
    lost = first.runs[2]
    (out / "records" / lost.record).unlink()
    calls.clear()

    second = trial()

    assert calls == [(lost.option, lost.seed)]
    after = contents(out)
    assert {name: after[name] for name in before if name != lost.record} == {
        name: before[name] for name in before if name != lost.record
    }
    assert [run.target for run in second.runs] == [run.target for run in first.runs]
    calls.clear()
    trial()
    assert not calls
    assert contents(out) == after


def test_more_seeds_steps_or_data_run_only_what_they_bear_on(
    trial: Trial, calls: list[Call], request_: ProbeRequest
) -> None:
    trial(seeds=1)
    calls.clear()
    trial(seeds=2)
    assert calls == PLAN[2:]
    calls.clear()
    pairs = Path(request_.bitext).read_text(encoding="utf-8").splitlines()
    Path(request_.bitext).write_text("\n".join(pairs[:-2]), encoding="utf-8")
    trial(seeds=2)
    assert calls == [(ALIGNED, 0), (ALIGNED, 1)]
    calls.clear()
    trial(seeds=1, steps=1)
    assert calls == PLAN[:2]


def test_a_kill_loses_at_most_the_run_in_flight(
    trial: Trial, calls: list[Call], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        breaking(patch, KeyboardInterrupt(), lambda recipe: recipe.option == ALIGNED)
        with pytest.raises(KeyboardInterrupt):
            trial()
    assert set(read_records(tmp_path / "out")) == {PLAN[0]}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["records"]
    calls.clear()

    trial()

    assert calls == PLAN[1:]


def test_a_run_that_diverges_is_recorded_and_the_others_go_on(
    trial: Trial, calls: list[Call], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    forward = engine.Losses.forward

    def exploding(self: engine.Losses, *batches: Any) -> dict[str, torch.Tensor]:
        losses = forward(self, *batches)
        return {name: loss * (float("inf") if name == "alignment" else 1) for name, loss in losses.items()}

    monkeypatch.setattr(engine.Losses, "forward", exploding)
    result = trial()

    records = read_records(tmp_path / "out")
    assert {call: record.status for call, record in records.items()} == {
        call: "diverged" if call[0] == ALIGNED else "done" for call in PLAN
    }
    assert "alignment loss is not finite at step 0" in str(records[ALIGNED, 0].error)
    joint = result.options[1]
    assert (joint.seeds, joint.unfinished, joint.target) == (0, 2, None)
    assert not joint.target_gain.resolved
    assert result.verdict.startswith("Cannot tell")
    calls.clear()
    trial()
    assert not calls


def test_a_run_that_fails_is_recorded_and_tried_again_by_the_next_call(
    trial: Trial, calls: list[Call], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        breaking(patch, RuntimeError("CUDA out\nof memory"), lambda recipe: recipe.seed == 0)
        result = trial()
    failed = read_records(tmp_path / "out")[ALIGNED, 0]
    assert (failed.status, failed.error) == ("failed", "RuntimeError: CUDA out of memory")
    assert [run.status for run in result.runs] == ["failed", "failed", "done", "done"]
    assert result.options[1].pairs == 1
    calls.clear()

    assert trial().options[1].pairs == 2
    assert calls == PLAN[:2]


def test_a_trial_without_a_single_finished_run_says_so(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    breaking(monkeypatch, RuntimeError("out of memory"), lambda recipe: True)
    with pytest.raises(RunError, match=r"None of the 4 runs .* out of memory"):
        trial()
    assert len(contents(tmp_path / "out")) == 4


class Terminated(Exception):  # noqa: N818 - a signal, not an error
    pass


@pytest.mark.parametrize("stop", [Terminated(), InputError("The bitext has too few pairs.")], ids=repr)
def test_signals_and_bad_input_end_the_trial_and_are_not_recorded(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stop: Exception
) -> None:
    breaking(monkeypatch, stop, lambda recipe: recipe.option == ALIGNED)
    with pytest.raises(type(stop)):
        trial()
    assert set(read_records(tmp_path / "out")) == {PLAN[0]}


def test_the_watcher_learns_of_runs_and_of_the_time_left(trial: Trial) -> None:
    heard: list[Any] = []

    class Listener(Watcher):
        def planned(self, total: int, kept: int) -> None:
            heard.append((total, kept))

        def ended(self, record: Record, seconds_left: float) -> None:
            heard.append(seconds_left)

    trial(seeds=1, watcher=Listener())
    trial(seeds=2, watcher=Listener())
    assert heard[0] == (2, 0)
    assert heard[1] > heard[2] == 0
    assert heard[3] == (4, 2)
    assert min(heard[4:7]) > heard[7] == 0  # those that were done before are told of as well


def test_options_are_run_once_and_get_the_usual_weight(trial: Trial, calls: list[Call]) -> None:
    trial(options=["sentence-contrastive:joint", SENTENCES, "none", ALIGNED], seeds=1)
    assert calls == PLAN[:2]


def test_a_named_device_is_used_and_leaves_no_trace(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, request_: ProbeRequest
) -> None:
    seen: list[str] = []
    train = engine.train

    def watched(recipe: Recipe, progress: Progress | None = None, **rest: Any) -> Outcome:
        outcome = train(recipe, progress, **rest)
        seen.append(f"{os.environ['ACCELERATE_TORCH_DEVICE']} {outcome.encoder.device}")
        return outcome

    monkeypatch.setattr(engine, "train", watched)
    result = trial(request_.model_copy(update={"device": "cpu"}), seeds=1)
    assert seen == ["cpu cpu", "cpu cpu"]
    assert [run.status for run in result.runs] == ["done", "done"]
    assert "ACCELERATE_TORCH_DEVICE" not in os.environ


@pytest.mark.parametrize(
    ("changed", "settings", "words"),
    [
        ({"target_labels": None}, {}, ["--target-labels"]),
        ({"target": "en"}, {}, ["English"]),
        ({"train": "gone.conllu"}, {}, ["gone.conllu"]),
        ({"model": "no/such-model"}, {}, ["no/such-model"]),
        ({"device": "abacus"}, {}, ["abacus", "--device"]),
        ({}, {"options": ["sentence-contrastive"]}, ["sentence-contrastive", "is not an option"]),
        ({}, {"options": ["none"]}, ["nothing to compare"]),
        ({}, {"options": [Option.parse("token-l2:joint:1", WordPairs.DICTIONARY)]}, ["--dictionary"]),
        ({}, {"options": [Option.parse("token-l2:joint:1", WordPairs.FILE)]}, ["--word-links"]),
        ({}, {"seeds": 0}, ["--seeds"]),
        ({}, {"steps": 0}, ["--steps"]),
    ],
    ids=lambda value: json.dumps(value, default=str) if isinstance(value, dict) else None,
)
def test_bad_input_is_refused_before_anything_runs(
    trial: Trial,
    calls: list[Call],
    request_: ProbeRequest,
    tmp_path: Path,
    changed: dict[str, Any],
    settings: dict[str, Any],
    words: list[str],
) -> None:
    with pytest.raises(InputError) as refusal:
        trial(request_.model_copy(update=changed), **settings)
    for word in words:
        assert word in str(refusal.value)
    assert not calls
    assert not (tmp_path / "out").exists()


def test_an_objective_that_the_checkpoint_cannot_run_is_refused_before_anything_runs(
    trial: Trial, calls: list[Call], request_: ProbeRequest, checkpoint: Checkpoint
) -> None:
    with pytest.raises(InputError, match="'tlm' cannot be run"):
        trial(request_.model_copy(update={"model": str(checkpoint("mt5"))}), options=["tlm:sequential"])
    assert not calls


@pytest.mark.parametrize("content", ["", "{}", "half a rec"])
def test_a_damaged_record_is_named(trial: Trial, tmp_path: Path, content: str) -> None:
    result = trial(seeds=1)
    path = tmp_path / "out/records" / result.runs[1].record
    path.write_text(content)
    with pytest.raises(InputError, match=path.name):
        trial(seeds=1)


def test_a_record_under_another_name_is_not_taken(trial: Trial, tmp_path: Path) -> None:
    none, joint = trial(seeds=1).runs
    folder = tmp_path / "out/records"
    (folder / joint.record).write_bytes((folder / none.record).read_bytes())
    with pytest.raises(InputError, match="not the record"):
        trial(seeds=1)
