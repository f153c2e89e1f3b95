"""The whole probe: from what the user named to :class:`~probes.signals.Signals`.

The user's model is only ever read. Everything that changes happens on working copies, so there is
nothing to undo when a run fails or is interrupted.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from probes.bitext.distances import sentence_rows, word_rows
from probes.bitext.embedding import EMBEDDING_BATCH, EmbeddedBitext, Linker, embed_bitext
from probes.bitext.text import text_facts
from probes.budget import Budget, find_budget
from probes.catalogue import Task
from probes.context import Context, ModelAt
from probes.cost.timing import forecast_cost
from probes.data import LabelledData
from probes.encoder import Encoder, load_encoder
from probes.errors import InputError, RunError
from probes.gradients.between import Pulls
from probes.gradients.kept import KeptGradients
from probes.gradients.points import MeasuredPoints, Points, measure_points, warmed
from probes.gradients.rounds import GradientRounds, RoundBatches, task_name
from probes.heads import FittedHead, fit_head, project_labels, score_head
from probes.machine.memory import (
    freed_memory_kept,
    halve_until_it_fits,
    is_out_of_memory,
    peak_bytes,
)
from probes.machine.precision import choose_precision, or_in_fp32
from probes.machine.processes import Processes
from probes.machine.versions import library_versions
from probes.material.inputs import Inputs, read_inputs
from probes.material.parts import (
    Material,
    SourceTexts,
    lookahead_texts,
    prepare,
    prepare_source,
    task_batches,
)
from probes.material.sampling import deal
from probes.progress import Progress, Stopwatch
from probes.request import ProbeRequest
from probes.signals import (
    TOTAL,
    ModelFacts,
    Note,
    ProjectionFacts,
    RunFacts,
    Signals,
    TaskFacts,
    TaskGradient,
    TransferFacts,
)
from probes.tasks import Projection, level_called


def run_probe(
    request: ProbeRequest, watcher: Progress | None = None, inputs: Inputs | None = None
) -> Signals:
    """Measure the user's encoder for a language pair and a task.

    Under ``accelerate launch`` several processes share out the gradient rounds, and all return the same.

    Args:
        request: what to probe.
        watcher: told of phases, steps and the estimated cost.
        inputs: what the request names, where it was read before.

    Returns:
        All signals; finite, with an interval or the reason why there is none.

    Raises:
        InputError: if something the user gave cannot be used.
        RunError: if the run cannot finish (memory).
    """
    return TargetProbes(request).measure(request, watcher, inputs)[0]


class TargetProbes:
    """Probes of one encoder and task for one target after another.

    The encoder is loaded, its head fitted and the warm-up done for the first; each further target adds only
    what it is measured on. Every target's signals are those that it has alone.

    Args:
        request: what the targets share: model, source, task, labelled source data, budget, device, seed.
        several: whether further targets follow, for which source gradients are kept on disk.
    """

    def __init__(self, request: ProbeRequest, *, several: bool = False) -> None:
        self._budget = find_budget(request.budget)
        self._device = _device(request.device)
        self._seed = request.seed
        self._precision = choose_precision(request.precision, self._device)
        self._processes = Processes.here(self._device)
        self._several = several
        self._loaded: _Loaded | None = None
        self._ready: _Ready | None = None

    def measure(
        self, request: ProbeRequest, watcher: Progress | None = None, inputs: Inputs | None = None
    ) -> tuple[Signals, Pulls]:
        """All signals of a target, and sketches of its alignment gradients to compare targets by.

        Args, errors: as for :func:`run_probe`.
        """
        spent = self._ready.seconds if self._ready else {}
        context = Context(
            seed=self._seed,
            precision=self._precision,
            watch=Stopwatch(watcher, spent),
            processes=self._processes,
        )
        with torch.random.fork_rng(), _memory_errors(self._budget), freed_memory_kept():
            with context.watch.phase("read"):
                inputs = inputs or read_inputs(request)
            with context.watch.phase("load"):
                loaded = self._loaded = self._loaded or self._load(request, inputs)
                material = prepare(inputs, loaded.base, self._budget, self._seed, loaded.texts)
                start = loaded.base.with_rows(sorted({i for ids in material.ids for i in ids}))
            if self._ready is None:
                context.watch.estimate(forecast_cost(start, material, self._budget, context))
                self._ready = _warmed(loaded, inputs.task, self._budget, context)
            ready = self._ready
            if self._several:
                ready.kept = KeptGradients(loaded.base) if ready.kept is None else ready.kept
                context = replace(context, kept=ready.kept)
            return _Probe(self._budget, inputs, material, start, ready, context).signals(loaded.facts)

    def _load(self, request: ProbeRequest, inputs: Inputs) -> "_Loaded":
        encoder = load_encoder(request.model, self._device)
        texts = prepare_source(inputs, encoder, self._budget, self._seed)
        used = {i for ids in texts.ids for i in ids} | set(encoder.tokenizer.all_special_ids)
        # the encoder's layers are in the copy, and would be held twice
        return _Loaded(encoder.facts(), encoder.working_copy(sorted(used)), texts, inputs.train)


@dataclass(frozen=True)
class _Loaded:
    """An encoder with the source texts it is measured on; ``base`` has embedding rows for these alone."""

    facts: ModelFacts
    base: Encoder
    texts: SourceTexts
    train: LabelledData


@dataclass
class _Ready:
    """What the warm-up leaves, with rows for source texts alone; ``seconds`` by phase went into it."""

    fitted: FittedHead
    transfer: TransferFacts
    points: Points
    warm_up_batch: int
    seconds: dict[str, float]
    kept: KeptGradients | None = None


def _warmed(loaded: _Loaded, task: Task, budget: Budget, context: Context) -> _Ready:
    """Fit the head and fine-tune a copy for a few steps."""
    watch, texts, source = context.watch, loaded.texts, loaded.texts.split
    level = level_called(task.level)
    labels = loaded.train.labels
    with watch.phase("head"):
        fitted = fit_head(loaded.base, source.fit[: budget.fit_sentences], len(labels), level, context.seed)
        majority = level.score(
            source.held_out, level.majority(source.fit, source.held_out), labels, task.metric
        ).value
        assert majority is not None
        transfer = TransferFacts(
            source=score_head(loaded.base, fitted.head, source.held_out, labels, task.metric),
            target=None,
            majority=majority,
            train_fit=fitted.train_fit,
            regularisation=fitted.regularisation,
        )
    start = ModelAt("theta0", loaded.base, fitted.head, texts.tokenizer)

    def attempt(size: int) -> Points:
        points, _ = or_in_fp32(
            context.precision,
            lambda used: warmed(start, source.fit, budget, size, replace(context, precision=used)),
        )
        return points

    with watch.phase("warm-up", budget.warm_up_steps):
        points, batch = halve_until_it_fits(budget.batch_size, attempt)
    return _Ready(fitted, transfer, points, batch, dict(watch.seconds))


@dataclass(frozen=True)
class _Probe:
    """A probe whose data is read and whose model is warmed up; ``start`` has rows for all its texts."""

    budget: Budget
    inputs: Inputs
    material: Material
    start: Encoder
    ready: _Ready
    context: Context

    @property
    def linker(self) -> Linker:
        """Finds aligned words as the user wants it."""
        dictionary, bitext = self.inputs.dictionary, self.inputs.bitext
        entries = dictionary.entries if dictionary else None
        return Linker(self.start.layers, entries, given=bitext.links is not None)

    def signals(self, model: ModelFacts) -> tuple[Signals, Pulls]:
        """Take all measurements that the target adds, from embeddings to gradients."""
        budget, inputs, material, watch = self.budget, self.inputs, self.material, self.context.watch
        with watch.phase("embed", -(-len(material.pairs) // EMBEDDING_BATCH)):
            bitext = self._embedded()
            distances = (
                *sentence_rows(bitext.source, bitext.target),
                *word_rows(bitext.source_words, bitext.target_words),
            )
        with watch.phase("transfer"):
            transfer = self._transfer()
        points = self.ready.points.with_rows(self.start)
        reserved = bitext.pairs[budget.rounds * material.pair_batch :][: budget.rounds * material.pair_batch]
        warm = points.theta_warm
        projection = project_labels(
            warm.encoder, warm.head, reserved, material.tokenizer, material.source.fit
        )
        tasks, notes = task_batches(material, projection, budget)
        planned = RoundBatches(tasks, deal(bitext.pairs, budget.rounds, material.pair_batch))
        texts = lookahead_texts(material, projection, budget, tasks)
        found, pair_batch = halve_until_it_fits(
            material.pair_batch,
            lambda size: measure_points(points, planned.shrunk(size), texts, self.context),
        )
        task = inputs.task
        sources, targets = zip(*(pair.strings for pair in material.pairs), strict=True)
        signals = Signals(
            model=model,
            source=inputs.source.code,
            target=inputs.target.code,
            task=TaskFacts(name=task.name, level=task.level, metric=task.metric, labels=material.labels),
            word_pairs=self.linker.kind,
            data=inputs.facts,
            transfer=transfer,
            losses=(*found.theta0.losses, *found.theta_warm.losses),
            cosines=(*found.theta0.cosines, *found.theta_warm.cosines),
            conflicts=(*found.theta0.conflicts, *found.theta_warm.conflicts),
            lookahead=found.lookahead,
            distances=distances,
            text=text_facts(sources, targets, self.start.tokenizer, inputs.source, inputs.target),
            projection=_projection_facts(projection, found.theta_warm, tasks, task, self.linker),
            unavailable=found.unavailable,
            notes=(
                *material.notes,
                *notes,
                *_head_notes(transfer),
                *_shrinking_notes(budget, self.ready.warm_up_batch, material, pair_batch),
            ),
            run=self._run_facts(bitext, planned.shrunk(pair_batch), found),
        )
        return signals, found.theta_warm.pulls

    def _transfer(self) -> TransferFacts:
        """What the head scores, with labels on target text, too."""
        material, head = self.material, self.ready.fitted.head
        if not material.target:
            return self.ready.transfer
        target = score_head(self.start, head, material.target, material.labels, self.inputs.task.metric)
        return self.ready.transfer.model_copy(update={"target": target})

    def _embedded(self) -> EmbeddedBitext:
        tokenizer, pairs, most = self.material.tokenizer, self.material.pairs, self.budget.pairs
        start, linker, watch = self.start, self.linker, self.context.watch
        return halve_until_it_fits(
            EMBEDDING_BATCH,
            lambda size: embed_bitext(start, tokenizer, pairs, linker, most, watch, size),
        )[0]

    def _run_facts(self, bitext: EmbeddedBitext, batches: RoundBatches, found: MeasuredPoints) -> RunFacts:
        """How the run went; ``batches`` are those planned, in the size that fitted."""
        budget, material, context = self.budget, self.material, self.context
        taken = found.theta_warm.rounds
        used = {
            "head": min(len(material.source.fit), budget.fit_sentences),
            "warm-up": len(material.source.fit),
            "held-out source": len(material.source.held_out),
            "target labels": len(material.target),
            "distances": bitext.source.shape[1],
            "word links": sum(len(pair.links) for pair in bitext.pairs),
            "bitext gradients": taken * batches.size,
        } | {
            f"gradients {name}": sum(len(batch) for batch in each)
            for name, each in batches.first(taken).tasks.items()
        }
        precisions = {found.theta0.precision, found.theta_warm.precision}
        return RunFacts(
            budget=budget.name,
            rounds=taken,
            stopped="resolved" if taken < budget.rounds else "budget",
            batch_size=batches.size,
            warm_up_steps=budget.warm_up_steps,
            seed=context.seed,
            device=str(self.start.device),
            dtype="bfloat16" if precisions == {"bf16"} else "float32",
            threads=torch.get_num_threads(),
            processes=context.processes.count,
            seconds=context.watch.total,
            phases=dict(context.watch.seconds),
            peak_memory_gib=peak_bytes(self.start.device) / 2**30,
            versions=library_versions(),
            used=used,
        )


def _projection_facts(
    projection: Projection,
    warm: GradientRounds,
    tasks: Mapping[TaskGradient, object],
    task: Task,
    linker: Linker,
) -> ProjectionFacts | None:
    if "target-projected" not in tasks:
        return None
    cosine = None
    if "target-labels" in tasks:
        cosine = warm.moments.cosine(TOTAL, task_name("target-labels"), task_name("target-projected"))
    return ProjectionFacts(
        sentences=len(projection.items),
        coverage=projection.coverage,
        word_alignment=linker.kind if task.level in ("token", "span") else None,
        cosine_with_labels=cosine,
    )


def _head_notes(transfer: TransferFacts) -> Iterator[Note]:
    if transfer.source.low is not None and transfer.source.low <= transfer.majority:
        yield Note(
            code="head-at-majority",
            text=f"On frozen features the task is not learned: {transfer.source.value:.1f} points on "
            "held-out source text, where always answering the most frequent label scores "
            f"{transfer.majority:.1f}.",
        )


def _shrinking_notes(
    budget: Budget, warm_up_batch: int, material: Material, pair_batch: int
) -> Iterator[Note]:
    for what, before, after in (
        ("warm-up", budget.batch_size, warm_up_batch),
        ("gradient", material.pair_batch, pair_batch),
    ):
        if after < before:
            yield Note(
                code="batches-halved",
                text=f"Memory ran out: {what} batches hold {after} instead of {before}, so that noise is "
                "larger and contrastive losses have fewer negatives.",
            )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"There is no device '{name}' on this machine: use --device auto or cpu.") from error
    return device


@contextmanager
def _memory_errors(budget: Budget) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        smaller = "a machine with more memory" if budget.name == "quick" else "--budget quick or more memory"
        raise RunError(f"Out of memory with budget '{budget.name}': use {smaller}.") from error
