"""The offline encoders: reading the file, building model and tokenizer, trimming the vocabulary."""

import struct
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from probes.bundled import (
    EncoderFile,
    _load,
    is_encoder_file,
    load_bundled,
    parse,
    to_model,
    to_tokenizer,
    trim_bundled,
)
from probes.encoder import load_encoder
from probes.errors import InputError
from tests.examples import examples

HIDDEN, LAYERS, HEADS, INTERMEDIATE, POSITIONS, TYPES = 32, 2, 4, 64, 40, 2
PIECES = [
    ("<s>", 0.0),
    ("<pad>", 0.0),
    ("</s>", 0.0),
    ("<unk>", 0.0),
    ("▁", -2.0),
    ("▁ab", -1.0),
    ("c", -40.0),
    ("de", -1.0),
    ("▁a", -15.0),
    ("bcde", -15.0),
    ("▁x", -1.0),
    ("fi", -3.0),
    ("é", -4.0),
    ("<mask>", 0.0),
]
VOCABULARY = len(PIECES) + 3  # like the real one, it has rows without a piece
NORMALISATION = {"\x01": "", "\u200b": " ", "\t": " ", "ﬁ": "fi"}


def shapes() -> dict[str, tuple[int, ...]]:
    table: dict[str, tuple[int, ...]] = {
        "emb.word": (VOCABULARY, HIDDEN),
        "emb.pos": (POSITIONS, HIDDEN),
        "emb.type": (TYPES, HIDDEN),
        "emb.ln.w": (HIDDEN,),
        "emb.ln.b": (HIDDEN,),
    }
    for i in range(LAYERS):
        for name in ("q", "k", "v", "ao"):
            table |= {f"l{i}.{name}.w": (HIDDEN, HIDDEN), f"l{i}.{name}.b": (HIDDEN,)}
        table |= {f"l{i}.fi.w": (INTERMEDIATE, HIDDEN), f"l{i}.fi.b": (INTERMEDIATE,)}
        table |= {f"l{i}.fo.w": (HIDDEN, INTERMEDIATE), f"l{i}.fo.b": (HIDDEN,)}
        for name in ("aln", "oln"):
            table |= {f"l{i}.{name}.w": (HIDDEN,), f"l{i}.{name}.b": (HIDDEN,)}
    return table


def quantise(weights: NDArray[np.float32]) -> tuple[bytes, NDArray[np.float32]]:
    """4-bit blocks, and the weights they stand for, computed one by one."""
    content, kept = b"", []
    for block in weights.reshape(-1, 32):
        scale = float(np.float16(np.abs(block).max() / 7))
        levels = [max(0, min(15, round(float(weight) / scale) + 8)) for weight in block]
        content += struct.pack("<e16B", scale, *(levels[j] | levels[j + 16] << 4 for j in range(16)))
        kept += [(level - 8) * scale for level in levels]
    return content, np.array(kept, np.float32).reshape(weights.shape)


def write_e5s1(
    *, pieces: list[tuple[str, float]] = PIECES, version: int = 1, block: int = 32, hidden: int = HIDDEN
) -> tuple[bytes, dict[str, NDArray[np.float32]]]:
    """A small file of random weights, and what its tensors must decode to."""
    texts = [text.encode() for text, _ in pieces]
    offsets = np.cumsum([0, *map(len, texts)])
    table = b"".join(
        struct.pack(f"<IB{len(new)}I", ord(old), len(new), *map(ord, new))
        for old, new in NORMALISATION.items()
    )
    sizes = (hidden, LAYERS, HEADS, INTERMEDIATE, VOCABULARY, POSITIONS, TYPES)
    head = (
        b"E5S1"
        + struct.pack("<I7ifi", version, *sizes, 1e-12, block)
        + struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, offsets[-1])
        + struct.pack(f"<{len(offsets)}I", *offsets)
        + struct.pack(f"<{len(pieces)}f", *(score for _, score in pieces))
        + b"".join(texts)
        + struct.pack("<iI", len(NORMALISATION), len(table))
        + table
    )
    random = np.random.default_rng(0)
    contents, expected = {}, {}
    for name, shape in shapes().items():
        weights = random.normal(0, 0.1, shape).astype(np.float32)
        matrix = len(shape) == 2 and name not in ("emb.pos", "emb.type")
        contents[name], expected[name] = quantise(weights) if matrix else (weights.tobytes(), weights)
    directory_size = 4 + sum(2 + len(name) + 21 for name in contents)
    at = len(head) + directory_size
    directory, body = struct.pack("<i", len(contents)), b""
    for name, content in contents.items():
        kind = int(len(content) != 4 * expected[name].size)
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, expected[name].size, at + len(body), len(content))
        body += content
    return head + directory + body, expected


