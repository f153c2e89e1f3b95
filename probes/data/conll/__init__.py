"""Sentences as blocks of lines: CoNLL-U, CoNLL-U Plus, and columns of any layout."""

from probes.data.conll._read import read_intents, read_tagged

__all__ = ["read_intents", "read_tagged"]
