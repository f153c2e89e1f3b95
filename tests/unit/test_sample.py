"""The sample's files agree with one another and with the conventions its README states."""

import csv
import unicodedata
from collections import Counter
from functools import cache

import conllu
import pytest

from advisor.sample import LANGUAGES, SAMPLE_SENTENCES, sample_path
from probes.errors import InputError

UPOS = {
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN"),
    *("PUNCT", "SCONJ", "SYM", "VERB", "X"),
}
TOPICS = ("travel", "health", "sports", "technology", "food", "weather")
SCRIPTS = {"en": "LATIN", "tr": "LATIN", "de": "LATIN", "ru": "CYRILLIC", "ar": "ARABIC", "zh": "CJK"}
TARGETS = [language for language in LANGUAGES if language != "en"]

every_language = pytest.mark.parametrize("language", LANGUAGES)
every_target = pytest.mark.parametrize("target", TARGETS)


@cache
def sentences(language: str) -> list[conllu.TokenList]:
    return list(conllu.parse(sample_path(f"{language}.conllu").read_text(encoding="utf-8")))


def metadata(language: str, field: str) -> list[str]:
    return [sentence.metadata[field] for sentence in sentences(language)]


def topic_rows(language: str) -> list[dict[str, str]]:
    with sample_path(f"topics.{language}.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def pairs(name: str) -> list[tuple[str, str]]:
    lines = sample_path(name).read_text(encoding="utf-8").splitlines()
    return [(source, target) for source, target in (line.split("\t") for line in lines)]


@every_language
def test_every_sentence_has_its_place(language: str) -> None:
    assert metadata(language, "sent_id") == [f"s{number:03d}" for number in range(1, SAMPLE_SENTENCES + 1)]


@every_language
def test_the_text_can_be_rebuilt_from_the_tokens(language: str) -> None:
    for sentence in sentences(language):
        words = (
            token["form"] + ("" if (token["misc"] or {}).get("SpaceAfter") == "No" else " ")
            for token in sentence
        )
        assert "".join(words).rstrip() == sentence.metadata["text"]


@every_language
def test_words_are_numbered_and_tagged(language: str) -> None:
    for sentence in sentences(language):
        assert [token["id"] for token in sentence] == list(range(1, len(sentence) + 1))
        assert {token["upos"] for token in sentence} <= UPOS
        for token in sentence:
            letters = [character for character in token["form"] if unicodedata.category(character)[0] == "L"]
            assert not (letters and token["upos"] in {"PUNCT", "SYM"}), token


@every_language
def test_every_sentence_ends_in_punctuation_and_says_something(language: str) -> None:
    for sentence in sentences(language):
        assert sentence[-1]["upos"] == "PUNCT"
        assert any(token["upos"] in {"VERB", "AUX", "ADJ", "NOUN"} for token in sentence)


def test_english_shows_every_word_class() -> None:
    counts = Counter(token["upos"] for sentence in sentences("en") for token in sentence)
    assert set(counts) == UPOS - {"X"}
    assert min(count for tag, count in counts.items() if tag != "SYM") >= 5
    assert counts["SYM"] >= 2


def test_english_sentences_are_short() -> None:
    lengths = [len(text.split()) for text in metadata("en", "text")]
    assert min(lengths) >= 5
    assert max(lengths) <= 12


@every_language
def test_no_sentence_occurs_twice(language: str) -> None:
    assert len({text.casefold() for text in metadata(language, "text")}) == SAMPLE_SENTENCES


@every_language
def test_topics_are_balanced_in_every_run_of_sentences(language: str) -> None:
    assert metadata(language, "topic") == list(TOPICS) * (SAMPLE_SENTENCES // len(TOPICS))


@every_language
def test_the_topic_table_repeats_the_treebank(language: str) -> None:
    fields = {"sent_id": "id", "topic": "topic", "text": "text"}
    for in_treebank, in_table in fields.items():
        assert [row[in_table] for row in topic_rows(language)] == metadata(language, in_treebank)


@every_target
def test_the_bitext_pairs_the_treebanks_sentences(target: str) -> None:
    expected = list(zip(metadata("en", "text"), metadata(target, "text"), strict=True))
    assert pairs(f"bitext.en-{target}.tsv") == expected


@every_target
def test_translations_are_translated(target: str) -> None:
    assert not set(metadata("en", "text")) & set(metadata(target, "text"))


@every_target
def test_numerals_in_digits_survive_translation(target: str) -> None:
    for source, translation in pairs(f"bitext.en-{target}.tsv"):
        digits = "".join(filter(str.isdigit, source))
        assert "".join(filter(str.isdigit, translation)) == digits


@every_language
def test_letters_belong_to_the_languages_script(language: str) -> None:
    for text in metadata(language, "text"):
        assert unicodedata.is_normalized("NFC", text)
        letters = [character for character in text if unicodedata.category(character)[0] == "L"]
        assert letters
        assert all(unicodedata.name(letter).startswith(SCRIPTS[language]) for letter in letters), text


def test_dictionary_pairs_are_unique_and_occur_side_by_side() -> None:
    entries = pairs("dictionary.en-tr.tsv")
    assert len(entries) >= 200
    assert len(set(entries)) == len(entries)
    words = {
        language: [{token["form"].casefold() for token in sentence} for sentence in sentences(language)]
        for language in ("en", "tr")
    }
    for source, target in entries:
        assert any(
            source.casefold() in english and target.casefold() in turkish
            for english, turkish in zip(words["en"], words["tr"], strict=True)
        ), (source, target)


def test_paths_exist() -> None:
    assert sample_path("en.conllu").is_file()


@pytest.mark.parametrize("name", ["fr.conllu", "", "../__init__.py", "__init__.py", "README.md"])
def test_an_unknown_file_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(InputError, match=r"choose one of .*bitext\.en-tr\.tsv.*en\.conllu"):
        sample_path(name)
