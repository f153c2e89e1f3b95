"""Watching a training run: it measures what autograd says, and the run does not notice."""

import random
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

import probes.gradients.watching
from advisor.watch import (
    AlignmentCallback,
    AlignmentWatch,
    WatchedStep,
    Watching,
    lightning_callback,
)
from probes.batches import collate_pairs
from probes.errors import InputError
from probes.gradients.watching import remarks
from probes.objectives import LOSSES, PairView
from probes.signals import Estimate
from tests.conftest import Checkpoint
from tests.models import sample_sentences

PAIRS = list(zip(sample_sentences("en"), sample_sentences("tr"), strict=True))
OFTEN = {"every": 5, "rounds": 4, "batch_size": 4, "retrieved": 16}


class Seen(TrainerCallback):
    """Notes the order of the data and all random states, step by step."""

    def __init__(self) -> None:
        self.states: list[Any] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.states.append((torch.get_rng_state().tolist(), random.random(), float(np.random.rand())))


class NoisyCollator(DataCollatorWithPadding):
    """Draws from every random state there is, as a masking collator does."""

    def __call__(self, features: list[dict[str, Any]]) -> Any:
        torch.rand(1), random.random(), np.random.rand()
        return super().__call__(features)


def run(folder: Path, name: str, tmp_path: Path, *, watched: bool, **settings: Any) -> tuple[Trainer, Seen]:
    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    if settings.pop("lora", False):
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=2, target_modules=["query"], task_type="SEQ_CLS"))
    texts = list(sample_sentences("en"))
    data = Dataset.from_dict({"text": texts, "label": [i % 3 for i in range(len(texts))]})
    data = data.map(
        lambda row: tokenizer(row["text"], truncation=True, max_length=64), load_from_cache_file=False
    )
    arguments = TrainingArguments(
        output_dir=str(tmp_path / name),
        max_steps=10,
        per_device_train_batch_size=4,
        logging_steps=5,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        seed=3,
        **settings,
    )
    seen = Seen()
    trainer = Trainer(
        model, arguments, NoisyCollator(tokenizer), data, processing_class=tokenizer, callbacks=[seen]
    )
    if watched:
        trainer.add_callback(AlignmentCallback(trainer, PAIRS, target_labels=data, **OFTEN))
    trainer.train()
    return trainer, seen


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"gradient_accumulation_steps": 3},
        {"bf16": True},
        {"lora": True, "activation_checkpointing": True},
    ],
    ids=lambda settings: next(iter(settings), "plain"),
)
def test_training_is_the_same_to_the_bit(
    checkpoint: Checkpoint, tmp_path: Path, settings: dict[str, Any]
) -> None:
    plain, alone = run(checkpoint("bert"), "plain", tmp_path, watched=False, **settings)
    watched, seen = run(checkpoint("bert"), "watched", tmp_path, watched=True, **settings)
    for (name, before), after in zip(plain.model.named_parameters(), watched.model.parameters(), strict=True):
        assert torch.equal(before, after), name
        assert before.requires_grad == after.requires_grad
    assert alone.states == seen.states
    losses = [
        [row["loss"] for row in trainer.state.log_history if "loss" in row] for trainer in (plain, watched)
    ]
    assert losses[0] == losses[1]
    logged = [row for row in watched.state.log_history if "watch/share" in row]
    assert [row["step"] for row in logged] == [5, 10]
    assert "retrieval/layer.2" in logged[0]
    assert all(-1 <= value <= 1 for row in logged for name, value in row.items() if name.startswith("cosine"))