DATA, TENSORS = write_e5s1()


@pytest.fixture(scope="module")
def small() -> EncoderFile:
    return parse(DATA)


@pytest.fixture(scope="module")
def tokenizer(small: EncoderFile) -> PreTrainedTokenizerFast:
    return to_tokenizer(small)


# --- The file -----------------------------------------------------------------------------------------


def test_parse_decodes_every_tensor(small: EncoderFile) -> None:
    assert small.tensors.keys() == TENSORS.keys()
    for name, expected in TENSORS.items():
        np.testing.assert_array_equal(small.tensors[name], expected)
        assert small.tensors[name].dtype == np.float32


def test_parse_reads_sizes_and_vocabulary(small: EncoderFile) -> None:
    assert (small.hidden, small.layers, small.heads) == (HIDDEN, LAYERS, HEADS)
    assert (small.vocabulary, small.positions, small.token_types) == (VOCABULARY, POSITIONS, TYPES)
    assert list(small.pieces) == PIECES
    assert small.special == (0, 2, 1, 3)
    assert small.normalisation == NORMALISATION


@pytest.mark.parametrize("length", [0, 3, 10, 43, 60, 150, 300, len(DATA) // 2, len(DATA) - 1])
def test_a_truncated_file_is_refused(length: int) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        parse(DATA[:length])


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"GGUF" + DATA[4:], "no E5S1 file"),
        (write_e5s1(version=2)[0], "version 2"),
        (write_e5s1(block=64)[0], "blocks"),
        (write_e5s1(hidden=30)[0], "sizes"),
        (write_e5s1(hidden=64)[0], "shape"),
        (write_e5s1(pieces=[*PIECES[:-1], ("c", 0.0)])[0], "twice"),
        (write_e5s1(pieces=[*PIECES[:-1], ("", 0.0)])[0], "overlaps"),
        (write_e5s1(pieces=[*PIECES[:-1], ("x", float("nan"))])[0], "score"),
        (write_e5s1(pieces=[*PIECES, *((f"p{i}", -1.0) for i in range(4))])[0], "more pieces"),
        (write_e5s1(pieces=PIECES[:3])[0], "special"),
        (DATA.replace(b"emb.pos", b"emb.pas"), "emb.pos is missing"),
        (DATA.replace(struct.pack("<4si", b"E5S1", 1), struct.pack("<4si", b"E5S1", -1)), "version"),
    ],
)
def test_a_damaged_file_is_refused_with_the_cause(data: bytes, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        parse(data)


def test_weights_that_are_no_number_are_refused() -> None:
    bias = TENSORS["emb.ln.w"].tobytes()
    broken = DATA.replace(bias, bias[:-4] + struct.pack("<f", float("nan")))
    with pytest.raises(InputError, match=r"emb\.ln\.w holds a value that is no number"):
        parse(broken)


@examples(200, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.dictionaries(st.integers(0, len(DATA) - 1), st.integers(0, 255), min_size=1, max_size=8),
    early=st.dictionaries(st.integers(0, 2000), st.integers(0, 255), max_size=4),
)
def test_any_damage_is_refused_or_harmless(changes: dict[int, int], early: dict[int, int]) -> None:
    data = bytearray(DATA)
    for at, value in (changes | early).items():  # `early` aims at the header, where the counts are
        data[at] = value
    try:
        file = parse(bytes(data))
    except InputError:
        return
    assert sum(tensor.nbytes for tensor in file.tensors.values()) <= 8 * len(data)


@examples(100)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(tail: bytes) -> None:
    with pytest.raises(InputError):
        parse(b"E5S1\x01\x00\x00\x00" + tail)


# --- Model and tokenizer ------------------------------------------------------------------------------


def test_the_model_computes_what_a_bert_of_these_weights_does(small: EncoderFile) -> None:
    model = to_model(small)
    assert not model.training
    assert model.pooler is None
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())

    reference = BertModel(
        BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=INTERMEDIATE,
            max_position_embeddings=POSITIONS,
            type_vocab_size=TYPES,
            layer_norm_eps=1e-12,
            pad_token_id=1,
        ),
        add_pooling_layer=False,
    )
    reference.eval()
    with torch.no_grad():
        for parameter, value in zip(reference.parameters(), model.parameters(), strict=True):
            parameter.copy_(value)
        # Three tensors from different ends of the file, placed by hand.
        for place, name in (
            ("embeddings.word_embeddings.weight", "emb.word"),
            ("encoder.layer.1.attention.self.key.weight", "l1.k.w"),
            ("encoder.layer.1.attention.output.LayerNorm.bias", "l1.aln.b"),
        ):
            reference.get_parameter(place).copy_(torch.from_numpy(TENSORS[name]))
        ids = torch.tensor([[0, 5, 7, 2], [0, 10, 2, 1]])
        mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
        expected = reference(ids, attention_mask=mask).last_hidden_state
        torch.testing.assert_close(model(ids, attention_mask=mask).last_hidden_state, expected)


