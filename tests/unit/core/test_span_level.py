"""Windows of a passage, places of an answer, decoding and scores."""

import random
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import log_softmax

from probes.batches import IGNORED, LabelledText, TextBatch, Tokenizer
from probes.budget import Budget
from probes.data import SpanExample
from probes.heads import fit_head, predict, score_head
from probes.material.sampling import shuffled, split_source
from probes.tasks import Unlabelled, level_called
from probes.tasks._answers import articles_of, exact_match, overlap
from probes.tasks.span import SpanLevel, Window
from tests.conftest import Load
from tests.examples import examples
from tests.models import fast_tokenizer, sample_examples, sample_items

LEVEL = SpanLevel()
PIECES = ("wordpiece", "unigram", "bytes")
TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)


@cache
def tokenizer(kind: str, max_length: int) -> Tokenizer:
    name = {"wordpiece": "bert", "unigram": "xlm-r", "bytes": "roberta"}[kind]
    return Tokenizer(fast_tokenizer(name), max_length)


def windows(tokenizer: Tokenizer, *asked: SpanExample) -> list[Window]:
    items = LEVEL.labelled(tokenizer, asked, {})
    assert all(isinstance(item, Window) for item in items)
    return items  # type: ignore[return-value]


def inked(text: str, spans: Sequence[tuple[int, int]]) -> set[int]:
    return {i for span in spans for i in range(*span) if not text[i].isspace()}


@pytest.mark.parametrize("kind", PIECES)
@given(st.data())
@examples(100)
def test_windows_go_through_all_of_a_passage(kind: str, data: st.DataObject) -> None:
    question, passage = data.draw(TEXT), " ".join(data.draw(st.lists(TEXT, min_size=1, max_size=8)))
    short, long = tokenizer(kind, 36), tokenizer(kind, 2000)
    found = windows(short, SpanExample(question, passage, ()))
    (whole,) = windows(long, SpanExample(question, passage, ()))
    assert all(len(window.text.ids) <= 36 for window in found)
    read = [inked(passage, [window.offsets[i] for i in window.places]) for window in found]
    assert set().union(*read) == inked(passage, [whole.offsets[i] for i in whole.places])
    assert all(window.labels == (0, 0) and 0 not in window.places for window in found)
    for window in found:
        assert all(passage[slice(*window.offsets[i])].strip() for i in window.places)
        if len(window.text.ids) < 36:
            assert window is found[-1]  # all others are full


@pytest.mark.parametrize("kind", PIECES)
@given(st.data())
@examples(100)
def test_an_answer_is_found_again_where_it_stands(kind: str, data: st.DataObject) -> None:
    words = data.draw(st.lists(TEXT, min_size=1, max_size=12))
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    passage, answer = " ".join(words), " ".join(words[first : last + 1])
    start = len(" ".join([*words[:first], ""])) if first else 0
    assert passage[start : start + len(answer)] == answer
    asked = SpanExample("Where?", passage, ((start, answer),))
    (whole,) = windows(tokenizer(kind, 2000), asked)
    covered = [i for i in whole.places if inked(passage, [whole.offsets[i]])]
    touched = [
        i for i in covered if whole.offsets[i][0] < start + len(answer) and whole.offsets[i][1] > start
    ]
    assert whole.labels == ((touched[0], touched[-1]) if touched else (0, 0))
    if touched:
        kept = answer.strip()
        said = whole.said(*whole.labels)
        reached = inked(passage, [whole.offsets[i] for i in touched])
        if inked(passage, [(start, start + len(answer))]) <= reached:  # the tokenizer dropped nothing of it
            assert kept in said
    short = windows(tokenizer(kind, 36), asked)
    if touched and touched[-1] - touched[0] < 12:  # a third of 36: some window holds all of it
        held = [window for window in short if any(window.labels)]
        assert held
        assert all(window.said(*window.labels) == whole.said(*whole.labels) for window in held)


def batch_of(sides: Sequence[Sequence[int]]) -> TextBatch:
    return TextBatch({}, torch.tensor(sides))


