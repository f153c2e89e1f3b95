"""What further Dask workers on one machine are worth: ``python -m tests.benchmarks.workers``.

The same study, and the same grid of probes, on a cluster of 1, 2 and 4 processes of one thread each. Seconds
are those of the whole command, imports and loading included.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from distributed import LocalCluster

from advisor.sample import sample_path

PLAN = {
    "models": {"bundled-3": {"base": "bundled", "layers": 3}},
    "pairs": [{"target": "tr", "bitext": "bitext.en-tr.tsv"}],
    "tasks": {"pos": {"train": "{source}.conllu", "target_test": "{target}.conllu"}},
    "options": ["token-contrastive:joint:0.1", "sentence-contrastive:joint:0.1"],
    "seeds": [0, 1, 2, 3],
    "training": {"steps": 60},
    "probe": None,
}
GRID = (
    *("probe", "bundled", "--source", "en", "--target", "de,ru,ar,zh", "--task", "pos", "--budget", "quick"),
    *("--train", "sample:en.conllu", "--bitext", "sample:bitext.en-{target}.tsv"),
    *("--target-labels", "sample:{target}.conllu"),
)


def seconds(command: Sequence[str], workers: int, out: Path) -> float:
    """Of a command on a cluster of so many workers."""
    alone = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    os.environ.update(alone)
    with LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=None, memory_limit=None
    ) as cluster:
        begin = time.perf_counter()
        where = ("--out", str(out), "--dask", cluster.scheduler_address)
        subprocess.run([sys.executable, "-m", "advisor", *command, *where], check=True, capture_output=True)
        return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.yaml"
        plan.write_text(
            yaml.safe_dump({"data": str(sample_path("en.conllu").parent), **PLAN}), encoding="utf-8"
        )
        print("| workers | study of 12 runs | times as fast | grid of 4 targets | times as fast |")
        print("|---:|---:|---:|---:|---:|")
        first: list[float] = []
        for workers in chosen.workers:
            spent = [
                seconds(["study", "run", str(plan)], workers, Path(folder) / f"study{workers}"),
                seconds(GRID, workers, Path(folder) / f"grid{workers}"),
            ]
            first = first or spent
            cells = " | ".join(f"{s:.0f} s | {one / s:.2f}" for one, s in zip(first, spent, strict=True))
            print(f"| {workers} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
