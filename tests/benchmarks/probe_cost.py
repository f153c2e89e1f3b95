"""What gradient rounds cost beside the passes they cannot do without.

    python -m tests.benchmarks.probe_cost [--model SHAPE] [--device cpu|cuda] [--json]
    python -m tests.benchmarks.probe_cost --show FILE...    # one table of what --json printed

Five ways to take the same rounds, every task gradient, objective and null of them:

- ``floor``: the forward and backward passes alone, each gradient dropped at once.
- ``ours``: ``probes.gradients.rounds.measure_gradients``, with all estimates and intervals.
- ``naive``: ``autograd.grad``, flatten, concatenate, keep everything, pairwise cosines.
- ``autogram``: TorchJD's ``autogram.Engine``, a Gramian a round. It holds nothing across rounds, so there are
  no noise-corrected cosines and no blocks.
- ``autojac``: TorchJD's ``autojac.backward``, all gradients of a round as one Jacobian; the same holds.

The ways take turns in one process, which keeps freed memory as a probe does; every turn of ours has the
memory of the last one's sums, as a probe's second point has its first's. Peak memory comes from a process for
each. The first turn is not counted: it touches memory that the machine may have to find. On a CPU time is
processor time, so that waiting for other programs does not count. ``pip install ".[benchmark]"`` for TorchJD.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import get_args

import torch
from torch import Tensor

from probes.context import Context
from probes.gradients.rounds import measure_gradients, round_losses, task_name
from probes.machine.memory import freed_memory_kept, peak_bytes
from probes.machine.precision import PassPrecision, choose_precision
from probes.request import Precision
from tests.benchmarks._shapes import SHAPES, Case, make_case

__all__ = ["CONTENDERS", "Outcome", "Timed"]

_SEED = 0


@dataclass(frozen=True)
class Timed:
    """One way: seconds a round in every turn, the bytes of one gradient, and how many a round has."""

    seconds: list[float]
    gradient_bytes: int
    losses: int


@dataclass(frozen=True)
class Outcome(Timed):
    """The same with the peak of a process of its own; None if it did not finish."""

    peak_bytes: int | None


Run = tuple[Mapping[str, object], Mapping[str, Outcome | str]]
"""Settings of a measurement, and what was found for every way."""


def _rounds(case: Case) -> Iterator[dict[str, Callable[[], Tensor]]]:
    for k in range(case.batches.rounds):
        yield round_losses(case.model, case.objectives, case.batches, k, _SEED)


def floor(case: Case, precision: PassPrecision) -> None:
    """The passes alone."""
    parameters = list(case.encoder.parameters())
    tasks = {task_name(task) for task in case.batches.tasks}
    with case.encoder.passes_in(precision):
        for losses in _rounds(case):
            for name, loss in losses.items():
                kept = name not in tasks
                torch.autograd.grad(loss(), parameters, retain_graph=kept, allow_unused=True)


def ours(case: Case, precision: PassPrecision) -> None:
    """The probe's own way, up to the rows of the signals."""
    context = Context(seed=_SEED, precision=precision, pool=case.pool)
    rounds = measure_gradients(case.model, case.objectives, case.batches, context)
    rounds.release()


def naive(case: Case, precision: PassPrecision) -> None:
    """Keep every gradient and take the cosines of all pairs of losses, round by round."""
    parameters = list(case.encoder.parameters())
    tasks = {task_name(task) for task in case.batches.tasks}
    kept: dict[str, list[Tensor]] = {}
    with case.encoder.passes_in(precision):
        for losses in _rounds(case):
            for name, loss in losses.items():
                pieces = torch.autograd.grad(
                    loss(), parameters, retain_graph=name not in tasks, materialize_grads=True
                )
                kept.setdefault(name, []).append(torch.cat([piece.flatten() for piece in pieces]))
    for first, second in combinations(kept.values(), 2):
        for a, b in zip(first, second, strict=True):
            torch.nn.functional.cosine_similarity(a, b, dim=0)


def autogram(case: Case, precision: PassPrecision) -> None:
    """TorchJD's Gramian of all losses of a round."""
    from torchjd.autogram import Engine

    engine = Engine(case.encoder.base, batch_dim=None)
    with case.encoder.passes_in(precision):
        for losses in _rounds(case):
            engine.compute_gramian(torch.stack([loss() for loss in losses.values()]))


def autojac(case: Case, precision: PassPrecision) -> None:
    """TorchJD's Jacobian of all losses of a round, one row at a time."""
    from torchjd.autojac import backward

    parameters = list(case.encoder.parameters())
    with case.encoder.passes_in(precision):
        for losses in _rounds(case):
            values = [loss() for loss in losses.values()]
            backward(values, inputs=parameters, parallel_chunk_size=1)
            rows = torch.cat([getattr(p, "jac").flatten(1) for p in parameters], dim=1)  # noqa: B009
            _ = rows @ rows.T
            for parameter in parameters:
                delattr(parameter, "jac")


CONTENDERS: dict[str, Callable[[Case, PassPrecision], None]] = {
    way.__name__: way for way in (floor, ours, naive, autogram, autojac)
}


def _prepared(arguments: argparse.Namespace) -> tuple[Case, PassPrecision]:
    device = torch.device(arguments.device)
    case = make_case(arguments.model, arguments.device, arguments.rounds, arguments.batch, arguments.length)
    precision = choose_precision(arguments.precision, device)
    once = Case(case.model, case.objectives, case.batches.first(1))
    floor(once, precision)  # sets libraries up
    return case, precision