def test_the_tokenizer_frames_sentences_and_pairs(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.is_fast
    assert tokenizer("ab").tokens() == ["<s>", "▁ab", "</s>"]
    assert tokenizer("ab", "x").tokens() == ["<s>", "▁ab", "</s>", "</s>", "▁x", "</s>"]
    assert set(tokenizer("ab")) == {"input_ids", "attention_mask"}
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id) == (1, 3)
    assert tokenizer.mask_token_id == PIECES.index(("<mask>", 0.0))
    assert tokenizer.model_max_length == POSITIONS


def test_a_mask_swallows_the_space_before_it(tokenizer: PreTrainedTokenizerFast) -> None:
    encoding = tokenizer("ab <mask> x", return_offsets_mapping=True, add_special_tokens=False)
    assert tokenizer.convert_ids_to_tokens(encoding["input_ids"]) == ["▁ab", "<mask>", "▁x"]
    assert encoding["offset_mapping"] == [(0, 2), (2, 9), (10, 11)]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a\x01b", ["▁ab"]),  # dropped
        ("ab\u200bx", ["▁ab", "▁x"]),  # made a space
        ("  ab\t x ", ["▁ab", "▁x"]),
        ("xﬁ", ["▁x", "fi"]),  # NFKC
        ("xe\u0301", ["▁x", "é"]),  # NFKC of a sequence, which the file's table does not list
        ("xq", ["▁x", "<unk>"]),
        ("", []),
    ],
)
def test_text_is_normalised_before_tokenisation(
    tokenizer: PreTrainedTokenizerFast, text: str, tokens: list[str]
) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == tokens


def test_offsets_and_word_ids_point_into_the_text(tokenizer: PreTrainedTokenizerFast) -> None:
    encoding = tokenizer("ab xde", return_offsets_mapping=True)
    assert encoding["offset_mapping"] == [(0, 0), (0, 2), (3, 4), (4, 6), (0, 0)]
    assert encoding.word_ids() == [None, 0, 1, 1, None]
    split = tokenizer(["ab", "xde"], is_split_into_words=True)
    assert split.word_ids() == [None, 0, 1, 1, None]
    assert split["input_ids"] == encoding["input_ids"]


# --- The installed weights ----------------------------------------------------------------------------

SENTENCES = {
    "en": [
        "The cat sleeps on the red sofa all day.",
        "Prices rose again last year.",
        "My sister plays the violin in an orchestra.",
        "Where can I buy a ticket to the airport?",
    ],
    "tr": [
        "Kedi bütün gün kırmızı kanepede uyuyor.",
        "Fiyatlar geçen yıl yine arttı.",
        "Kız kardeşim bir orkestrada keman çalıyor.",
        "Havaalanına nereden bilet alabilirim?",
    ],
    "zh": [
        "猫整天睡在红色的沙发上。",
        "去年物价又上涨了。",
        "我妹妹在乐团里拉小提琴。",
        "我在哪里可以买到去机场的票？",
    ],
    "ar": [
        "تنام القطة على الأريكة الحمراء طوال اليوم.",
        "ارتفعت الأسعار مجددًا العام الماضي.",
        "أختي تعزف على الكمان في فرقة موسيقية.",
        "أين يمكنني شراء تذكرة إلى المطار؟",
    ],
}


@pytest.fixture(scope="module")
def real() -> tuple[BertModel, PreTrainedTokenizerFast, str]:
    return load_bundled("bundled")


def embed(texts: list[str], model: BertModel, tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    batch = tokenizer([f"query: {text}" for text in texts], padding=True, return_tensors="pt")
    mask = batch["attention_mask"].unsqueeze(-1)
    with torch.inference_mode():
        states = model(**batch).last_hidden_state
    return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)


@pytest.mark.slow
def test_the_bundled_encoder_has_the_architecture_of_its_source(
    real: tuple[BertModel, PreTrainedTokenizerFast, str],
) -> None:
    model, tokenizer, sha256 = real
    assert len(sha256) == 64
    config = model.config
    assert (config.num_hidden_layers, config.hidden_size, config.vocab_size) == (12, 384, 250_037)
    # The ids XLM-R's own tokenizer gives.
    assert tokenizer("Hello world")["input_ids"] == [0, 35378, 8999, 2]


