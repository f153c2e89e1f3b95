"""Real runs of several options, cut short and compared, that settle the question within a given time.

The statistical heart (rungs, errors, belief, choice) needs no torch; ``run_race`` trains. ``RaceResult`` is
what it ends with.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from advisor.race.main import run_race
    from advisor.race.result import RaceResult

__all__ = ["RaceResult", "run_race"]

_HOME = {"run_race": "main", "RaceResult": "result"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
