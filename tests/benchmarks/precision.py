"""Does bf16 change what is measured? The same rounds in both precisions, on the same batches.

    python -m tests.benchmarks.precision [--rounds 8] [--batch 16] [--train ... --bitext ...]

For each task gradient and objective: the noise-corrected cosine over all layers in fp32, its interval,
the difference that bf16 makes, and that difference as a share of half the interval's width. The last column
is the largest such share among the single layers. Below: the largest such share in the lookahead.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from probes.budget import Budget
from probes.gradients.lookahead import look_ahead
from probes.machine.precision import PassPrecision
from probes.progress import Stopwatch
from probes.signals import TOTAL, Estimate
from tests.benchmarks._real import add_data_options, measure, request_from, warm_case


def _shift(a: Estimate, b: Estimate) -> tuple[float, float] | None:
    """Difference of two estimates, and the same over half the width of the first one's interval."""
    if a.value is None or b.value is None or a.low is None or a.high is None:
        return None
    return b.value - a.value, abs(b.value - a.value) / ((a.high - a.low) / 2)


def main() -> int:
    """Measure and print a Markdown table; returns 1 if a difference leaves its interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_data_options(parser)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    budget = Budget("standard", arguments.rounds, arguments.batch, 300, 100, 30, 1, 128)
    warm = warm_case(request_from(arguments), budget)
    found = [measure(warm, precision) for precision in ("fp32", "bf16")]
    rows = [rounds.cosines for rounds in found]
    texts = {
        task: [item for batch in some[:2] for item in batch] for task, some in warm.case.batches.tasks.items()
    }
    precisions: tuple[PassPrecision, ...] = ("fp32", "bf16")
    steps = [
        look_ahead(
            warm.case.model,
            replace(found[0], precision=precision),
            texts,
            Stopwatch(),
            warm.adam,
        )
        for precision in precisions
    ]
    print(
        f"{arguments.model}, {arguments.source} to {arguments.target}, {arguments.task} "
        f"({Path(arguments.bitext).name}): {arguments.rounds} rounds of {warm.case.batches.size}\n"
    )
    print("| task gradient | objective | fp32 | difference | of half the interval | worst layer |")
    print("|---|---|---|---|---|---|")
    worst = 0.0
    pairs = list(zip(*rows, strict=True))
    for full, half in pairs:
        if full.block != TOTAL:
            continue
        layers = [
            shift[1]
            for a, b in pairs
            if (a.task_gradient, a.objective) == (full.task_gradient, full.objective)
            and a.block.startswith("layer.")
            and (shift := _shift(a.cosine, b.cosine)) is not None
        ]
        total = _shift(full.cosine, half.cosine)
        worst = max([worst, *layers, *([total[1]] if total else [])])
        print(
            f"| {full.task_gradient} | {full.objective} | {full.cosine} | "
            + (f"{total[0]:+.4f} | {total[1]:.1%} | " if total else " | | ")
            + (f"{max(layers):.1%} |" if layers else " |")
        )
    ahead = [_shift(a.change, b.change) for a, b in zip(*steps, strict=True)]
    largest = max(shift[1] for shift in ahead if shift is not None)
    print(f"\nLookahead, {len(ahead)} changes: at most {largest:.1%} of half the interval")
    return int(max(worst, largest) > 1)


if __name__ == "__main__":
    sys.exit(main())
