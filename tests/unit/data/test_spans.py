"""Span tags: the same spans in every scheme and spelling, checked against seqeval."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from seqeval.metrics import f1_score
from seqeval.scheme import BILOU, IOB2, IOBES

from probes.data.spans import SchemeError, recognise, spans
from probes.metrics import counts, score_counts
from probes.signals import Estimate


def score(gold: list[list[str]], guess: list[list[str]], metric: str, seed: int = 0) -> Estimate:
    return score_counts(counts(gold, guess, metric), seed)


Span = tuple[int, int, str]


def iob2(found: Sequence[Span], length: int) -> list[str]:
    return _tagged(found, length, lambda i, start, end: "B" if i == start else "I")


def iobes(found: Sequence[Span], length: int, letters: str = "BIES") -> list[str]:
    first, inside, last, single = letters

    def letter(i: int, start: int, end: int) -> str:
        if end - start == 1:
            return single
        return first if i == start else last if i == end - 1 else inside

    return _tagged(found, length, letter)


def iob1(found: Sequence[Span], length: int) -> list[str]:
    ends = {(end, kind) for _, end, kind in found}
    kinds = {start: kind for start, _, kind in found}
    return _tagged(
        found, length, lambda i, start, _: "B" if i == start and (start, kinds.get(start)) in ends else "I"
    )


def ioe2(found: Sequence[Span], length: int) -> list[str]:
    return _tagged(found, length, lambda i, _, end: "E" if i == end - 1 else "I")


def _tagged(found: Sequence[Span], length: int, letter: Callable[[int, int, int], str]) -> list[str]:
    tags = ["O"] * length
    for start, end, kind in found:
        for i in range(start, end):
            tags[i] = f"{letter(i, start, end)}-{kind}"
    return tags


SCHEMES: dict[str, Callable[[Sequence[Span], int], list[str]]] = {
    "IOB2": iob2,
    "IOB1": iob1,
    "IOE": ioe2,
    "IOBES": iobes,
    "BILOU": lambda found, length: iobes(found, length, "BILU"),
    "BMEWO": lambda found, length: iobes(found, length, "BMEW"),
    "BMES": lambda found, length: iobes(found, length, "BMES"),
}
SPELLINGS: dict[str, Callable[[str], str]] = {
    "prefix": str,
    "underscore": lambda tag: tag.replace("-", "_", 1),
    "colon": lambda tag: tag.replace("-", ":", 1),
    "suffix": lambda tag: "-".join(reversed(tag.split("-", 1))),
    "suffix underscore": lambda tag: "_".join(reversed(tag.split("-", 1))),
    "lower case": lambda tag: tag if tag == "O" else tag[0].lower() + tag[1:],
    "lower outside": lambda tag: "o" if tag == "O" else tag,
    "zero outside": lambda tag: "0" if tag == "O" else tag,
}


def random_spans(generator: np.random.Generator, length: int) -> list[Span]:
    """Spans in order, some of them side by side."""
    found, at = [], 0
    while at < length:
        end = min(length, at + int(generator.integers(1, 4)))
        if generator.random() < 0.6:
            found.append((at, end, str(generator.choice(["PER", "LOC", "date/time-x"]))))
        at = end
    return found


def sentences(seed: int, count: int = 60) -> list[tuple[list[Span], int]]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 12, size=count)
    return [(random_spans(generator, int(n)), int(n)) for n in lengths]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_spans_give_the_same_tags_in_every_scheme(scheme: str, spelling: str) -> None:
    data = sentences(0)
    tagged = [[SPELLINGS[spelling](tag) for tag in SCHEMES[scheme](found, n)] for found, n in data]
    recognised = recognise(Counter(tag for tags in tagged for tag in tags))
    assert [recognised.to_bio(tags) for tags in tagged] == [tuple(iob2(found, n)) for found, n in data]
    assert recognised.name == ("BIO" if scheme in ("IOB2", "IOB1") else scheme)
    assert not recognised.stray


def test_bare_types_are_spans_of_words_in_a_row() -> None:
    scheme = recognise(Counter(["O", "PER", "LOC"]))
    assert scheme.to_bio(["PER", "PER", "O", "LOC", "PER"]) == ("B-PER", "I-PER", "O", "B-LOC", "B-PER")
    assert scheme.name == "bare types"


def test_letters_alone_are_spans_of_one_type() -> None:
    assert recognise(Counter("BIO")).to_bio(list("BIOB")) == ("B-span", "I-span", "O", "B-span")
    assert recognise(Counter("BMES")).to_bio(list("BMESBE")) == tuple(
        f"{part}-span" for part in ("B", "I", "I", "B", "B", "I")
    )


def test_two_schemes_in_one_file_are_read_each_as_it_is() -> None:
    found, length = [(0, 2, "X"), (2, 3, "Y"), (4, 7, "X")], 8
    rows = [iob2(found, length), iobes(found, length)]
    scheme = recognise(Counter(tag for row in rows for tag in row))
    assert [scheme.to_bio(row) for row in rows] == [tuple(rows[0])] * 2


@pytest.mark.parametrize(
    ("tags", "types"),
    [
        (["B-S", "I-S", "O"], {"S"}),  # a type called like a letter
        (["I-E", "B-E", "I-B", "B-B", "B-PER"], {"E", "B", "PER"}),
        (["e-mail", "phone", "O"], {"e-mail", "phone"}),
        (["e-mail", "O"], {"e-mail"}),
        (["B-date-time", "I-date-time", "O"], {"date-time"}),
        (["LOC-E", "LOC-B", "LOC-S", "SPORT-B", "O"], {"LOC", "SPORT"}),
    ],
)
def test_types_that_look_like_letters(tags: list[str], types: set[str]) -> None:
    assert {kind for _, kind in recognise(Counter(tags)).reading.values()} == types


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        (["B-B", "B-I", "I-I", "O"], "'B-I' can be .* of type I or .* of type B"),
        (["B-PER", "I-PER", "LOC", "O"], "'LOC' could be a type by itself or a word outside"),
        (["NOUN", "VERB"], "no word is outside"),
        (["0", "1", "2"], "integers without names"),
        (["(ORG*", "*)", "*"], "brackets"),
        (["B-PER|B-LOC", "O"], "several layers"),
        (["B-PER,I-LOC", "O"], "several layers"),
    ],
)
def test_what_cannot_be_told_is_refused_with_its_readings(tags: list[str], says: str) -> None:
    with pytest.raises(SchemeError, match=says):
        recognise(Counter(tags))


def test_a_few_stray_tags_are_outside_and_counted() -> None:
    scheme = recognise(Counter({"B-X": 300, "I-X": 100, "Odate": 2, "O": 900}))
    assert scheme.stray == {"Odate": 2}
    assert scheme.to_bio(["B-X", "Odate", "I-X"]) == ("B-X", "O", "B-X")
    with pytest.raises(SchemeError):
        recognise(Counter({"B-X": 30, "Odate": 20, "O": 90}))


def test_spans_of_unknown_tags_are_refused_not_scored_as_outside() -> None:
    with pytest.raises(SchemeError, match="'PER' is no span tag"):
        list(spans(["PER", "O"]))
    assert score([["S-PER", "O"]], [["O", "O"]], "span-f1").value == 0
    assert score([["B-PER", "E-PER"]], [["B-PER", "I-PER"]], "span-f1").value == 100


@pytest.mark.parametrize("seed", range(5))
def test_the_score_agrees_with_seqeval(seed: int) -> None:
    gold, guess = sentences(seed), sentences(seed + 100)
    guess = [
        (kept if i % 2 else own, n)
        for i, ((own, n), (kept, _)) in enumerate(zip(gold, _resized(guess, gold), strict=True))
    ]
    ours = score([iob2(*row) for row in gold], [iob2(*row) for row in guess], "span-f1").value
    for tagged, scheme in ((iob2, IOB2), (iobes, IOBES), (SCHEMES["BILOU"], BILOU)):
        strict = f1_score(
            [tagged(*r) for r in gold], [tagged(*r) for r in guess], mode="strict", scheme=scheme
        )
        assert ours == pytest.approx(100 * strict)


def _resized(
    data: list[tuple[list[Span], int]], like: list[tuple[list[Span], int]]
) -> list[tuple[list[Span], int]]:
    return [
        ([span for span in found if span[1] <= n], n) for (found, _), (_, n) in zip(data, like, strict=True)
    ]


def test_ill_formed_predictions_are_read_as_seqeval_reads_them_by_default() -> None:
    generator = np.random.default_rng(7)
    tags = ["O", "B-x", "I-x", "B-y", "I-y"]
    rows = [[[tags[i] for i in generator.integers(5, size=9)] for _ in range(50)] for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = 100 * f1_score(*rows)
    assert score(*rows, "span-f1").value == pytest.approx(expected)


def test_readings_that_mean_the_same_are_one() -> None:
    assert recognise(Counter(["B-B", "O"])).to_bio(["B-B", "O"]) == ("B-B", "O")
