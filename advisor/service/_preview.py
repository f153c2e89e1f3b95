"""What would be read, before anything is run: counts, samples, dropped lines, scripts, languages."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from unicodedata import east_asian_width

from advisor.service._forecast import Forecast, forecast
from probes.catalogue import TASKS
from probes.data import (
    Bitext,
    Dictionary,
    LabelledData,
    Reading,
    check_dictionary,
    check_direction,
    keep_known_labels,
    read_bitext,
    read_dictionary,
    read_labelled,
    reading_of,
)
from probes.errors import InputError
from probes.languages import Language, parse_language, script_of
from probes.request import ProbeRequest
from probes.schema import Frozen

_SAMPLES = 4
_CHECKED = 300
"""Texts whose script is looked at."""
_WIDE = 2.3
_SOURCE_DATA, _TARGET_DATA = "labelled source data", "labelled target data"
_TELLING = 500
"""Characters below which letters do not tell languages apart."""
_HUB = "hf:"
_CHINESE = frozenset({"Hans", "Hant", "Hani"})


class SideCheck(Frozen):
    """Whether text is in the script its language is written in.

    Attributes:
        language: its name.
        expected, found: ISO 15924 codes; ``Zyyy`` where no letter tells.
    """

    language: str
    expected: str
    found: str

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against the text being in that language."""
        return self.found in (self.expected, "Zyyy") or {self.found, self.expected} <= _CHINESE


class InputPreview(Reading):
    """One input as it was read, and whether it looks like what it is meant to be.

    Attributes:
        checks: of the script, a side each.
        reads_like: name of the other language, where labelled text resembles that side of the bitext more.
    """

    checks: tuple[SideCheck, ...] = ()
    reads_like: str | None = None


class Preview(Frozen):
    """What a probe would work on.

    Attributes:
        inputs: what was read.
        unread: names of data sets that are only loaded by the run itself.
        forecast: rough cost; None where the model's size is not known before it is loaded.
        problem: why a probe of this would be refused; None if nothing speaks against it.
    """

    inputs: tuple[InputPreview, ...]
    unread: tuple[str, ...]
    forecast: Forecast | None
    problem: str | None = None


def look(request: ProbeRequest, as_called: Callable[[str], str] = str) -> Preview:
    """Read what a probe would read.

    Args:
        request: with its files found.
        as_called: turns paths in a text into the names the visitor knows.

    Raises:
        InputError: if something cannot be read or does not fit together.
    """
    try:
        return _look(request, as_called)
    except InputError as error:
        raise InputError(as_called(str(error))) from error


def _look(request: ProbeRequest, as_called: Callable[[str], str]) -> Preview:
    task = TASKS.find(request.task)
    source, target = parse_language(request.source), parse_language(request.target)
    if source == target:
        raise InputError(
            f"Source and target are both {source.name}: name the language you have labels in as source and "
            "the one you want to reach as target."
        )
    labelled: dict[str, Sequence[str]] = {}
    specs = (request.train, request.target_labels, request.bitext, request.dictionary)
    unread = tuple(spec for spec in specs if spec and _HUB in spec)
    seen: list[InputPreview] = []
    train = None
    texts: list[str] = []
    pairs = 0
    if request.train not in unread:
        train = read_labelled(request.train, task, role="train", language=source, columns=request.columns)
        labelled[_SOURCE_DATA] = train.texts[:_CHECKED]
        seen.append(_seen(train, [_check(source, labelled[_SOURCE_DATA])], as_called))
    if request.target_labels and request.target_labels not in unread:
        labels = _target_labels(request, train)
        labelled[_TARGET_DATA] = labels.texts[:_CHECKED]
        seen.append(_seen(labels, [_check(target, labelled[_TARGET_DATA])], as_called))
    if request.bitext not in unread:
        bitext = read_bitext(request.bitext, source, target, links=request.word_links)
        if train is not None:
            check_direction(train, bitext, source, target)
        pairs = len(bitext)
        sides = [[pair[i] for pair in bitext.pairs[:_CHECKED]] for i in (0, 1)]
        texts += [*sides[0], *sides[1]]
        profiles = [_profile(side) for side in sides]
        seen = [
            part.model_copy(
                update={"reads_like": _other_language(part.role, labelled, profiles, source, target)}
            )
            for part in seen
        ]
        seen.append(_seen(bitext, list(map(_check, (source, target), sides)), as_called))
    if request.dictionary:
        dictionary = read_dictionary(request.dictionary)
        if request.bitext not in unread:
            check_dictionary(dictionary, bitext, source, target)
        seen.append(_seen(dictionary, [], as_called))
    texts += labelled.get(_SOURCE_DATA, [])
    length = sum(map(_length, texts)) / max(1, len(texts))
    cost, problem = None, None
    try:
        cost = forecast(
            request.model,
            request.budget,
            characters=length,
            sentences=0 if train is None else len(train.examples),
            pairs=pairs,
            target_labels=request.target_labels is not None,
        )
    except InputError as error:  # too little: what was read, and what was dropped, says why
        problem = str(error)
    return Preview(inputs=tuple(seen), unread=unread, forecast=cost, problem=problem)


def _target_labels(request: ProbeRequest, train: LabelledData | None) -> LabelledData:
    labels = read_labelled(
        str(request.target_labels),
        TASKS.find(request.task),
        role="target-labels",
        language=parse_language(request.target),
        columns=request.columns,
    )
    return labels if train is None else keep_known_labels(train, labels)


def _seen(
    data: LabelledData | Bitext | Dictionary, checks: Sequence[SideCheck], as_called: Callable[[str], str]
) -> InputPreview:
    """An input under the names that the visitor knows."""
    reading = reading_of(data)
    return InputPreview(
        **reading.model_dump(exclude={"name", "columns", "notes"}),
        name=as_called(reading.name),
        columns={what: as_called(where) for what, where in reading.columns.items()},
        notes=tuple(map(as_called, reading.notes)),
        checks=tuple(checks),
    )


def _check(language: Language, texts: Sequence[str]) -> SideCheck:
    return SideCheck(language=language.name, expected=language.script, found=script_of(" ".join(texts)))


def _other_language(
    role: str,
    labelled: Mapping[str, Sequence[str]],
    sides: Sequence[Counter[str]],
    source: Language,
    target: Language,
) -> str | None:
    """The language that labelled text seems to be in instead of its own, by its letters."""
    own, other, name = (1, 0, source.name) if role == _TARGET_DATA else (0, 1, target.name)
    profile = _profile(labelled[role])
    if min(profile.total(), *(side.total() for side in sides)) < _TELLING:
        return None
    return name if _cosine(profile, sides[other]) > _cosine(profile, sides[own]) else None


def _profile(texts: Sequence[str]) -> Counter[str]:
    """How often each three characters follow one another (Cavnar and Trenkle 1994)."""
    counted: Counter[str] = Counter()
    for text in texts:
        padded = f" {text.lower()} "
        counted.update(padded[i : i + 3] for i in range(len(padded) - 2))
    return counted


def _cosine(one: Counter[str], other: Counter[str]) -> float:
    product = sum(count * other[key] for key, count in one.items())
    norms = [math.sqrt(sum(count * count for count in counts.values())) for counts in (one, other)]
    return product / (norms[0] * norms[1])


def _length(text: str) -> float:
    """Characters, where one of the wide ones of Chinese and Japanese counts for what it costs in subwords."""
    return sum(_WIDE if east_asian_width(character) == "W" else 1 for character in text)
