"""How long may a lookahead's step be? Changes of the task loss for steps of several lengths.

    python -m tests.benchmarks.lookahead_steps [--train ... --bitext ... --target-labels ...]

A step is short enough while the change grows in proportion to its length, and long enough while the change
stands clear of its own error. Prints the change in per cent and the change a unit, for both scalings.
"""

import argparse
from unittest.mock import patch

from probes.budget import Budget
from probes.gradients.lookahead import look_ahead
from probes.progress import Stopwatch
from tests.benchmarks._real import add_data_options, measure, request_from, warm_case

_UNITS = {
    "raw": ("_RAW_UNITS", (0.0125, 0.025, 0.05, 0.1, 0.2)),
    "adam": ("_ADAM_UNITS", (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)),
}


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_data_options(parser)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--batch", type=int, default=12)
    arguments = parser.parse_args()
    budget = Budget("standard", arguments.rounds, arguments.batch, 300, 100, 60, 1, 128)
    warm = warm_case(request_from(arguments), budget)
    gradients = measure(warm, "auto")
    texts = {
        task: [item for batch in some for item in batch] for task, some in warm.case.batches.tasks.items()
    }
    print("| scaling | objective | on | units | change, % | 95 % interval | change a unit |")
    print("|---|---|---|---|---|---|---|")
    for scaling, (name, lengths) in _UNITS.items():
        for units in lengths:
            with patch(f"probes.gradients.lookahead.{name}", units):
                rows = look_ahead(warm.case.model, gradients, texts, Stopwatch(), warm.adam)
            for row in rows:
                change = row.change
                if row.scaling != scaling or change.value is None:
                    continue
                print(
                    f"| {scaling} | {row.objective} | {row.on} | {units:g} | {change.value:+.2f} "
                    f"| {change.low:+.2f} to {change.high:+.2f} | {change.value / units:+.1f} |"
                )


if __name__ == "__main__":
    main()
