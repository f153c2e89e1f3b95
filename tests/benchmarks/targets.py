"""What each further target of a probe costs beside the first: ``python -m tests.benchmarks.targets``.

Processor time and peak memory of one process, so that a busy machine tells the same; the first target bears
imports, loading, head and warm-up. ``{target}`` in the names of files stands for each target.
"""

import argparse
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from advisor.grid import probe_cells, spread
from advisor.sample import located
from probes.request import ProbeRequest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--targets", default="tr,de,ru,ar,zh")
    parser.add_argument("--task", default="pos")
    parser.add_argument("--train", default="sample:en.conllu")
    parser.add_argument("--bitext", default="sample:bitext.en-{target}.tsv")
    parser.add_argument("--target-labels", default="sample:{target}.conllu")
    parser.add_argument("--budget", default="quick")
    parser.add_argument("--out", type=Path, help="new folder for the reports; by default one that goes again")
    chosen = parser.parse_args()
    request = ProbeRequest.of(
        model=chosen.model,
        source="en",
        target=chosen.targets,
        task=chosen.task,
        train=located(chosen.train),
        bitext=chosen.bitext,
        target_labels=chosen.target_labels,
        budget=chosen.budget,
    )
    with TemporaryDirectory() as folder:
        _measure(request, chosen.out or Path(folder))


def _measure(request: ProbeRequest, out: Path) -> None:
    spent, seconds, memory = 0.0, [], []
    print("| target | CPU seconds | to the first | peak GiB | to the first |\n|---|---|---|---|---|")
    for cell in probe_cells(spread(request), out):
        if cell.problem:
            raise SystemExit(cell.problem)
        now = time.process_time()
        seconds.append(now - spent)
        spent = now
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
        ratios = seconds[-1] / seconds[0], memory[-1] / memory[0]
        print(
            f"| {cell.target} | {seconds[-1]:.1f} | {ratios[0]:.2f} | {memory[-1]:.2f} | {ratios[1]:.2f} |",
            flush=True,
        )
    further = sum(seconds[1:]) / (len(seconds) - 1) / seconds[0]
    print(f"\nA further target: {further:.2f} of the first one's time; memory {memory[-1] / memory[0]:.2f}.")


if __name__ == "__main__":
    main()
