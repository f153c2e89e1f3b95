"""What tokenisation does to the two languages, before any model sees them."""

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerFast

from probes.errors import InputError
from probes.languages import Language, script_of
from probes.signals import TextFacts
from probes.words import word_spans

_LONGEST = 2000
"""Characters of a text that are counted: far more than a sentence has, and little enough for any memory."""


class _Counts(NamedTuple):
    subwords: int
    unknown: int
    words: int
    characters: int


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
    sides = [_count(texts, tokenizer) for texts in (source_texts, target_texts)]
    per_word = source.spaced and target.spaced
    fertilities = [side.subwords / (side.words if per_word else side.characters) for side in sides]
    unknown_rates = [side.unknown / max(side.subwords, 1) for side in sides]
    return TextFacts(
        source_fertility=fertilities[0],
        target_fertility=fertilities[1],
        source_unknown_rate=unknown_rates[0],
        target_unknown_rate=unknown_rates[1],
        source_script=script_of(" ".join(source_texts)),
        target_script=script_of(" ".join(target_texts)),
        fertility_unit="word" if per_word else "character",
    )


def _count(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> _Counts:
    texts = [text[:_LONGEST] for text in texts]
    # Not verbose: a text longer than the model reads is nothing to warn of here.
    encoding = tokenizer(texts, add_special_tokens=False, truncation=False, padding=False, verbose=False)
    ids = [i for text in encoding["input_ids"] for i in text]
    return _Counts(
        subwords=len(ids),
        unknown=sum(i == tokenizer.unk_token_id for i in ids),
        words=sum(len(word_spans(text)) for text in texts),
        characters=sum(not character.isspace() for text in texts for character in text),
    )
