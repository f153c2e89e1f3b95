"""A whole probe on a tiny model and the repository's sample: what comes out, and what is left behind."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

import probes.gradients.points
import probes.gradients.rounds
import probes.run
from advisor.sample import sample_path
from probes.batches import TokenizedPair
from probes.budget import BUDGETS, Budget
from probes.catalogue import OBJECTIVES, TASKS, Objective
from probes.cost import CostEstimate
from probes.encoder import Encoder, load_encoder
from probes.errors import InputError, RunError
from probes.gradients import Receive, stream_gradients
from probes.gradients.rounds import measure_gradients
from probes.gradients.stopping import MIN_ROUNDS
from probes.gradients.warm_up import warm_up
from probes.heads import Head, project_labels
from probes.objectives import LOSSES, PairView, register
from probes.progress import PHASES, Progress
from probes.request import ProbeRequest
from probes.run import run_probe
from probes.signals import TOTAL, Estimate, Signals, TaskGradient
from probes.tasks import Projection
from tests.conftest import Checkpoint
from tests.models import LAYERS, sample_sentences

pytestmark = pytest.mark.slow

SMALL = Budget("quick", 4, 4, 40, 16, 3, 24, 64)
POINTS = ("theta0", "theta_warm")
TASK_GRADIENTS: tuple[TaskGradient, ...] = ("source", "target-labels", "target-projected")
BLOCKS = ("embeddings", *(f"layer.{i}" for i in range(LAYERS)), TOTAL)


@pytest.fixture(autouse=True, scope="module")
def small_budget() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUDGETS, "quick", SMALL)
        yield


def write_pairs(path: Path, language: str) -> str:
    """Pairs of sentences with three made-up labels that depend on their order in the sample."""
    sentences = sample_sentences(language)
    rows = [
        f"{first}\t{second}\t{('entailment', 'neutral', 'contradiction')[i % 3]}"
        for i, (first, second) in enumerate(pairwise(sentences))
    ]
    path.write_text("premise\thypothesis\tlabel\n" + "\n".join(rows), encoding="utf-8")
    return str(path)


def request_for(task: str, model: Path, folder: Path) -> ProbeRequest:
    if TASKS[task].level == "pair":
        train, labels = (write_pairs(folder / f"{code}.tsv", code) for code in ("en", "tr"))
    else:
        pattern = "{}.conllu" if task == "pos" else "topics.{}.tsv"
        train, labels = (str(sample_path(pattern.format(code))) for code in ("en", "tr"))
    return ProbeRequest(
        model=str(model),
        source="en",
        target="tr",
        task=task,
        train=train,
        bitext=str(sample_path("bitext.en-tr.tsv")),
        target_labels=labels,
        budget="quick",
        device="cpu",
    )


class Recorder(Progress):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.steps: dict[str, int] = {}
        self.estimates = 0

    def phase(self, name: str, total: int) -> None:
        assert name not in self.totals
        self.now = name
        self.totals[name], self.steps[name] = total, 0

    def advance(self) -> None:
        self.steps[self.now] += 1

    def estimate(self, cost: CostEstimate) -> None:
        self.estimates += 1


Watched = Callable[[str], tuple[Signals, Recorder]]
Probe = Callable[[str], Signals]


@pytest.fixture(scope="module")
def watched(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Signals of a task, measured once, and what was told on the way."""
    found: dict[str, tuple[Signals, Recorder]] = {}

    def measured(task: str) -> tuple[Signals, Recorder]:
        if task not in found:
            request, recorder = (
                request_for(task, checkpoint("bert"), tmp_path_factory.mktemp(task)),
                Recorder(),
            )
            found[task] = run_probe(request, recorder), recorder
        return found[task]

    return measured


@pytest.fixture
def probe(watched: Watched) -> Probe:
    """Signals of a task, measured once."""
    return lambda task: watched(task)[0]


every_level = pytest.mark.parametrize("task", ["pos", "topic", "nli"])


