"""Readers of everything a user brings: labelled data, bitext and bilingual dictionaries.

Readers stream, validate, and count what they dropped and why; nothing is silently truncated. Which
format a file is in follows from its content and, where that leaves a choice, from its name; the rules
are in :mod:`probes.data.formats`.
"""

from probes.data._table import Columns
from probes.data.bitext import (
    Bitext,
    Dictionary,
    check_dictionary,
    check_direction,
    read_bitext,
    read_dictionary,
    reads_like_other,
)
from probes.data.examples import (
    UNKNOWN_LABEL,
    Example,
    LabelledData,
    PairExample,
    SentenceExample,
    SpanExample,
    TokenExample,
    keep_known_labels,
)
from probes.data.files import expand
from probes.data.labelled import as_row, read_labelled
from probes.data.reading import Reading, reading_of

__all__ = [
    "UNKNOWN_LABEL",
    "Bitext",
    "Columns",
    "Dictionary",
    "Example",
    "LabelledData",
    "PairExample",
    "Reading",
    "SentenceExample",
    "SpanExample",
    "TokenExample",
    "as_row",
    "check_dictionary",
    "check_direction",
    "expand",
    "keep_known_labels",
    "read_bitext",
    "read_dictionary",
    "read_labelled",
    "reading_of",
    "reads_like_other",
]
