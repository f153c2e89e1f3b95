"""Text to subwords with their words, and batches of them."""

from unicodedata import normalize

import pytest
import torch
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from probes.batches import (
    IGNORED,
    LabelledText,
    Tokenizer,
    collate_pairs,
    collate_texts,
)
from probes.data import TokenExample
from probes.tasks import level_called
from tests.conftest import Load
from tests.models import ARCHITECTURES, fast_tokenizer, sample_examples, sample_pairs, sample_sentences

every_tokenizer = pytest.mark.parametrize("name", ["bert", "xlm-r", "roberta", "t5"])


def tokenizer_of(name: str, max_length: int = 128) -> Tokenizer:
    return Tokenizer(fast_tokenizer(name), max_length)


@every_tokenizer
def test_split_words_become_the_subwords_of_running_text(name: str) -> None:
    # Byte-level tokenizers would cut a word without a space before it into other pieces.
    tokenizer = tokenizer_of(name)
    words = ["The", "dentist", "has", "an", "opening"]
    text = tokenizer.words(words)
    assert text.ids == tuple(tokenizer.backend(" ".join(words))["input_ids"])
    assert text.surface == tuple(words)


@every_tokenizer
def test_every_split_word_owns_its_subwords(name: str) -> None:
    tokenizer = tokenizer_of(name)
    for language in ("en", "tr", "zh"):
        for example in sample_examples("token", language)[:20]:
            assert isinstance(example, TokenExample)
            text = tokenizer.words(example.words)
            assert set(text.words) - {-1} == set(range(len(example.words)))
            inner = [word for word in text.words if word >= 0]
            assert inner == sorted(inner)
            for i, word in enumerate(example.words):
                own = [t for t, w in zip(text.ids, text.words, strict=True) if w == i]
                pieces = str(tokenizer.backend.decode(own)).strip().replace(" ", "")
                unknown = tokenizer.backend.unk_token
                assert (
                    normalize("NFKC", pieces) == normalize("NFKC", word).replace(" ", "")
                    or str(unknown) in pieces
                )


@every_tokenizer
def test_a_split_word_may_hold_a_space_or_leave_no_subword(name: str) -> None:
    tokenizer = tokenizer_of(name)
    text = tokenizer.words(["10 000", "\u200b", "water"])
    assert len(text.surface) == 3
    assert {0, 2} <= set(text.words)
    last = max(i for i, word in enumerate(text.words) if word == 0)
    first = min(i for i, word in enumerate(text.words) if word == 2)
    assert last < first