def estimates(signals: Signals) -> Iterator[Estimate]:
    for group in (signals.losses, signals.cosines, signals.lookahead, signals.distances, [signals.transfer]):
        for row in group:
            for name in type(row).model_fields:
                value = getattr(row, name)
                if isinstance(value, Estimate):
                    yield value


@every_level
def test_every_row_there_should_be_is_there_once(probe: Probe, task: str) -> None:
    signals = probe(task)
    assert signals.objectives == tuple(LOSSES)
    assert not signals.unavailable
    cosines = [(r.point, r.task_gradient, r.objective, r.block) for r in signals.cosines]
    assert len(cosines) == len(set(cosines))
    assert set(cosines) == {
        (point, gradient, objective, block)
        for point in POINTS
        for gradient in TASK_GRADIENTS
        for objective in LOSSES
        for block in BLOCKS
    }
    losses = [(r.point, r.loss, r.block) for r in signals.losses]
    names = [*LOSSES, *(f"task:{gradient}" for gradient in TASK_GRADIENTS)]
    assert sorted(losses) == sorted((p, n, b) for p in POINTS for n in names for b in BLOCKS)
    steps = [(r.point, r.objective, r.on, r.scaling) for r in signals.lookahead]
    assert sorted(steps) == sorted(
        (point, objective, on, scaling)
        for point, scaling in (("theta0", "raw"), ("theta_warm", "raw"), ("theta_warm", "adam"))
        for objective in LOSSES
        for on in TASK_GRADIENTS
    )
    assert {row.layer for row in signals.distances} == set(range(LAYERS + 1))
    assert len(signals.conflicts) == len(POINTS) * len(TASK_GRADIENTS) * len(LOSSES)


@every_level
def test_every_number_has_an_interval_or_a_reason(probe: Probe, task: str) -> None:
    found = list(estimates(probe(task)))
    assert len(found) > 500
    for estimate in found:
        if estimate.value is None:
            assert estimate.note
        elif estimate.low is not None and estimate.high is not None:
            assert estimate.low <= estimate.value <= estimate.high
    assert any(estimate.resolved for estimate in found)


@every_level
def test_signals_survive_being_written_and_read(probe: Probe, task: str, tmp_path: Path) -> None:
    signals = probe(task)
    path = tmp_path / "signals.json"
    path.write_text(signals.model_dump_json(), encoding="utf-8")
    assert Signals.load(path) == signals


@every_level
def test_rows_fit_together(probe: Probe, task: str) -> None:
    signals = probe(task)
    sizes = {row.block: row.parameters for row in signals.losses}
    assert sizes[TOTAL] == sum(sizes[f"layer.{i}"] for i in range(LAYERS))
    assert sizes[TOTAL] == signals.model.encoder_parameters
    for row in signals.cosines:
        assert row.null_sd == pytest.approx(sizes[row.block] ** -0.5)
        assert (row.null_cosine is None) == (not OBJECTIVES[row.objective].parallel)
    for conflict in signals.conflicts:
        members = [
            row.cosine
            for row in signals.cosines
            if (row.point, row.task_gradient, row.objective)
            == (conflict.point, conflict.task_gradient, conflict.objective)
            and row.block.startswith("layer.")
        ]
        assert conflict.blocks == len(members) == LAYERS
        assert conflict.resolved == sum(cosine.resolved for cosine in members)
        assert conflict.share == sum(cosine.sign < 0 for cosine in members) / LAYERS


@every_level
def test_facts_say_what_was_used(probe: Probe, task: str) -> None:
    signals = probe(task)
    assert signals.task.name == task
    assert signals.task.level == TASKS[task].level
    assert signals.task.labels == tuple(sorted(signals.task.labels))
    assert [fact.role for fact in signals.data] == ["train", "bitext", "target-labels"]
    assert all(fact.read == fact.kept + sum(fact.dropped.values()) for fact in signals.data)
    assert signals.run.rounds == SMALL.rounds
    assert signals.run.used["gradients source"] == SMALL.rounds * SMALL.batch_size
    assert signals.run.used["held-out source"] == SMALL.held_out_sentences
    assert set(signals.run.phases) == set(PHASES)
    assert sum(signals.run.phases.values()) <= signals.run.seconds
    assert signals.transfer.target is not None
    projection = signals.projection
    assert projection is not None
    assert projection.cosine_with_labels is not None
    assert 0 < projection.coverage <= 1
    assert projection.word_alignment == ("mutual-argmax" if task == "pos" else None)


