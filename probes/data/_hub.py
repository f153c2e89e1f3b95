"""Data sets of the Hugging Face Hub, or of a local folder, as tables."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import shorten

from probes.data.tables import Row, Table, class_names
from probes.errors import InputError

PREFIX = "hf:"

_SPLITS = frozenset({"train", "training", "validation", "valid", "val", "dev", "test", "testing"})


def is_hub_spec(spec: str | Path) -> bool:
    """Whether the user means a data set rather than a file."""
    return str(spec).startswith(PREFIX)


def load_table(spec: str) -> tuple[Table, str]:
    """Load ``hf:NAME[:CONFIG][:SPLIT]`` with ``datasets``.

    With one part after the name, it is the split if it is called like one (``train``, ``test[:10%]``),
    else the configuration. The split may be left out where there is only one.

    Returns:
        The rows, and the SHA-256 of the data set's fingerprint.

    Raises:
        InputError: if it cannot be loaded, or has several splits and none is named.
    """
    import datasets

    name, config, split = _parts(spec)
    if Path(name).expanduser().is_dir():
        name = str(Path(name).expanduser())
    try:
        loaded = datasets.load_dataset(name, config, split=split)
    except Exception as error:  # the library raises anything from OSError to its own and pyarrow's
        raise InputError(_refusal(spec, name, error)) from error
    if isinstance(loaded, dict):
        if len(loaded) > 1:
            raise InputError(
                f"{spec} has the splits {', '.join(map(str, loaded))}: name one, as in "
                f"{spec}:{next(iter(loaded))}."
            )
        loaded = next(iter(loaded.values()))
    label_names = class_names(loaded.features.to_dict())
    fingerprint = hashlib.sha256(str(loaded._fingerprint).encode()).hexdigest()
    return Table(spec, tuple(loaded.column_names), _rows(loaded, spec), label_names), fingerprint


def _rows(loaded: Iterable[Row], spec: str) -> Iterator[Row]:
    try:
        yield from loaded
    except Exception as error:  # decoding audio or images, for example, needs libraries of its own
        raise InputError(_refusal(spec, spec, error)) from error


def _parts(spec: str) -> tuple[str, str | None, str | None]:
    # a slice of a split holds a colon itself: test[:100]
    body, bracket, slice_ = spec.removeprefix(PREFIX).partition("[")
    name, *rest = body.split(":")
    if bracket and rest:
        rest[-1] += bracket + slice_
    rest = [part for part in rest if part]
    if not name.strip() or len(rest) > 2:
        raise InputError(f"'{spec}' names no data set: write hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT.")
    if len(rest) == 2:
        return name, rest[0], rest[1]
    if rest and (bracket or rest[0] in _SPLITS):
        return name, None, rest[0]
    return name, rest[0] if rest else None, None


def _refusal(spec: str, name: str, error: Exception) -> str:
    if isinstance(error, ConnectionError | TimeoutError):
        return (
            f"Cannot reach the Hugging Face Hub for {spec}: go online, or download the data and name the "
            "file or folder."
        )
    reason = shorten(str(error), 300, placeholder=" …").rstrip(".") or type(error).__name__
    return f"Cannot load {spec} ({reason}): check the name '{name}', its configuration and its split."
