"""From what the user named to tokenised, disjoint parts that a probe can draw on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from probes.batches import LabelledText, TokenizedPair, Tokenizer
from probes.budget import Budget
from probes.data import UNKNOWN_LABEL
from probes.encoder import Encoder
from probes.material.inputs import Inputs
from probes.material.sampling import SourceSplit, batch_size_for, deal, shuffled, split_source
from probes.signals import Note, TaskGradient
from probes.tasks import Projection, level_called


@dataclass(frozen=True)
class Material:
    """Tokenised, disjoint parts of the inputs.

    Attributes:
        tokenizer: that made them.
        level: of the task.
        labels: the classes; an item's labels are indices into them.
        source: labelled source sentences by what they are for.
        target: labelled target sentences.
        pairs: translation pairs in random order.
        pair_batch: pairs a gradient round takes.
        notes: what a careful person should know about them.
    """

    tokenizer: Tokenizer
    level: str
    labels: tuple[str, ...]
    source: SourceSplit[LabelledText]
    target: list[LabelledText]
    pairs: list[TokenizedPair]
    pair_batch: int
    notes: tuple[Note, ...]

    @property
    def ids(self) -> Iterator[tuple[int, ...]]:
        """Subword ids of every text of target and bitext."""
        yield from (item.text.ids for item in self.target)
        for pair in self.pairs:
            yield pair.source.ids
            yield pair.target.ids


@dataclass(frozen=True)
class SourceTexts:
    """The part of the inputs that is the same whatever the target.

    Attributes:
        tokenizer: that made them.
        split: labelled source sentences by what they are for.
    """

    tokenizer: Tokenizer
    split: SourceSplit[LabelledText]

    @property
    def ids(self) -> Iterator[tuple[int, ...]]:
        """Subword ids of every text."""
        for items in (self.split.fit, self.split.held_out, *self.split.rounds):
            yield from (item.text.ids for item in items)


def prepare_source(inputs: Inputs, encoder: Encoder, budget: Budget, seed: int) -> SourceTexts:
    """Sample and tokenise labelled source text.

    Raises:
        InputError: if there is too little.
    """
    tokenizer = Tokenizer(encoder.tokenizer, min(budget.max_length, encoder.max_length))
    index = {label: i for i, label in enumerate(inputs.train.labels)}
    wanted = (
        max(budget.fit_sentences, budget.warm_up_steps * budget.batch_size)
        + budget.rounds * budget.batch_size
        + budget.held_out_sentences
    )
    examples = shuffled(inputs.train.examples, seed)[:wanted]
    items = level_called(inputs.task.level).labelled(tokenizer, examples, index)
    return SourceTexts(tokenizer, split_source(items, budget))


def prepare(inputs: Inputs, encoder: Encoder, budget: Budget, seed: int, texts: SourceTexts) -> Material:
    """Sample and tokenise what the budget allows, beside the source texts.

    Raises:
        InputError: if there is too little of something.
    """
    tokenizer, source = texts.tokenizer, texts.split
    labels = inputs.train.labels
    index = {label: i for i, label in enumerate(labels)}
    level = level_called(inputs.task.level)
    target: list[LabelledText] = []
    if inputs.labelled_target is not None:
        most = max(budget.rounds * budget.batch_size, budget.held_out_sentences)
        target = level.labelled(tokenizer, shuffled(inputs.labelled_target.examples, seed)[:most], index)
    pair_batch = batch_size_for(len(inputs.bitext.pairs) // 2, budget, "half of the translation pairs")
    order = shuffled(range(len(inputs.bitext.pairs)), seed)
    order = order[: max(2 * budget.rounds * pair_batch, budget.pairs)]
    pairs = []
    for i in order:
        pair = tokenizer.translation(*inputs.bitext.pairs[i], split=inputs.bitext.links is not None)
        if inputs.bitext.links is not None:
            pair = replace(pair, links=inputs.bitext.links[i])
        pairs.append(pair)
    smallest = min(pair_batch, len(source.rounds[0]))
    cut = sum(item.text.cut for item in [*source.fit, *target]) + sum(
        pair.source.cut or pair.target.cut for pair in pairs
    )
    notes = (
        *_reading_notes(inputs, encoder),
        *_notes(inputs, cut, tokenizer.max_length, smallest, budget),
    )
    return Material(tokenizer, inputs.task.level, labels, source, target, pairs, pair_batch, notes)


def _reading_notes(inputs: Inputs, encoder: Encoder) -> Iterator[Note]:
    """What was remarkable about the inputs as they were read."""
    for fact in inputs.facts:
        for note in fact.notes:
            yield Note(code="read", text=f"{fact.spec}: {note}.")
    if encoder.left_out:
        named = ", ".join(encoder.left_out)
        text = (
            f"What the checkpoint has behind its pooling ({named}) is left out: sentences are pooled states."
        )
        yield Note(code="left-out", text=text)
    head_labels = encoder.head_labels
    own = {label.rpartition("-")[2] for label in inputs.train.labels}
    brought = {label.rpartition("-")[2] for label in head_labels}
    if brought and brought != own:
        listed = ", ".join(head_labels[:5]) + (" ..." if len(head_labels) > 5 else "")
        yield Note(
            code="other-head",
            text=f"The checkpoint was fine-tuned on other labels ({listed}): its head is not used, but the "
            "encoder learned for them.",
        )


def _notes(inputs: Inputs, cut: int, max_length: int, smallest: int, budget: Budget) -> Iterator[Note]:
    if cut:
        yield Note(code="text-cut", text=f"{cut} of the texts exceeded {max_length} subwords and were cut.")
    if smallest < budget.batch_size:
        yield Note(
            code="small-batches",
            text=f"Little data: gradient batches hold {smallest} instead of {budget.batch_size}, so that "
            "noise is larger and contrastive losses have fewer negatives.",
        )
    if inputs.labelled_target is not None:
        foreign = inputs.labelled_target.facts.dropped.get(UNKNOWN_LABEL, 0)
        if foreign:
            yield Note(
                code="label-sets-differ",
                text=f"The label sets differ: {foreign} of {inputs.labelled_target.facts.read} target "
                "examples were left out for labels that training never shows.",
            )


def task_batches(
    material: Material, projection: Projection, budget: Budget
) -> tuple[dict[TaskGradient, list[list[LabelledText]]], list[Note]]:
    """Batches for every task gradient there is data for."""
    tasks: dict[TaskGradient, list[list[LabelledText]]] = {"source": material.source.rounds}
    notes = [Note(code="no-projection", text=projection.missing)] if projection.missing else []
    for name, items in (("target-labels", material.target), ("target-projected", list(projection.items))):
        size = min(budget.batch_size, len(items) // budget.rounds)
        if size >= 2:
            key: TaskGradient = "target-labels" if name == "target-labels" else "target-projected"
            tasks[key] = deal(items, budget.rounds, size)
        elif items:
            notes.append(
                Note(
                    code=f"too-few-{name}",
                    text=f"{len(items)} sentences are too few for a gradient ({name}): "
                    f"{2 * budget.rounds} are needed.",
                )
            )
    return tasks, notes


def lookahead_texts(
    material: Material,
    projection: Projection,
    budget: Budget,
    tasks: Mapping[TaskGradient, Sequence[Sequence[LabelledText]]],
) -> dict[TaskGradient, list[LabelledText]]:
    """Texts to evaluate the task loss on; no objective's gradient has seen their labels."""
    most = budget.held_out_sentences // 3
    texts: dict[TaskGradient, list[LabelledText]] = {
        "source": material.source.held_out,
        "target-labels": material.target,
        "target-projected": list(projection.items),
    }
    return {name: items[:most] for name, items in texts.items() if name in tasks}
