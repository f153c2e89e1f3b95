"""What a probe and a short run of XLM-R cost: python -m tests.benchmarks.gpu --encoder FILE --data FOLDER.

The encoders have XLM-R's shapes and random weights: neither time nor memory depends on what they are.
"""

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

import torch
from transformers import XLMRobertaConfig, XLMRobertaModel

from advisor.options import NO_ALIGNMENT, Option
from advisor.training import Recipe, Shared, train
from probes.batches import Tokenizer
from probes.catalogue import TASKS
from probes.data import Columns, read_labelled
from probes.encoder import load_encoder
from probes.heads import Head
from probes.machine.precision import choose_precision
from probes.request import ProbeRequest
from probes.run import run_probe
from probes.tasks import level_called

SHAPES = {"xlm-roberta-base": (12, 768, 12, 3072), "xlm-roberta-large": (24, 1024, 16, 4096)}
VOCABULARY = 250002
BATCH, PASSES = 8, 10
STEPS = 120


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--encoder", default="bundled", help="whose tokenizer is used")
    parser.add_argument("--data", type=Path, required=True, help="folder with pos/ and bitext/")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--layers", type=int, help="fewer layers, for a dry run")
    chosen = parser.parse_args()
    device = torch.device(
        "cuda"
        if chosen.device == "auto" and torch.cuda.is_available()
        else chosen.device.replace("auto", "cpu")
    )
    print(f"On {torch.cuda.get_device_name(device) if device.type == 'cuda' else 'CPU'}.\n")
    print(
        "| Encoder | Forward and backward, batch of 8 | Probe, quick | Rounds | GiB at most | Run of "
        f"{chosen.steps} steps, alone | sequential |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            save(name, shape, chosen.layers, chosen.encoder, Path(folder))
            print(row(name, folder, chosen.data, device, chosen.steps), flush=True)


def save(name: str, shape: tuple[int, int, int, int], layers: int | None, tokens: str, folder: Path) -> None:
    """An encoder of a shape, with random weights."""
    depth, hidden, heads, inner = shape
    config = XLMRobertaConfig(
        vocab_size=VOCABULARY,
        num_hidden_layers=layers or depth,
        hidden_size=hidden,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=514,
        type_vocab_size=1,
    )
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    load_encoder(tokens).tokenizer.save_pretrained(folder)


def row(name: str, folder: str, data: Path, device: torch.device, steps: int) -> str:
    """One line of the table."""
    passes = bare_pass(folder, data, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    request = ProbeRequest(
        model=folder,
        source="en",
        target="tr",
        task="pos",
        train=str(data / "pos/en.train.conllu"),
        bitext=str(data / "bitext/en-tr.ntrex.tsv"),
        target_labels=str(data / "pos/tr.test.conllu"),
        budget="quick",
        device=str(device),
    )
    signals = run_probe(request)
    shared = Shared()
    seconds = []
    for option in (NO_ALIGNMENT, Option.parse("token-contrastive:sequential")):
        recipe = Recipe(
            model=folder,
            source="en",
            target="tr",
            task="pos",
            train=request.train,
            source_labels=str(data / "pos/en.test.conllu"),
            bitext=request.bitext,
            option=option,
            epochs=steps,
            max_steps=steps,
            batch_size=16,
            max_length=64,
            most_scored=300,
        )
        begin = perf_counter()
        train(recipe, targets={"tr": str(request.target_labels)}, shared=shared)
        seconds.append(perf_counter() - begin)
    run = signals.run
    rounds = sum(run.phases.get(phase, 0.0) for phase in ("theta0", "theta_warm"))
    return (
        f"| {name} | {1000 * passes:.0f} ms | {run.seconds:.0f} s | {rounds:.0f} s | "
        f"{run.peak_memory_gib or 0:.1f} | {seconds[0]:.0f} s | {seconds[1]:.0f} s |"
    )


def bare_pass(folder: str, data: Path, device: torch.device) -> float:
    """Seconds of one forward and backward pass over a batch of labelled texts."""
    encoder = load_encoder(folder, device)
    encoder.precision = choose_precision("auto", device)
    task = TASKS.find("pos")
    examples = read_labelled(str(data / "pos/en.test.conllu"), task, role="train", columns=Columns())
    index = {label: i for i, label in enumerate(examples.labels)}
    level = level_called(task.level)
    items = level.labelled(Tokenizer(encoder.tokenizer, 64), examples.examples[:BATCH], index)
    batch = level.collate(items, encoder)
    head = Head(torch.zeros(len(index), encoder.hidden_size), torch.zeros(len(index)), level).to(device)
    seconds = []
    for _ in range(PASSES):
        begin = perf_counter()
        head.loss(encoder, batch).backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(perf_counter() - begin)
        encoder.base.zero_grad()
    return sorted(seconds)[PASSES // 2]


if __name__ == "__main__":
    main()
