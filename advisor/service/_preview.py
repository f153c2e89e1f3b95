"""What would be read, before anything is run: counts, samples, dropped lines, scripts, and a rough cost."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from unicodedata import east_asian_width

from advisor.service._forecast import Forecast, forecast
from probes.data import Reading, reading_of
from probes.errors import InputError
from probes.languages import Language, script_of
from probes.material.inputs import Inputs, read_inputs
from probes.request import ProbeRequest
from probes.schema import Frozen

_CHECKED = 300
"""Texts whose script and length is looked at."""
_WIDE = 2.3
_HUB = "hf:"
_CHINESE = frozenset({"Hans", "Hant", "Hani"})


class Preview(Frozen):
    """What a probe would work on.

    Attributes:
        inputs: what was read; nothing where a data set of the hub is named.
        unread: names of data sets that are only loaded by the run itself.
        forecast: rough cost; None where the model's size is not known before it is loaded.
        problem: why a probe of this would be refused; None if nothing speaks against it.
        cells: how many probes it is; all else here is of the first.
        refused: why some of them will have no answer, a sentence each.
    """

    inputs: tuple[Reading, ...]
    unread: tuple[str, ...]
    forecast: Forecast | None
    problem: str | None = None
    cells: int = 1
    refused: tuple[str, ...] = ()


def look(request: ProbeRequest, as_called: Callable[[str], str] = str) -> Preview:
    """Read what a probe would read.

    Args:
        request: with its files found.
        as_called: turns paths in a text into the names the visitor knows.

    Raises:
        InputError: if something cannot be read or does not fit together.
    """
    specs = (request.train, request.target_labels, request.bitext, request.dictionary)
    unread = tuple(spec for spec in specs if spec and _HUB in spec)
    try:
        inputs = None if unread else read_inputs(request)
    except InputError as error:
        raise InputError(as_called(str(error))) from error
    seen = tuple(_as_called(reading, as_called) for reading in _readings(inputs)) if inputs else ()
    cost, problem = None, None
    try:
        cost = forecast(
            request.model,
            request.budget,
            characters=_mean_length(inputs) if inputs else 0,
            sentences=len(inputs.train.examples) if inputs else 0,
            pairs=len(inputs.bitext) if inputs else 0,
            target_labels=request.target_labels is not None,
        )
    except InputError as error:  # too little: what was read, and what was dropped, says why
        problem = str(error)
    return Preview(inputs=seen, unread=unread, forecast=cost, problem=problem)


def _readings(inputs: Inputs) -> Iterator[Reading]:
    """Every input, with a note on each side that is not in its language's script."""
    source, target = inputs.source, inputs.target
    labelled = ((inputs.train, source), (inputs.labelled_target, target))
    for data, language in labelled:
        if data is not None:
            yield _checked(reading_of(data), [(language, data.texts)])
    sides = zip((source, target), zip(*inputs.bitext.pairs[:_CHECKED], strict=True), strict=True)
    yield _checked(reading_of(inputs.bitext), sides)
    if inputs.dictionary is not None:
        yield reading_of(inputs.dictionary)


def _checked(reading: Reading, sides: Iterable[tuple[Language, Sequence[str]]]) -> Reading:
    doubts = []
    for language, texts in sides:
        script = script_of(" ".join(texts[:_CHECKED]))
        if script not in (language.script, "Zyyy") and not {script, language.script} <= _CHINESE:
            doubts.append(
                f"the {language.name} side is in {script} script where {language.script} is expected: is it "
                "the right file?"
            )
    return reading.model_copy(update={"notes": (*reading.notes, *doubts)})


def _as_called(reading: Reading, as_called: Callable[[str], str]) -> Reading:
    return reading.model_copy(
        update={
            "name": as_called(reading.name),
            "columns": {what: as_called(where) for what, where in reading.columns.items()},
            "notes": tuple(map(as_called, reading.notes)),
        }
    )


def _mean_length(inputs: Inputs) -> float:
    """Characters a text, where a wide one of Chinese and Japanese counts for what it costs in subwords."""
    texts = [*inputs.train.texts[:_CHECKED], *(text for p in inputs.bitext.pairs[:_CHECKED] for text in p)]
    return sum(_WIDE if east_asian_width(c) == "W" else 1 for text in texts for c in text) / len(texts)
