"""What a whole probe takes beside the passes that its gradient rounds cannot do without.

    python -m tests.benchmarks.whole_probe [--budget quick] [--train ... --bitext ... --target-labels ...]

On the repository's sample, which is the default, the probe is that of ``advisor demo``. Right after each set
of rounds the bare forward and backward passes of the very same batches are taken: the floor. The table has
where the rest goes, imports and writing the report among it. Times are processor time, so that waiting for
other programs does not count.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from typing import Any
from unittest.mock import patch

__all__ = ["main"]


class _Clock:
    """Processor seconds by what they went into, less what this benchmark itself adds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.floor = 0.0

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        begin, floor = process_time(), self.floor
        try:
            yield
        finally:
            added = process_time() - begin - (self.floor - floor)
            self.seconds[name] = self.seconds.get(name, 0.0) + added


def _probe(arguments: argparse.Namespace, clock: _Clock) -> tuple[Any, Any]:
    """The signals and the request; the floor is taken on the way."""
    import probes.gradients.rounds
    from probes.progress import Progress, Stopwatch
    from probes.run import run_probe
    from tests.benchmarks._real import request_from
    from tests.benchmarks._shapes import Case
    from tests.benchmarks.probe_cost import floor

    measure, phase = probes.gradients.rounds.measure_gradients, Stopwatch.phase

    def measured(model: Any, objectives: Any, batches: Any, context: Any, **more: Any) -> Any:
        with clock.of("gradient rounds"):
            found = measure(model, objectives, batches, context, **more)
        begin = process_time()
        floor(Case(model, objectives, batches.first(found.rounds)), found.precision)
        clock.floor += process_time() - begin
        return found

    @contextmanager
    def timed(watch: Stopwatch, name: str, *counts: int) -> Iterator[None]:
        before = clock.seconds.get("gradient rounds", 0.0)
        with clock.of(name), phase(watch, name, *counts):
            yield
        clock.seconds[name] -= clock.seconds.get("gradient rounds", 0.0) - before

    request = request_from(arguments, budget=arguments.budget)
    with (
        patch("probes.gradients.points.measure_gradients", measured),
        patch.object(Stopwatch, "phase", timed),
    ):
        return run_probe(request, Progress()), request


def main() -> None:
    """Probe, advise, write and print a Markdown table."""
    clock = _Clock()
    with clock.of("imports"):
        import advisor.cli  # noqa: F401
        import probes.run  # noqa: F401
        from advisor.recipe import recipe_files
        from advisor.recommend import recommend
        from advisor.report import Report
        from tests.benchmarks._real import add_data_options
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_data_options(parser)
    parser.add_argument("--budget", default="quick")
    arguments = parser.parse_args()
    with clock.of("all"):
        signals, request = _probe(arguments, clock)
    with clock.of("advice"):
        report = Report(recommend(signals), signals)
    with clock.of("report"), tempfile.TemporaryDirectory() as folder:
        report.write(Path(folder) / "advice", recipe_files(report.advice, request))
    probe = clock.seconds.pop("all")
    named = sum(
        seconds for name, seconds in clock.seconds.items() if name not in ("imports", "advice", "report")
    )
    clock.seconds["between phases"] = probe - named
    whole = sum(clock.seconds.values())
    print(f"{signals.run.rounds} rounds of {signals.run.batch_size} at both points, {signals.run.dtype}\n")
    print("| | seconds | share of the whole | to the floor |\n|---|---|---|---|")
    rows = {"whole": whole, "floor: the rounds' passes alone": clock.floor} | clock.seconds
    for name, seconds in rows.items():
        print(f"| {name} | {seconds:.1f} | {100 * seconds / whole:.0f} % | {seconds / clock.floor:.2f} |")


if __name__ == "__main__":
    main()
