"""What a race's first rungs cost beside one whole run: ``python -m tests.benchmarks.race_cost``.

Six options and fine-tuning alone are run to a quarter of both phases, with both looks of the rung, as a race
runs them; then the dearest option's whole run with the looks of a race, fine-tuning alone not counted.
Processor time of one process, so that a busy machine tells the same.
"""

import argparse
import tempfile
import time
from pathlib import Path

from advisor.options import NO_ALIGNMENT, Option, Schedule
from advisor.race.engine import Engine
from advisor.race.rungs import SHARES, WHOLE, Rung, RungPlan
from advisor.race.store import RaceStore
from advisor.recipe import Recipe
from advisor.training import Shared
from probes.progress import Stopwatch
from tests.benchmarks._real import add_data_options, request_from

OPTIONS = (
    "token-contrastive:sequential",
    "sentence-contrastive:sequential",
    "token-contrastive:sequential:lower-half",
    "token-l2:sequential",
    "token-contrastive:joint:0.1",
    "sentence-contrastive:joint:0.1",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_data_options(parser)
    parser.add_argument("--steps", type=int, default=120, help="of either phase of a whole run")
    chosen = parser.parse_args()
    request = request_from(chosen)

    def recipe(option: Option, seed: int) -> Recipe:
        return Recipe.of(
            request, option, seed=seed, source=chosen.source, target=chosen.target, max_steps=chosen.steps
        )

    plan = RungPlan(chosen.steps, chosen.steps)
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(recipe, chosen.target_labels, RaceStore(Path(folder)), Stopwatch(), Shared())
        engine.setting(NO_ALIGNMENT, 0)  # the data are read once for all

        def seconds(name: str, option: Option, rung: Rung, looks: tuple[float, ...]) -> float:
            begin = time.process_time()
            engine.run(name, option, 0, plan, None, rung, looks)
            return time.process_time() - begin

        quarters = 0.0
        for i, option in enumerate((NO_ALIGNMENT, *map(Option.parse, OPTIONS))):
            quarter = Rung(0.25 if option.schedule is Schedule.SEQUENTIAL else 1.0, 0.25)
            spent = seconds(f"quarter{i}", option, quarter, (0.1875, 0.25))
            quarters += spent
            print(f"{option}, to a quarter: {spent:.0f} s", flush=True)
        looks = tuple(look for share in SHARES for look in (0.75 * share, share))
        whole = seconds("whole", Option.parse(OPTIONS[0]), WHOLE, looks)
        print(f"{OPTIONS[0]}, whole: {whole:.0f} s")
    print(f"\nSix options and fine-tuning alone to a quarter: {quarters / whole:.2f} whole runs.")


if __name__ == "__main__":
    main()
