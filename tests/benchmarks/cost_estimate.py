"""Is a probe's cost what it was said to be?

    python -m tests.benchmarks.cost_estimate [--budget quick] [--train ... --bitext ... --target-labels ...]

Prints the estimate that a user sees, what then happened, and the ratio of the two. Rounds that were saved by
stopping early are counted as if they had been taken, since the estimate is for the whole budget. Last comes
where the time went.
"""

import argparse
from time import perf_counter

from probes.budget import find_budget
from probes.cost import CostEstimate
from probes.progress import Progress
from probes.run import run_probe
from tests.benchmarks._real import add_data_options, request_from


class _Recorder(Progress):
    """Keeps the estimate and the time at which it was given."""

    cost: CostEstimate | None = None
    since: float = 0.0

    def estimate(self, cost: CostEstimate) -> None:
        self.cost, self.since = cost, perf_counter()


def main() -> None:
    """Probe and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_data_options(parser)
    parser.add_argument("--budget", default="quick")
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    recorder = _Recorder()
    request = request_from(arguments, budget=arguments.budget, precision=arguments.precision)
    run = run_probe(request, recorder).run
    took = perf_counter() - recorder.since
    assert recorder.cost is not None
    assert run.peak_memory_gib is not None
    planned = find_budget(arguments.budget).rounds
    saved = (planned / run.rounds - 1) * (run.phases["theta0"] + run.phases["theta_warm"])
    print("| | estimate | outcome | estimate / outcome |")
    print("|---|---|---|---|")
    print(
        f"| seconds | {recorder.cost.seconds:.0f} | {took + saved:.0f} "
        f"| {recorder.cost.seconds / (took + saved):.2f} |"
    )
    print(
        f"| GiB | {recorder.cost.memory_gib:.2f} | {run.peak_memory_gib:.2f} "
        f"| {recorder.cost.memory_gib / run.peak_memory_gib:.2f} |"
    )
    print(f"\n{run.rounds} of {planned} rounds of {run.batch_size} ({run.stopped}), {run.dtype}")
    print(", ".join(f"{name} {seconds:.1f} s" for name, seconds in run.phases.items()))


if __name__ == "__main__":
    main()