def test_translations_find_each_other(real: tuple[BertModel, PreTrainedTokenizerFast, str]) -> None:
    model, tokenizer, _ = real
    english = embed(SENTENCES["en"], model, tokenizer)
    for language in ("tr", "zh", "ar"):
        nearest = (embed(SENTENCES[language], model, tokenizer) @ english.T).argmax(1)
        assert nearest.tolist() == [0, 1, 2, 3], language


def test_missing_weights_are_a_clear_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> NoReturn:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_load, "distribution", missing)
    with pytest.raises(InputError, match=r'pip install "alignment-advisor\[demo\]"'):
        load_bundled("bundled")


def test_a_distribution_without_the_file_is_a_clear_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_load, "distribution", lambda _: SimpleNamespace(files=None))
    with pytest.raises(InputError, match="not installed"):
        load_bundled("bundled-enpt")


def test_other_weights_under_the_same_name_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "e5-small-q4.bin"
    path.write_bytes(DATA)
    file: Any = SimpleNamespace(name=path.name, locate=lambda: path)
    monkeypatch.setattr(_load, "distribution", lambda _: SimpleNamespace(files=[file]))
    with pytest.raises(InputError, match="SHA-256"):
        load_bundled("bundled")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="bundled-enpt"):
        load_bundled("bundled-xx")


def trimmed(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> bytes:
    monkeypatch.setattr(_load, "_read", lambda name: (DATA, "0" * 64))
    return trim_bundled("bundled", texts)


def test_a_trimmed_file_reads_its_texts_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts = ["ab c", "x fi", "c"]
    path = tmp_path / "small"
    path.write_bytes(trimmed(monkeypatch, texts))
    assert is_encoder_file(path)
    model, tokenizer, sha256 = load_bundled(str(path))
    whole = parse(DATA)
    whole_model, whole_tokenizer = to_model(whole), to_tokenizer(whole)

    assert len(sha256) == 64
    assert model.config.vocab_size == len(tokenizer) < len(whole_tokenizer)
    assert tokenizer.mask_token_id is not None
    for text in texts:
        short, long = tokenizer(text, return_tensors="pt"), whole_tokenizer(text, return_tensors="pt")
        pieces = [
            side.convert_ids_to_tokens(row["input_ids"][0])
            for side, row in ((tokenizer, short), (whole_tokenizer, long))
        ]
        assert pieces[0] == pieces[1]
        with torch.no_grad():
            assert torch.equal(model(**short).last_hidden_state, whole_model(**long).last_hidden_state)


def test_trimming_does_not_make_unknown_characters_cheaper(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the rare "c", an unknown character would cost 25 instead of 50, and ▁ab + unknown + de less
    # than ▁a + bcde.
    texts = ["ab", "xde", "abcde"]
    small = to_tokenizer(parse(trimmed(monkeypatch, texts)))
    for text in texts:
        assert small(text).tokens() == tokenizer(text).tokens()
    assert tokenizer("abcde").tokens() == ["<s>", "▁a", "bcde", "</s>"]


def test_trimming_to_nothing_keeps_the_special_pieces(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = to_tokenizer(parse(trimmed(monkeypatch, [])))
    assert sorted(small.get_vocab()) == sorted([*tokenizer.all_special_tokens, "c"])  # "c": the rarest
    assert small.special_tokens_map == tokenizer.special_tokens_map


def test_a_trimmed_file_keeps_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    file = parse(trimmed(monkeypatch, ["ab c"]))
    assert {name for name in file.tensors if not np.array_equal(file.tensors[name], TENSORS[name])} == {
        "emb.word"
    }
    assert file.normalisation == NORMALISATION
    kept = [[text for text, _ in PIECES].index(text) for text, _ in file.pieces]
    assert np.array_equal(file.tensors["emb.word"], TENSORS["emb.word"][kept])
    assert [file.pieces[i][0] for i in file.special] == ["<s>", "</s>", "<pad>", "<unk>"]


def test_a_trimmed_file_is_an_encoder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(trimmed(monkeypatch, ["ab c", "x fi"]))
    encoder = load_encoder(str(path))
    assert (encoder.id, encoder.layers, encoder.masked_lm) == (str(path), LAYERS, None)


@pytest.mark.parametrize("content", [b"", b"E5", b"anything"])
def test_other_files_are_no_encoder_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert not is_encoder_file(tmp_path / "file")
    assert not is_encoder_file(tmp_path)
    assert not is_encoder_file(tmp_path / "missing")
