"""How well the leading signal is known after so many rounds of such batches.

    python -m tests.benchmarks.signal_quality [--rounds 64] [--batch 8] [--train ... --bitext ...]

One long run at ``theta_warm`` is the reference. Its rounds' inner products (by sketches) are then resampled:
K rounds of m batches merged into one, many times over, each giving the cosine of every objective with every
task gradient that is resolved in the reference. Printed are, over these: the root mean squared error
against the reference, the mean half-width of the interval, the share of intervals that exclude 0, how many
of those are on the wrong side, and the passes' cost relative to the cheapest row.

Draws overlap with the reference; errors are divided by sqrt(1 - n/N) for n of its N rounds, as for
sampling without replacement. Merging batches averages their gradients. For contrastive losses that leaves the
number of negatives as it is, so of batch size it shows the noise, not the change of the loss.
"""

import argparse

import numpy as np

from probes.budget import Budget
from probes.gradients.estimators import Moments
from probes.gradients.rounds import task_name
from tests.benchmarks._real import add_data_options, measure, request_from, warm_case

_ROUNDS = (4, 6, 8, 12, 16)
_MERGED = (1, 2, 4)


def regrouped(moments: Moments, chosen: np.ndarray) -> Moments:
    """The moments of other rounds: row k of ``chosen``, (rounds, merged), is averaged into round k."""
    rounds, merged = chosen.shape
    losses = len(moments.losses)
    between = moments.between[:, :, chosen.ravel()][..., chosen.ravel()]
    between = between.reshape(1, losses, rounds, merged, losses, rounds, merged).mean(axis=(3, 6))
    return Moments(
        losses=moments.losses,
        blocks=moments.blocks,
        sizes=moments.sizes,
        sums=between.sum(axis=(2, 4)),
        within=np.einsum("bikjk->bijk", between),
        between=between,
    )


def quality(
    moments: Moments, pairs: list[tuple[str, str]], rounds: int, merged: int, draws: int
) -> tuple[float, float, float, float] | None:
    """Error, half-width, share with a sign, share of those that are wrong; None without enough rounds."""
    taken, there = rounds * merged, moments.rounds
    if 2 * taken > there:
        return None
    generator = np.random.default_rng(0)
    (block,) = moments.blocks
    reference = regrouped(moments, np.arange(there)[:, None])
    truth = {pair: reference.cosine(block, *pair) for pair in pairs}
    errors, widths, signs, wrong = [], [], [], []
    for _ in range(draws):
        chosen = generator.permutation(there)[:taken].reshape(rounds, merged)
        drawn = regrouped(moments, chosen)
        for pair in pairs:
            found, expected = drawn.cosine(block, *pair), truth[pair]
            signs.append(found.sign != 0)
            if found.value is None or expected.value is None or found.low is None or found.high is None:
                continue
            errors.append((found.value - expected.value) / np.sqrt(1 - taken / there))
            widths.append((found.high - found.low) / 2)
            if found.sign:
                wrong.append(found.sign != np.sign(expected.value))
    if not errors:
        return None
    return (
        float(np.sqrt(np.mean(np.square(errors)))),
        float(np.mean(widths)),
        float(np.mean(signs)),
        float(np.mean(wrong)) if wrong else 0.0,
    )


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_data_options(parser)
    parser.add_argument("--rounds", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--draws", type=int, default=100)
    arguments = parser.parse_args()
    budget = Budget("thorough", arguments.rounds, arguments.batch, 300, 100, 30, 1, 128)
    warm = warm_case(request_from(arguments), budget)
    moments = measure(warm, "auto").moments
    (block,) = moments.blocks
    pairs = [
        (task_name(task), objective)
        for task in warm.case.batches.tasks
        for objective in warm.case.objectives
        if moments.cosine(block, task_name(task), objective).resolved
    ]
    size = warm.case.batches.size
    print(f"{len(pairs)} cosines, reference of {moments.rounds} rounds of {size}:")
    for pair in pairs:
        print(f"  {pair[0]} x {pair[1]}: {moments.cosine(block, *pair)}")
    print("\n| rounds | batch | error | half-width | sign resolved | of those wrong | cost |")
    print("|---|---|---|---|---|---|---|")
    for merged in _MERGED:
        for rounds in _ROUNDS:
            found = quality(moments, pairs, rounds, merged, arguments.draws)
            if found is None:
                continue
            error, width, sign, wrong = found
            cost = rounds * merged / _ROUNDS[0]
            print(
                f"| {rounds} | {merged * size} | {error:.3f} | {width:.3f} | {sign:.0%} | {wrong:.1%} "
                f"| {cost:.1f} |"
            )


if __name__ == "__main__":
    main()