def test_a_model_that_cannot_learn_the_task_is_noted(probe: Probe) -> None:
    # The labels of the pairs are arbitrary, so no head beats the most frequent one for sure.
    assert "head-at-majority" in {note.code for note in probe("nli").notes}


@pytest.mark.parametrize(
    "name", ["xlm-r", "roberta", "distilbert", "deberta-v2", "modernbert", "electra", "mt5"]
)
def test_every_architecture_goes_all_the_way(
    checkpoint: Checkpoint, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUDGETS, "quick", Budget("quick", 4, 2, 20, 10, 2, 12, 32))
    signals = run_probe(
        request_for("pos", checkpoint(name), tmp_path).model_copy(update={"target_labels": None})
    )
    assert set(signals.objectives) | set(signals.unavailable) == set(LOSSES)
    assert (signals.unavailable != {}) == (name == "mt5")
    assert {row.task_gradient for row in signals.cosines} == {"source", "target-projected"}
    assert signals.transfer.target is None
    assert signals.projection is not None
    assert signals.projection.cosine_with_labels is None


def test_links_from_a_file_count_words_at_white_space(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = []
    for row in sample_path("bitext.en-tr.tsv").read_text(encoding="utf-8").splitlines():
        source, target = row.split("\t")
        lines.append(f"0-0 {len(source.split()) - 1}-{len(target.split()) - 1}")
    (tmp_path / "links.txt").write_text("\n".join(lines) + "\n")
    linked: list[tuple[str, str]] = []

    def watched(encoder: Encoder, head: Head, pairs: Sequence[TokenizedPair], *rest: Any) -> Projection:
        for pair in pairs:
            linked.extend((pair.source.surface[i], pair.target.surface[j]) for i, j in pair.links)
            ends = {(side.split()[0], side.split()[-1]) for side in pair.strings}
            assert ends == {(side.surface[0], side.surface[-1]) for side in (pair.source, pair.target)}
        return project_labels(encoder, head, pairs, *rest)

    monkeypatch.setattr(probes.run, "project_labels", watched)
    request = request_for("topic", checkpoint("roberta"), tmp_path)
    signals = run_probe(request.model_copy(update={"word_links": str(tmp_path / "links.txt")}))
    assert signals.word_pairs == "file"
    assert any(source.endswith(".") for source, _ in linked)
    assert len(linked) > 1.8 * SMALL.rounds * SMALL.batch_size


def test_links_from_a_dictionary(checkpoint: Checkpoint, tmp_path: Path) -> None:
    request = request_for("topic", checkpoint("bert"), tmp_path)
    signals = run_probe(request.model_copy(update={"dictionary": str(sample_path("dictionary.en-tr.tsv"))}))
    assert signals.word_pairs == "dictionary"
    assert signals.run.used["word links"] > 0


def test_too_few_target_labels_are_noted_and_not_measured(checkpoint: Checkpoint, tmp_path: Path) -> None:
    rows = sample_path("topics.tr.tsv").read_text(encoding="utf-8").splitlines()[:8]
    (tmp_path / "few.tsv").write_text("\n".join(rows), encoding="utf-8")
    request = request_for("topic", checkpoint("bert"), tmp_path)
    signals = run_probe(request.model_copy(update={"target_labels": str(tmp_path / "few.tsv")}))
    assert "too-few-target-labels" in {note.code for note in signals.notes}
    assert {row.task_gradient for row in signals.cosines} == {"source", "target-projected"}
    assert signals.transfer.target is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "en"}, "Source and target are both English"),
        ({"source": "sr-Latn", "target": "sr-Cyrl"}, "Source and target are both Serbian"),
        ({"task": "poss"}, "did you mean 'pos'"),
        ({"budget": "huge"}, "No budget is called 'huge'"),
        ({"device": "quantum"}, "no device 'quantum'"),
        ({"device": "cuda:99"}, "no device 'cuda:99'"),
        ({"train": "nothing.tsv"}, "nothing.tsv"),
        ({"bitext": "nothing.tsv"}, "nothing.tsv"),
        ({"dictionary": "a.tsv", "word_links": "b.txt"}, "one of the two"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    checkpoint: Checkpoint, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    request = request_for("topic", checkpoint("bert"), tmp_path).model_copy(update=changes)
    with pytest.raises(InputError, match=words) as caught:
        run_probe(request)
    assert "\n" not in str(caught.value)


def test_running_out_of_memory_is_one_sentence(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(probes.gradients.points, "warm_up", exhausted)
    with pytest.raises(RunError, match="Out of memory with budget 'quick'"):
        run_probe(request_for("topic", checkpoint("bert"), tmp_path))


def test_batches_are_halved_when_memory_runs_out(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def full(size: int, what: str) -> None:
        asked.append((what, size))
        if size > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory")

    def short_of_memory(*arguments: Any, **options: Any) -> Any:
        full(arguments[2].size, arguments[0].point)
        return measure_gradients(*arguments, **options)

    def short_while_warming(*arguments: Any, **options: Any) -> Any:
        full(options["batch_size"], "warm-up")
        return warm_up(*arguments, **options)

    monkeypatch.setattr(probes.gradients.points, "measure_gradients", short_of_memory)
    monkeypatch.setattr(probes.gradients.points, "warm_up", short_while_warming)
    signals = run_probe(request_for("topic", checkpoint("bert"), tmp_path))
    assert asked == [("warm-up", 4), ("warm-up", 2), ("theta_warm", 4), ("theta_warm", 2), ("theta0", 2)]
    assert signals.run.batch_size == 2
    assert signals.run.used["gradients source"] == 2 * SMALL.rounds
    halved = [note.text for note in signals.notes if note.code == "batches-halved"]
    assert len(halved) == 2
    assert "warm-up batches hold 2 instead of 4" in halved[0]
    assert "gradient batches hold 2 instead of 4" in halved[1]


def test_both_points_take_the_rounds_that_the_leading_one_needs(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUDGETS, "quick", replace(SMALL, rounds=MIN_ROUNDS + 1))
    monkeypatch.setattr(probes.gradients.rounds, "settled", lambda *_: True)
    signals = run_probe(request_for("topic", checkpoint("bert"), tmp_path))
    assert (signals.run.rounds, signals.run.stopped) == (MIN_ROUNDS, "resolved")
    assert signals.run.used["bitext gradients"] == MIN_ROUNDS * SMALL.batch_size
    assert signals.run.used["gradients target-labels"] == MIN_ROUNDS * SMALL.batch_size

    monkeypatch.setattr(probes.gradients.rounds, "settled", lambda *_: False)
    signals = run_probe(request_for("topic", checkpoint("bert"), tmp_path))
    assert (signals.run.rounds, signals.run.stopped) == (MIN_ROUNDS + 1, "budget")


def test_an_overflow_in_bf16_is_measured_again_in_fp32(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflowing(loss: Tensor, parameters: Any, receive: Receive, keep_graph: bool) -> None:
        def inflate(block: str, place: int, gradient: Tensor) -> None:
            overflows = precisions[-1] == "bf16" and block == "layer.0"
            receive(block, place, gradient.fill_(torch.inf) if overflows else gradient)

        stream_gradients(loss, parameters, inflate, keep_graph)

    precisions: list[str] = []
    passes_in = Encoder.passes_in

    def watched(self: Encoder, precision: Any) -> Any:
        precisions.append(precision)
        return passes_in(self, precision)

    monkeypatch.setattr(Encoder, "passes_in", watched)
    monkeypatch.setattr(probes.gradients.rounds, "stream_gradients", overflowing)
    request = request_for("topic", checkpoint("bert"), tmp_path).model_copy(update={"precision": "bf16"})
    signals = run_probe(request)
    assert signals.run.dtype == "float32"
    assert {"bf16", "fp32"} <= set(precisions)
    assert all(row.squared_norm.value is not None for row in signals.losses)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", "float32"), ("bf16", "bfloat16")])
def test_the_precision_asked_for_is_used(
    checkpoint: Checkpoint, tmp_path: Path, precision: str, dtype: str
) -> None:
    request = request_for("topic", checkpoint("bert"), tmp_path).model_copy(update={"precision": precision})
    assert run_probe(request).run.dtype == dtype


class Mean:
    """A sixth objective: pulls the two languages' means together."""

    name: ClassVar[str] = "mean-distance"

    def loss(self, view: PairView) -> Tensor:
        source, target = view.sentences(LAYERS)
        return (source.mean(0) - target.mean(0)).square().sum()


@pytest.fixture
def sixth() -> Iterator[str]:
    OBJECTIVES.add(Objective(Mean.name, "sentence", "Pulls means together.", "made up", parallel=False))
    register(Mean)
    yield Mean.name
    LOSSES.remove(Mean.name)
    OBJECTIVES.remove(Mean.name)


def test_a_registered_objective_is_probed_in_rounds_that_draw_what_no_other_part_has_seen(
    sixth: str, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views: list[PairView] = []
    reserved: list[tuple[int, ...]] = []

    class Viewed(Mean):
        def loss(self, view: PairView) -> Tensor:
            views.append(view)
            return super().loss(view)

    def watched(encoder: Encoder, head: Head, pairs: Sequence[TokenizedPair], *rest: Any) -> Projection:
        views.clear()  # the pass that was timed
        reserved.extend(pair.source.ids for pair in pairs)
        return project_labels(encoder, head, pairs, *rest)

    monkeypatch.setitem(LOSSES._entries, sixth, Viewed())
    monkeypatch.setattr(probes.run, "project_labels", watched)
    signals = run_probe(request_for("topic", checkpoint("bert"), tmp_path))
    assert signals.objectives[-1] == sixth
    assert signals.cosine(sixth) is not None
    assert {row.null_cosine for row in signals.cosines if row.objective == sixth} == {None}
    assert sixth in {row.objective for row in signals.lookahead}
    theta_warm, theta0 = views[: SMALL.rounds], views[SMALL.rounds :]
    assert len(theta0) == len(theta_warm) == SMALL.rounds

    # The two points are compared on equal terms, and rounds are independent.
    assert [view.seed for view in theta0] == [view.seed for view in theta_warm]
    assert len({view.seed for view in theta0}) == SMALL.rounds
    texts = [texts_of(view) for view in theta0]
    assert texts == [texts_of(view) for view in theta_warm]
    drawn = [text for batch in texts for text in batch]
    assert len(drawn) == len(set(drawn)) == SMALL.rounds * SMALL.batch_size
    assert len(reserved) == len(drawn)
    assert not set(reserved) & set(drawn)

    # After the warm-up, the anchor is the model as it was given.
    assert {view.anchor for view in theta0} == {None}
    (anchor,) = {id(view.anchor): view.anchor for view in theta_warm}.values()
    assert anchor is theta0[0].encoder
    assert anchor is not theta_warm[0].encoder


def texts_of(view: PairView) -> list[tuple[int, ...]]:
    source = view.batch.source.inputs
    lengths = source["attention_mask"].sum(1).tolist()
    rows = source["input_ids"].tolist()
    return [tuple(row[:length]) for row, length in zip(rows, lengths, strict=True)]


class World:
    """The user's own model, with everything about it that a probe could disturb."""

    def __init__(self, folder: Path) -> None:
        self.encoder: Encoder = load_encoder(str(folder))
        assert self.encoder.masked_lm is not None
        self.model = self.encoder.masked_lm
        for i, parameter in enumerate(self.model.parameters()):
            parameter.requires_grad_(i % 3 > 0)
            if parameter.requires_grad:
                parameter.grad = torch.full_like(parameter, 0.5)
        self.seen = 0
        self.hook = self.encoder.base.register_forward_hook(self._count)
        torch.manual_seed(123)
        np.random.seed(123)
        random.seed(123)
        self.before = self._state()

    def _count(self, *_: object) -> None:
        self.seen += 1

    def _state(self) -> list[object]:
        modules = list(self.model.modules())
        return [
            {name: tensor.numpy().tobytes() for name, tensor in self.model.state_dict().items()},
            [p.requires_grad for p in self.model.parameters()],
            [None if p.grad is None else p.grad.numpy().tobytes() for p in self.model.parameters()],
            [module.training for module in modules],
            [sorted(vars(module)) for module in modules],
            [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in modules],
            torch.get_rng_state().tolist(),
            repr(np.random.get_state()),
            random.getstate(),
            torch.is_grad_enabled(),
        ]

    def assert_untouched(self) -> None:
        for before, after in zip(self.before, self._state(), strict=True):
            assert before == after


@pytest.fixture
def world(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> World:
    found = World(checkpoint("bert"))
    monkeypatch.setattr(probes.run, "load_encoder", lambda *_: found.encoder)
    return found


def test_a_probe_leaves_the_model_and_the_random_numbers(world: World, tmp_path: Path) -> None:
    signals = run_probe(request_for("pos", Path(world.encoder.id), tmp_path))
    world.assert_untouched()
    assert world.seen == 0  # only copies are run
    assert signals.model.sha256 == world.encoder.sha256


MIDST = {"embed": 1, "warm-up": 2, "theta_warm": 2, "lookahead": 4, "theta0": 3}
"""A step in the midst of each phase that takes several."""


class Interrupt(Progress):
    """Presses Ctrl-C in the middle of one phase."""

    def __init__(self, phase: str, step: int) -> None:
        self._wanted, self._step = phase, step
        self._now = ""
        self.pressed = False

    def phase(self, name: str, total: int) -> None:
        self._now = name
        if self._step == 0:
            self._press()

    def advance(self) -> None:
        self._step -= self._now == self._wanted
        if self._step == 0:
            self._press()

    def _press(self) -> None:
        if self._now == self._wanted:
            self.pressed = True
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("phase", "step"),
    [
        *((phase, 0) for phase in PHASES if phase not in MIDST),
        *(pytest.param(phase, 0, marks=pytest.mark.exhaustive) for phase in MIDST),
        *MIDST.items(),
    ],
)
def test_an_interrupted_probe_leaves_the_model(world: World, tmp_path: Path, phase: str, step: int) -> None:
    watcher = Interrupt(phase, step)
    with pytest.raises(KeyboardInterrupt):
        run_probe(request_for("topic", Path(world.encoder.id), tmp_path), watcher)
    assert watcher.pressed
    world.assert_untouched()


def test_an_interrupt_at_the_estimate_leaves_the_model(world: World, tmp_path: Path) -> None:
    class AtEstimate(Progress):
        def estimate(self, cost: CostEstimate) -> None:
            assert cost.seconds > 0
            assert cost.memory_gib > 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_probe(request_for("topic", Path(world.encoder.id), tmp_path), AtEstimate())
    world.assert_untouched()


@pytest.mark.parametrize("call", [1, 15])
def test_an_objective_that_fails_leaves_the_model(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    calls: list[int] = []

    class Failing:
        name: ClassVar[str] = "tlm"

        def loss(self, view: PairView) -> Tensor:
            calls.append(1)
            view.encoder.mlm_logits(view.source[-1])
            if len(calls) == call:
                raise ZeroDivisionError
            return view.source[-1].square().mean()

    monkeypatch.setitem(LOSSES._entries, "tlm", Failing())
    with pytest.raises(ZeroDivisionError):
        run_probe(request_for("topic", Path(world.encoder.id), tmp_path))
    world.assert_untouched()


def test_a_watcher_sees_each_phase_once_with_all_its_steps(watched: Watched) -> None:
    _, recorder = watched("pos")
    assert list(recorder.totals) == list(PHASES)
    assert recorder.estimates == 1
    for phase in ("embed", "warm-up", "theta0", "theta_warm", "lookahead"):
        assert recorder.steps[phase] == recorder.totals[phase], phase
