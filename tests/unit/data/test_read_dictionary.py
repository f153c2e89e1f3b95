from pathlib import Path

import pytest

from probes.data import read_dictionary
from probes.errors import InputError


def test_muse_style_with_tabs_or_spaces(tmp_path: Path) -> None:
    path = tmp_path / "en-tr.txt"
    path.write_text(
        "Dog köpek\ndog\tİt\nice cream\tdondurma\nDOG KÖPEK\n\nlonely\na b c\n\tx\n", encoding="utf-8"
    )
    dictionary = read_dictionary(path)
    assert dictionary.entries == {
        "dog": frozenset({"köpek", "İt".casefold()}),
        "ice cream": frozenset({"dondurma"}),
    }
    facts = dictionary.facts
    assert (facts.role, facts.format, facts.read, facts.kept) == ("dictionary", "dictionary", 8, 3)
    assert facts.dropped == {"duplicate entry": 1, "empty line": 1, "a line without two words": 3}


def test_a_file_without_entries(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("just\nwords\n", encoding="utf-8")
    with pytest.raises(InputError, match="no dictionary entry"):
        read_dictionary(path)