def _memory_of(name: str, arguments: argparse.Namespace) -> int:
    """Peak bytes of this process once a way has run in it."""
    case, precision = _prepared(arguments)
    with freed_memory_kept():
        CONTENDERS[name](case, precision)
    return peak_bytes(case.encoder.device)


def _in_turns(arguments: argparse.Namespace) -> dict[str, Timed | str]:
    """All ways by turns, in this process; of one that fails, what it said."""
    case, precision = _prepared(arguments)
    device = case.encoder.device
    clock = process_time if device.type == "cpu" else perf_counter
    names = arguments.contenders.split(",")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    with freed_memory_kept():
        for turn in range(1 + arguments.repeats):
            for name in names:
                if name in failed:
                    continue
                begin = clock()
                try:
                    CONTENDERS[name](case, precision)
                except (RuntimeError, ImportError, ValueError) as error:
                    failed[name] = (str(error).strip().splitlines() or [type(error).__name__])[0]
                    continue
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                if turn:
                    seconds[name].append((clock() - begin) / arguments.rounds)
    size = 4 * sum(p.numel() for p in case.encoder.parameters())
    losses = sum(1 for _ in next(_rounds(case)))
    return {name: failed.get(name) or Timed(seconds[name], size, losses) for name in names}


def _ask(*extra: str) -> str | None:
    """What this command says with further arguments, in a process of its own; None if it dies."""
    command = [sys.executable, "-m", "tests.benchmarks.probe_cost", *sys.argv[1:], *extra]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.splitlines()[-1] if done.returncode == 0 else None


def _measure(arguments: argparse.Namespace) -> dict[str, Outcome | str]:
    """Time first, then memory; this process itself holds nothing meanwhile."""
    answer = _ask("--only", "time")
    if answer is None:
        raise SystemExit("The timing did not finish.")
    found: dict[str, Outcome | str] = {}
    for name, timed in json.loads(answer).items():
        if isinstance(timed, str):
            found[name] = timed
            continue
        peak = _ask("--only", name)
        found[name] = Outcome(**timed, peak_bytes=int(peak) if peak else None)
        print(f"{name}: {found[name]}", file=sys.stderr)
    return found


def _table(runs: Sequence[Run]) -> str:
    """A Markdown table of medians, with ratios to the floor taken turn by turn."""
    lines = [
        "| encoder | way | seconds a round | to the floor | peak GiB | gradient copies |",
        "|---|---|---|---|---|---|",
    ]
    for settings, found in runs:
        base = found["floor"]
        assert not isinstance(base, str), base
        what = (
            f"{settings['model']}, {settings['device']} {settings['precision']}, {base.losses} losses, "
            f"batches of {settings['batch']}"
        )
        for name, outcome in found.items():
            if isinstance(outcome, str):
                lines.append(f"| {what} | {name} | does not run: {outcome[:90]} | | | |")
                continue
            ratio = median(a / b for a, b in zip(outcome.seconds, base.seconds, strict=True))
            memory = "out of memory | "
            if outcome.peak_bytes is not None and base.peak_bytes is not None:
                # The floor itself holds one gradient.
                copies = 1 + (outcome.peak_bytes - base.peak_bytes) / base.gradient_bytes
                memory = f"{outcome.peak_bytes / 2**30:.2f} | {copies:.1f}"
            lines.append(f"| {what} | {name} | {median(outcome.seconds):.2f} | {ratio:.2f} | {memory} |")
            what = ""
    return "\n".join(lines)


def _read(path: Path) -> Run:
    """What ``--json`` printed."""
    content = json.loads(path.read_text(encoding="utf-8"))
    ways = content["ways"].items()
    found = {name: way if isinstance(way, str) else Outcome(**way) for name, way in ways}
    return content["settings"], found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", choices=(*SHAPES, "bundled"), default="e5-small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto")
    parser.add_argument("--rounds", type=int, default=3, help="of one turn, at least 3")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=64, help="longest input in subwords")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="of " + ", ".join(CONTENDERS))
    parser.add_argument("--json", action="store_true", help="print every turn instead of a table")
    parser.add_argument("--only", choices=("time", *CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--show", type=Path, nargs="+", metavar="FILE", help="what --json printed")
    arguments = parser.parse_args()
    if arguments.show:
        print(_table([_read(path) for path in arguments.show]))
        return
    if arguments.only == "time":
        timed = _in_turns(arguments)
        print(json.dumps({name: t if isinstance(t, str) else asdict(t) for name, t in timed.items()}))
        return
    if arguments.only:
        print(_memory_of(arguments.only, arguments))
        return
    found = _measure(arguments)
    precision = choose_precision(arguments.precision, torch.device(arguments.device))
    settings = {
        name: getattr(arguments, name) for name in ("model", "device", "rounds", "batch", "length", "repeats")
    } | {"precision": precision, "threads": torch.get_num_threads()}
    if arguments.json:
        ways = {
            name: outcome if isinstance(outcome, str) else asdict(outcome) for name, outcome in found.items()
        }
        print(json.dumps({"settings": settings, "ways": ways}, indent=2))
    else:
        print(_table([(settings, found)]))


if __name__ == "__main__":
    main()
