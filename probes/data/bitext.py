"""Bitext and bilingual dictionaries, and whether they run from the source to the target language."""

import re
import unicodedata
from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from probes.data._parts import Part, open_parts
from probes.data._records import Dropped, Tally
from probes.data._translation import Segment
from probes.data.examples import LabelledData
from probes.data.files import InputFile, open_file, split_spec
from probes.errors import InputError
from probes.languages import Language
from probes.signals import DataFacts

Links = tuple[tuple[int, int], ...]

_BEYOND = "index beyond the last word"
_MISFIT = 0.05
"""Share of such links from which on they are taken to belong to other text; by chance there are none."""
_FEWEST = 20
"""Links that there must be for it."""
_LINK = re.compile(r"([0-9]{1,6})-([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Bitext:
    """Translation pairs without duplicates.

    Attributes:
        pairs: source text and target text.
        links: for each pair, which words are aligned: indices, from 0, into the source and the target
            text split at white space; None if no links were given.
        facts: one for each file of the bitext, then one for each of the links (whose counts are of links).
        languages: names of the two.
    """

    pairs: tuple[tuple[str, str], ...]
    links: tuple[Links, ...] | None
    facts: tuple[DataFacts, ...]
    languages: tuple[str, str] = ("source", "target")

    def __len__(self) -> int:
        return len(self.pairs)


def read_bitext(
    spec: str | Path,
    source: Language,
    target: Language,
    *,
    links: str | Path | None = None,
) -> Bitext:
    """Read a bitext of one or more parts.

    Files that hold both sides are joined, whether they are named with ``+`` or ``,`` between, by a pattern
    (``data/*.tmx``) or by the folder they are in; files that hold one side each go together line by line,
    by the order or, where they end in languages (``train.en``, ``train.tr``), by the names.

    Dropped and counted are: pairs with an empty side or with the same text on both, and pairs already seen
    (compared in NFC with white space folded).

    Args:
        spec: paths (see :mod:`probes.data.formats`), patterns, folders or ``hf:NAME[:CONFIG][:SPLIT]``.
        source: language of the first side.
        target: language of the second side.
        links: word alignment in Pharaoh format (``i-j``, one line a pair), a file for each part.

    Raises:
        InputError: if a part cannot be read, is not in the two languages as far as can be told, or the
            links do not fit it; or if no pair is left.
    """
    parts = open_parts(str(spec), source, target)
    link_files = _link_files(links, len(parts))
    pairs: list[Segment] = []
    kept_links: list[Links] = []
    seen: set[Segment] = set()
    facts: list[DataFacts] = []
    link_facts: list[DataFacts] = []
    for part, link_file in zip(parts, link_files, strict=True):
        tally, link_tally = Tally(), Tally()
        for segment, segment_links in _with_links(part, link_file):
            pair = _usable(segment, seen)
            if isinstance(pair, Dropped):
                tally.drop(pair.reason)
                link_tally.drop("link of a dropped pair", len(segment_links))
            else:
                tally.kept += 1
                pairs.append(pair)
                kept_links.append(_in_range(segment_links, pair, link_tally))
        facts.append(
            tally.facts(
                role="bitext", spec=part.spec, format=part.format, sha256=part.sha256, columns=part.columns
            )
        )
        if link_file is not None:
            _check_fit(link_tally, kept_links, link_file)
            link_facts.append(
                link_tally.facts(
                    role="word links", spec=link_file.spec, format="pharaoh", sha256=link_file.sha256
                )
            )
    if not pairs:
        reasons = ", ".join(f"{n} dropped: {reason}" for fact in facts for reason, n in fact.dropped.items())
        raise InputError(
            f"{spec} holds no usable pair ({reasons or 'nothing was read'}): check that it has the "
            f"{source.name} text and its {target.name} translation on each line."
        )
    return Bitext(
        tuple(pairs),
        None if links is None else tuple(kept_links),
        (*facts, *link_facts),
        (source.name, target.name),
    )


def _link_files(links: str | Path | None, parts: int) -> list[InputFile | None]:
    """A file of word links for each part of the bitext, or none.

    Raises:
        InputError: if there are more or fewer.
    """
    if links is None:
        return [None] * parts
    files: list[InputFile | None] = [open_file(name) for name in split_spec(str(links), "+")]
    if len(files) != parts:
        raise InputError(
            f"There are {len(files)} files of word links for {parts} of bitext: give one for "
            "each, joined with + in the same order."
        )
    return files


def _usable(segment: Segment | Dropped, seen: set[Segment]) -> Segment | Dropped:
    """The pair to keep, noted in ``seen``, or why it is dropped."""
    if isinstance(segment, Dropped):
        return segment
    first, second = (_folded(text) for text in segment)
    if not first or not second:
        return Dropped("empty side")
    if first == second:
        return Dropped("same text on both sides")
    if (first, second) in seen:
        return Dropped("duplicate")
    seen.add((first, second))
    return segment[0].strip(), segment[1].strip()


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _with_links(part: Part, file: InputFile | None) -> Iterator[tuple[Segment | Dropped, Links]]:
    """Each record with its links, which the links file has on the line of the same number.

    Raises:
        InputError: if the file has another number of lines, or a line that is no list of ``i-j``.
    """
    if file is None:
        yield from ((segment, ()) for segment in part.segments)
        return
    records = lines = 0
    for segment, line in zip_longest(part.segments, file.lines()):
        records += segment is not None
        lines += line is not None
        if segment is not None and line is not None:
            yield segment, _parse_links(line, lines, file)
    if records != lines:
        raise InputError(
            f"{file.spec} has {lines} lines of word links for the {records} pairs of {part.spec}: "
            "write one line for each pair, empty where no words are linked."
        )


def _parse_links(line: str | Dropped, number: int, file: InputFile) -> Links:
    links = [_LINK.fullmatch(item) for item in line.split()] if isinstance(line, str) else [None]
    if not all(links):
        raise InputError(
            f"Line {number} of {file.spec} is not in Pharaoh format: write links as i-j, counted from 0 "
            "and separated by spaces."
        )
    return tuple((int(link[1]), int(link[2])) for link in links if link)


def _check_fit(tally: Tally, links: list[Links], file: InputFile) -> None:
    beyond = tally.dropped[_BEYOND]
    total = tally.kept + beyond
    counted_from_1 = not any(0 in link for row in links for link in row)
    if total >= _FEWEST and (beyond > _MISFIT * total or (beyond and counted_from_1)):
        raise InputError(
            f"{beyond} of {total} links of {file.spec} point beyond the last word of a pair: count words "
            "from 0, source side first, in the text as the bitext has it, split at blanks."
        )


def _in_range(links: Links, pair: Segment, tally: Tally) -> Links:
    rows, columns = (len(text.split()) for text in pair)
    kept = tuple((i, j) for i, j in links if i < rows and j < columns)
    tally.kept += len(kept)
    tally.drop(_BEYOND, len(links) - len(kept))
    return kept


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Translations of words.

    Attributes:
        entries: case-folded source word -> its case-folded translations.
        facts: where they came from; its counts are of lines.
    """

    entries: dict[str, frozenset[str]]
    facts: DataFacts


def read_dictionary(path: str | Path) -> Dictionary:
    """Read a bilingual dictionary in the form MUSE's have: source word, then target word.

    The two are separated by a tab, and may then be several words each, or by other white space.

    Raises:
        InputError: if the file cannot be read or has no line of two words.
    """
    file = open_file(path)
    tally = Tally()
    entries: dict[str, set[str]] = {}
    for line in file.lines():
        if isinstance(line, Dropped):
            tally.drop(line.reason)
            continue
        cells = [" ".join(c.split()) for c in line.split("\t")] if "\t" in line.strip() else line.split()
        if len(cells) != 2 or not all(cells):
            tally.drop("a line without two words" if line.strip() else "empty line")
            continue
        source, target = (cell.casefold() for cell in cells)
        if target in entries.setdefault(source, set()):
            tally.drop("duplicate entry")
        else:
            entries[source].add(target)
            tally.kept += 1
    if not entries:
        raise InputError(
            f"{file.spec} holds no dictionary entry ({tally}): write a source word, a tab and its "
            "translation on each line."
        )
    facts = tally.facts(role="dictionary", spec=file.spec, format="dictionary", sha256=file.sha256)
    return Dictionary({word: frozenset(targets) for word, targets in entries.items()}, facts)


_PAIRS = 200
"""Pairs looked at."""
_TEXTS = 200
"""Labelled texts that show what the source language looks like; with thousands every trigram is seen once."""
_FEWEST = 20
"""Pairs that must tell the sides apart before anything is concluded."""
_TELLING = 300
"""Trigrams that a text and both sides must have before it is said what it reads like."""
_SWAPPED = 0.75
"""Share of them from which on the sides are taken to be swapped. Between 19 languages and English it was at
most 0.2 for bitext in the right order, 0.4 for Chinese and Japanese with 20 labelled texts."""


def check_direction(train: LabelledData, bitext: Bitext, source: Language, target: Language) -> None:
    """Make sure that it is the source side of a bitext that reads like the labelled source text.

    Of the two sides of a pair, the one of which more character trigrams occur in labelled text is taken to
    be in its language (after Cavnar and Trenkle 1994, N-gram-based text categorization). Where both sides
    are as alike, or there are too few pairs, nothing is concluded.

    Raises:
        InputError: if most pairs are the other way round.
    """
    known = {trigram for text in train.texts[:_TEXTS] for trigram in _trigrams(text)}
    margins = [_share(second, known) - _share(first, known) for first, second in bitext.pairs[:_PAIRS]]
    telling = [margin for margin in margins if margin]
    swapped = sum(margin > 0 for margin in telling)
    if len(telling) >= _FEWEST and swapped >= _SWAPPED * len(telling):
        raise InputError(
            f"The {target.name} side of {bitext.facts[0].spec} reads like {train.facts.spec}, and the "
            f"{source.name} side does not: swap the two sides, or the two languages, or name labelled data "
            f"in {source.name}."
        )


def reads_like_other(data: LabelledData, bitext: Bitext, side: int) -> bool:
    """Whether labelled text reads like the other side of a bitext rather than its own, 0 or 1.

    The text is taken to be in the language in which more of its trigrams occur, blanks aside, since labelled
    words are joined by blanks in every language; no where that is too few.
    """
    texts = [[pair[i] for pair in bitext.pairs[:_PAIRS]] for i in (0, 1)]
    first, second, trigrams = (
        [trigram for text in part for trigram in _trigrams("".join(text.split()))]
        for part in (*texts, data.texts[:_TEXTS])
    )
    sides = set(first), set(second)
    own, other = (sum(trigram in sides[i] for trigram in trigrams) for i in (side, 1 - side))
    return min(len(trigrams), *map(len, sides)) >= _TELLING and other > own


def check_dictionary(dictionary: Dictionary, bitext: Bitext, source: Language, target: Language) -> None:
    """Make sure that the words a dictionary translates are those of the bitext's source side.

    Words that both sides have say nothing.

    Raises:
        InputError: if most of the others are of the target side.
    """
    sides = [
        {word for pair in bitext.pairs for word in re.findall(r"\w+", pair[side].casefold())}
        for side in (0, 1)
    ]
    telling = dictionary.entries.keys() & (sides[0] ^ sides[1])
    swapped = len(telling & sides[1])
    if len(telling) >= _FEWEST and swapped >= _SWAPPED * len(telling):
        raise InputError(
            f"{dictionary.facts.spec} runs from {target.name} to {source.name}: swap its two columns."
        )


def _share(text: str, known: Container[str]) -> float:
    """The share of the text's trigrams that are known, 0-1."""
    trigrams = list(_trigrams(text))
    return sum(trigram in known for trigram in trigrams) / max(1, len(trigrams))


def _trigrams(text: str) -> Iterator[str]:
    """Three characters each, with a blank for either end of the text."""
    line = f" {' '.join(text.casefold().split())} "
    return (line[i : i + 3] for i in range(len(line) - 2))