class Bare:
    """A model in a loop of one's own."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
        self.texts = [(text, 0) for text in sample_sentences("en")]

    def loss(self, items: Sequence[Any]) -> Tensor:
        inputs = self.tokenizer([text for text, _ in items], padding=True, return_tensors="pt")
        return self.model(**inputs, labels=torch.tensor([label for _, label in items])).loss

    def watched(self, pairs: Any = PAIRS, **settings: Any) -> AlignmentWatch:
        texts = {"source": self.texts}
        return AlignmentWatch(self.model, self.tokenizer, self.loss, texts, pairs, Watching(**settings))


@pytest.fixture(scope="module")
def bare(checkpoint: Checkpoint) -> Bare:
    return Bare(checkpoint("bert"))


def test_norms_and_cosines_are_those_of_plain_autograd(bare: Bare) -> None:
    watch = bare.watched(every=1, rounds=4, batch_size=6, objectives=("token-l2",))
    logs = watch.look(1)
    bare.model.eval()
    layers = [p for name, p in bare.model.named_parameters() if ".layer." in name]
    trained, batches = watch._trained, watch._batches
    gradients: dict[str, list[Tensor]] = {"task:source": [], "token-l2": []}
    for k in range(4):
        view = PairView(trained.encoder, collate_pairs(batches.pairs[k], trained.tokenizer), trained.anchor)
        losses = (bare.loss(batches.tasks["source"][k]), LOSSES["token-l2"].loss(view))
        for name, loss in zip(gradients, losses, strict=True):
            parts = torch.autograd.grad(loss, layers)
            gradients[name].append(torch.cat([part.flatten() for part in parts]).double())

    def inner(a: str, b: str) -> float:
        products = [
            float(x @ y) for i, x in enumerate(gradients[a]) for j, y in enumerate(gradients[b]) if i != j
        ]
        return sum(products) / len(products)

    norms = {name: inner(name, name) for name in gradients}
    for name, square in norms.items():
        assert logs[f"gradient-norm/{name}"] == pytest.approx(square**0.5, rel=1e-4)
    cosine = inner(*gradients) / (norms["task:source"] * norms["token-l2"]) ** 0.5
    assert logs["cosine/source/token-l2"] == pytest.approx(cosine, abs=1e-4)


def test_looks_keep_to_their_share_of_the_time(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(probes.gradients.watching, "perf_counter", lambda: clock[0])
    watch = bare.watched(share=0.05)

    def look(step: int, _: float) -> dict[str, float]:
        clock[0] += 3.0
        watch.seconds += 3.0
        watch._expected = 3.0
        return {"step": step}

    monkeypatch.setattr(watch, "_look", look)
    watch._expected = 3.0
    looked = []
    for step in range(1, 1001):
        clock[0] += 1.0
        if watch.after(step):
            looked.append(step)
            assert watch.share <= 0.05
    assert looked[0] == 57, "3 of 60 seconds"
    assert len(looked) == 17, "1,000 steps of a second, 3 seconds a look"


def test_a_look_that_turns_out_dear_is_left_for_later(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = bare.watched(share=0.05, rounds=4, batch_size=4, retrieved=8)
    clock = [1000.0 + watch.seconds]
    monkeypatch.setattr(watch, "_started", 0.0)
    monkeypatch.setattr(watch, "_expected", 1.0)

    def second() -> float:
        clock[0] += 30.0
        return clock[0]

    monkeypatch.setattr(probes.gradients.watching, "perf_counter", second)
    assert watch.after(1) == {}, "50 seconds are allowed, and 4 rounds would take longer"
    assert not watch.looks
    assert watch._expected > 50
    assert watch.look(2), "whoever asks for it has it"


def seen(step: int, low: float, high: float) -> WatchedStep:
    return WatchedStep(step, {"token-l2": Estimate(value=(low + high) / 2, low=low, high=high)}, {})


def test_a_note_is_made_when_losses_come_into_conflict_and_only_then() -> None:
    looks = [seen(10, 0.1, 0.3), seen(20, -0.3, -0.1), seen(30, -0.4, -0.2), seen(40, -0.4, -0.2)]
    assert [remarks(looks[:n]) for n in (1, 2, 4)] == [[], [], []]
    (note,) = remarks(looks[:3])
    assert note.startswith("Step 30: token-l2 and the task pull the encoder apart (cosine -0.3 [-0.4, -0.2])")


def test_a_note_is_made_when_alignment_stops_helping() -> None:
    looks = [seen(10, 0.1, 0.3), seen(20, 0.1, 0.3), *(seen(step, -0.1, 0.2) for step in (30, 40, 50, 60))]
    said = {n: remarks(looks[:n]) for n in range(1, 7) if remarks(looks[:n])}
    assert list(said) == [5]
    assert "Step 50: token-l2 no longer pulls the encoder where the task does" in said[5][0]
    assert not remarks([seen(step, -0.1, 0.2) for step in range(9)]), "nothing helped before"


def test_what_cannot_be_watched_is_said_in_a_sentence(bare: Bare) -> None:
    with pytest.raises(InputError, match="bring more, or set rounds lower"):
        bare.watched(PAIRS[:8])
    with pytest.raises(InputError, match="'mlm' cannot be watched"):
        bare.watched(objectives=("mlm",))
    with pytest.raises(InputError, match="no transformers encoder inside Linear"):
        AlignmentWatch(torch.nn.Linear(1, 1), bare.tokenizer, bare.loss, {"source": bare.texts}, PAIRS)
    with pytest.raises(InputError, match=r"share: .*less than 1"):
        AlignmentCallback(None, PAIRS, share=2)
    with pytest.raises(InputError, match="pip install lightning"):
        lightning_callback(bare.watched(rounds=3, batch_size=2))


def test_lightning_logs_what_is_measured(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("lightning.pytorch")
    module.Callback = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lightning", types.ModuleType("lightning"))
    monkeypatch.setitem(sys.modules, "lightning.pytorch", module)
    callback = lightning_callback(bare.watched(every=2, rounds=3, batch_size=2, retrieved=8))
    logged: list[dict[str, float]] = []
    for step in (1, 2, 2, 3):
        callback.on_train_batch_end(
            types.SimpleNamespace(global_step=step),
            types.SimpleNamespace(log_dict=logged.append),
            None,
            None,
            0,
        )
    assert len(logged) == 1, "once a step, however many batches share it"
