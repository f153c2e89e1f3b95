"""A small parallel sample in six languages, with word classes and topics, for demos and tests.

It shows that the whole path works offline; it is far too small to measure anything by. See ``README.md``
beside this file.
"""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

from probes.errors import InputError

__all__ = [
    "LANGUAGES",
    "SAMPLE_PREFIX",
    "SAMPLE_SENTENCES",
    "located",
    "named",
    "sample_path",
    "sample_sha256",
]

LANGUAGES: tuple[str, ...] = ("en", "tr", "de", "ru", "ar", "zh")
"""ISO 639-1 codes of the sample's languages; English, the source of every bitext, comes first."""

SAMPLE_PREFIX = "sample:"
"""How a request names a file of the sample, as in ``sample:en.conllu``."""

_DATA = frozenset((".conllu", ".tsv", ".json"))
"""Endings of the files that hold data."""

SAMPLE_SENTENCES = 120
"""Sentences per language, each a translation of the others with the same id."""


def sample_path(name: str) -> Path:
    """The path of one of the sample's data files.

    Args:
        name: a bare file name, such as ``en.conllu``, ``topics.tr.tsv``, ``questions.de.json``,
            ``bitext.en-tr.tsv`` or ``dictionary.en-tr.tsv``.

    Raises:
        InputError: if the sample has no such file; the message lists those it has.
    """
    folder = Path(str(files(__name__)))
    available = sorted(path.name for path in folder.iterdir() if path.suffix in _DATA)
    if name not in available:
        raise InputError(f"The sample has no file '{name}': choose one of {', '.join(available)}.")
    return folder / name


def located(spec: str) -> str:
    """The path of what ``sample:NAME`` names; anything else as it is.

    Raises:
        InputError: if the sample has no such file.
    """
    return str(sample_path(spec.removeprefix(SAMPLE_PREFIX))) if spec.startswith(SAMPLE_PREFIX) else spec


def named(spec: str) -> str:
    """The path of one of the sample's files as ``sample:NAME``; anything else as it is."""
    path = Path(spec)
    return SAMPLE_PREFIX + path.name if path.parent == Path(str(files(__name__))) else spec


@cache
def sample_sha256() -> frozenset[str]:
    """The SHA-256 of every data file of the sample, by which a run on it is known."""
    folder = Path(str(files(__name__)))
    data = (path for path in folder.iterdir() if path.suffix in _DATA)
    return frozenset(hashlib.sha256(path.read_bytes()).hexdigest() for path in data)
