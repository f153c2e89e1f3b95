"""Faults injected into real commands: ``python -m tests.faults [--kills N] [--seed N] [--only NAME]``.

Kills (-9) at random moments a probe, a trial and a study that are then resumed, a refit of the findings,
and a writer of reports; then lets probes run out of disk and of memory under real limits. After each fault
every file must be as it was or as it was to become, and nothing half-written may stand under a name that
the user gave. Takes some seconds a kill; exit code 1 if any fault did damage.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.faults.scenarios import KILLED, LIMITED, DamageError

_TRIES = 3
"""Starts of a command for each kill that is wanted."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[*KILLED, *LIMITED])
    chosen = parser.parse_args()
    moments = random.Random(chosen.seed)
    damaged = 0
    killed = [name for name in KILLED if chosen.only in (None, name)]
    for i, name in enumerate(killed):
        kills = (chosen.kills + i) // len(killed)
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            scenario = KILLED[name](Path(folder))
            survived = tried = 0
            for _ in range(_TRIES * kills):  # a command that ended before its kill does not count
                if tried == kills:
                    break
                try:
                    in_time = scenario.kill(moments)
                    tried += in_time
                    survived += in_time
                except DamageError as damage:
                    tried += 1
                    print(f"  {name}: {damage}")
            try:
                scenario.finish()
            except DamageError as damage:
                survived -= 1
                print(f"  {name}, afterwards: {damage}")
        damaged += tried - survived
        print(f"{name}: {survived} of {tried} kills survived", flush=True)
    for name, limited in LIMITED.items():
        if chosen.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="faults-") as folder:
                for outcome in limited(Path(folder)):
                    damaged += outcome.damaged
                    print(f"{name}: {outcome.text}", flush=True)
    print(f"{damaged} faults did damage")
    return int(damaged > 0)


if __name__ == "__main__":
    sys.exit(main())
