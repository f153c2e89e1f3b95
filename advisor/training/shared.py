"""What runs have in common, kept from one to the next."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Shared:
    """Results that do not depend on what a run trains: encoders as given, tokenised texts, word links.

    Runs that share one of these come out exactly as they would alone, only sooner.
    """

    def __init__(self) -> None:
        self._kept: defaultdict[str, OrderedDict[Hashable, Any]] = defaultdict(OrderedDict)

    def get(self, kind: str, key: Hashable, make: Callable[[], T], most: int = 3) -> T:
        """What ``make`` gives, made once for each ``key`` that is still kept: the latest ``most`` of a kind.

        The key is all that it depends on; ``make`` must not depend on torch's random state.
        """
        results = self._kept[kind]
        if key in results:
            results.move_to_end(key)
        else:
            while len(results) >= most:  # before: two large ones need not fit at once
                results.popitem(last=False)
            results[key] = make()
        return cast(T, results[key])

    def forget(self, kind: str) -> None:
        """Let go of everything of a kind."""
        self._kept.pop(kind, None)
