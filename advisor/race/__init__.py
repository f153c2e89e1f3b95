"""Real runs of several options, cut short and compared, that settle the question within a given time.

The statistical heart (rungs, errors, belief, choice) needs no torch; ``run_race`` trains. ``RaceResult`` is
what it ends with.
"""

from advisor.race.main import run_race
from advisor.race.result import RaceResult

__all__ = ["RaceResult", "run_race"]
