"""Everything a request names, read and checked; nothing here needs torch."""

from dataclasses import dataclass, replace

from probes.catalogue import TASKS, Task
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
from probes.languages import Language, parse_language, refuse_same
from probes.request import ProbeRequest
from probes.signals import DataFacts


@dataclass(frozen=True)
class Inputs:
    """What was read, before anything is tokenised.

    Attributes:
        labelled_target: target-language data whose labels all occur in ``train``, where there is any.
    """

    task: Task
    source: Language
    target: Language
    train: LabelledData
    labelled_target: LabelledData | None
    bitext: Bitext
    dictionary: Dictionary | None

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What was read, input by input, as it is shown before anything is run."""
        read = (self.train, self.labelled_target, self.bitext, self.dictionary)
        return tuple(reading_of(data) for data in read if data is not None)

    @property
    def facts(self) -> tuple[DataFacts, ...]:
        """What was read and dropped, input by input."""
        facts = [self.train.facts, *self.bitext.facts]
        if self.labelled_target is not None:
            facts.append(self.labelled_target.facts)
        if self.dictionary is not None:
            facts.append(self.dictionary.facts)
        return tuple(facts)


def read_train(request: ProbeRequest) -> LabelledData:
    """Read the labelled source data that the request names.

    Raises:
        InputError: if it is missing or malformed.
    """
    task, source = TASKS.find(request.task), parse_language(request.source)
    return read_labelled(request.train, task, role="train", language=source, columns=request.columns)


def read_inputs(request: ProbeRequest, train: LabelledData | None = None) -> Inputs:
    """Read and check everything the request names.

    Args:
        request: what to probe.
        train: its labelled source data, where that was read before.

    Raises:
        InputError: if anything is missing, malformed or does not fit together.
    """
    task = TASKS.find(request.task)
    source, target = parse_language(request.source), parse_language(request.target)
    refuse_same(source, target)
    if request.dictionary and request.word_links:
        raise InputError("There is a dictionary and a file of word links: give one of the two.")
    train = train or read_train(request)
    labelled_target = None
    if request.target_labels:
        labelled_target = read_labelled(
            request.target_labels, task, role="target-labels", language=target, columns=request.columns
        )
        labelled_target = keep_known_labels(train, labelled_target)
    bitext = read_bitext(request.bitext, source, target, links=request.word_links)
    check_direction(train, bitext, source, target)
    dictionary = read_dictionary(request.dictionary) if request.dictionary else None
    if dictionary is not None:
        check_dictionary(dictionary, bitext, source, target)
    train = _judged(train, bitext, source, target)
    labelled_target = labelled_target and _judged(labelled_target, bitext, target, source)
    return Inputs(task, source, target, train, labelled_target, bitext, dictionary)


def _judged(data: LabelledData, bitext: Bitext, own: Language, other: Language) -> LabelledData:
    """The data, with a note if it reads like the wrong side of the bitext."""
    if not reads_like_other(data, bitext, bitext.languages.index(own.name)):
        return data
    note = f"reads more like the {other.name} side of the bitext than like the {own.name} side"
    return replace(data, facts=data.facts.model_copy(update={"notes": (*data.facts.notes, note)}))
