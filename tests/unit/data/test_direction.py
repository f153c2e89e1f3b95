"""Bitext in the wrong direction is known by its likeness to the labelled source text."""

from pathlib import Path

import pytest

from advisor.sample import sample_path
from probes.catalogue import TASKS
from probes.data import (
    Bitext,
    LabelledData,
    check_dictionary,
    check_direction,
    read_bitext,
    read_dictionary,
    read_labelled,
    reads_like_other,
)
from probes.errors import InputError
from probes.languages import parse_language

CODES = ("de", "tr", "ru", "ar", "zh")


def labelled(code: str) -> LabelledData:
    return read_labelled(sample_path(f"{code}.conllu"), TASKS["pos"], role="train")


def bitext(code: str, folder: Path, *, swapped: bool = False, pairs: int = 120) -> Bitext:
    rows = sample_path(f"bitext.en-{code}.tsv").read_text(encoding="utf-8").splitlines()[:pairs]
    path = folder / "bitext.tsv"
    path.write_text("\n".join("\t".join(row.split("\t")[:: -1 if swapped else 1]) for row in rows))
    languages = [parse_language("en"), parse_language(code)][:: -1 if swapped else 1]
    return read_bitext(path, *languages)


@pytest.mark.parametrize("code", CODES)
def test_the_right_direction_passes(code: str, tmp_path: Path) -> None:
    english, other = parse_language("en"), parse_language(code)
    check_direction(labelled("en"), bitext(code, tmp_path), english, other)
    check_direction(labelled(code), bitext(code, tmp_path, swapped=True), other, english)


@pytest.mark.parametrize("code", CODES)
def test_the_wrong_direction_is_refused(code: str, tmp_path: Path) -> None:
    english, other = parse_language("en"), parse_language(code)
    with pytest.raises(InputError, match=rf"The {other.name} side .*bitext.tsv reads like .*en.conllu"):
        check_direction(labelled("en"), bitext(code, tmp_path, swapped=True), english, other)
    with pytest.raises(InputError, match=r"swap the two sides, or .* or name labelled data in"):
        check_direction(labelled(code), bitext(code, tmp_path), other, english)


def test_a_handful_of_pairs_proves_nothing(tmp_path: Path) -> None:
    few = bitext("tr", tmp_path, swapped=True, pairs=10)
    check_direction(labelled("en"), few, parse_language("en"), parse_language("tr"))


def test_text_like_neither_side_proves_nothing(tmp_path: Path) -> None:
    check_direction(labelled("zh"), bitext("tr", tmp_path), parse_language("en"), parse_language("tr"))


def test_a_dictionary_in_the_wrong_direction_is_refused(tmp_path: Path) -> None:
    languages = parse_language("en"), parse_language("tr")
    pairs = bitext("tr", tmp_path)
    dictionary = read_dictionary(sample_path("dictionary.en-tr.tsv"))
    check_dictionary(dictionary, pairs, *languages)
    rows = sample_path("dictionary.en-tr.tsv").read_text(encoding="utf-8").splitlines()
    turned = tmp_path / "turned.tsv"
    turned.write_text("\n".join("\t".join(row.split("\t")[::-1]) for row in rows), encoding="utf-8")
    with pytest.raises(InputError, match=r"turned.tsv runs from Turkish to English: swap its two columns"):
        check_dictionary(read_dictionary(turned), pairs, *languages)
    turned.write_text("\n".join("\t".join(row.split("\t")[::-1]) for row in rows[:9]), encoding="utf-8")
    check_dictionary(read_dictionary(turned), pairs, *languages)  # a handful of words proves nothing


@pytest.mark.parametrize("code", CODES)
def test_labelled_text_is_told_by_the_side_that_it_reads_like(code: str, tmp_path: Path) -> None:
    pairs = bitext(code, tmp_path)
    assert not reads_like_other(labelled("en"), pairs, 0)
    assert not reads_like_other(labelled(code), pairs, 1)
    assert reads_like_other(labelled("en"), pairs, 1)
    assert reads_like_other(labelled(code), pairs, 0)
    assert not reads_like_other(labelled(code), bitext(code, tmp_path, pairs=2), 0)  # too little to tell
