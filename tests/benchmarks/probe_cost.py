"""What gradient rounds cost beside the passes they cannot do without.

    python -m tests.benchmarks.probe_cost [--model SHAPE] [--device cpu|cuda] [--json]

Five ways to take the same rounds, every task gradient, objective and null of them:

- ``floor``: the forward and backward passes alone, each gradient dropped at once.
- ``ours``: ``probes.rounds.measure_gradients``, with all estimates and intervals.
- ``naive``: ``autograd.grad``, flatten, concatenate, keep everything, pairwise cosines.
- ``autogram``: TorchJD's ``autogram.Engine``, a Gramian a round. It holds nothing across rounds, so there are no
  noise-corrected cosines and no blocks.
- ``autojac``: TorchJD's ``autojac.backward``, all gradients of a round as one Jacobian; the same holds.

Every run is a process of its own, so that its peak memory is its own; the ways take turns. On a CPU time is
processor time, which other work on the machine does not lengthen. ``pip install ".[benchmark]"`` for TorchJD.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter, process_time

import torch
from torch import Tensor

from probes.gradients import block_gradients
from probes.memory import peak_bytes
from probes.precision import PRECISIONS, PassPrecision, choose_precision
from probes.progress import Silent, Stopwatch
from probes.rounds import measure_gradients, round_losses, task_name
from tests.benchmarks._shapes import SHAPES, Case, make_case

__all__ = ["CONTENDERS", "Outcome"]

_SEED = 0


@dataclass(frozen=True)
class Outcome:
    """One run of one way: seconds a round, peak bytes, and bytes of one gradient."""

    seconds: float
    peak_bytes: int
    gradient_bytes: int
    losses: int


def _rounds(case: Case) -> Iterator[dict[str, Callable[[], Tensor]]]:
    for k in range(case.batches.rounds):
        yield round_losses(
            case.encoder, case.head, case.objectives, case.batches, k, case.tokenizer, None, _SEED
        )


def floor(case: Case, precision: PassPrecision) -> None:
    """The passes alone."""
    parameters = case.encoder.block_parameters()
    tasks = {task_name(task) for task in case.batches.tasks}
    with case.encoder.passes_in(precision):
        for losses in _rounds(case):
            for name, loss in losses.items():
                block_gradients(loss(), parameters, keep_graph=name not in tasks)


def ours(case: Case, precision: PassPrecision) -> None:
    """The probe's own way, up to the rows of the signals."""
    measure_gradients(
        case.encoder,
        case.head,
        case.objectives,
        case.batches,
        case.tokenizer,
        point="theta0",
        anchor=None,
        seed=_SEED,
        watch=Stopwatch(Silent()),
        precision=precision,
    )


def naive(case: Case, precision: PassPrecision) -> None:
    """Keep every gradient of every round and take cosines of all pairs."""
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
    for first in kept.values():
        for second in kept.values():
            for a in first:
                for b in second:
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


def _run(arguments: argparse.Namespace) -> Outcome:
    """One way in this process."""
    device = torch.device(arguments.device)
    case = make_case(arguments.model, arguments.device, arguments.rounds, arguments.batch, arguments.length)
    precision = choose_precision(arguments.precision, device)
    once = Case(case.encoder, case.head, case.objectives, case.batches.first(1), case.tokenizer)
    floor(once, precision)  # sets libraries up
    clock = process_time if device.type == "cpu" else perf_counter
    begin = clock()
    CONTENDERS[arguments.contender](case, precision)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = (clock() - begin) / arguments.rounds
    size = 4 * sum(p.numel() for p in case.encoder.parameters())
    losses = sum(1 for losses in _rounds(once) for _ in losses)
    return Outcome(seconds, peak_bytes(device), size, losses)


def _in_turns(arguments: argparse.Namespace) -> dict[str, list[Outcome] | str]:
    """All ways by turns, each in a process of its own; of one that fails, the last line it said."""
    found: dict[str, list[Outcome] | str] = {}
    for _ in range(arguments.repeats):
        for name in arguments.contenders.split(","):
            outcomes = found.setdefault(name, [])
            if isinstance(outcomes, str):
                continue
            command = [
                sys.executable,
                "-m",
                "tests.benchmarks.probe_cost",
                *sys.argv[1:],
                "--contender",
                name,
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                found[name] = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            else:
                outcomes.append(Outcome(**json.loads(done.stdout.splitlines()[-1])))
    return found


def _table(found: dict[str, list[Outcome] | str], arguments: argparse.Namespace) -> str:
    """A Markdown table of medians, with ratios to the floor taken turn by turn."""
    precision = choose_precision(arguments.precision, torch.device(arguments.device))
    base = found["floor"]
    assert not isinstance(base, str), base
    gradient = base[0].gradient_bytes
    lines = [
        f"{arguments.model}, {arguments.device}, {precision}, {torch.get_num_threads()} thread(s), "
        f"{base[0].losses} losses, batches of {arguments.batch}, {arguments.rounds} rounds, "
        f"median of {arguments.repeats}; one gradient is {gradient / 2**20:.0f} MiB",
        "",
        "| way | seconds a round | to the floor | peak GiB | copies of the gradient beyond model and passes |",
        "|---|---|---|---|---|",
    ]
    for name, outcomes in found.items():
        if isinstance(outcomes, str):
            lines.append(f"| {name} | does not run: {outcomes[:90]} | | | |")
            continue
        seconds = median(outcome.seconds for outcome in outcomes)
        ratio = median(a.seconds / b.seconds for a, b in zip(outcomes, base, strict=True))
        peak = median(outcome.peak_bytes for outcome in outcomes)
        # The floor itself holds one gradient.
        copies = 1 + (peak - median(outcome.peak_bytes for outcome in base)) / gradient
        lines.append(f"| {name} | {seconds:.2f} | {ratio:.2f} | {peak / 2**30:.2f} | {copies:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", choices=(*SHAPES, "bundled"), default="e5-small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--rounds", type=int, default=3, help="of one run, at least 3")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=64, help="longest input in subwords")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="of " + ", ".join(CONTENDERS))
    parser.add_argument("--json", action="store_true", help="print every run instead of a table")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        print(json.dumps(asdict(_run(arguments))))
        return
    found = _in_turns(arguments)
    if arguments.json:
        runs = {
            name: outcomes if isinstance(outcomes, str) else [asdict(outcome) for outcome in outcomes]
            for name, outcomes in found.items()
        }
        print(json.dumps({"settings": vars(arguments), "runs": runs}, indent=2))
    else:
        print(_table(found, arguments))


if __name__ == "__main__":
    main()