@given(st.integers(0, 10_000))
@examples(60)
def test_decoding_finds_the_best_of_all_spans(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    length = 2 + seed % 45
    logits = torch.randn(2, length, 3, generator=generator)
    sides = [[-1, *torch.randint(-1, 2, (length - 1,), generator=generator).tolist()] for _ in range(2)]
    for row, answer in enumerate(LEVEL.decode(logits, batch_of(sides))):
        score = (logits[row, :, :2] - logits[row, :, 2:]).double()
        places = [i for i, side in enumerate(sides[row]) if side == 1]
        spans = [(i, j) for i, j in product(places, places) if i <= j < i + 30]
        if not spans:
            assert answer == []
            continue
        best = max(spans, key=lambda span: float(score[span[0], 0] + score[span[1], 1]))
        margin = score[best[0], 0] + score[best[1], 1] - score[0].sum()
        assert (answer[0], answer[1]) == best
        assert answer[2] == pytest.approx(1000 * float(margin), abs=1.1)


def test_the_loss_is_that_of_start_and_end_over_the_passage(load: Load) -> None:
    encoder = load("xlm-r")
    items, _ = sample_items(Tokenizer(encoder.tokenizer, 40), "span", 6)
    batch = LEVEL.collate(items, encoder)
    logits = torch.randn(*batch.labels.shape, 3, generator=torch.Generator().manual_seed(0))
    expected = []
    for row, item in enumerate(items):
        assert isinstance(item, Window)
        allowed = [0, *item.places]
        for side in (0, 1):
            odds = log_softmax(logits[row, allowed, side] - logits[row, allowed, 2], 0)
            expected.append(-odds[allowed.index(item.labels[side])])
    assert float(LEVEL.loss(logits, batch.labels)) == pytest.approx(
        float(torch.stack(expected).mean()), rel=1e-5
    )
    summed, counted = LEVEL.text_losses(logits, batch.labels)
    assert float(summed.sum() / counted.sum()) == pytest.approx(
        float(LEVEL.loss(logits, batch.labels)), rel=1e-5
    )
    assert {len(item.text.ids) for item in items} != {40}  # some are padded
    assert (batch.labels == IGNORED).any()


def test_a_head_learns_to_find_answers(load: Load) -> None:
    encoder = load("bert")
    asked = [
        SpanExample("Where is it?", f"We looked and it was {w} all day.", ((21, w),))
        for w in ("here", "there")
    ]
    items = LEVEL.labelled(Tokenizer(encoder.tokenizer, 64), asked * 10, {})
    head = fit_head(encoder, items, 3, level_called("span"), seed=0).head
    assert score_head(encoder, head, items, (), "exact-match").value == 100
    answers = predict(encoder, head, items)
    swapped = [replace(item, asked=replace(item.asked, answers=((0, "We"),))) for item in items]  # type: ignore[call-arg, attr-defined]
    assert LEVEL.score(swapped, answers, (), "answer-f1").value == 0


def window_of(tokenizer: Tokenizer, passage: str, *answers: str) -> Window:
    (found,) = windows(tokenizer, SpanExample("?", passage, tuple((passage.index(a), a) for a in answers)))
    return found


def test_a_question_is_answered_from_all_its_windows_once() -> None:
    short = tokenizer("wordpiece", 36)
    passage = " ".join(
        f"{word} lives here." for word in ("Anna", "Hassan", "Bruno", "Lea", "Marta", "Karl") * 3
    )
    asked = SpanExample("Who?", passage, ((passage.index("Karl"), "Karl"),))
    items = windows(short, asked)
    assert len(items) > 2
    holding = [i for i, item in enumerate(items) if any(item.labels)]
    answers = [[item.places[0], item.places[0], 10 * i] for i, item in enumerate(items)]
    answers[holding[0]] = [*items[holding[0]].labels, 10_000]
    rows = LEVEL.counts(items, answers, (), "answer-f1")
    assert rows.tolist() == [[1, 1]] + [[0, 0]] * (len(items) - 1)
    mixed = shuffled(items, 3)
    order = [items.index(item) for item in mixed]
    again = LEVEL.counts(mixed, [answers[i] for i in order], (), "answer-f1")
    assert again.sum(0).tolist() == [1, 1]


def test_no_answer_is_given_only_where_the_data_has_that() -> None:
    long = tokenizer("wordpiece", 120)
    asked, silent = window_of(long, "Anna lives here.", "Anna"), window_of(long, "Bruno lives here.")
    of_anna = [*asked.labels, -5]
    assert LEVEL.counts([asked], [of_anna], (), "exact-match").tolist() == [[1, 1]]
    rows = LEVEL.counts(
        [asked, silent], [of_anna, [*silent.places[:1], silent.places[0], -5]], (), "exact-match"
    )
    assert rows.tolist() == [[0, 1], [1, 1]]
    assert LEVEL.counts(
        [silent, asked], [[silent.places[0], silent.places[0], 5], [*of_anna[:2], 5]], (), "exact-match"
    )[:, 0].tolist() == [0, 1]
    assert LEVEL.majority([asked], [silent]) == [
        [silent.places[0], silent.places[0] + asked.labels[1] - asked.labels[0], 0]
    ]


# An implementation of its own, after the scripts of SQuAD 1.1 and MLQA.
PUNCTUATION = {chr(i) for i in range(0x11000) if unicodedata.category(chr(i)).startswith("P")} | set(
    string.punctuation
)
SCRIPT_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
}


def script_words(text: str, language: str) -> list[str]:
    text = "".join(ch for ch in text.lower() if ch not in PUNCTUATION)
    text = re.sub(SCRIPT_ARTICLES.get(language, r"(?!)"), " ", text)
    if language != "zh":
        return text.split()
    segments, run = [], ""
    for character in text:
        if re.search(r"[\u4e00-\u9fa5]", character):
            segments += run.split()
            segments.append(character)
            run = ""
        else:
            run += character
    return segments + run.split()


