"""A table of facts that can be added to."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Protocol, TypeVar, cast

from probes.errors import InputError


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)
K = TypeVar("K")


class Registry(Mapping[str, T]):
    """Entries by name, in the order in which they were added.

    Args:
        what: an entry, in one word, for messages.
        entries: the first ones.
        facts: what is known of entries that are code; there is none of what is not in it.
    """

    def __init__(
        self, what: str, entries: Iterable[T] = (), *, facts: Mapping[str, object] | None = None
    ) -> None:
        self._what, self._facts = what, facts
        self._entries: dict[str, T] = {}
        for entry in entries:
            self.add(entry)

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: T) -> T:
        """Make an entry known.

        Raises:
            ValueError: if its name is taken, or nothing is known of it.
        """
        if self._facts is not None and entry.name not in self._facts:
            raise ValueError(f"the catalogue has no {self._what} called '{entry.name}'")
        if entry.name in self._entries:
            raise ValueError(f"there is a {self._what} called '{entry.name}' already")
        self._entries[entry.name] = entry
        return entry

    def register(self, kind: type[K]) -> type[K]:
        """Class decorator: make a class known by an instance of it; errors are those of :meth:`add`."""
        self.add(cast(T, kind()))
        return kind

    def remove(self, name: str) -> T:
        """Forget an entry, and return it."""
        return self._entries.pop(name)

    def find(self, name: str) -> T:
        """The entry that a user means by ``name``, whatever its case.

        Raises:
            InputError: if there is none; the message lists those there are.
        """
        entry = self.get(name.strip().lower())
        if entry is None:
            close = get_close_matches(name, self, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise InputError(f"No {self._what} is called '{name}': {hint}choose one of {', '.join(self)}.")
        return entry

    @property
    def listed(self) -> str:
        """The names in a sentence: ``a, b or c``."""
        *others, last = self
        return f"{', '.join(others)} or {last}" if others else last
