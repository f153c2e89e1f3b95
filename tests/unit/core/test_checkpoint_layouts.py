"""Checkpoints in the layouts that people have on disk: sentence-transformers, adapters, shards."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from probes.encoder import load_encoder
from probes.encoder._encoder import POOLINGS, pooled
from probes.encoder._layout import find_pooling
from probes.errors import InputError
from tests.models import build


def state(folder: Path, stated: dict[str, Any], path: str = "1_Pooling") -> None:
    (folder / path).mkdir(parents=True)
    (folder / path / "config.json").write_text(json.dumps(stated))


@pytest.mark.parametrize(
    ("stated", "mode"),
    [
        ({"pooling_mode": "cls", "embedding_dimension": 32}, "cls"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}, "mean"),
        ({"word_embedding_dimension": 32}, "mean"),
    ],
)
def test_both_spellings_of_every_pooling_are_read(tmp_path: Path, stated: dict[str, Any], mode: str) -> None:
    state(tmp_path, stated)
    assert find_pooling(str(tmp_path)) == mode


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ({"pooling_mode": "attention"}, "the pooling attention, which is not supported"),
        ({"pooling_mode": "lasttoken"}, "the pooling lasttoken, which is not supported"),
        ({"pooling_mode": ["cls", "mean"]}, "cls and mean, which is not supported"),
        ({"pooling_mode": "cls+max"}, "cls and max, which is not supported"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "cls and mean, which"),
        ({"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens, which is not supported: choose one of"),
    ],
)
def test_another_pooling_is_named(tmp_path: Path, stated: dict[str, Any], says: str) -> None:
    state(tmp_path, stated)
    with pytest.raises(InputError, match=says):
        find_pooling(str(tmp_path))


def test_the_module_list_says_where_the_pooling_is(tmp_path: Path) -> None:
    state(tmp_path, {"pooling_mode": "cls"}, "2_Pooling")
    modules = [{"path": "2_Pooling", "type": "sentence_transformers.sentence_transformer.modules.Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    assert find_pooling(str(tmp_path)) == "cls"


def test_the_old_layout_keeps_the_transformer_in_a_folder_of_its_own(tmp_path: Path) -> None:
    build("bert", tmp_path / "0_Transformer")
    state(tmp_path, {"pooling_mode_cls_token": True})
    modules = [
        {"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        {"path": "3_Dense", "type": "sentence_transformers.models.Dense"},  # LaBSE has one
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    encoder = load_encoder(str(tmp_path))
    assert (encoder.id, encoder.pooling, encoder.left_out) == (str(tmp_path), "cls", ("Dense",))
    assert encoder.working_copy([5]).left_out == ("Dense",), "it is noted of the copy that is measured"


@pytest.mark.parametrize("side", ["left", "right"])
def test_poolings_by_hand(side: str) -> None:
    tokens = torch.tensor([[1.0, -4.0], [2.0, 0.0], [6.0, 1.0]])
    padding = torch.full((2, 2), 9.0)
    parts = [tokens, padding] if side == "right" else [padding, tokens]
    hidden = torch.cat(parts).unsqueeze(0)
    attention = torch.tensor([[1, 1, 1, 0, 0] if side == "right" else [0, 0, 1, 1, 1]])
    expected = {
        "mean": tokens.mean(0),
        "cls": tokens[0],
    }
    assert expected.keys() == set(POOLINGS)
    for pooling in POOLINGS:
        assert torch.allclose(pooled(hidden, attention, pooling)[0], expected[pooling]), pooling


def adapter(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = {"peft_type": "LORA", "base_model_name_or_path": "org/base"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(b"")


def test_an_adapter_is_never_ignored(tmp_path: Path) -> None:
    adapter(tmp_path / "alone")
    with pytest.raises(InputError, match="a LORA adapter of base: merge it first"):
        load_encoder(str(tmp_path / "alone"))
    build("bert", tmp_path / "beside")
    adapter(tmp_path / "beside")
    with pytest.raises(InputError, match="beside the model, which would be measured without it: merge"):
        load_encoder(str(tmp_path / "beside"))


def test_a_sentencepiece_model_alone_names_the_missing_packages(tmp_path: Path) -> None:
    build("xlm-r", tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"\n\x0e\n\x05<unk>")
    with pytest.raises(InputError, match="pip install sentencepiece protobuf, or save a fast tokenizer"):
        load_encoder(str(tmp_path))


def test_shards_that_are_missing_or_cut_short_are_refused(tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    build("bert", tmp_path / "whole")
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "sharded")
    (tmp_path / "sharded" / "model.safetensors").unlink()
    model.save_pretrained(tmp_path / "sharded", max_shard_size="40KB")
    shards = sorted((tmp_path / "sharded").glob("model-*.safetensors"))
    assert len(shards) > 2
    assert load_encoder(str(tmp_path / "sharded")).layers
    content = shards[1].read_bytes()
    shards[1].write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is damaged"):
        load_encoder(str(tmp_path / "sharded"))
    shards[1].unlink()
    with pytest.raises(InputError, match="lacks readable weights, or a part of them"):
        load_encoder(str(tmp_path / "sharded"))


def test_the_labels_of_a_head_that_comes_along_are_known(tmp_path: Path) -> None:
    from transformers import AutoModelForTokenClassification

    build("bert", tmp_path)
    assert load_encoder(str(tmp_path)).head_labels == ()
    names = {0: "O", 1: "B-PER", 2: "I-PER"}
    model = AutoModelForTokenClassification.from_pretrained(
        tmp_path, id2label=names, label2id={name: i for i, name in names.items()}, num_labels=3
    )
    model.save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path))
    assert encoder.head_labels == ("O", "B-PER", "I-PER")
    assert encoder.masked_lm is None
