"""Words in raw text, subwords to words, and links between words."""

import subprocess
import sys

import pytest
import torch

from probes.words import (
    dictionary_links,
    drop_identical,
    is_unspaced,
    mutual_argmax,
    token_words,
    word_spans,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The dog's bone, she said.", ["The", "dog's", "bone", ",", "she", "said", "."]),
        ("Don’t!", ["Don’t", "!"]),
        ("l'homme d'État", ["l'homme", "d'État"]),
        ("Ankara'da", ["Ankara'da"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("well-known", ["well", "-", "known"]),
        ("3.14, 1,000; 5%", ["3.14", ",", "1,000", ";", "5", "%"]),
        ("Wait... what?!", ["Wait", "...", "what", "?", "!"]),
        ("cafe\u0301 na\u00efve", ["cafe\u0301", "na\u00efve"]),
        ("हिन्दी में।", ["हिन्दी", "में", "।"]),
        ("שָׁלוֹם עולם", ["שָׁלוֹם", "עולם"]),
        ('צה"ל', ['צה"ל']),
        ('say "no"', ["say", '"', "no", '"']),
        ("مرحباً، يا عالم", ["مرحباً", "،", "يا", "عالم"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("abc\u200f def", ["abc", "def"]),
        ("co\u00adoperate", ["co\u00adoperate"]),
        ("안녕하세요 여러분", ["안녕하세요", "여러분"]),
        ("日本語を勉強する。", ["日本語を勉強する", "。"]),
        ("我在Berlin住", ["我在", "Berlin", "住"]),
        ("สวัสดี\u200bชาวโลก ๑๒", ["สวัสดี", "ชาวโลก", "๑๒"]),
        ("བོད་སྐད།", ["བོད་སྐད", "།"]),
        ("\ufeffa\tb\x00c\n", ["a", "b", "c"]),
        ("  ", []),
        ("", []),
    ],
)
def test_word_spans(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in word_spans(text)] == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("漢字", True),
        ("かな", True),
        ("ｶﾅ", True),
        ("ไทย", True),
        ("ລາວ", True),
        ("ខ្មែរ", True),
        ("မြန်မာ", True),
        ("བོད", True),
        ("한국어", False),
        ("Ελληνικά", False),
        ("๑๒๓。", False),
        ("", False),
    ],
)
def test_is_unspaced(text: str, expected: bool) -> None:
    assert is_unspaced(text) is expected


def offsets_of(text: str, *pieces: str) -> list[tuple[int, int]]:
    """Consecutive offsets of pieces that make up the text, between two special tokens."""
    assert "".join(pieces) == text
    offsets, at = [(0, 0)], 0
    for piece in pieces:
        offsets.append((at, at + len(piece)))
        at += len(piece)
    return [*offsets, (0, 0)]


def test_subwords_of_one_word_share_its_index() -> None:
    text = "Don't unhappily go."
    offsets = offsets_of(text, "Don", "'", "t", " un", "happi", "ly", " go", ".")
    assert token_words(offsets, text) == [None, 0, 0, 0, 1, 1, 1, 2, 3, None]


def test_every_subword_of_an_unspaced_run_is_a_word() -> None:
    text = "go 我们走吧 now"
    offsets = offsets_of(text, "go", " 我们", "走", "吧", " now")
    assert token_words(offsets, text) == [None, 0, 1, 2, 3, 4, None]


def test_a_lone_space_marker_joins_the_word_it_precedes() -> None:
    # SentencePiece puts a marker before the sentence, with the offsets of the first character.
    assert token_words([(0, 1), (0, 2), (2, 3)], "你好吗") == [0, 0, 1]
    # One that covers nothing but a space is no word.
    assert token_words([(0, 1), (1, 2), (2, 3)], "a b") == [0, None, 1]


def test_byte_level_pieces_of_one_character_are_one_word() -> None:
    assert token_words([(0, 1), (0, 1), (0, 1), (1, 2), (1, 2)], "你好") == [0, 0, 0, 1, 1]


def test_word_indices_have_no_gap_where_a_word_got_no_subword() -> None:
    assert token_words([(0, 1), (4, 5)], "a b c") == [0, 1]


def test_words_cut_off_are_not_counted() -> None:
    assert token_words([(0, 0), (0, 3), (3, 5), (0, 0)], "abcde fgh ijk") == [None, 0, 0, None]


def test_mutual_argmax_keeps_only_mutual_neighbours() -> None:
    source = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.9, 0.1]])
    target = torch.tensor([[0.0, 0.5], [7.0, 0.0]])
    # Word 2 also wants target 1, which wants word 0.
    assert mutual_argmax(source, target) == [(0, 1), (1, 0)]


def test_mutual_argmax_matches_a_direct_reading_of_its_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randn(9, 5, generator=generator), torch.randn(7, 5, generator=generator)
    cosine = torch.nn.functional.cosine_similarity(source[:, None], target[None], dim=-1)
    expected = [
        (i, j)
        for i in range(9)
        for j in range(7)
        if cosine[i, j] == cosine[i].max() and cosine[i, j] == cosine[:, j].max()
    ]
    links = mutual_argmax(source, target)
    assert links == expected
    assert len(links) > 1


def test_mutual_argmax_of_an_empty_sentence_is_empty() -> None:
    assert mutual_argmax(torch.empty(0, 4), torch.ones(2, 4)) == []
    assert mutual_argmax(torch.ones(2, 4), torch.empty(0, 4)) == []


def test_dictionary_links_fold_case_and_skip_unknown_words() -> None:
    entries = {"dog": ["Hund"], "house": ["Haus", "Heim"]}
    assert dictionary_links(["The", "Dog", "HOUSE"], ["haus", "hund", "x"], entries) == [(1, 1), (2, 0)]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (["dog"], ["Hund", "Köter"]),  # two candidates for one word
        (["dog", "hound"], ["Hund"]),  # one candidate for two words
        (["dog"], ["Hund", "und", "Hund"]),  # the same word twice
    ],
)
def test_dictionary_links_leave_ambiguous_words_out(source: list[str], target: list[str]) -> None:
    entries = {"dog": {"hund", "köter"}, "hound": {"hund"}}
    assert dictionary_links(source, target, entries) == []


def test_drop_identical_keeps_links_between_different_words() -> None:
    source = ["Berlin", "dog", "!", "3.14", "cat"]
    target = ["Berlin", "Hund", "。", "3,14", "4"]
    assert drop_identical([(i, i) for i in range(5)], source, target) == [(1, 1)]


def test_finding_words_does_not_load_torch() -> None:
    code = "import sys, probes.words; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
