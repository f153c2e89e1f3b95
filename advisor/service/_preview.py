"""What would be read, before anything is run: counts, samples, dropped lines, scripts, languages."""

from collections.abc import Callable, Sequence
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
    reads_like_other,
)
from probes.errors import InputError
from probes.languages import Language, parse_language, script_of
from probes.request import ProbeRequest
from probes.schema import Frozen

_SAMPLES = 4
_CHECKED = 300
"""Texts whose script is looked at."""
_WIDE = 2.3
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
    specs = (request.train, request.target_labels, request.bitext, request.dictionary)
    unread = tuple(spec for spec in specs if spec and _HUB in spec)
    train, bitext = None, None
    labelled: list[tuple[LabelledData, int]] = []
    if request.train not in unread:
        train = read_labelled(request.train, task, role="train", language=source, columns=request.columns)
        labelled.append((train, 0))
    if request.target_labels and request.target_labels not in unread:
        labelled.append((_target_labels(request, train), 1))
    if request.bitext not in unread:
        bitext = read_bitext(request.bitext, source, target, links=request.word_links)
        if train is not None:
            check_direction(train, bitext, source, target)
    languages = source, target
    seen: list[InputPreview] = []
    for data, side in labelled:
        part = _seen(data, as_called, _check(languages[side], data.texts))
        other = bitext is not None and reads_like_other(data, bitext, side)
        seen.append(part.model_copy(update={"reads_like": languages[1 - side].name if other else None}))
    texts = list(train.texts[:_CHECKED]) if train else []
    if bitext is not None:
        sides = [[pair[i] for pair in bitext.pairs[:_CHECKED]] for i in (0, 1)]
        texts += [*sides[0], *sides[1]]
        seen.append(_seen(bitext, as_called, *map(_check, languages, sides)))
    if request.dictionary:
        dictionary = read_dictionary(request.dictionary)
        if bitext is not None:
            check_dictionary(dictionary, bitext, source, target)
        seen.append(_seen(dictionary, as_called))
    length = sum(map(_length, texts)) / max(1, len(texts))
    cost, problem = None, None
    try:
        cost = forecast(
            request.model,
            request.budget,
            characters=length,
            sentences=0 if train is None else len(train.examples),
            pairs=len(bitext or ()),
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
    data: LabelledData | Bitext | Dictionary, as_called: Callable[[str], str], *checks: SideCheck
) -> InputPreview:
    """An input under the names that the visitor knows."""
    reading = reading_of(data)
    return InputPreview(
        **reading.model_dump(exclude={"name", "columns", "notes"}),
        name=as_called(reading.name),
        columns={what: as_called(where) for what, where in reading.columns.items()},
        notes=tuple(map(as_called, reading.notes)),
        checks=checks,
    )


def _check(language: Language, texts: Sequence[str]) -> SideCheck:
    return SideCheck(
        language=language.name, expected=language.script, found=script_of(" ".join(texts[:_CHECKED]))
    )


def _length(text: str) -> float:
    """Characters, where one of the wide ones of Chinese and Japanese counts for what it costs in subwords."""
    return sum(_WIDE if east_asian_width(character) == "W" else 1 for character in text)
