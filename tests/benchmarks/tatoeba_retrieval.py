"""Sentence retrieval with the offline encoder: does the conversion keep what the model knows?

Run it on bitext of your own, tab-separated files with a sentence and its translation a line; about 1,000
pairs of short sentences (Tatoeba) compare with the figures published for the model::

    python -m tests.benchmarks.tatoeba_retrieval en-de.tsv en-fr.tsv [--json] [--model bundled-enpt]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import BertModel, PreTrainedTokenizerFast

from probes.bitext.distances import retrieval
from probes.bundled import BUNDLED, load_bundled

PREFIX = "query: "
"""What the model's authors put before each sentence when both sides play the same part."""


def read_pairs(path: Path) -> tuple[list[str], list[str]]:
    """The two columns of a tab-separated file; lines without two filled columns are refused."""
    pairs = [line.split("\t")[:2] for line in path.read_text("utf-8").splitlines() if line.strip()]
    if any(len(pair) < 2 or not pair[0].strip() or not pair[1].strip() for pair in pairs):
        raise SystemExit(f"{path} has a line that is not two sentences with a tab between them.")
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


@torch.inference_mode()
def embed(
    texts: Sequence[str], model: BertModel, tokenizer: PreTrainedTokenizerFast, batch_size: int = 64
) -> Tensor:
    """Mean-pooled last hidden states, shape (texts, hidden)."""
    vectors = torch.empty(len(texts), model.config.hidden_size)
    by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(texts), batch_size):
        chosen = by_length[start : start + batch_size]
        batch = tokenizer(
            [PREFIX + texts[i] for i in chosen], padding=True, truncation=True, return_tensors="pt"
        )
        states = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        vectors[chosen] = (states * mask).sum(1) / mask.sum(1)
    return vectors


def main() -> None:
    """Print P@1 in both directions for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--model", choices=BUNDLED, default="bundled")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()

    model, tokenizer, sha256 = load_bundled(arguments.model)
    rows = []
    for path in arguments.files:
        first, second = (embed(side, model, tokenizer) for side in read_pairs(path))
        found = retrieval(first, second)
        rows.append(
            {
                "file": path.name,
                "pairs": len(first),
                "first_to_second": found.forward.value,
                "second_to_first": found.backward.value,
            }
        )
        if not arguments.json:
            print(f"{path.name}: {len(first)} pairs, P@1 {found.forward} forward, {found.backward} backward")
            sys.stdout.flush()
    if arguments.json:
        print(json.dumps({"model": arguments.model, "sha256": sha256, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
