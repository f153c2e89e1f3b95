"""Fertility, unknown rate and script."""

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel, WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer, WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from probes.bitext.text import text_facts
from probes.errors import InputError
from probes.languages import parse_language

ENGLISH, GERMAN, CHINESE = map(parse_language, ("en", "de", "zh"))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    pieces = ["[UNK]", "[CLS]", "the", "dog", "s", "##s", "##hund", "dachs", ".", "我", "们", "走"]
    backend = Tokenizer(WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.pre_tokenizer = BertPreTokenizer()
    backend.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", model_max_length=4)


def test_fertility_and_unknown_rate_by_word(tokenizer: PreTrainedTokenizerFast) -> None:
    # English: the dog ##s . = 4 subwords for 3 words; German: dachs ##hund [UNK] . for 3.
    facts = text_facts(["the dogs."], ["dachshund bellt."], tokenizer, ENGLISH, GERMAN)
    assert facts.fertility_unit == "word"
    assert facts.source_fertility == pytest.approx(4 / 3)
    assert facts.target_fertility == pytest.approx(4 / 3)
    assert facts.source_unknown_rate == 0
    assert facts.target_unknown_rate == pytest.approx(1 / 4)
    assert (facts.source_script, facts.target_script) == ("Latn", "Latn")


def test_fertility_by_character_when_either_side_is_unspaced(tokenizer: PreTrainedTokenizerFast) -> None:
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.pre_tokenizer = WhitespaceSplit()
    split = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    for source, target in ((ENGLISH, CHINESE), (CHINESE, ENGLISH)):
        texts = {ENGLISH: ["the dogs"], CHINESE: ["我 们 走", "走"]}
        facts = text_facts(texts[source], texts[target], split, source, target)
        assert facts.fertility_unit == "character"
        by_language = {source: facts.source_fertility, target: facts.target_fertility}
        assert by_language[ENGLISH] == pytest.approx(3 / 7)
        assert by_language[CHINESE] == pytest.approx(1)
        scripts = {source: facts.source_script, target: facts.target_script}
        assert scripts == {ENGLISH: "Latn", CHINESE: "Hani"}


def test_long_texts_are_counted_whole(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer("the dog", truncation=True, max_length=2)  # the backend remembers this
    facts = text_facts(["the dog " * 50], ["dachshund " * 50], tokenizer, ENGLISH, GERMAN)
    assert facts.source_fertility == 1
    assert facts.target_fertility == 2


def test_a_vocabulary_without_an_unknown_token_knows_everything() -> None:
    backend = Tokenizer(WordLevel({"a": 0, "b": 1}))
    backend.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    facts = text_facts(["a b"], ["b a"], tokenizer, ENGLISH, GERMAN)
    assert facts.source_unknown_rate == facts.target_unknown_rate == 0


@pytest.mark.parametrize("texts", [[], [""], [" \n", "\u200b"]])
def test_empty_texts_are_refused(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> None:
    with pytest.raises(InputError, match="German texts are empty"):
        text_facts(["the dog"], texts, tokenizer, ENGLISH, GERMAN)


def test_a_text_of_any_length_is_counted_from_its_start(tokenizer: PreTrainedTokenizerFast) -> None:
    facts = text_facts(
        ["the dogs. " * 10_000], ["the " * 500 + "dachs " * 50_000], tokenizer, ENGLISH, GERMAN
    )
    assert facts.source_fertility == pytest.approx(4 / 3)
    assert facts.target_fertility == 1
