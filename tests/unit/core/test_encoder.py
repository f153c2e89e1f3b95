"""Loading an encoder: its parts are found from the model, and its states are transformers' own."""

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5EncoderModel,
    ViTConfig,
    ViTModel,
)

from probes.batches import TextBatch, Tokenizer, collate_texts
from probes.encoder import Encoder, RowEmbedding, load_encoder
from probes.errors import InputError
from probes.objectives import available
from tests.conftest import Checkpoint, Load
from tests.models import ARCHITECTURES, HIDDEN, LAYERS, build, fast_tokenizer, sample_sentences

every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)
with_mlm_head = pytest.mark.parametrize("name", [name for name, kind in ARCHITECTURES.items() if kind.mlm])
SHAPE: dict[str, Any] = {
    "vocab_size": 800,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}


def texts(encoder: Encoder, count: int) -> TextBatch:
    """Texts of very different lengths in three scripts."""
    tokenizer = Tokenizer(encoder.tokenizer, 100)
    chosen = []
    for i in range(count):
        language = ("en", "zh", "tr")[i % 3]
        chosen.append(" ".join(sample_sentences(language)[i : i + 1 + i % 2]))
    return collate_texts([tokenizer.text(text) for text in chosen], encoder.tokenizer)


def plain_model(folder: Path, name: str) -> PreTrainedModel:
    """The same checkpoint through transformers alone."""
    loader: Any = T5EncoderModel if name == "t5" else AutoModel
    model = loader.from_pretrained(folder).eval()
    return cast(PreTrainedModel, model.get_encoder() if name == "mt5" else model)


def assert_one_sentence(message: str) -> None:
    assert "\n" not in message
    assert message.endswith(".")
    assert ". " not in message.replace("...", "")


@every_architecture
def test_depth_width_and_pooling_are_found(load: Load, name: str) -> None:
    encoder = load(name)
    facts = encoder.facts()
    assert encoder.layers == facts.layers == LAYERS
    assert encoder.hidden_size == facts.hidden_size == HIDDEN
    assert list(encoder.blocks) == ["embeddings", *(f"layer.{i}" for i in range(LAYERS))]
    assert facts.pooling == "mean"
    assert facts.vocabulary == len(encoder.tokenizer)
    assert len(facts.sha256) == 64
    assert not encoder.base.training


def test_pooling_is_read_from_a_sentence_transformers_folder(tmp_path: Path) -> None:
    folder = build("bert", tmp_path)
    (folder / "1_Pooling").mkdir()
    stated = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(stated))
    encoder = load_encoder(str(folder))
    batch = texts(encoder, 3)
    hidden = encoder.hidden_states(batch)[-1]
    assert encoder.pooling == "cls"
    assert torch.equal(encoder.pool(hidden, batch), hidden[:, 0])


@every_architecture
def test_mean_pooling_leaves_padding_out(load: Load, name: str) -> None:
    encoder = load(name)
    batch = texts(encoder, 4)
    hidden = encoder.hidden_states(batch)[-1]
    lengths = batch.inputs["attention_mask"].sum(1).tolist()
    naive = torch.stack([state[:length].mean(0) for state, length in zip(hidden, lengths, strict=True)])
    torch.testing.assert_close(encoder.pool(hidden, batch), naive)


@every_architecture
def test_every_parameter_behind_the_last_state_is_in_exactly_one_block(load: Load, name: str) -> None:
    encoder = load(name)
    named = {n: p for n, p in encoder.base.named_parameters() if p.requires_grad}
    assert len(named) == sum(1 for _ in encoder.base.parameters())
    last = encoder.hidden_states(texts(encoder, 2))[-1]
    gradients = torch.autograd.grad(last.square().sum(), list(named.values()), allow_unused=True)
    influential = {n for n, g in zip(named, gradients, strict=True) if g is not None}
    partition = [n for names in encoder.blocks.values() for n in names]
    assert len(partition) == len(set(partition))
    assert set(partition) == influential


@every_architecture
def test_a_layer_depends_on_no_later_block(load: Load, name: str) -> None:
    # Checks the names of the blocks, not only that they are a partition.
    encoder = load(name)
    states = encoder.hidden_states(texts(encoder, 2))
    for i in range(LAYERS):
        later = list(encoder.parameters([f"layer.{j}" for j in range(i, LAYERS)]))
        found = torch.autograd.grad(states[i].square().sum(), later, retain_graph=True, allow_unused=True)
        assert all(g is None for g in found)