@pytest.mark.parametrize("split", [True, False])
def test_the_space_before_a_word_belongs_to_no_word(split: bool) -> None:
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [("\u2581", -2.0), ("水", -3.0), ("\u2581we", -3.0), ("是", -3.0), (",", -3.0)]
    backend = FastTokenizer(models.Unigram(pieces, unk_id=3))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer = Tokenizer(PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>"), 32)
    text = tokenizer.words(["we", "水", "是水", ","]) if split else tokenizer.text("we 水 是水 ,")
    tokens = [backend.id_to_token(i) for i in text.ids]
    assert tokens == ["\u2581we", "\u2581", "水", "\u2581", "是", "水", "\u2581", ","]
    assert text.words == ((0, -1, 1, -1, 2, 2, -1, 3) if split else (0, -1, 1, -1, 2, 3, -1, 4))


@every_tokenizer
def test_running_text_counts_its_words_without_gaps(name: str) -> None:
    tokenizer = tokenizer_of(name)
    text = tokenizer.text("The dog's bone, she said.")
    assert text.surface == ("The", "dog's", "bone", ",", "she", "said", ".")
    assert set(text.words) - {-1} == set(range(7))
    assert not text.cut


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_special_tokens_belong_to_no_word(name: str) -> None:
    tokenizer = tokenizer_of(name)
    special = set(tokenizer.backend.all_special_ids)
    texts = [
        tokenizer.text("My laptop is new."),
        tokenizer.words(["My", "laptop"]),
        tokenizer.pair("My laptop", "Dizüstü bilgisayarım"),
    ]
    for text in texts:
        assert any(i in special for i in text.ids)
        assert all(word == -1 for i, word in zip(text.ids, text.words, strict=True) if i in special)
        assert len(text.ids) == len(text.words) == len(text.segments)


def test_pairs_carry_sides_and_segments() -> None:
    bert, xlmr = tokenizer_of("bert").pair("a b", "c"), tokenizer_of("xlm-r").pair("a b", "c")
    assert sorted(set(bert.words)) == sorted(set(xlmr.words)) == [-1, 0, 1]
    assert set(bert.segments) == {0, 1}
    assert set(xlmr.segments) == {0}


@every_tokenizer
def test_what_is_too_long_is_cut_and_says_so(name: str) -> None:
    tokenizer = tokenizer_of(name, max_length=12)
    long = " ".join(sample_sentences("en")[:3])
    for text in (tokenizer.text(long), tokenizer.words(long.split()), tokenizer.pair(long, long)):
        assert text.cut
        assert len(text.ids) == 12
    assert not tokenizer.text("a").cut
    assert not tokenizer.words(["a"]).cut
    assert not tokenizer.pair("a", "b").cut


def test_labels_stand_on_first_subwords(load: Load) -> None:
    encoder, level = load("bert"), level_called("token")
    tokenizer = Tokenizer(encoder.tokenizer, 64)
    example = sample_examples("token")[0]
    assert isinstance(example, TokenExample)
    labels = sorted(set(example.labels))
    (item,) = level.labelled(tokenizer, [example], {label: i for i, label in enumerate(labels)})
    batch = level.collate([item], encoder)
    found = [labels[i] for i in batch.labels[0].tolist() if i != IGNORED]
    assert found == list(example.labels)
    for column in (batch.labels[0] != IGNORED).nonzero().flatten().tolist():
        assert item.text.words[column] != item.text.words[column - 1]


def test_one_label_a_text(load: Load) -> None:
    encoder = load("bert")
    tokenizer = Tokenizer(encoder.tokenizer, 64)
    items = [LabelledText(tokenizer.text(text), (i,)) for i, text in enumerate(["a", "b c", "d"])]
    batch = level_called("sentence").collate(items, encoder)
    assert batch.labels.tolist() == [0, 1, 2]


@every_tokenizer
def test_padding_is_on_the_right_and_masked(name: str) -> None:
    tokenizer = tokenizer_of(name)
    texts = [tokenizer.text(text) for text in ("Water", "Drink plenty of water")]
    batch = collate_texts(texts, tokenizer.backend)
    short, longest = len(texts[0].ids), len(texts[1].ids)
    assert len(batch) == 2
    assert set(batch.inputs) == set(tokenizer.backend.model_input_names)
    assert batch.words.shape == (2, longest)
    assert batch.inputs["attention_mask"][0].tolist() == [1] * short + [0] * (longest - short)
    assert batch.inputs["input_ids"][0, short:].tolist() == [tokenizer.backend.pad_token_id] * (
        longest - short
    )
    assert batch.words[0, short:].tolist() == [-1] * (longest - short)
    assert tuple(batch.inputs["input_ids"][0, :short].tolist()) == texts[0].ids


def test_pair_batches_number_links_by_row_and_mismatch_by_one() -> None:
    tokenizer = tokenizer_of("xlm-r")
    pairs = sample_pairs(tokenizer, 3)
    batch = collate_pairs(pairs, tokenizer)
    assert batch.links.tolist() == [[row, i, row, j] for row, pair in enumerate(pairs) for i, j in pair.links]
    for row, pair in enumerate(pairs):
        other = pairs[(row + 1) % 3]
        for joined, target in ((batch.joined, pair.strings[1]), (batch.mismatched, other.strings[1])):
            expected = tokenizer.pair(pair.strings[0], target).ids
            assert tuple(joined.inputs["input_ids"][row, : len(expected)].tolist()) == expected


def test_pairs_without_links_make_an_empty_table() -> None:
    tokenizer = tokenizer_of("bert")
    batch = collate_pairs([tokenizer.translation("Water", "Su")], tokenizer)
    assert batch.links.shape == (0, 4)
    assert batch.links.dtype == torch.long


def test_given_links_count_words_at_white_space() -> None:
    # Pharaoh files do; in running text a comma is a word of its own.
    tokenizer = tokenizer_of("bert")
    pair = tokenizer.translation("Yes, of  course.", "Evet, tabii.", split=True)
    assert pair.source.surface == ("Yes,", "of", "course.")
    assert pair.target.surface == ("Evet,", "tabii.")
    assert tokenizer.translation("Yes, of course.", "Evet, tabii.").source.surface[1] == ","
    joined = set(tokenizer.pair(*pair.strings).ids)
    assert joined <= set(pair.source.ids) | set(pair.target.ids)


def test_what_is_cut_off_a_long_pair_takes_no_memory() -> None:
    tokenizer = tokenizer_of("bert", 32)
    sentence = "Our train to Ankara leaves at seven in the morning. "
    once = tokenizer.pair(sentence * 8, sentence * 5)
    assert once.cut
    # The combinations of what is cut off 1,000 sentences and 1,000 others would not fit any memory.
    assert tokenizer.pair(sentence * 1000, sentence * 1000).ids == once.ids
