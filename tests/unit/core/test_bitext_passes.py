"""What is done with the bitext before gradients: links, vectors, and labels carried over."""

from dataclasses import replace

import pytest
import torch

from probes.batches import IGNORED, TokenizedPair, Tokenizer, collate_texts
from probes.bitext.embedding import Linker, embed_bitext, word_vectors
from probes.encoder import Encoder
from probes.heads import Head, predict, project_labels
from probes.progress import Stopwatch
from probes.tasks import level_called
from probes.words import drop_identical, mutual_argmax
from tests.conftest import Load
from tests.models import HIDDEN, LAYERS, sample_pairs, sample_sentences

CLASSES = 4


def tokenizer_of(encoder: Encoder) -> Tokenizer:
    return Tokenizer(encoder.tokenizer, 64)


def random_head(level: str = "token") -> Head:
    generator = torch.Generator().manual_seed(0)
    return Head(torch.randn(CLASSES, HIDDEN, generator=generator), torch.zeros(CLASSES), level_called(level))


def alone(encoder: Encoder, pair: TokenizedPair, side: str) -> tuple[torch.Tensor, ...]:
    """Hidden states of one side of one pair, each of shape (length, hidden)."""
    with torch.no_grad():
        batch = collate_texts([getattr(pair, side)], encoder.tokenizer)
        return tuple(state[0] for state in encoder.hidden_states(batch))


def naive_words(state: torch.Tensor, words: tuple[int, ...]) -> torch.Tensor:
    rows = [state[[i for i, w in enumerate(words) if w == word]].mean(0) for word in range(max(words) + 1)]
    return torch.stack(rows)


def test_the_bitext_is_embedded_in_its_own_order(load: Load) -> None:
    encoder = load("xlm-r")
    tokenizer = tokenizer_of(encoder)
    pairs = [tokenizer.translation(*pair.strings) for pair in sample_pairs(tokenizer, 40)]
    assert len({len(pair.source.ids) for pair in pairs}) > 5
    linker = Linker(LAYERS)
    found = embed_bitext(encoder, tokenizer, pairs, linker, 35, Stopwatch())

    assert [pair.strings for pair in found.pairs] == [pair.strings for pair in pairs]
    assert found.source.shape == found.target.shape == (LAYERS + 1, 35, HIDDEN)
    expected_words: dict[str, list[torch.Tensor]] = {"source": [], "target": []}
    for i, pair in enumerate(pairs):
        states = {side: alone(encoder, pair, side) for side in ("source", "target")}
        vectors = {
            side: [naive_words(state, getattr(pair, side).words) for state in states[side]] for side in states
        }
        links = mutual_argmax(vectors["source"][linker.layer], vectors["target"][linker.layer])
        links = drop_identical(links, pair.source.surface, pair.target.surface)
        assert found.pairs[i].links == tuple(links)
        if i >= 35:
            continue
        for end, side in enumerate(("source", "target")):
            embedded = (found.source, found.target)[end]
            for layer in range(LAYERS + 1):
                torch.testing.assert_close(
                    embedded[layer, i], states[side][layer].mean(0), atol=1e-5, rtol=1e-4
                )
            chosen = [link[end] for link in links[:4]]
            expected_words[side].append(torch.stack([v[chosen] for v in vectors[side]]))
    for side, embedded in (("source", found.source_words), ("target", found.target_words)):
        torch.testing.assert_close(embedded, torch.cat(expected_words[side], 1), atol=1e-5, rtol=1e-4)


def test_word_vectors_are_means_over_subwords(load: Load) -> None:
    encoder = load("bert")
    tokenizer = tokenizer_of(encoder)
    texts = [tokenizer.text(text) for text in sample_sentences("tr")[:4]]
    batch = collate_texts(texts, encoder.tokenizer)
    hidden = torch.randn(*batch.words.shape, 6, generator=torch.Generator().manual_seed(0))
    for row, text in enumerate(texts):
        torch.testing.assert_close(
            word_vectors(hidden, batch, row), naive_words(hidden[row, : len(text.words)], text.words)
        )


@pytest.mark.parametrize(("layers", "layer"), [(1, 1), (2, 1), (3, 2), (6, 4), (12, 8), (24, 16)])
def test_words_are_linked_two_thirds_up(layers: int, layer: int) -> None:
    assert Linker(layers).layer == layer