@every_architecture
def test_hidden_states_are_those_of_transformers(load: Load, checkpoint: Checkpoint, name: str) -> None:
    encoder, model = load(name), plain_model(checkpoint(name), name)
    batch = texts(encoder, 19)  # over two groups of eight, reordered by length
    with torch.no_grad():
        states = encoder.hidden_states(batch)
        reference = model(**batch.inputs, output_hidden_states=True)
    assert len(states) == LAYERS + 1
    inside = batch.inputs["attention_mask"].bool()
    for ours, theirs in zip(states, reference.hidden_states, strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours[inside], theirs[inside], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(states[-1][inside], reference.last_hidden_state[inside], atol=1e-5, rtol=1e-5)


@every_architecture
def test_gradients_are_those_of_transformers(load: Load, checkpoint: Checkpoint, name: str) -> None:
    """Whatever is left out of a pass over padded text, no gradient tells."""
    encoder, model = load(name), plain_model(checkpoint(name), name)
    batch = texts(encoder, 9)
    inside = batch.inputs["attention_mask"].bool()
    assert inside.float().mean() < 0.7
    weights = torch.randn(HIDDEN, generator=torch.Generator().manual_seed(0))

    def loss(states: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return torch.stack([(state[inside] @ weights).tanh().mean() for state in states]).sum()

    found = model(**batch.inputs, output_hidden_states=True).hidden_states
    ours, theirs = (
        [
            gradient
            for gradient in torch.autograd.grad(loss(states), list(owner.parameters()), allow_unused=True)
            if gradient is not None
        ]
        for states, owner in ((encoder.hidden_states(batch), encoder.base), (found, model))
    )
    assert len(theirs) > 6 * LAYERS
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


def test_linear_maps_see_no_padding(load: Load) -> None:
    encoder = load("bert")
    batch = texts(encoder, 7)
    seen: set[tuple[int, ...]] = set()

    class Record(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is nn.functional.linear:
                seen.add(tuple(args[0].shape[:-1]))
            return func(*args, **(kwargs or {}))

    with Record():
        encoder.hidden_states(batch)
    assert seen == {(int(batch.inputs["attention_mask"].sum()),)}


@with_mlm_head
def test_mlm_logits_are_the_models_own(load: Load, checkpoint: Checkpoint, name: str) -> None:
    encoder = load(name)
    model = AutoModelForMaskedLM.from_pretrained(checkpoint(name)).eval()
    batch = texts(encoder, 5)
    where = (batch.words >= 0) & (torch.arange(batch.words.shape[1]) % 3 == 0)
    with torch.no_grad():
        ours = encoder.mlm_logits(encoder.hidden_states(batch)[-1][where])
        theirs = model(**batch.inputs).logits[where]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@with_mlm_head
def test_mlm_logits_leave_the_model_as_it_was(checkpoint: Checkpoint, name: str) -> None:
    encoder = load_encoder(str(checkpoint(name)))
    before = set(vars(encoder.base))
    encoder.mlm_logits(torch.zeros(3, HIDDEN))
    assert set(vars(encoder.base)) == before


@with_mlm_head
def test_a_checkpoint_with_a_head_offers_every_objective(load: Load, name: str) -> None:
    usable, refused = available(load(name), has_links=True)
    assert {"mlm", "tlm"} <= set(usable)
    assert not refused
    assert load(name).facts().mlm_head


@pytest.mark.parametrize("name", ["t5", "mt5"])
def test_an_architecture_without_a_head_says_so(load: Load, name: str) -> None:
    usable, refused = available(load(name), has_links=True)
    assert set(refused) == {"mlm", "tlm"}
    assert all(f"'{name}'" in reason for reason in refused.values())
    assert "sentence-contrastive" in usable
    assert not load(name).facts().mlm_head


def test_a_checkpoint_without_its_head_says_which_weight_is_missing(tmp_path: Path) -> None:
    save(BertModel(BertConfig(**SHAPE)), tmp_path)
    encoder = load_encoder(str(tmp_path))
    _, refused = available(encoder, has_links=False)
    assert "cls.predictions" in refused["mlm"]
    assert refused["mlm"] == refused["tlm"]
    assert "aligned" in refused["token-l2"]
    assert encoder.masked_lm is None


def test_a_tokenizer_without_a_mask_makes_masking_unavailable(tmp_path: Path) -> None:
    folder = build("bert", tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.mask_token = None
    tokenizer.save_pretrained(folder)
    encoder = load_encoder(str(folder))
    _, refused = available(encoder, has_links=True)
    assert set(refused) == {"mlm", "tlm"}
    assert all("mask" in reason for reason in refused.values())


def test_weights_are_loaded_in_single_precision(tmp_path: Path) -> None:
    save(BertForMaskedLM(BertConfig(**SHAPE)).bfloat16(), tmp_path)
    encoder = load_encoder(str(tmp_path))
    assert {p.dtype for p in encoder.base.parameters()} == {torch.float32}


def test_the_hash_tells_weights_apart(load: Load, checkpoint: Checkpoint, tmp_path: Path) -> None:
    again = load_encoder(str(checkpoint("bert")))
    other = load_encoder(str(build("bert", tmp_path, seed=1)))
    assert again.sha256 == load("bert").sha256 != other.sha256


def save(model: PreTrainedModel, folder: Path, tokenizer: str = "bert") -> None:
    model.save_pretrained(folder)
    fast_tokenizer(tokenizer).save_pretrained(folder)


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def remove(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink()


def gpt2(folder: Path) -> None:
    save(GPT2LMHeadModel(GPT2Config(vocab_size=800, n_embd=32, n_layer=2, n_head=4)), folder)


def causal_bert(folder: Path) -> None:
    save(BertLMHeadModel(BertConfig(**SHAPE, is_decoder=True)), folder)


def albert(folder: Path) -> None:
    save(AlbertForMaskedLM(AlbertConfig(**SHAPE, embedding_size=16)), folder)


def bart(folder: Path) -> None:
    sides: dict[str, Any] = {
        f"{side}_{what}": value
        for side in ("encoder", "decoder")
        for what, value in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 48))
    }
    save(BartForConditionalGeneration(BartConfig(vocab_size=800, d_model=32, **sides)), folder)


def vision(folder: Path) -> None:
    shape = {**SHAPE, "image_size": 32}
    del shape["vocab_size"]
    save(ViTModel(ViTConfig(**shape)), folder)


def empty(folder: Path) -> None:
    (folder / "notes.txt").write_text("nothing here")


def broken_config(folder: Path) -> None:
    build("bert", folder)
    (folder / "config.json").write_text("{")


def own_code(folder: Path) -> None:
    build("bert", folder)
    edit_config(folder, model_type="mine", auto_map={"AutoConfig": "mine.Config", "AutoModel": "mine.Model"})
    (folder / "mine.py").write_text(f"open({str(folder / 'executed')!r}, 'w')\n")


class Attack:
    """Runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return open, (str(self.mark), "w")


def only_pickle(folder: Path) -> None:
    build("bert", folder)
    remove(folder, "*.safetensors")
    with (folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump(Attack(folder / "executed"), file)


def truncated(folder: Path) -> None:
    build("bert", folder)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def incomplete(folder: Path) -> None:
    build("bert", folder)
    path = folder / "model.safetensors"
    kept = {n: t for n, t in load_file(path).items() if "layer.1.attention" not in n}
    save_file(kept, path, metadata={"format": "pt"})


def incomplete_t5(folder: Path) -> None:
    build("t5", folder)
    path = folder / "model.safetensors"
    kept = {n: t for n, t in load_file(path).items() if "encoder.block.1" not in n}
    save_file(kept, path, metadata={"format": "pt"})


def other_shape(folder: Path) -> None:
    build("bert", folder)
    edit_config(folder, intermediate_size=64)


def no_tokenizer(folder: Path) -> None:
    build("bert", folder)
    remove(folder, "token*")


def no_tokenizer_t5(folder: Path) -> None:
    build("t5", folder)
    remove(folder, "token*")


def slow_tokenizer(folder: Path) -> None:
    build("bert", folder)
    remove(folder, "token*")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertweetTokenizer"}))
    (folder / "vocab.txt").write_text("a 1\nb 2\n")
    (folder / "bpe.codes").write_text("a b 1\n")


def foreign_tokenizer(folder: Path) -> None:
    build("bert", folder)
    model = AutoModelForMaskedLM.from_pretrained(folder)
    model.resize_token_embeddings(100)
    model.save_pretrained(folder)


def added_tokens(folder: Path) -> None:
    build("bert", folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"piece{i}" for i in range(9)])
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (gpt2, "decoder"),
        (causal_bert, "decoder"),
        (albert, "share"),
        (bart, "decoder"),
        (vision, "'vit'"),
        (empty, "config.json"),
        (broken_config, "config.json"),
        (own_code, "code of its own"),
        (only_pickle, "safetensors"),
        (truncated, "damaged"),
        (incomplete, "lacks 10 of the encoder's weights"),
        (incomplete_t5, "of the encoder's weights"),
        (other_shape, "do not fit its config"),
        (no_tokenizer, "tokenizer"),
        (no_tokenizer_t5, "tokenizer"),
        (slow_tokenizer, "no fast tokenizer"),
        (foreign_tokenizer, "for 100 embeddings: the tokenizer belongs to another model"),
        (added_tokens, "9 tokens added .*resize_token_embeddings"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(
    make: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        load_encoder(str(tmp_path))
    message = str(caught.value).replace(str(tmp_path), "FOLDER")
    assert_one_sentence(message)
    assert "FOLDER" in message
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["no/such-model", "not a model", "/no/such/folder"])
def test_what_is_not_there_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(InputError, match="Cannot find a model") as caught:
        load_encoder(name)
    assert_one_sentence(str(caught.value))


def test_the_attack_in_these_tests_works(tmp_path: Path) -> None:
    # Without this, a refusal test could pass because the pickle does nothing.
    only_pickle(tmp_path)
    with (tmp_path / "pytorch_model.bin").open("rb") as file:
        pickle.load(file).close()
    assert (tmp_path / "executed").exists()


def test_no_call_trusts_remote_code(monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint) -> None:
    trusted: list[object] = []
    for loader in ("AutoConfig", "AutoTokenizer", "AutoModelForMaskedLM", "AutoModelForTextEncoding"):
        kind = getattr(transformers, loader)
        original = kind.from_pretrained

        def watched(*args: Any, _original: Any = original, **settings: Any) -> Any:
            trusted.append(settings.get("trust_remote_code"))
            assert settings.get("use_safetensors", True) is True
            return _original(*args, **settings)

        monkeypatch.setattr(kind, "from_pretrained", watched)
    for name in ("bert", "t5"):
        load_encoder(str(checkpoint(name)))
    assert len(trusted) >= 6
    assert set(trusted) == {False}


def test_row_embedding_looks_up_and_refuses() -> None:
    table = nn.Embedding(10, 4)
    rows = RowEmbedding(table, [7, 2, 2, 5])
    ids = torch.tensor([[2, 7], [5, 2]])
    assert rows.rows.shape == (3, 4)
    assert torch.equal(rows(ids), table(ids))
    rows(ids).sum().backward()
    assert rows.rows.grad is not None
    assert rows.rows.grad[:, 0].tolist() == [2, 1, 1]
    assert table.weight.grad is None
    with pytest.raises(IndexError):
        rows(torch.tensor([3]))


def test_moved_positions_are_read_from_the_config(load: Load) -> None:
    encoder = load("bert")
    tokenizer = cast(PreTrainedTokenizerFast, AutoTokenizer.from_pretrained(encoder.id))
    tokenizer.model_max_length = 10**30  # what a tokenizer without a limit says
    assert replace(encoder, tokenizer=tokenizer).max_length == 128
    tokenizer.model_max_length = 64
    assert replace(encoder, tokenizer=tokenizer).max_length == 64


@pytest.mark.parametrize("name", ["distilbert", "xlm-r", "t5"])
def test_a_generic_tokenizer_may_announce_segments_that_the_model_lacks(
    name: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    folder = tmp_path / name
    shutil.copytree(checkpoint(name), folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer.save_pretrained(folder)
    encoder = load_encoder(str(folder))
    pair = Tokenizer(encoder.tokenizer, 32).pair("one", "two")
    states = encoder.hidden_states(collate_texts([pair], encoder.tokenizer))
    assert torch.isfinite(states[-1]).all()