def script_f1(said: str, reference: str, language: str) -> float:
    one, other = script_words(said, language), script_words(reference, language)
    same = sum((Counter(one) & Counter(other)).values())
    if not same:
        return float(one == other)
    precision, recall = same / len(one), same / len(other)
    return 2 * precision * recall / (precision + recall)


VOCABULARY = {
    "en": ["The", "a", "an", "cat", "cat's", "U.S.", "(old)", "1,952", "theme", "–", "€5", "$5", "don’t"],
    "es": ["El", "la", "una", "casa", "¿qué?", "lado", "«sol»", "de"],
    "de": ["Die", "der", "ein", "Haus", "Straße", "dieser", "„ja“", "3.5"],
    "vi": ["của", "là", "những", "cái", "nhà", "Nội.", "lành"],
    "zh": ["猫", "1952年", "GPU", "安娜·伯格", "，", "北京。", "x y"],
}


@pytest.mark.parametrize("language", VOCABULARY)
def test_scores_are_those_of_the_published_scripts(language: str) -> None:
    generator = random.Random(0)
    articles = articles_of([" ".join(VOCABULARY[language] * 3)])
    if language in SCRIPT_ARTICLES:
        assert articles
        assert all(re.fullmatch(SCRIPT_ARTICLES[language], article) for article in articles)
    for _ in range(300):
        said, reference = (
            " ".join(generator.choices(VOCABULARY[language], k=generator.randint(0, 5))) for _ in range(2)
        )
        assert overlap(said, reference, articles) == pytest.approx(script_f1(said, reference, language))
        assert exact_match(said, reference, articles) == float(
            script_words(said, language) == script_words(reference, language)
        )


def test_answers_are_compared_by_the_rules_of_their_script() -> None:
    none: frozenset[str] = frozenset()
    assert overlap("卡尔·冯·弗里施", "卡尔冯弗里施", none) == 1
    assert overlap("1952年", "1952", none) == pytest.approx(2 / 3)
    assert overlap("المخبز", "مخبز", none) == 1
    assert overlap("กำแพง", "กำแพงเมือง", none) == pytest.approx(2 * 5 / (5 + 9))
    assert overlap("die the", "the", articles_of(["a cat and the dog"])) == 0
    assert overlap("", "", none) == 1
    assert overlap("a", "", none) == 0


@pytest.mark.parametrize(
    ("language", "article"),
    [("en", "the"), ("de", "die"), ("tr", None), ("zh", None), ("ar", None), ("ru", None)],
)
def test_the_language_of_articles_is_told_from_the_passages(language: str, article: str | None) -> None:
    passages = {
        example.passage for example in sample_examples("span", language) if isinstance(example, SpanExample)
    }
    found = articles_of(passages)
    assert article in found if article else not found


def test_no_passage_is_on_both_sides_of_a_split() -> None:
    items: Sequence[LabelledText] = LEVEL.labelled(tokenizer("wordpiece", 60), sample_examples("span"), {})
    mixed = shuffled(items, 1)
    assert sorted(map(id, mixed)) == sorted(map(id, items))
    split = split_source(mixed, Budget("quick", 5, 4, 40, 20, 3, 24, 64))
    fitted, held = ({item.whole for item in part} for part in (split.fit, split.held_out))
    assert fitted
    assert held
    assert not fitted & held
    cut = len(mixed) // 3
    assert len({item.whole for item in mixed[:cut]} & {item.whole for item in mixed[cut:]}) <= 1


def test_answers_are_carried_along_the_links_of_a_translated_passage() -> None:
    words = tokenizer("unigram", 200)
    asked = SpanExample("Who sings?", "  Every night Anna Berger sings.", ((14, "Anna Berger"),))
    other = SpanExample("When?", asked.passage, ((2, "Every night"),))
    passage = words.translation(asked.passage.strip(), "Anna Berger singt jede Nacht.")
    place = {
        side: {word: i for i, word in enumerate(getattr(passage, side).surface)}
        for side in ("source", "target")
    }
    links = [("Anna", "Anna"), ("Berger", "Berger"), ("night", "jede")]
    passage = replace(passage, links=tuple((place["source"][a], place["target"][b]) for a, b in links))
    question = words.translation(asked.question, "Wer singt?")
    labelled = LEVEL.labelled(words, [asked, other], {})

    found = LEVEL.project(Unlabelled([question, passage], words, lambda _: [], labelled))
    (window,) = found.items
    assert isinstance(window, Window)
    assert window.asked == SpanExample("Wer singt?", "Anna Berger singt jede Nacht.", ((0, "Anna Berger"),))
    assert window.said(*window.labels) == "Anna Berger"
    assert (found.coverage, found.missing) == (1.0, "")

    unlinked = LEVEL.project(
        Unlabelled([question, replace(passage, links=())], words, lambda _: [], labelled)
    )
    assert (unlinked.items, unlinked.coverage) == ((), 0.0)
    none = LEVEL.project(Unlabelled([passage], words, lambda _: [], labelled))
    assert none.items == ()
    assert "no labelled question together with its passage" in none.missing
