"""Models and data given as objects: what comes out is what files give, and they stay as they were."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers import AutoModelForMaskedLM, AutoTokenizer

import advisor
from advisor._objects import as_files
from probes.catalogue import TASKS
from probes.data import read_bitext, read_labelled
from probes.encoder import load_encoder
from probes.errors import InputError
from probes.languages import parse_language
from tests.conftest import Checkpoint, Load
from tests.models import sample_sentences

TEXTS = list(sample_sentences("en"))
ROWS = [{"text": text, "category": ("sport", "travel")[i % 2]} for i, text in enumerate(TEXTS)]
PAIRS = list(zip(TEXTS, sample_sentences("tr"), strict=True))
NAMED = Features({"text": Value("string"), "category": ClassLabel(names=["sport", "travel"])})

TABLES: dict[str, Callable[[], Any]] = {
    "list": lambda: ROWS,
    "pandas": lambda: pd.DataFrame(ROWS),
    "polars": lambda: pl.DataFrame(ROWS),
    "Dataset": lambda: Dataset.from_list(ROWS),
    "named classes": lambda: Dataset.from_list(ROWS, features=NAMED),
    "DatasetDict": lambda: DatasetDict(train=Dataset.from_list(ROWS), test=Dataset.from_list(ROWS[:4])),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_read_as_a_file_is(kind: str) -> None:
    with as_files({"train": TABLES[kind](), "model": "bundled", "bitext": "a.tsv"}) as (fields, hidden):
        assert fields["model"] == "bundled"
        assert fields["bitext"] == "a.tsv"
        data = read_labelled(fields["train"], TASKS.find("topic"), role="train")
    assert [(example.text, example.label) for example in data.examples] == [
        (row["text"], row["category"]) for row in ROWS
    ]
    assert data.facts.columns == {"text": "text", "label": "category"}
    assert data.facts.spec.removeprefix(hidden) == "train.parquet"


@pytest.mark.parametrize("pairs", [PAIRS, pd.DataFrame(PAIRS, columns=["en", "tr"])], ids=["pairs", "pandas"])
def test_a_bitext_is_read_as_a_file_is(pairs: Any) -> None:
    with as_files({"bitext": pairs}) as (fields, _):
        bitext = read_bitext(fields["bitext"], parse_language("en"), parse_language("tr"))
    assert list(bitext.pairs) == PAIRS


def test_a_sentence_transformer_keeps_its_pooling(checkpoint: Checkpoint) -> None:
    from sentence_transformers import SentenceTransformer  # most of a second
    from sentence_transformers.models import Pooling, Transformer

    transformer = Transformer(str(checkpoint("bert")))
    model = SentenceTransformer(modules=[transformer, Pooling(32, pooling_mode="cls")], device="cpu")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with as_files({"model": model}) as (fields, _):
        encoder = load_encoder(fields["model"])
    assert encoder.pooling == "cls"
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.slow
def test_a_model_is_measured_and_left_as_it_was(checkpoint: Checkpoint, load: Load) -> None:
    folder = checkpoint("bert")
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    config, state = model.config.to_dict(), torch.get_rng_state()
    question = {"source": "en", "target": "tr", "task": "topic", "budget": "quick", "train": ROWS}
    report = advisor.probe(model, tokenizer, bitext=PAIRS, precision="fp32", **question)
    assert report.signals is not None
    assert report.signals.model.sha256 == load("bert").sha256
    assert report.signals.model.mlm_head
    assert report.signals.model.id == folder.name
    assert [fact.spec for fact in report.signals.data] == ["train.parquet", "bitext.parquet"]
    assert model.training
    assert model.config.to_dict() == config
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"train": 3}, "train is no table that can be read"),
        ({"bitext": DatasetDict(a=Dataset.from_list(ROWS), b=Dataset.from_list(ROWS))}, "splits a, b"),
        ({"model": torch.nn.Linear(1, 1)}, "A Linear is no encoder"),
    ],
)
def test_what_is_no_table_and_no_model_is_said_in_a_sentence(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem), as_files(fields):
        pass


def test_a_model_without_a_name_needs_its_tokenizer(checkpoint: Checkpoint) -> None:
    model = AutoModelForMaskedLM.from_pretrained(checkpoint("bert"))
    model.config.name_or_path = ""
    with pytest.raises(InputError, match=r"advisor.probe\(model, tokenizer"), as_files({"model": model}):
        pass
