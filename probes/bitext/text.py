"""What tokenisation does to the two languages, before any model sees them."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

from probes.errors import InputError
from probes.languages import Language, script_of
from probes.signals import TextFacts
from probes.words import word_spans

_LONGEST = 2000
"""Characters of a text that are counted: far more than a sentence has, and little enough for any memory."""


def text_facts(
    source_texts: Sequence[str],
    target_texts: Sequence[str],
    tokenizer: PreTrainedTokenizerFast,
    source: Language,
    target: Language,
) -> TextFacts:
    """Fertility, unknown rate and script of both languages.

    Fertility is the number of subwords a word (Rust et al. 2021, arXiv:2012.15613); where one of the two
    languages does not put spaces between words, it is subwords a character that is not space for both, so
    that the two stay comparable. Punctuation marks count as words. The scripts are those the texts are
    written in, which need not be the languages' usual ones.

    Raises:
        InputError: if the texts of a side hold no word.
    """
    for texts, language in ((source_texts, source), (target_texts, target)):
        if not any(map(word_spans, texts)):
            raise InputError(f"The {language.name} texts are empty: give at least one sentence.")
    per_word = source.spaced and target.spaced
    (fertility, unknown), (target_fertility, target_unknown) = (
        _rates(texts, tokenizer, per_word) for texts in (source_texts, target_texts)
    )
    return TextFacts(
        source_fertility=fertility,
        target_fertility=target_fertility,
        source_unknown_rate=unknown,
        target_unknown_rate=target_unknown,
        source_script=script_of(" ".join(source_texts)),
        target_script=script_of(" ".join(target_texts)),
        fertility_unit="word" if per_word else "character",
    )


def _rates(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, per_word: bool) -> tuple[float, float]:
    """Subwords a word or a character, and the share of them that is unknown."""
    texts = [text[:_LONGEST] for text in texts]
    # Not verbose: a text longer than the model reads is nothing to warn of here.
    encoding = tokenizer(texts, add_special_tokens=False, truncation=False, padding=False, verbose=False)
    ids = [i for text in encoding["input_ids"] for i in text]
    words = sum(len(word_spans(text)) for text in texts)
    characters = sum(not character.isspace() for text in texts for character in text)
    unknown = sum(i == tokenizer.unk_token_id for i in ids)
    return len(ids) / (words if per_word else characters), unknown / max(len(ids), 1)
