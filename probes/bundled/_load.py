"""Loading an offline encoder, or a file like that of one."""

import hashlib
from pathlib import Path

from transformers import BertModel, PreTrainedTokenizerFast

from probes.bundled._file import MAGIC, parse
from probes.bundled._installed import BundledName, read_bundled
from probes.bundled._model import to_model
from probes.bundled._tokenizer import to_tokenizer


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
    data, sha256 = read_bundled(name)
    file = parse(data)
    return to_model(file), to_tokenizer(file), sha256


def is_encoder_file(path: str | Path) -> bool:
    """Whether there is a file in this format at ``path``."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
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
