"""Races on a tiny random encoder: decisions, faults, and going on after being killed."""

import io
import json
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console, RenderableType

from advisor.advice import Advice
from advisor.files import reserved
from advisor.options import NO_ALIGNMENT
from advisor.race import RaceResult, run_race, running, start
from advisor.race.advice import counting
from advisor.race.console import RaceWatcher, race_table
from advisor.race.engine import Engine
from advisor.race.errors import ErrorModel
from advisor.race.labels import guide_part
from advisor.race.store import ALONE, RaceStore, StepRecord
from advisor.recipe import read_recipe
from advisor.sample import sample_path
from advisor.training import train
from probes.errors import InputError, RunError
from probes.request import ProbeRequest
from tests.conftest import Checkpoint, fill_disk

pytestmark = pytest.mark.slow

PAIRS, TEXTS = 16, 16
OPTIONS = ("sentence-contrastive:sequential", "sentence-contrastive:joint:0.1")

Race = Callable[..., RaceResult]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _known_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advisor.race.replay.fit.shipped_errors", ErrorModel)


@pytest.fixture(scope="module")
def request_(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> ProbeRequest:
    """A tiny BERT on a small part of the sample."""
    folder = tmp_path_factory.mktemp("data")
    pairs = sample_path("bitext.en-tr.tsv").read_text(encoding="utf-8").splitlines()[:PAIRS]
    (folder / "en-tr.tsv").write_text("\n".join(pairs), encoding="utf-8")
    for language in ("en", "tr"):
        sentences = sample_path(f"{language}.conllu").read_text(encoding="utf-8").split("\n\n")[:TEXTS]
        (folder / f"{language}.conllu").write_text("\n\n".join(sentences) + "\n\n", encoding="utf-8")
    return ProbeRequest(
        model=str(checkpoint("bert")),
        source="en",
        target="tr",
        task="pos",
        train=str(folder / "en.conllu"),
        bitext=str(folder / "en-tr.tsv"),
        target_labels=str(folder / "tr.conllu"),
        device="cpu",
    )


@pytest.fixture
def race(request_: ProbeRequest, tmp_path: Path) -> Race:
    """A race into ``out``."""

    def run(options: Any = OPTIONS, **settings: Any) -> RaceResult:
        usual: dict[str, Any] = {"steps": 8, "out": tmp_path / "out", "minutes": 30.0}
        return run_race(request_, options, **(usual | settings))

    return run


class Told(RaceWatcher):
    """Counts the steps it is told of."""

    steps = 0

    def took(self, racer: Any) -> None:
        self.steps += 1


@dataclass(frozen=True)
class Finished:
    """A race that was run once for the module: its result, what its engine ran, and what it told."""

    result: RaceResult
    folder: Path
    ran: list[tuple[Any, ...]]
    told: Told


@pytest.fixture(scope="module")
def once(request_: ProbeRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    ran: list[tuple[Any, ...]] = []
    told, folder, run = Told(), tmp_path_factory.mktemp("raced") / "out", Engine.run

    def counted(self: Engine, name: str, option: Any, seed: int, *rest: Any) -> Any:
        ran.append((option, seed, *rest[1:]))
        return run(self, name, option, seed, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("advisor.race.replay.fit.shipped_errors", ErrorModel)
        patch.setattr(Engine, "run", counted)
        result = run_race(request_, OPTIONS, steps=8, out=folder, minutes=30.0, watcher=told)
    return Finished(result, folder, ran, told)


@pytest.fixture
def finished(once: Finished, tmp_path: Path) -> RaceResult:
    """A finished race in ``out``."""
    shutil.copytree(once.folder, tmp_path / "out")
    return once.result


def numbers(result: RaceResult) -> dict[str, Any]:
    """Everything but how long it took."""
    return json.loads(result.model_dump_json(exclude={"minutes", "minutes_whole"}))


def test_a_race_decides_and_says_what_it_rests_on(finished: RaceResult, tmp_path: Path) -> None:
    result = finished
    assert result.decision in ("align", "do-not-align")
    assert {arm.option.schedule for arm in result.arms} == {"sequential", "joint"}
    assert any(arm.looks for arm in result.arms)
    assert sum(arm.best for arm in result.arms) + result.best_alone == pytest.approx(1.0, abs=1e-6)
    assert result.labels == TEXTS
    assert result.agreement is not None, "so few labels: splits are repeated"
    assert "none could be kept back" in result.notes[0]
    assert RaceResult.load(tmp_path / "out") == result


def test_a_race_that_is_not_there_is_refused_with_the_name_of_its_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"name a result\.json that a race wrote"):
        RaceResult.load(tmp_path / "elsewhere")


def test_fine_tuning_alone_is_run_once(once: Finished) -> None:
    ran = once.ran
    alone = [entry for entry in ran if entry[0] == NO_ALIGNMENT]
    assert len(alone) == len({(entry[1], entry[3]) for entry in alone})
    assert len(ran) == len(set(map(str, ran)))


def test_a_finished_race_is_not_run_again_and_its_answer_survives_a_full_disk(
    race: Race, finished: RaceResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = finished
    monkeypatch.setattr(Engine, "run", lambda *_: pytest.fail("run again"))
    assert numbers(race()) == numbers(first)
    fill_disk(monkeypatch, tmp_path)
    with pytest.raises(RunError, match="No space left") as full:
        race()
    place = Path(str(full.value).rpartition("what was measured last is in ")[2].rstrip("."))
    assert numbers(RaceResult.load(place)) == numbers(first)


def test_two_races_into_one_folder_are_refused(race: Race, tmp_path: Path) -> None:
    with reserved(tmp_path / "out"), pytest.raises(InputError, match="Another run is writing"):
        race()


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_killed_at_random_moments_it_ends_in_the_same_numbers(
    kills: int, race: Race, once: Finished, tmp_path: Path
) -> None:
    lasts = 60 * once.result.minutes
    moments, fork = random.Random(0), multiprocessing.get_context("fork")
    killed = broken = 0
    while killed < kills:
        broken += 1
        out = tmp_path / f"broken{broken}"
        out.mkdir()
        shutil.copy(once.folder / "race.json", out)  # the timing run decides costs: the same one
        ended = False
        while not ended and killed < kills:
            child = fork.Process(target=race, kwargs={"out": out})
            child.start()
            child.join(moments.uniform(0.0, lasts))
            ended = child.exitcode is not None
            if not ended and child.pid is not None:
                os.kill(child.pid, signal.SIGKILL)
                child.join()
                killed += 1
        assert numbers(race(out=out)) == numbers(once.result)
        steps = [sorted(file.name for file in (place / "steps").iterdir()) for place in (out, once.folder)]
        assert steps[0] == steps[1], "nothing was counted twice"


def test_killed_between_the_baseline_and_its_arm_it_finishes_what_it_had_decided(
    race: Race, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once fine-tuning alone is run on, costs are others: the next step must not be chosen anew."""
    add = RaceStore.add

    def killed(self: RaceStore, number: int, step: StepRecord) -> None:
        add(self, number, step)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RaceStore, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            race()
    store = RaceStore(tmp_path / "out")
    (alone,) = store.steps()
    monkeypatch.setattr(running, "next_step", lambda *_: None)
    race()
    _, then = store.steps()
    assert alone.arm == ALONE
    assert (then.arm, then.align, then.tune) == (alone.for_arm, alone.for_align, alone.tune)


def test_states_of_arms_that_are_out_and_old_ones_are_removed(once: Finished) -> None:
    states = {file.name.split("-seed")[0] for file in (once.folder / "weights").iterdir()}
    per_run = [file.stem.rsplit("-tune-", 1)[0] for file in (once.folder / "weights").glob("*-tune-*")]
    assert states <= {"alone", "arm0", "arm1"}
    assert len(per_run) == len(set(per_run)), "one state a run"


@pytest.mark.usefixtures("finished")
def test_another_race_is_refused(race: Race) -> None:
    with pytest.raises(InputError, match="another race"):
        race(steps=4)


def test_short_memory_halves_the_batch_of_every_arm(race: Race, monkeypatch: pytest.MonkeyPatch) -> None:
    run, failed = Engine.run, []

    def short(self: Engine, name: str, *rest: Any) -> Any:
        if name.startswith("arm") and not failed:
            failed.append(name)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return run(self, name, *rest)

    monkeypatch.setattr(Engine, "run", short)
    result = race()
    assert result.halvings == 1
    assert any("halved" in note for note in result.notes)


def test_target_texts_that_the_tokenizer_cannot_read_are_told(
    request_: ProbeRequest, finished: RaceResult, tmp_path: Path
) -> None:
    assert not any("unknown to the encoder" in note for note in finished.notes)
    rows = Path(str(request_.target_labels)).read_text(encoding="utf-8").splitlines()
    runes = [
        "\t".join((row.split("\t")[0], "ᚠᚢᚦ", *row.split("\t")[2:])) if "\t" in row else row for row in rows
    ]
    labels = tmp_path / "runes.conllu"
    labels.write_text("\n".join(runes) + "\n", encoding="utf-8")
    unread = request_.model_copy(update={"target_labels": str(labels)})
    result = run_race(unread, OPTIONS[:1], steps=4, out=tmp_path / "unread", minutes=30.0)
    assert any("unknown to the encoder's tokenizer" in note for note in result.notes)


def test_a_diverging_arm_loses_with_its_reason(race: Race, monkeypatch: pytest.MonkeyPatch) -> None:
    from advisor.race.engine import DivergedError

    run = Engine.run

    def diverging(self: Engine, name: str, *rest: Any) -> Any:
        if name.startswith("arm0"):
            raise DivergedError("The alignment loss is not finite at step 3.")
        return run(self, name, *rest)

    monkeypatch.setattr(Engine, "run", diverging)
    result = race()
    out = next(arm for arm in result.arms if arm.error)
    assert "not finite" in str(out.error)
    assert out.best == 0.0
    assert out.option != result.option


def test_a_lost_device_is_said_and_the_race_goes_on(race: Race, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Engine.run

    def lost(self: Engine, name: str, *rest: Any) -> Any:
        if name.startswith("arm"):
            raise RuntimeError("CUDA error: device-side assert")
        return run(self, name, *rest)

    monkeypatch.setattr(Engine, "run", lost)
    with pytest.raises(RunError, match="goes on from there"):
        race()
    monkeypatch.setattr(Engine, "run", run)
    assert race().arms


def test_progress_is_told(once: Finished) -> None:
    assert once.told.steps > 0


def test_halves_of_labels_are_stratified() -> None:
    labels = [("common",)] * 90 + [("rare",)] * 10
    guide = guide_part(labels, seed=0)
    assert guide.sum() == 50
    assert guide[90:].sum() == 5


def test_target_labels_are_a_must(race: Race, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ProbeRequest(model="m", source="en", target="tr", task="pos", train="train", bitext="bitext")
    with pytest.raises(InputError, match="--target-labels"):
        run_race(request)
    assert start.SEEDS == (0, 1)


@pytest.mark.parametrize("option", OPTIONS)
def test_the_winners_recipe_goes_on_to_the_same_digits(
    option: str, race: Race, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short after its first step; what the recipe ends in is what an unbroken run ends in."""
    monkeypatch.setattr(running, "stop_reason", lambda belief, *_: "time" if belief.looks else None)
    monkeypatch.setattr(running, "next_step", lambda _, steps, __: min(steps, key=lambda step: step.cost))
    result = race(options=(option,))
    recipe = read_recipe(tmp_path / "out" / "recipe" / "recipe.yaml")
    assert recipe.goes_on_from == str(tmp_path / "out" / "recipe" / "state.pt")
    assert recipe.option == result.option
    on = train(recipe)
    anew = train(recipe.model_copy(update={"goes_on_from": None}))
    assert on.after == anew.after
    assert [entry.losses for entry in on.log] == [entry.losses for entry in anew.log]


def test_an_option_that_was_told_of_by_others_is_advised_by_race_and_advice_alike(once: Finished) -> None:
    result = once.result
    best = max(arm.gain.mean for arm in result.arms)
    better = result.arms[0].gain.model_copy(update={"mean": best + 5})
    unrun = result.arms[-1].model_copy(update={"looks": (), "measured": None, "gain": better})
    told = result.model_copy(update={"arms": (unrun, *result.arms[:-1]), "option": unrun.option})
    assert "told by options like it" in told.summary
    advice = counting(Advice.load(once.folder / "advice.json"), told)
    assert advice.option == unrun.option
    assert advice.alternatives[0].option == unrun.option
    assert advice.gain == better


@pytest.mark.parametrize(("minutes", "words"), [(0.42, "0.4 min"), (3.7, "3.7 min"), (29.6, "30 min")])
def test_a_short_race_is_not_said_to_take_no_time(once: Finished, minutes: float, words: str) -> None:
    result = once.result.model_copy(update={"minutes": minutes, "option": once.result.arms[0].option})
    assert f" in {words}." in result.summary
    assert f"It took {words} and ended" in " ".join(_printed(race_table(result)).split())
    advice = counting(Advice.load(once.folder / "advice.json"), result)
    assert advice.reasons[0].text.startswith(f"In a race of {words} on your data")


def _printed(table: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200).print(table)
    return stream.getvalue()


def test_more_minutes_go_on_with_a_race(race: Race, tmp_path: Path) -> None:
    first = race(minutes=1e-3)
    again = race(minutes=30.0)
    assert first.stopped == "time"
    assert sum(len(arm.looks) for arm in again.arms) >= sum(len(arm.looks) for arm in first.arms)


def test_advice_counts_a_race(once: Finished) -> None:
    result = once.result
    advice = Advice.load(once.folder / "advice.json")
    assert (advice.option, advice.decision) == (result.option, result.decision)
    measured = [row for row in advice.alternatives if row.basis == "measured-here"]
    assert {row.option for row in measured} == {arm.option for arm in result.arms if arm.looks}
    assert advice.alternatives[0].option == advice.option
    arms = {arm.option: arm for arm in result.arms}
    assert {row.option: row.gain for row in advice.alternatives if row.option in arms} == {
        option: arms[option].gain for option in arms
    }
    other = advice.model_copy(update={"question": advice.question.model_copy(update={"target": "zh"})})
    with pytest.raises(InputError, match="the race of the same"):
        counting(other, result)
