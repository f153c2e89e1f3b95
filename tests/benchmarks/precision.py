"""Does bf16 change what is measured? The same rounds in both precisions, on the same batches.

    python -m tests.benchmarks.precision [--rounds 8] [--batch 16] [--train ... --bitext ...]

For each task gradient and objective: the noise-corrected cosine over all layers in fp32, its interval,
the difference that bf16 makes, and that difference as a share of half the interval's width. The last column
is the largest such share among the single layers.
"""

import argparse
import sys
from pathlib import Path

from probes.budget import Budget
from probes.signals import TOTAL, CosineRow
from tests.benchmarks._real import add_data_options, measure, request_from, warm_case


def _shift(full: CosineRow, half: CosineRow) -> tuple[float, float] | None:
    """Difference of two cosines, and the same over half the width of the first one's interval."""
    a, b = full.cosine, half.cosine
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
    rows = [measure(warm, precision).cosines for precision in ("fp32", "bf16")]
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
            and (shift := _shift(a, b)) is not None
        ]
        total = _shift(full, half)
        worst = max([worst, *layers, *([total[1]] if total else [])])
        print(
            f"| {full.task_gradient} | {full.objective} | {full.cosine} | "
            + (f"{total[0]:+.4f} | {total[1]:.1%} | " if total else " | | ")
            + (f"{max(layers):.1%} |" if layers else " |")
        )
    return int(worst > 1)


if __name__ == "__main__":
    sys.exit(main())
