"""Bilingual dictionaries: a word and its translation on each line."""

from dataclasses import dataclass
from pathlib import Path

from probes.data._records import Dropped, Tally
from probes.data.files import open_file
from probes.errors import InputError
from probes.signals import DataFacts


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
