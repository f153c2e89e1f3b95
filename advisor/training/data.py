"""The data a recipe names, tokenised, and batches of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice

from advisor.options import WordPairs
from advisor.training.config import Recipe, drawn
from advisor.training.shared import Shared
from probes.batches import LabelledText, TokenizedPair, Tokenizer
from probes.bitext.embedding import Linker, embed_bitext
from probes.catalogue import TASKS, Task
from probes.data import Columns, LabelledData, keep_known_labels, read_bitext, read_dictionary, read_labelled
from probes.encoder import Encoder
from probes.errors import InputError
from probes.languages import parse_language
from probes.material.sampling import shuffled
from probes.progress import Stopwatch
from probes.tasks import level_called

_POOL = 4096
"""Pairs whose words are linked at least, so that runs with other seeds find theirs linked already."""


@dataclass(frozen=True)
class LabelledTexts:
    """Tokenised texts by what they are for, and the names of their classes in the order of their indices.

    ``scored`` are texts to score on: ``source`` and the names of the target languages' texts.
    """

    task: Task
    labels: tuple[str, ...]
    train: list[LabelledText]
    scored: dict[str, list[LabelledText]]

    @property
    def cut(self) -> int:
        """How many texts were longer than the longest input."""
        return sum(item.text.cut for items in (self.train, *self.scored.values()) for item in items)


def read_texts(
    recipe: Recipe, tokenizer: Tokenizer, targets: Mapping[str, str], shared: Shared
) -> LabelledTexts:
    """Read labelled data; without ``source_labels`` a share of the training data is held out.

    ``targets`` is labelled data to score on, by language; ``target`` is the recipe's.

    Raises:
        InputError: if a file cannot be used, or the training data holds fewer than two texts.
    """
    task = TASKS.find(recipe.task)
    level = level_called(task.level)
    columns = Columns(**recipe.columns)
    key = (tokenizer.sha256, tokenizer.max_length, recipe.train, recipe.source, recipe.task, columns)

    def read_train() -> tuple[LabelledData, list[LabelledText]]:
        source = parse_language(recipe.source)
        data = read_labelled(recipe.train, task, role="train", language=source, columns=columns)
        if len(data) < 2:
            raise InputError(f"{recipe.train} holds a single text: bring at least one more to score on.")
        return data, level.labelled(tokenizer, data.examples, _index(data))

    data, items = shared.get("training texts", key, read_train, most=8)

    def read_scored(spec: str, role: str, code: str) -> list[LabelledText]:
        language = parse_language(code)
        other = read_labelled(spec, task, role=role, language=language, columns=columns)
        other = keep_known_labels(data, other)
        return level.labelled(tokenizer, drawn(other.examples, recipe.most_scored)[0], _index(data))

    def scored(spec: str, role: str, code: str) -> list[LabelledText]:
        where = (*key, spec, code, recipe.most_scored)
        return shared.get("scored texts", where, lambda: read_scored(spec, role, code), most=256)

    train = shuffled(items, recipe.seed)
    if recipe.source_labels is None:
        held_out = max(1, round(recipe.held_out_share * len(items)))
        source, train = train[:held_out][: recipe.most_scored], train[held_out:]
    else:
        source = scored(recipe.source_labels, "source-labels", recipe.source)
    sets = {
        name: scored(spec, "target-labels", recipe.target if name == "target" else name)
        for name, spec in targets.items()
    }
    return LabelledTexts(task, data.labels, train, {"source": source, **sets})


def _index(data: LabelledData) -> dict[str, int]:
    return {label: i for i, label in enumerate(data.labels)}


def read_pairs(
    recipe: Recipe, encoder: Encoder, tokenizer: Tokenizer, wanted: int, watch: Stopwatch, shared: Shared
) -> list[TokenizedPair]:
    """Draw at most ``wanted`` translation pairs; for losses over words, only those with linked words count.

    Mutual argmax links words by the states of ``encoder``, which is untouched. Runs of all seeds draw from
    one pool of pairs.

    Raises:
        InputError: if the bitext cannot be used, or fewer than two pairs are left.
    """
    size = max(wanted, _POOL)
    key = (encoder.sha256, encoder.precision, tokenizer.max_length, recipe.source)
    files = (recipe.dictionary, recipe.word_links, recipe.option.word_pairs)
    pools: list[list[TokenizedPair]] = []
    sizes: list[int] = []
    for target, bitext in ({recipe.target: recipe.bitext} | recipe.also).items():
        one = recipe.model_copy(update={"target": target, "bitext": bitext})
        pool, of_bitext = shared.get(
            "pairs",
            (*key, target, bitext, *files, size),
            partial(_pool, one, encoder, tokenizer, size, watch),
        )
        pools.append(shuffled(pool, recipe.seed))
        sizes.append(of_bitext)
    if len(pools) == 1:
        return pools[0][:wanted]
    counts = shares(sizes, recipe.temperature, wanted)
    # a small bitext is gone through more than once
    mixed = [pair for pool, n in zip(pools, counts, strict=True) for pair in islice(cycle(pool), n)]
    return shuffled(mixed, recipe.seed)


def shares(sizes: Sequence[int], temperature: float, wanted: int) -> list[int]:
    """How many of ``wanted`` pairs come from bitexts of these sizes: n^(1/temperature) each, one at least."""
    weights = [size ** (1 / temperature) for size in sizes]
    return [max(1, round(wanted * weight / sum(weights))) for weight in weights]


def _pool(
    recipe: Recipe, encoder: Encoder, tokenizer: Tokenizer, size: int, watch: Stopwatch
) -> tuple[list[TokenizedPair], int]:
    """At most ``size`` usable pairs of the bitext, whatever the seed, and how many it holds in all."""
    option = recipe.option
    from_file = option.word_pairs is WordPairs.FILE
    bitext = read_bitext(
        str(recipe.bitext),
        parse_language(recipe.source),
        parse_language(recipe.target),
        links=recipe.word_links if from_file else None,
    )
    pairs = []
    for i in shuffled(range(len(bitext)), seed=0)[:size]:
        pair = tokenizer.translation(*bitext.pairs[i], split=bitext.links is not None)
        pairs.append(pair if bitext.links is None else replace(pair, links=bitext.links[i]))
    if option.word_pairs is not None:
        use_dictionary = option.word_pairs is WordPairs.DICTIONARY
        entries = read_dictionary(str(recipe.dictionary)).entries if use_dictionary else None
        linker = Linker(encoder.layers, entries, from_file)
        with watch.phase("embed", math.ceil(len(pairs) / 32)):
            linked = embed_bitext(encoder, tokenizer, pairs, linker, measured=1, watch=watch).pairs
        pairs = [pair for pair in linked if pair.links]
    if len(pairs) < 2:
        raise InputError(
            f"{recipe.bitext} has too few usable pairs ({len(pairs)}) to align with: bring more bitext, or "
            "find aligned words another way (word_pairs)."
        )
    return pairs, len(bitext)
