"""The training script on a tiny random encoder: every option runs, and each does what it says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors import safe_open
from torch import Tensor

import advisor.training.setting as engine
from advisor.options import NO_ALIGNMENT, FrozenLayers, Option, Schedule, WordPairs
from advisor.recipe import Recipe, joint_files, read_recipe, write_recipe
from advisor.recipe.train import main
from advisor.sample import sample_path
from advisor.training import PHASES, Losses, Phase, Shared, train
from advisor.training.data import read_pairs, shares
from advisor.training.phase import Batches, Feed, RandomState
from probes.batches import PairBatch, Tokenizer, collate_pairs
from probes.catalogue import OBJECTIVES
from probes.encoder import EMBEDDINGS, Encoder, load_encoder
from probes.errors import InputError, RunError
from probes.heads import Head
from probes.machine.precision import has_fast_bf16
from probes.progress import Progress, Stopwatch
from probes.request import ProbeRequest
from probes.tasks import level_called
from tests.factories import make_advice
from tests.models import build, sample_items, sample_pairs

pytestmark = pytest.mark.slow

PAIRS = 24
TEXTS = 30


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with an MLM head and without dropout, and a small part of the sample."""
    folder = tmp_path_factory.mktemp("user")
    build("bert", folder / "bert")
    config = json.loads((folder / "bert/config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "bert/config.json").write_text(json.dumps(config))
    build("mt5", folder / "mt5")
    pairs = sample_path("bitext.en-tr.tsv").read_text(encoding="utf-8").splitlines()[:PAIRS]
    (folder / "en-tr.tsv").write_text("\n".join(pairs), encoding="utf-8")
    (folder / "links").write_text("0-0 1-1\n" * len(pairs))
    for language in ("en", "tr"):
        sentences = sample_path(f"{language}.conllu").read_text(encoding="utf-8").split("\n\n")[:TEXTS]
        (folder / f"{language}.conllu").write_text("\n\n".join(sentences) + "\n\n", encoding="utf-8")
        topics = sample_path(f"topics.{language}.tsv").read_text(encoding="utf-8").splitlines()
        (folder / f"topics.{language}.tsv").write_text("\n".join(topics[: TEXTS + 1]), encoding="utf-8")
    return folder


def make_recipe(folder: Path, **fields: Any) -> Recipe:
    usual: dict[str, Any] = {
        "model": str(folder / "bert"),
        "source": "en",
        "target": "tr",
        "task": "pos",
        "train": str(folder / "en.conllu"),
        "bitext": str(folder / "en-tr.tsv"),
        "target_labels": str(folder / "tr.conllu"),
        "dictionary": str(sample_path("dictionary.en-tr.tsv")),
        "word_links": str(folder / "links"),
        "align_batch_size": 8,
        "batch_size": 8,
        "max_steps": 3,
        "learning_rate": 1e-3,
        "align_learning_rate": 1e-3,
    }
    return Recipe(**(usual | fields))


def make_option(
    objective: str,
    schedule: Schedule = Schedule.SEQUENTIAL,
    frozen: FrozenLayers = FrozenLayers.NONE,
    word_pairs: WordPairs = WordPairs.MUTUAL_ARGMAX,
) -> Option:
    return Option(
        objective=objective,
        schedule=schedule,
        frozen_layers=frozen,
        word_pairs=word_pairs if OBJECTIVES[objective].word_pairs else None,
        weight=0.1 if schedule is Schedule.JOINT else None,
    )


ALIGNING = list(OBJECTIVES)
OPTIONS = dict.fromkeys(
    [
        NO_ALIGNMENT,
        *(make_option(objective, schedule) for objective in ALIGNING for schedule in Schedule),
        *(make_option("token-contrastive", Schedule.JOINT, frozen) for frozen in FrozenLayers),
        *(make_option("token-l2", word_pairs=word_pairs) for word_pairs in WordPairs),
    ]
)


def weights(encoder: Encoder) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in encoder.base.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def layer_names(encoder: Encoder, *indices: int) -> set[str]:
    return {name for i in indices for name in encoder.blocks[f"layer.{i}"]}


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_every_option_trains(folder: Path, option: Option) -> None:
    outcome = train(make_recipe(folder, option=option))

    phases = [entry.phase for entry in outcome.log]
    sequential = option.schedule is Schedule.SEQUENTIAL
    assert phases == ["align"] * 3 * sequential + ["fine-tune"] * 3
    for entry in outcome.log:
        kinds = {"alignment"} if entry.phase == "align" else {"task"}
        kinds |= {"alignment"} if option.schedule is Schedule.JOINT else set()
        assert set(entry.losses) == kinds
        assert all(torch.isfinite(torch.tensor(loss)) for loss in entry.losses.values())
    assert {*outcome.before} == {*outcome.after} == {"source", "target"}
    untouched = weights(load_encoder(str(folder / "bert")))
    moved = changed(untouched, weights(outcome.encoder))
    assert moved >= {name for name in layer_names(outcome.encoder, 0, 1) if name.endswith("dense.weight")}


@pytest.mark.parametrize(
    ("frozen", "fixed", "free"), [(FrozenLayers.LOWER_HALF, 0, 1), (FrozenLayers.UPPER_HALF, 1, 0)]
)
@pytest.mark.parametrize("objective", ALIGNING)
def test_alignment_leaves_frozen_layers_bit_identical(
    folder: Path, objective: str, frozen: FrozenLayers, fixed: int, free: int
) -> None:
    encoder = load_encoder(str(folder / "bert"))
    recipe = make_recipe(folder, option=make_option(objective, frozen=frozen))
    before = weights(encoder)

    phase = Phase(
        "align",
        Losses(encoder, recipe.option),
        Feed(pairs=Batches([0], 1, lambda _: pair_batch(encoder), 0)),
        {"alignment": 1.0},
        recipe,
        accelerator=Accelerator(cpu=True),
        steps=3,
        learning_rate=1e-3,
        random=RandomState.now(encoder.device),
    )
    phase.advance(3, Stopwatch())

    moved = changed(before, weights(encoder))
    assert not moved & layer_names(encoder, fixed)
    assert moved & layer_names(encoder, free)
    assert moved & set(encoder.blocks[EMBEDDINGS])  # gradient passes through what is frozen


def random_head(encoder: Encoder, classes: int) -> Head:
    weight = torch.empty(classes, encoder.hidden_size).normal_(std=0.02)
    return Head(weight, torch.zeros(classes), level_called("token"))


def pair_batch(encoder: Encoder) -> PairBatch:
    tokenizer = Tokenizer(encoder.tokenizer, 64)
    return collate_pairs(sample_pairs(tokenizer, 6), tokenizer)


@pytest.mark.parametrize(("frozen", "fixed"), [(FrozenLayers.LOWER_HALF, 0), (FrozenLayers.UPPER_HALF, 1)])
def test_in_joint_training_only_the_task_reaches_frozen_layers(
    folder: Path, frozen: FrozenLayers, fixed: int
) -> None:
    encoder = load_encoder(str(folder / "bert"))
    items, labels = sample_items(Tokenizer(encoder.tokenizer, 64), "token", 6)
    option = make_option("token-contrastive", Schedule.JOINT, frozen)
    losses = Losses(encoder, option, random_head(encoder, len(labels)))
    labelled = level_called("token").collate(items, encoder)
    layers = [list(encoder.parameters([f"layer.{i}"])) for i in range(encoder.layers)]

    both = losses(labelled, pair_batch(encoder))
    both["alignment"].backward(retain_graph=True)
    reached = [any(p.grad is not None for p in layer) for layer in layers]
    losses.zero_grad()
    both["task"].backward()

    assert reached == [i != fixed for i in range(encoder.layers)]
    assert all(p.grad is not None for layer in layers for p in layer)


def test_frozen_layers_matter_in_joint_training(folder: Path) -> None:
    """The sum's gradient lacks the alignment's part on frozen layers, and on those alone."""
    items, labels = sample_items(Tokenizer(load_encoder(str(folder / "bert")).tokenizer, 64), "token", 6)
    gradients = {}
    for frozen in FrozenLayers:
        torch.manual_seed(0)
        encoder = load_encoder(str(folder / "bert"))
        option = make_option("token-contrastive", Schedule.JOINT, frozen)
        losses = Losses(encoder, option, random_head(encoder, len(labels)))
        found = losses(level_called("token").collate(items, encoder), pair_batch(encoder))
        (found["task"] + found["alignment"]).backward()
        parameter = encoder.base.get_parameter(encoder.blocks["layer.0"][0])
        assert parameter.grad is not None
        gradients[frozen] = parameter.grad

    torch.testing.assert_close(gradients[FrozenLayers.NONE], gradients[FrozenLayers.UPPER_HALF])
    assert not torch.allclose(gradients[FrozenLayers.NONE], gradients[FrozenLayers.LOWER_HALF])


def test_the_anchor_of_token_l2_stays_at_the_start(folder: Path) -> None:
    encoder = load_encoder(str(folder / "bert"))
    start = weights(encoder)
    losses = Losses(encoder, make_option("token-l2"))
    with torch.no_grad():
        for parameter in encoder.base.parameters():
            parameter.add_(0.1)

    assert losses.anchor is not None
    assert not changed(start, weights(losses.anchor))


@pytest.mark.parametrize("accumulation", [1, 3])
def test_the_schedule_counts_optimiser_steps(
    folder: Path, monkeypatch: pytest.MonkeyPatch, accumulation: int
) -> None:
    taken = []
    original = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *args: Any, **kwargs: Any) -> Any:
        taken.append(self.param_groups[0]["lr"])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    recipe = make_recipe(
        folder,
        max_steps=None,
        epochs=12,  # of 3 batches each
        gradient_accumulation=accumulation,
        learning_rate=1e-4,
        warmup_share=0.25,
    )
    steps = 36 // accumulation
    warm = steps // 4
    expected = [1e-4 * (s / warm if s < warm else (steps - s) / (steps - warm)) for s in range(steps)]

    outcome = train(recipe)

    assert taken == pytest.approx(expected)
    assert [entry.learning_rate for entry in outcome.log] == taken


def test_accumulated_batches_equal_one_large_batch(folder: Path) -> None:
    topics = {
        "task": "topic",
        "train": str(folder / "topics.en.tsv"),
        "target_labels": None,
        "held_out_share": 0.2,  # leaves 24
        "mixed_precision": "no",
        "learning_rate": 1e-4,
    }
    small = train(make_recipe(folder, **topics, batch_size=4, gradient_accumulation=3))
    large = train(make_recipe(folder, **topics, batch_size=12))

    for name, value in weights(large.encoder).items():
        if value.ndim == 2:  # a key's bias has gradient 0, of which Adam makes steps of rounding errors
            torch.testing.assert_close(weights(small.encoder)[name], value, rtol=0, atol=5e-6)
    assert [entry.losses["task"] for entry in small.log] == pytest.approx(
        [entry.losses["task"] for entry in large.log], rel=1e-4
    )


def test_the_same_seed_gives_the_same_weights_and_another_does_not(folder: Path) -> None:
    option = make_option("mlm", Schedule.JOINT)
    runs = [weights(train(make_recipe(folder, option=option, seed=s)).encoder) for s in (1, 1, 2)]

    assert not changed(runs[0], runs[1])
    assert changed(runs[0], runs[2])


def test_the_callers_random_state_is_kept(folder: Path) -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()

    train(make_recipe(folder, max_steps=1))

    assert torch.equal(torch.get_rng_state(), state)


def test_training_learns_its_task(folder: Path) -> None:
    outcome = train(make_recipe(folder, head="random", max_steps=60, epochs=20, learning_rate=3e-3))
    losses = [entry.losses["task"] for entry in outcome.log]

    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_alignment_lowers_its_loss(folder: Path) -> None:
    option = make_option("sentence-contrastive")
    outcome = train(make_recipe(folder, option=option, max_steps=1, align_steps=30))
    losses = [entry.losses["alignment"] for entry in outcome.log if entry.phase == "align"]

    assert len(losses) == 30
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_a_fitted_head_starts_where_the_frozen_features_score(folder: Path) -> None:
    still = {"learning_rate": 1e-30, "max_steps": 1, "weight_decay": 0.0}

    fitted = train(make_recipe(folder, **still))
    random = train(make_recipe(folder, **still, head="random"))

    assert fitted.after == fitted.before == random.before
    assert random.after != random.before


def test_a_label_that_no_fitted_text_shows_can_still_be_learned(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("advisor.training.setting._FIT_TEXTS", 4)

    outcome = train(make_recipe(folder, learning_rate=1e-30, max_steps=1))

    shown = {i for item in outcome.texts.train[:4] for i in item.labels}
    absent = [i for i in range(len(outcome.texts.labels)) if i not in shown]
    bias = outcome.head.bias.detach()
    assert absent
    assert all(bias[i] == pytest.approx(float(bias[sorted(shown)].min())) for i in absent)


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second step on the task loss is not a number."""
    original, calls = Head.loss, []

    def loss(self: Head, *args: Any) -> Tensor:
        calls.append(1)
        return original(self, *args) * (torch.nan if len(calls) > 1 else 1)

    monkeypatch.setattr(Head, "loss", loss)


@pytest.mark.usefixtures("diverging")
def test_a_loss_that_is_not_finite_stops_the_run(folder: Path) -> None:
    with pytest.raises(
        RunError, match="task loss is not finite at step 1 of fine-tuning: lower the learning"
    ):
        train(make_recipe(folder))


def test_weights_that_are_not_finite_are_not_handed_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *args: Any, **kwargs: Any) -> Any:
        self.param_groups[0]["params"][0].data[0] = torch.inf  # the padding's embedding: in no loss
        return original(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(RunError, match="weights are not finite after fine-tuning"):
        train(make_recipe(folder, max_steps=1))


def test_progress_is_told_of_every_step(folder: Path) -> None:
    class Watcher(Progress):
        def __init__(self) -> None:
            self.steps: dict[str, list[int]] = {}

        def phase(self, name: str, total: int) -> None:
            self.current = self.steps.setdefault(name, [total, 0])

        def advance(self) -> None:
            self.current[1] += 1

    watcher = Watcher()
    train(make_recipe(folder, option=make_option("token-l2"), align_steps=4), watcher)

    assert watcher.steps == {"embed": [1, 1], "align": [4, 4], "fine-tune": [3, 3]}
    assert set(watcher.steps) == set(PHASES) - {"warm"}


def test_links_from_a_file_count_words_at_white_space(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "b.tsv").write_text("Yes, it rains.\tEvet, yağmur yağıyor.\nNo, thanks.\tHayır, sağol.\n")
    (tmp_path / "links").write_text("0-0 2-2\n0-0 1-1\n")
    seen: list[PairBatch] = []
    option = make_option("token-contrastive", word_pairs=WordPairs.FILE)
    recipe = make_recipe(
        folder, option=option, bitext=str(tmp_path / "b.tsv"), word_links=str(tmp_path / "links")
    )
    with pytest.MonkeyPatch.context() as patch:
        forward = Losses.forward

        def spy(self: Losses, labelled: Any, pairs: PairBatch | None) -> dict[str, Tensor]:
            if pairs is not None:
                seen.append(pairs)
            return forward(self, labelled, pairs)

        patch.setattr(Losses, "forward", spy)
        train(recipe)

    linked = {tuple(row[1::2]) for row in seen[0].links.tolist()}
    assert linked == {(0, 0), (2, 2), (1, 1)}
    assert int(seen[0].source.words.max()) == 2  # Yes, | it | rains.


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"option": make_option("tlm"), "model": "mt5"}, "'tlm' cannot be run .* choose another"),
        ({"mixed_precision": "bf16"}, "has no bf16"),
        ({"task": "juggling"}, "No task is called"),
        ({"train": "/nowhere.conllu"}, "nowhere"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], problem: str
) -> None:
    monkeypatch.setattr(engine, "has_fast_bf16", lambda device: False)
    if fields.get("model"):
        fields = fields | {"model": str(folder / fields["model"])}

    with pytest.raises(InputError, match=problem):
        train(make_recipe(folder, **fields))


def test_a_bitext_without_linked_words_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text("zyx\txyz\n")
    option = make_option("token-l2", word_pairs=WordPairs.DICTIONARY)

    with pytest.raises(InputError, match=r"too few usable pairs \(0\)"):
        train(make_recipe(folder, option=option, dictionary=str(tmp_path / "words.tsv")))


def test_the_command_writes_a_model_that_loads_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe(folder, option=make_option("tlm"), max_steps=None, output="made/here")
    (tmp_path / "recipe.yaml").write_text(write_recipe(recipe), encoding="utf-8")

    assert main([str(tmp_path / "recipe.yaml"), "--max-steps", "2"]) == 0

    output = tmp_path / "made/here"
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"here"}
    again = load_encoder(str(output))
    assert changed(weights(again), weights(load_encoder(str(folder / "bert"))))
    assert not changed(weights(again), weights(train(read_recipe(output / "recipe.yaml")).encoder))
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["steps"] == {"align": 2, "fine-tune": 2}
    assert metrics["texts"] == {"train": 27, "source": 3, "target": TEXTS, "cut": 0}
    assert len((output / "log.jsonl").read_text().splitlines()) == 4
    with safe_open(output / "head.safetensors", "pt") as head:
        labels = json.loads(head.metadata()["labels"])
        assert head.get_tensor("weight").shape == (len(labels), again.hidden_size)
    printed = capsys.readouterr().out
    assert f"{metrics['after']['target']['value']:.1f}" in printed
    assert str(output) in printed


def test_texts_that_are_cut_are_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe(folder, max_length=20, max_steps=1)
    (tmp_path / "recipe.yaml").write_text(write_recipe(recipe), encoding="utf-8")

    assert main([str(tmp_path / "recipe.yaml"), "--output", str(tmp_path / "trained")]) == 0

    cut = json.loads((tmp_path / "trained/metrics.json").read_text())["texts"]["cut"]
    assert 0 < cut < 2 * TEXTS
    assert f"{cut} texts were longer" in capsys.readouterr().out


def test_an_output_that_exists_is_left_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text(write_recipe(make_recipe(folder)), encoding="utf-8")
    (tmp_path / "taken").mkdir()

    assert main([str(tmp_path / "recipe.yaml"), "--output", str(tmp_path / "taken")]) == 2

    assert "taken is there already" in " ".join(capsys.readouterr().err.split())
    assert not list((tmp_path / "taken").iterdir())


@pytest.mark.usefixtures("diverging")
def test_a_run_that_fails_leaves_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text(write_recipe(make_recipe(folder)), encoding="utf-8")

    assert main([str(tmp_path / "recipe.yaml"), "--output", str(tmp_path / "trained")]) == 1

    assert "not finite" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


def test_runs_that_share_come_out_as_they_would_alone(folder: Path) -> None:
    shared = Shared()
    options = [NO_ALIGNMENT, make_option("token-l2", Schedule.JOINT), make_option("tlm")]
    for option in (*options, *options):  # the second time round everything is there already
        recipe = make_recipe(folder, option=option)
        alone, together = train(recipe), train(recipe, shared=shared)
        assert not changed(weights(alone.encoder), weights(together.encoder))
        assert (alone.before, alone.after) == (together.before, together.after)
        assert alone.log == together.log


def test_a_shared_encoder_is_left_as_it_was_given(folder: Path) -> None:
    shared = Shared()
    for objective in ("token-l2", "mlm"):
        train(make_recipe(folder, option=make_option(objective)), shared=shared)

    def missing() -> Encoder:
        pytest.fail("the encoder was not kept")

    given = shared.get("encoder", (str(folder / "bert"), torch.device("cpu")), missing)
    assert not changed(weights(load_encoder(str(folder / "bert"))), weights(given))


def test_only_rows_that_training_reads_move(folder: Path) -> None:
    outcome = train(make_recipe(folder))
    before = weights(load_encoder(str(folder / "bert")))
    name = "embeddings.word_embeddings.weight"
    moved = (weights(outcome.encoder)[name] != before[name]).any(1).nonzero().flatten().tolist()
    read = {i for item in outcome.texts.train for i in item.text.ids}
    assert moved
    assert set(moved) <= read | set(outcome.encoder.tokenizer.all_special_ids)


def test_any_number_of_languages_is_scored_on_by_name(folder: Path, tmp_path: Path) -> None:
    english = (folder / "en.conllu").read_text(encoding="utf-8").split("\n\n")
    (tmp_path / "some.conllu").write_text("\n\n".join(english[:8]) + "\n", encoding="utf-8")
    targets = {"tr": str(folder / "tr.conllu"), "en": str(tmp_path / "some.conllu")}
    both = train(make_recipe(folder), targets=targets)
    assert set(both.after) == set(both.before) == {"source", "tr", "en"}
    assert both.sizes["tr"] == TEXTS
    alone = train(make_recipe(folder), targets={"en": targets["en"]})
    assert alone.after == {name: both.after[name] for name in ("source", "en")}


@pytest.mark.parametrize("schedule", Schedule)
def test_looking_early_changes_nothing(folder: Path, schedule: Schedule) -> None:
    option = Option(
        objective="sentence-contrastive",
        schedule=schedule,
        weight=0.1 if schedule is Schedule.JOINT else None,
    )
    recipe = make_recipe(folder, model=str(folder / "mt5"), max_steps=8, option=option)  # it has dropout
    targets = {"tr": str(folder / "tr.conllu")}
    seen = train(recipe, targets=targets, looks=(0.25, 0.5, 1.0))
    unseen = train(recipe, targets=targets)
    assert sorted(seen.looks) == [2, 4, 8]
    assert {*seen.looks[2]} == {"tr"}
    assert seen.looks[8]["tr"] == seen.after["tr"]
    assert unseen.looks == {}
    assert (seen.log, seen.after) == (unseen.log, unseen.after)
    for name, weight in seen.encoder.base.state_dict().items():
        assert torch.equal(weight, unseen.encoder.base.state_dict()[name]), name


def test_source_text_of_its_own_is_scored_on_and_none_is_held_out(folder: Path) -> None:
    outcome = train(make_recipe(folder, source_labels=str(folder / "tr.conllu")))
    assert outcome.sizes == {"train": TEXTS, "source": TEXTS, "target": TEXTS, "cut": 0}
    assert outcome.after["source"] == outcome.after["target"]


def test_few_texts_may_be_scored_on_and_they_are_the_same_for_every_seed(folder: Path) -> None:
    scored = [train(make_recipe(folder, most_scored=5, seed=seed)).texts.scored for seed in (0, 1)]
    assert scored[0]["target"] == scored[1]["target"]
    assert len(scored[0]["target"]) == 5
    assert len(scored[0]["source"]) == 3  # a tenth of the training data


def test_every_seed_draws_pairs_of_its_own(folder: Path) -> None:
    def sources(seed: int) -> list[str]:
        recipe = make_recipe(folder, seed=seed, option=make_option("sentence-contrastive"))
        encoder = load_encoder(recipe.model)
        tokenizer = Tokenizer(encoder.tokenizer, 64)
        pairs = read_pairs(recipe, encoder, tokenizer, 6, Stopwatch(), Shared())
        return [pair.strings[0] for pair in pairs]

    seen = [sources(seed) for seed in (0, 0, 1)]
    assert len(set(seen[0])) == 6
    assert seen[0] == seen[1]
    assert set(seen[0]) != set(seen[2])


needs_bf16 = pytest.mark.skipif(not has_fast_bf16(torch.device("cpu")), reason="this CPU has no bf16")


@needs_bf16
def test_bf16_is_for_passes_through_the_encoder_alone(folder: Path) -> None:
    recipe = make_recipe(folder, option=make_option("token-contrastive", Schedule.JOINT))
    lower = train(recipe.model_copy(update={"mixed_precision": "bf16"}))
    single = train(recipe.model_copy(update={"mixed_precision": "no"}))

    assert lower.encoder.precision == "bf16"
    assert single.encoder.precision == "fp32"
    assert {value.dtype for value in weights(lower.encoder).values() if value.is_floating_point()} == {
        torch.float32
    }
    assert changed(weights(lower.encoder), weights(single.encoder))
    for one, other in zip(lower.log, single.log, strict=True):
        assert one.losses == pytest.approx(other.losses, rel=0.03)
    again = train(recipe.model_copy(update={"mixed_precision": "bf16"}))
    assert not changed(weights(lower.encoder), weights(again.encoder))


@pytest.mark.parametrize(
    ("asked", "able", "found"),
    [("auto", True, "bf16"), ("auto", False, "fp32"), ("no", True, "fp32")],
)
def test_auto_is_bf16_where_the_hardware_has_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, asked: str, able: bool, found: str
) -> None:
    monkeypatch.setattr(engine, "has_fast_bf16", lambda device: able)
    recipe = make_recipe(folder, mixed_precision=asked)
    assert engine.precision_of(recipe, torch.device("cpu")) == found


def test_several_bitexts_are_drawn_from_by_temperature() -> None:
    assert shares([900, 100], 1.0, 100) == [90, 10]
    assert shares([900, 100], 100.0, 100) == [51, 49]
    assert shares([10**9, 1], 1.0, 10) == [10, 1], "no language is left out"


def test_a_joint_recipe_aligns_several_targets_in_one_run(folder: Path, tmp_path: Path) -> None:
    lines = sample_path("bitext.en-zh.tsv").read_text(encoding="utf-8").splitlines()[:6]
    (tmp_path / "en-zh.tsv").write_text("\n".join(lines), encoding="utf-8")
    asked = [
        ProbeRequest.of(
            model=str(folder / "bert"),
            source="en",
            target=target,
            task="pos",
            train=str(folder / "en.conllu"),
            bitext=str(bitext),
            target_labels=str(sample_path(f"{target}.conllu")),
        )
        for target, bitext in (("tr", folder / "en-tr.tsv"), ("zh", tmp_path / "en-zh.tsv"))
    ]
    for name, content in joint_files([make_advice(), make_advice()], asked).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    recipe = read_recipe(tmp_path / "recipe/recipe.yaml")
    assert recipe.option.aligns
    assert recipe.option.word_pairs in (None, WordPairs.MUTUAL_ARGMAX)
    encoder = load_encoder(recipe.model, "cpu")
    pairs = read_pairs(recipe, encoder, Tokenizer(encoder.tokenizer, 64), 40, Stopwatch(), Shared())
    chinese = sum(any("\u4e00" <= c <= "\u9fff" for c in pair.strings[1]) for pair in pairs)
    assert chinese == shares([PAIRS, len(lines)], recipe.temperature, 40)[1]
    assert (
        main([str(tmp_path / "recipe/recipe.yaml"), "--max-steps", "2", "--output", str(tmp_path / "out")])
        == 0
    )
    scores = json.loads((tmp_path / "out/metrics.json").read_text())
    assert {"source", "target", "zh"} <= set(scores["after"])


def test_several_bitexts_need_the_encoders_own_links(folder: Path) -> None:
    with pytest.raises(ValueError, match="mutual-argmax"):
        make_recipe(
            folder,
            option=make_option("token-contrastive", Schedule.SEQUENTIAL, word_pairs=WordPairs.DICTIONARY),
            also={"zh": "en-zh.tsv"},
        )