def test_each_source_of_links_is_called_by_its_name() -> None:
    assert Linker(2).kind == "mutual-argmax"
    assert Linker(2, {"water": ["su"]}).kind == "dictionary"
    assert Linker(2, {}).kind == "dictionary"
    assert Linker(2, given=True).kind == "file"


def test_links_from_a_dictionary_and_from_a_file(load: Load) -> None:
    tokenizer = tokenizer_of(load("bert"))
    pair = tokenizer.translation("Drink plenty of water, Ada.", "Bol su iç, Ada.")
    source, target = (torch.zeros(len(side.surface), 3) for side in (pair.source, pair.target))
    entries = {"water": ["su"], "drink": ["iç"], "ada": ["ada"], ",": [","]}
    assert Linker(2, entries).link(pair, source, target).links == ((0, 2), (3, 1))

    given = replace(pair, links=((0, 2), (3, 1), (5, 4), (3, 99)))
    assert Linker(2, given=True).link(given, source, target).links == ((0, 2), (3, 1))
    # Words that were cut off have no vector.
    assert Linker(2, given=True).link(given, source[:2], target).links == ((0, 2),)


def test_token_labels_are_carried_along_the_links(load: Load) -> None:
    encoder = load("bert")
    tokenizer = tokenizer_of(encoder)
    pair = tokenizer.translation("Drink plenty of water", "Bol su iç")
    pairs = [replace(pair, links=((0, 2), (3, 1))), replace(pair, links=())]
    head = random_head("token")
    found = project_labels(encoder, head, pairs, tokenizer)
    with torch.no_grad():
        states = naive_first(alone(encoder, pair, "source")[-1], pair.source.words)
        labels = (states @ head.weight.T + head.bias).argmax(-1).tolist()
    assert [item.labels for item in found.items] == [(IGNORED, labels[3], labels[0])]
    assert found.items[0].text is pair.target
    assert found.coverage == pytest.approx(2 / 6)


def naive_first(state: torch.Tensor, words: tuple[int, ...]) -> torch.Tensor:
    return torch.stack([state[words.index(word)] for word in range(max(words) + 1)])


def test_links_to_words_that_were_cut_carry_nothing(load: Load) -> None:
    encoder = load("bert")
    tokenizer = Tokenizer(encoder.tokenizer, 8)
    pair = tokenizer.words(["water"] * 20)
    pairs = [TokenizedPair(("", ""), pair, pair, links=((0, 0), (0, 19), (19, 0)))]
    found = project_labels(encoder, random_head("token"), pairs, tokenizer)
    (item,) = found.items
    assert item.labels[0] != IGNORED
    assert len(item.labels) < 20


def test_a_translation_inherits_its_sentences_label(load: Load) -> None:
    encoder = load("bert")
    tokenizer = tokenizer_of(encoder)
    pairs = sample_pairs(tokenizer, 9)
    pooled = torch.stack([alone(encoder, pair, "source")[-1].mean(0) for pair in pairs])
    head = random_head("sentence")
    with torch.no_grad():
        head.bias.copy_(-pooled.mean(0) @ head.weight.T)  # so that not all get the same label
        expected = (pooled @ head.weight.T + head.bias).argmax(-1).tolist()
    found = project_labels(encoder, head, pairs, tokenizer)
    assert found.coverage == 1
    assert [item.text for item in found.items] == [pair.target for pair in pairs]
    assert [label for item in found.items for label in item.labels] == expected
    assert len(set(expected)) > 1


def test_pairs_of_neighbours_inherit_the_label_of_their_originals(load: Load) -> None:
    encoder = load("bert")
    tokenizer = tokenizer_of(encoder)
    pairs = sample_pairs(tokenizer, 6)
    head = random_head("pair")
    found = project_labels(encoder, head, pairs, tokenizer)
    assert len(found.items) == 5
    for item, first, second in zip(found.items, pairs, pairs[1:], strict=False):
        assert item.text == tokenizer.pair(first.strings[1], second.strings[1])
        original = tokenizer.pair(first.strings[0], second.strings[0])
        assert [list(item.labels)] == predict(encoder, head, [replace(item, text=original)])
