"""Bitext from translation files: TMX, XLIFF and PO."""

from probes.data.translation._languages import (
    Segment,
    in_order,
    language_called,
    match_language,
)
from probes.data.translation._po import read_po
from probes.data.translation._xml import read_tmx, read_xliff

__all__ = [
    "Segment",
    "in_order",
    "language_called",
    "match_language",
    "read_po",
    "read_tmx",
    "read_xliff",
]
